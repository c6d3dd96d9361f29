"""An MCP client on stdio: what a host is to the server, with a scripted person."""

import json
import os
import queue
import subprocess
import threading

PROTOCOL = "2025-11-25"
# A call may wait for a task of the API.
PATIENCE = 180.0


class ServerGone(Exception):
    """The server ended, or did not answer in time."""


class Person:
    """Answers the questions of the server: `agrees`, `declines`, or is `absent`."""

    def __init__(self, answers):
        self.answers = answers
        self.questions = []

    def capabilities(self):
        return {} if self.answers == "absent" else {"elicitation": {"form": {}}}

    def reply(self, params):
        self.questions.append(params.get("message", ""))
        if self.answers == "agrees":
            return {"action": "accept", "content": {}}
        return {"action": "decline"}


class Session:
    """A running `dadl-mcp serve`, to be closed by leaving its `with`."""

    def __init__(self, command, environment, person):
        self.person = person
        self._answers = queue.Queue()
        self._next_id = 0
        self._log = []
        self._process = subprocess.Popen(
            command, env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_log, daemon=True).start()
        initialized = self._request("initialize", {
            "protocolVersion": PROTOCOL,
            "capabilities": person.capabilities(),
            "clientInfo": {"name": "dadl-mcp-evals", "version": "1"},
        })
        self.instructions = initialized.get("instructions", "")
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tools(self):
        """Returns all listed tools."""
        found, cursor = [], None
        while True:
            page = self._request("tools/list", {"cursor": cursor} if cursor else {})
            found += page["tools"]
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    def call(self, name, arguments):
        """Returns the text of a result, and whether it is an error."""
        try:
            result = self._request("tools/call", {"name": name, "arguments": arguments})
        except RefusedByServer as refused:
            return str(refused), True
        texts = []
        for block in result.get("content", []):
            if block.get("type") == "text":
                texts.append(block["text"])
            else:
                # A link to a file, or a medium that a model sees in another way.
                texts.append(json.dumps({k: v for k, v in block.items() if k != "data"}))
        return "\n".join(texts), bool(result.get("isError"))

    def _send(self, message):
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise ServerGone("".join(self._log[-20:])) from None

    def _read(self):
        for line in self._process.stdout:
            message = json.loads(line)
            if "method" not in message:
                self._answers.put(message)
            elif "id" in message:
                self._send(self._reply(message))
        self._answers.put(None)

    def _read_log(self):
        for line in self._process.stderr:
            self._log.append(line)

    def _reply(self, request):
        head = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "elicitation/create" and self.person.answers != "absent":
            return head | {"result": self.person.reply(request.get("params", {}))}
        if request["method"] == "ping":
            return head | {"result": {}}
        return head | {"error": {"code": -32601, "message": "not supported"}}

    def _request(self, method, params):
        self._next_id += 1
        wanted = self._next_id
        self._send({"jsonrpc": "2.0", "id": wanted, "method": method, "params": params})
        while True:
            try:
                answer = self._answers.get(timeout=PATIENCE)
            except queue.Empty:
                raise ServerGone(f"no answer to {method} in {PATIENCE:.0f} s") from None
            if answer is None:
                raise ServerGone("".join(self._log[-20:]) or "the server ended")
            if answer.get("id") != wanted:
                continue
            if "error" in answer:
                raise RefusedByServer(answer["error"].get("message", "error"))
            return answer["result"]


class RefusedByServer(Exception):
    """An error of the protocol instead of a result."""


def environment(folder, credentials):
    """Returns what a server may know: the path, a home of its own, and its credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"HOME": folder, "XDG_CONFIG_HOME": folder, "NO_COLOR": "1"} | credentials
