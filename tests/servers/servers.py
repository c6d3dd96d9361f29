"""The servers: how each is started, what its tools are called with, and what in its answers is never twice the same."""

import base64
import json
import pathlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, NamedTuple

import packages

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)


class Server(NamedTuple):
    name: str
    language: str
    version: str
    # Of a site: the command on stdio.
    command: Callable
    # Of a site and a port: the command over HTTP.
    http: Callable = None
    path: str = "/mcp"
    # Of a site.
    env: Callable = lambda site: {}
    prepare: Callable = lambda site: None
    # Of a site: the arguments of calls by the tool; what is not here is made of the schema.
    arguments: Callable = lambda site: {}
    # The tools in the order in which they are to be called; the others follow.
    order: tuple = ()
    # Tools that are not called in their turn, and why.
    apart: dict = {}
    variables: dict = {}
    prompts: dict = {}
    # Patterns of what changes from one play to the next, besides times.
    volatile: tuple = ()
    # What is played besides: see play.py.
    progress: tuple = None
    cancel: tuple = None
    asks: tuple = None
    watch: tuple = None
    changes: tuple = None
    dies: str = None


class Site:
    """The folder that a server works in; a play begins with a new one at the same place."""

    def __init__(self, folder, pages, binary):
        self.folder, self.pages, self.binary = folder, pages, binary

    def renew(self, server):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "home").mkdir(parents=True)
        server.prepare(self)


class Pages(BaseHTTPRequestHandler):
    """What is fetched."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        pages = {
            "/": ("text/html", b"<html><head><title>A page</title></head><body><h1>Head</h1>"
                  b"<p>Some <b>text</b> and <a href='/other'>a link</a>. " + b"More text. " * 30 + b"</p></body></html>"),
            "/data.json": ("application/json", b'{"one": 1}'),
        }
        kind, body = pages.get(self.path, ("text/plain", b"not here"))
        self.send_response(200 if self.path in pages else 404)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def pages():
    """A server of pages on loopback, and its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


def files(site):
    shelf = site.folder / "shelf"
    shelf.mkdir()
    (shelf / "a.txt").write_text("one\ntwo\nthree\n")
    (shelf / "b.md").write_text("# Grüße\n\n日本語 🦀\n")
    (shelf / "pixel.png").write_bytes(PIXEL)
    (shelf / "odd.bin").write_bytes(bytes(range(256)))
    (shelf / "deep/er").mkdir(parents=True)
    (shelf / "deep/er/c.txt").write_text("deep")


def filesystem(site):
    shelf = site.folder / "shelf"
    a, b = f"{shelf}/a.txt", f"{shelf}/b.md"
    outside = {"path": "/etc/hostname"}
    return {
        "read_file": [{"path": a}],
        "read_text_file": [{"path": b}, {"path": a, "tail": 1}, {"path": a, "head": 1, "tail": 1}, outside],
        "read_media_file": [{"path": f"{shelf}/pixel.png"}, {"path": f"{shelf}/odd.bin"}, outside],
        "read_multiple_files": [{"paths": [a, b, f"{shelf}/none"]}],
        "write_file": [{"path": f"{shelf}/new.txt", "content": "new\nlines"}],
        "edit_file": [
            {"path": a, "edits": [{"oldText": "two", "newText": "2"}], "dryRun": True},
            {"path": a, "edits": [{"oldText": "two", "newText": "2"}]},
            {"path": a, "edits": [{"oldText": "nowhere", "newText": "2"}]},
        ],
        "create_directory": [{"path": f"{shelf}/made/here"}],
        "list_directory": [{"path": str(shelf)}, {"path": f"{shelf}/none"}],
        "list_directory_with_sizes": [{"path": str(shelf), "sortBy": "size"}],
        "directory_tree": [{"path": str(shelf), "excludePatterns": ["*.bin"]}],
        "move_file": [{"source": b, "destination": f"{shelf}/moved.md"}],
        "search_files": [{"path": str(shelf), "pattern": "**/*.txt"}],
        "get_file_info": [{"path": f"{shelf}/deep/er/c.txt"}],
    }


def git(site, *arguments):
    identity = ["-c", "user.name=A Person", "-c", "user.email=person@example.com"]
    date = "2026-01-02T03:04:05+00:00"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(site.folder / "home"), "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    command = ["git", "-C", site.folder / "repo", *identity, *arguments]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def repository(site):
    repo = site.folder / "repo"
    repo.mkdir()
    (site.folder / "home/.gitconfig").write_text("[user]\nname = A Person\nemail = person@example.com\n")
    git(site, "init", "--quiet", "--initial-branch", "main")
    for number in (1, 2):
        (repo / "file.txt").write_text(f"version {number}\nGrüße\n")
        git(site, "add", ".")
        git(site, "commit", "--quiet", "--message", f"commit {number}")
    (repo / "file.txt").write_text("version 3\nGrüße\n")
    (repo / "new.txt").write_text("new\n")


def repository_calls(site):
    repo = {"repo_path": str(site.folder / "repo")}
    return {
        "git_status": [repo, {"repo_path": str(site.folder / "home")}],
        "git_diff_unstaged": [repo],
        "git_add": [{**repo, "files": ["new.txt"]}, {**repo, "files": []}],
        "git_diff_staged": [{**repo, "context_lines": 1}],
        "git_diff": [{**repo, "target": "HEAD~1"}],
        "git_commit": [{**repo, "message": "commit 3"}],
        "git_reset": [repo],
        "git_log": [{**repo, "max_count": 2}],
        "git_create_branch": [{**repo, "branch_name": "side"}],
        "git_checkout": [{**repo, "branch_name": "side"}, {**repo, "branch_name": "none"}],
        "git_show": [{**repo, "revision": "HEAD"}, {**repo, "revision": "HEAD:file.txt"}],
        "git_branch": [{**repo, "branch_type": "local"}],
    }


def everything(site):
    data = "data:text/plain;base64," + base64.b64encode(b"some text\n" * 50).decode()
    return {
        "echo": [{"message": "Grüße 🦀"}, {"message": ""}, {}],
        "get-annotated-message": [
            {"messageType": "error"}, {"messageType": "success", "includeImage": True}, {"messageType": "none"},
        ],
        "get-resource-links": [{"count": 3}, {"count": 11}],
        "get-resource-reference": [{"resourceType": "Text", "resourceId": 1}, {"resourceType": "Blob", "resourceId": 2}],
        "get-structured-content": [{"location": "Chicago"}],
        "get-sum": [{"a": 2, "b": 3.5}, {"a": "two", "b": 3}],
        "gzip-file-as-resource": [
            {"name": "a.gz", "data": data, "outputType": "resource"},
            {"name": "b.gz", "data": data, "outputType": "resourceLink"},
        ],
        "trigger-long-running-operation": [{"duration": 0.2, "steps": 2}],
        "trigger-sampling-request": [{"prompt": "Say something.", "maxTokens": 20}],
        "simulate-research-query": [{"topic": "cats", "ambiguous": False}],
    }


def memory(site):
    def entity(name):
        return {"name": name, "entityType": "cat", "observations": [f"{name} purrs"]}

    relation = {"from": "Tom", "to": "Ida", "relationType": "likes"}
    return {
        "create_entities": [{"entities": [entity("Tom"), entity("Ida")]}],
        "create_relations": [{"relations": [relation]}],
        "add_observations": [
            {"observations": [{"entityName": "Tom", "contents": ["eats", "Grüße"]}]},
            {"observations": [{"entityName": "Nobody", "contents": ["eats"]}]},
        ],
        "read_graph": [{}],
        "search_nodes": [{"query": "purrs"}],
        "open_nodes": [{"names": ["Ida"]}],
        "delete_observations": [{"deletions": [{"entityName": "Tom", "observations": ["eats"]}]}],
        "delete_relations": [{"relations": [relation]}],
        "delete_entities": [{"entityNames": ["Ida"]}],
    }


def demo(site):
    vm = "c9e3354c-2dd5-4ff6-a3e2-feb268d07525"
    return {
        "list_vms": [{"fields": "id,name_label", "limit": 3}, {"filter": "power_state:Running"}],
        "get_vm": [{"uuid": vm}, {"uuid": "none"}],
        "start_vm": [{"uuid": vm}],
        "add_vm_tag": [{"uuid": vm, "tag": "tried"}],
        "delete_vm": [{"uuid": "00000000-0000-0000-0000-000000000000"}],
    }


def thought(site):
    one = {"thought": "First.", "thoughtNumber": 1, "totalThoughts": 2}
    return {"sequentialthinking": [
        {**one, "nextThoughtNeeded": True}, {**one, "thoughtNumber": 2, "nextThoughtNeeded": "false"},
        {"thought": "no numbers"},
    ]}


HERE = packages.HERE
SERVERS = [
    Server(
        "everything", "TypeScript (SDK 1)", packages.version("everything"),
        command=lambda site: [*packages.module("everything"), "stdio"],
        http=lambda site, port: ["/usr/bin/env", f"PORT={port}", *packages.module("everything"), "streamableHttp"],
        arguments=everything,
        apart={
            "toggle-subscriber-updates": "is called where a resource is watched",
            "toggle-simulated-logging": "says random things for ever; is called last",
            "trigger-elicitation-request": "is called for each answer",
        },
        variables={"resourceId": "3"},
        prompts={
            "args-prompt": {"city": "Köln", "state": "NRW"},
            "completable-prompt": {"department": "Engineering", "name": "Alice"},
            "resource-prompt": {"resourceType": "Text", "resourceId": "2"},
        },
        progress=("trigger-long-running-operation", {"duration": 0.5, "steps": 5}),
        cancel=("trigger-long-running-operation", {"duration": 20, "steps": 2}),
        asks=("trigger-elicitation-request", {}),
        watch=("demo://resource/dynamic/text/3", "toggle-subscriber-updates", {}),
        changes=("resources", "gzip-file-as-resource", {"name": "c.gz", "data": "data:text/plain,hello", "outputType": "resourceLink"}),
        volatile=(
            (r"\d{1,2}:\d\d:\d\d [AP]M", "<time>"), (r"session [0-9a-f-]{36}", "session <it>"),
            (r'"PORT": "\d+"', '"PORT": "<port>"'),
        ),
    ),
    Server(
        "filesystem", "TypeScript (SDK 1)", packages.version("filesystem"), prepare=files,
        command=lambda site: [*packages.module("filesystem"), site.folder / "shelf"],
        arguments=filesystem,
        order=("read_file", "read_text_file", "read_media_file", "read_multiple_files"),
        volatile=((r"(created|modified|accessed): .*", r"\1: <time>"),),
    ),
    Server(
        "memory", "TypeScript (SDK 1)", packages.version("memory"),
        command=lambda site: packages.module("memory"),
        env=lambda site: {"MEMORY_FILE_PATH": str(site.folder / "memory.json")},
        arguments=memory, order=tuple(memory(None)),
        watch=("memory://knowledge-graph", "create_entities",
               {"entities": [{"name": "Max", "entityType": "dog", "observations": []}]}),
    ),
    Server(
        "thinking", "TypeScript (SDK 1)", packages.version("thinking"),
        command=lambda site: packages.module("thinking"), arguments=thought,
    ),
    Server(
        "board", "TypeScript (SDK 2)", packages.version("board"),
        command=lambda site: [packages.NODE, HERE / "typescript_server.mjs", packages.MODULES],
        http=lambda site, port: [packages.NODE, HERE / "typescript_server.mjs", packages.MODULES, str(port)],
        arguments=lambda site: {
            "board.move-card": [{"card": "plan", "to": "done", "x-note": ["a", "b"]}, {"card": "plan", "to": "nowhere"}],
            "describe_card": [{"card": "plan"}],
            "count": [{"to": 2}],
            "change-card": [{"card": "plan", "text": "Plan anew."}],
        },
        apart={"wait": "is given up", "delete-card": "is called for each answer"},
        variables={"card": "review"},
        prompts={"triage": {"state": "open", "limit": "3"}},
        progress=("count", {"to": 4}),
        cancel=("wait", {"seconds": 20}),
        asks=("delete-card", {"card": "plan"}),
        watch=("card://board/plan", "change-card", {"card": "plan", "text": "Changed."}),
        changes=("resources", "change-card", {"card": "fresh", "text": "A new one."}),
    ),
    Server(
        "git", "Python (SDK 2)", packages.version("git"), prepare=repository,
        command=lambda site: [packages.python("git"), "-m", "mcp_server_git"],
        arguments=repository_calls, order=tuple(repository_calls(Site(pathlib.Path(), "", ""))),
        # A commit of now, and what is made of it.
        volatile=((r"\b[0-9a-f]{40}\b", "<hash>"), (r"\b[0-9a-f]{7}\b", "<hash>")),
    ),
    Server(
        "sqlite", "Python (SDK 1)", packages.version("sqlite"),
        command=lambda site: [packages.program("sqlite", "mcp-server-sqlite"), "--db-path", site.folder / "it.db"],
        arguments=lambda site: {
            "create_table": [{"query": "CREATE TABLE cats (name TEXT, age INTEGER)"}],
            "write_query": [{"query": "INSERT INTO cats VALUES ('Tom', 3), ('Grüße', NULL)"}, {"query": "SELECT 1"}],
            "read_query": [{"query": "SELECT * FROM cats"}, {"query": "SELECT * FROM none"}],
            "describe_table": [{"table_name": "cats"}],
            "append_insight": [{"insight": "Cats are old."}],
        },
        order=("create_table", "write_query", "read_query"),
        prompts={"mcp-demo": {"topic": "cats"}},
        watch=("memo://insights", "append_insight", {"insight": "Cats are cats."}),
    ),
    Server(
        "fetch", "Python (SDK 2)", packages.version("fetch"),
        command=lambda site: [packages.python("fetch"), "-m", "mcp_server_fetch", "--ignore-robots-txt"],
        arguments=lambda site: {"fetch": [
            {"url": f"{site.pages}/"}, {"url": f"{site.pages}/", "raw": True, "max_length": 50},
            {"url": f"{site.pages}/data.json"}, {"url": f"{site.pages}/none"}, {"url": "nonsense"},
        ]},
        prompts={"fetch": lambda site: {"url": f"{site.pages}/"}},
    ),
    Server(
        "time", "Python (SDK 2)", packages.version("time"),
        command=lambda site: [packages.python("time"), "-m", "mcp_server_time", "--local-timezone", "Europe/Berlin"],
        arguments=lambda site: {
            "get_current_time": [{"timezone": "Asia/Tokyo"}, {"timezone": "Mars/Base"}],
            "convert_time": [
                {"source_timezone": "Europe/Berlin", "time": "12:00", "target_timezone": "America/New_York"},
                {"source_timezone": "Europe/Berlin", "time": "noon", "target_timezone": "Asia/Tokyo"},
            ],
        },
    ),
    Server(
        "notes", "Python (FastMCP)", packages.version("notes"),
        command=lambda site: [packages.python("notes"), HERE / "fastmcp_server.py"],
        http=lambda site, port: [packages.python("notes"), HERE / "fastmcp_server.py", str(port)],
        arguments=lambda site: {
            "add": [{"a": 1.5}, {"a": 1, "b": 2}, {"a": "one"}],
            "keep": [{"note": {"title": "a", "tags": ["x"], "next": {"title": "b"}}, "urgent": True}],
            "words": [{"text": "one two three", "at_most": 2}, {"text": "one two", "at_most": None}],
            "long_text": [{"size": 200_000}],
            "fail": [{"message": "Nothing is well: 🦀"}],
            "count": [{"to": 2}],
            "say": [{"message": "hello"}],
        },
        apart={"wait": "is given up", "order": "is called for each answer", "crash": "is called last"},
        variables={"name": "umlaut", "shelf": "top"},
        prompts={"summarize": {"name": "milk", "style": "long"}},
        progress=("count", {"to": 4}),
        cancel=("wait", {"seconds": 20}),
        asks=("order", {"drink": "tea"}),
        dies="crash",
    ),
    Server(
        "go-sdk", "Go (go-sdk)", packages.version("go-sdk"),
        command=lambda site: packages.go("go-sdk"),
        http=lambda site, port: [*packages.go("go-sdk"), "-http", f"127.0.0.1:{port}"],
        path="/",
        apart={"elicit (form)": "is called for each answer", "elicit (url)": "wants a mode that this client has not"},
        variables={"resource_name": "info"},
        prompts={"greet": {"name": "Ida"}, "greet (with Icons)": {"name": "Tom"}},
        asks=("elicit (form)", {}),
    ),
    Server(
        "mcp-go", "Go (mcp-go)", packages.version("mcp-go"),
        command=lambda site: packages.go("mcp-go"),
        arguments=lambda site: {"longRunningOperation": [{"duration": 0.4, "steps": 2}]},
        variables={"id": "7"},
        prompts={"complex_prompt": {"temperature": "0.5", "style": "brief"}},
        progress=("longRunningOperation", {"duration": 0.4, "steps": 4}),
    ),
    Server(
        "demo", "Rust (rmcp)", "of this tree",
        command=lambda site: [site.binary, "serve", "--demo", "--surface", "tools", "--files", site.folder / "files"],
        http=lambda site, port: [
            site.binary, "serve", "--demo", "--surface", "tools", "--files", site.folder / "files",
            "--http", f"127.0.0.1:{port}",
        ],
        arguments=demo,
        apart={"open_events_stream": "what it says depends on when it is asked"},
        # Times, and the names of tasks.
        volatile=(
            (r'"latency_ms":\d+', '"latency_ms":"<time>"'), (r"\b1[789]\d{8}(\d{3})?(\.\d+)?\b", "<number>"),
            (r"\b0m[0-9a-z]{7}-[0-9a-z]{10}\b", "<task>"),
        ),
    ),
]


def answers(schema):
    """An answer to a form: what it proposes, and else something that it allows."""
    return {name: sample(it) for name, it in schema.get("properties", {}).items()}


def sample(schema, name=""):
    """A value that a schema allows, as far as that is simple."""
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("oneOf", "anyOf", "allOf"):
        if schema.get(key):
            return sample(schema[key][0], name)
    kind = schema.get("type", "string")
    kind = next((it for it in kind if it != "null"), "null") if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("required", [])
        return {key: sample(it, key) for key, it in schema.get("properties", {}).items() if key in wanted}
    if kind == "array":
        return [sample(schema.get("items", {}), name)] * schema.get("minItems", 1)
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    formats = {"email": "a@example.com", "uri": "https://example.com/", "date": "2026-01-02",
               "date-time": "2026-01-02T03:04:05Z", "uuid": "00000000-0000-0000-0000-000000000000"}
    text = formats.get(schema.get("format"), "text")
    text += "x" * (schema.get("minLength", 0) - len(text))
    return {"boolean": True, "null": None}.get(kind, text)


def shown(value):
    return json.dumps(value, ensure_ascii=False)
