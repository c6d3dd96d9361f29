"""What can be checked without the program: the task files, the judgement, and the adapter of README.md."""

import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import os

from . import outcome, tasks

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def run(chosen):
    """Returns 0 where all is well, and prints what is not."""
    found = [problem for task in chosen for problem in tasks.problems(task)]
    names = [task.id for task in chosen]
    found += [f"two tasks are named {name}" for name in sorted({it for it in names if names.count(it) > 1})]
    for check in (judges_words, judges_changes, adapter_speaks):
        try:
            check()
        except AssertionError as error:
            found.append(f"{check.__name__}: {error}")
    for problem in found:
        print(problem)
    if not found:
        print(f"{len(chosen)} tasks are well-formed")
    return 1 if found else 0


def judges_words():
    """An answer is right in words, as a table and as JSON, and wrong with two figures swapped."""
    answer = {"near": [["xcp-01", "8"], ["xcp-02", "12"]], "has": [r"\b2268\b"], "hasnt": ["web-06"]}
    for text in (
        "8 VMs run on xcp-01 and 12 on xcp-02; 2,268 GiB",
        "| xcp-01 | 8 |\n| xcp-02 | 12 |\n2268",
        '{"xcp-01":8,"xcp-02":12,"gib":2268}',
    ):
        assert not outcome.missing_facts(answer, text), f"{text}: {outcome.missing_facts(answer, text)}"
    for text in (
        "xcp-01: 12, xcp-02: 8, 2268", "xcp-01: 8, xcp-02: 12", "xcp-01: 18, xcp-02: 12, 2268",
        "xcp-01: 8, xcp-02: 12, 2268, web-06",
    ):
        assert outcome.missing_facts(answer, text), text


def judges_changes():
    """What nobody expects is a wrong change, and so is a property more."""
    vm = {"name_label": "web-01", "tags": ["prod"], "power_state": "Running"}
    tagged = vm | {"tags": ["prod", "new"]}
    change = lambda before, after: outcome.Change("xo", "vms", "1", before, after)
    expected = [{"of": "vms", "op": "change", "name": "web-01", "adds": {"tags": ["new"]}}]
    assert outcome.compare(expected, [change(vm, tagged)]) == ([], [])
    absent, wrong = outcome.compare(expected, [])
    assert absent and not wrong
    for other in (
        change(vm, tagged | {"power_state": "Halted"}), change(vm, None), change(None, vm),
        change(vm, vm | {"tags": ["new"]}), change(vm, vm | {"tags": ["prod", "old"]}),
    ):
        absent, wrong = outcome.compare(expected, [other])
        assert absent and wrong, str(other)


def adapter_speaks():
    """The adapter of README.md turns a completion with a tool call into a turn."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 1, "README.md has one adapter"
    call = {"id": "c1", "type": "function", "function": {"name": "list_vms", "arguments": '{"limit": 1}'}}
    seen = []

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            if len(seen) > 1:
                message = {"role": "assistant", "content": "44"}
            body = json.dumps({"choices": [{"message": message}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Endpoint) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = pathlib.Path(folder, "adapter.py")
        path.write_text(blocks[0], encoding="utf-8")
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        known = os.environ | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "MODEL": "any"}
        known["no_proxy"] = "127.0.0.1"
        document = {"system": "s", "messages": [{"role": "user", "content": "How many?"}], "tools": [
            {"name": "list_vms", "description": "VMs.", "input_schema": {"type": "object"}},
        ]}
        turns = []
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, path], input=json.dumps(document), env=known,
                capture_output=True, text=True, check=False,
            )
            assert done.returncode == 0, done.stderr
            turns.append(json.loads(done.stdout))
            document["messages"] += [
                {"role": "assistant", "content": "", "tool_calls": turns[0].get("tool_calls")},
                {"role": "tool", "id": "c1", "name": "list_vms", "content": "[]"},
            ]
        server.shutdown()
    wanted = [{"id": "c1", "name": "list_vms", "arguments": {"limit": 1}}]
    assert turns[0].get("tool_calls") == wanted, turns[0]
    assert turns[1].get("answer") == "44", turns[1]
    assert seen[0]["tools"][0]["function"]["name"] == "list_vms", seen[0]
    assert seen[1]["messages"][-1]["tool_call_id"] == "c1", seen[1]["messages"]
