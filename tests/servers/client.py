"""A client of MCP on the standard library: over stdio and streamable HTTP, in both eras of the protocol.

It checks nothing and hides nothing: what a server answers is handed out as it came.
"""

import base64
import contextlib
import http.client
import itertools
import json
import os
import queue
import socket
import subprocess
import threading
import time
from urllib.parse import urlsplit

OLD, NEW = "2025-11-25", "2026-07-28"
ERAS = (OLD, NEW)
PATIENCE = 60
INFO = {"name": "comparing-client", "version": "1"}
CAPABILITIES = {"elicitation": {"form": {}}, "sampling": {}, "roots": {"listChanged": True}}
META = "io.modelcontextprotocol/"
# Codes of refusals that no server has written: its answer broke off, or it does not listen to what was asked for.
BROKEN, UNACKNOWLEDGED = 0, 1
# Rounds of questions that one request may take.
MOST_ROUNDS = 5


class Refusal(Exception):
    """An error of JSON-RPC."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')} {error.get('message')}")
        self.code, self.message = error.get("code"), error.get("message", "")


class Lost(Exception):
    """There was no answer: the server ended, took too long, or spoke no MCP."""


class Person:
    """Answers what a server asks a client, and remembers it."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def answer(self, method, params):
        if method == "ping":
            return {}
        self.asked.append((method, params))
        if method not in self.answers:
            raise Refusal({"code": -32601, "message": f"{method} is not known"})
        return self.answers[method](params)


class Client:
    """A client that has introduced itself; `channel` carries messages."""

    def __init__(self, channel, era, person):
        self.channel, self.era, self.person = channel, era, person
        self.ids, self.answers, self.lock = itertools.count(1), {}, threading.Condition()
        self.heard, self.end = [], None
        channel.open(self)
        try:
            self.introduce()
        except BaseException:
            self.close()
            raise

    def introduce(self):
        if self.era == NEW:
            self.server = self.request("server/discover", patience=PATIENCE)
            if NEW not in self.server.get("supportedVersions", []):
                raise Lost(f"it speaks {self.server.get('supportedVersions')}")
        else:
            hello = {"protocolVersion": self.era, "capabilities": CAPABILITIES, "clientInfo": INFO}
            self.server = self.request("initialize", hello, patience=PATIENCE)
            self.channel.revision = self.server["protocolVersion"]
            self.notify("notifications/initialized")
        self.capabilities = self.server.get("capabilities", {})
        self.channel.introduced(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.channel.close()

    def message(self, method, params, name=None):
        params = dict(params or {})
        if self.era == NEW:
            meta = {"protocolVersion": NEW, "clientInfo": INFO, "clientCapabilities": CAPABILITIES}
            params["_meta"] = {**params.get("_meta", {}), **{META + key: value for key, value in meta.items()}}
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        return message if name is None else {**message, "id": name}

    def notify(self, method, params=None):
        self.channel.send(self.message(method, params))

    def begin(self, method, params=None):
        """Sends a request; its identifier, which `wait` takes."""
        name = next(self.ids)
        self.answers[name] = None
        self.channel.send(self.message(method, params, name))
        return name

    def wait(self, name, patience=PATIENCE):
        """The result of a request that `begin` sent."""
        with self.lock:
            if not self.lock.wait_for(lambda: self.answers[name] or self.end, patience):
                raise Lost(f"no answer within {patience} s")
            answer = self.answers.pop(name)
        if answer is None:
            raise Lost(self.end)
        if "error" in answer:
            raise Refusal(answer["error"])
        return answer.get("result")

    def cancel(self, name, reason="no longer wanted"):
        self.channel.cancel(name, self.message("notifications/cancelled", {"requestId": name, "reason": reason}))

    def request(self, method, params=None, patience=PATIENCE):
        """The result of a request; questions on the way are answered."""
        for _ in range(MOST_ROUNDS):
            result = self.wait(self.begin(method, params), patience)
            if not isinstance(result, dict) or result.get("resultType") != "input_required":
                return result
            more = {}
            for key, asked in (result.get("inputRequests") or {}).items():
                more[key] = self.person.answer(asked["method"], asked.get("params") or {})
            params = {**(params or {}), "inputResponses": more}
            if "requestState" in result:
                params["requestState"] = result["requestState"]
        raise Lost(f"{MOST_ROUNDS} rounds of questions")

    def all(self, method, key):
        """The items of a list, all pages of it."""
        items, cursor = [], None
        for _ in range(100):
            page = self.request(method, {"cursor": cursor} if cursor else None)
            items += page[key]
            cursor = page.get("nextCursor")
            if not cursor:
                break
        return items

    def take(self, message):
        """A message of the server."""
        if "method" in message and "id" in message:
            threading.Thread(target=self.reply, args=[message], daemon=True).start()
            return
        with self.lock:
            if "method" in message:
                self.heard.append((message["method"], message.get("params") or {}))
            elif message.get("id") in self.answers:
                self.answers[message["id"]] = message
            self.lock.notify_all()

    def reply(self, message):
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            answer["result"] = self.person.answer(message["method"], message.get("params") or {})
        except Refusal as refusal:
            answer["error"] = {"code": refusal.code, "message": refusal.message}
        with contextlib.suppress(Lost):
            self.channel.send(answer)

    def lose(self, why):
        """Nothing comes any more."""
        with self.lock:
            self.end = self.end or why
            self.lock.notify_all()

    def hear(self, is_it, patience=10):
        """The first notification that is looked for, as method and params; none: it did not come."""
        def found():
            return next((it for it in self.heard if is_it(*it)), None)
        with self.lock:
            self.lock.wait_for(lambda: found() or self.end, patience)
            return found()


class Stdio:
    """A server that is started, and spoken with on its standard streams."""

    def __init__(self, command, env=None, cwd=None, log=None):
        self.command, self.env, self.cwd, self.log = [str(part) for part in command], env, cwd, log
        self.revision = None

    def open(self, client):
        self.process = subprocess.Popen(
            self.command, env=self.env, cwd=self.cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log or subprocess.DEVNULL,
        )
        self.writing = threading.Lock()
        threading.Thread(target=self.read, args=[client], daemon=True).start()

    def read(self, client):
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                for one in message if isinstance(message, list) else [message]:
                    client.take(one)
        client.lose(f"{self.command[0]} ended with {self.process.wait()}")

    def introduced(self, client):
        pass

    def send(self, message):
        try:
            with self.writing:
                self.process.stdin.write(json.dumps(message).encode() + b"\n")
                self.process.stdin.flush()
        except OSError as error:
            raise Lost(f"{self.command[0]} takes nothing: {error}") from None

    def cancel(self, name, message):
        self.send(message)

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Http:
    """A server at a URL."""

    def __init__(self, url, token=None):
        self.url, self.token, self.session, self.revision = urlsplit(url), token, None, None
        self.sockets = {}

    def open(self, client):
        self.client = client

    def connect(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=PATIENCE)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def headers(self, message=None):
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        if self.client.era == NEW:
            headers["MCP-Protocol-Version"] = NEW
            if message and "method" in message:
                headers["Mcp-Method"] = message["method"]
                params = message.get("params") or {}
                if name := params.get("name") or params.get("uri"):
                    headers["Mcp-Name"] = header_value(name)
        elif self.revision:
            headers["MCP-Protocol-Version"] = self.revision
        return headers

    def introduced(self, client):
        if client.era == OLD:
            threading.Thread(target=self.listen, daemon=True).start()

    def send(self, message):
        arguments = [message, queue.Queue()]
        threading.Thread(target=self.post, args=arguments, daemon=True).start()
        # The order of messages is that of their requests.
        fault = arguments[1].get()
        if fault:
            raise Lost(fault)

    def post(self, message, sent):
        name = message.get("id") if "method" in message else None
        try:
            connection = self.connect()
            if name is not None:
                self.sockets[name] = connection.sock
            target = self.url.path + (f"?{self.url.query}" if self.url.query else "")
            connection.request("POST", target, json.dumps(message).encode(), self.headers(message))
        except OSError as error:
            sent.put(f"{self.url.geturl()}: {error}")
            return
        # What is no request is waited for: what follows may need it.
        if name is not None:
            sent.put(None)
        try:
            with contextlib.closing(connection):
                self.read(connection.getresponse(), name)
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            self.fail(name, f"the answer broke off: {error!r}")
        if name is None:
            sent.put(None)

    def read(self, response, name):
        self.session = response.headers.get("Mcp-Session-Id") or self.session
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("text/event-stream"):
            for message in events(response):
                self.client.take(message)
        else:
            body = response.read()
            message = json.loads(body) if body and kind.startswith("application/json") else None
            if isinstance(message, dict) and ("result" in message or "error" in message):
                self.client.take({**message, "id": name} if message.get("id") is None else message)
            elif response.status >= 300:
                self.fail(name, f"status {response.status}: {body[:200]!r}")
        self.fail(name, "the answer ended before its result")

    def fail(self, name, why):
        if name in self.client.answers and self.client.answers[name] is None:
            self.client.take({"id": name, "error": {"code": BROKEN, "message": why}})

    def listen(self):
        """The stream of what the server says by itself, where it has one."""
        try:
            connection = self.connect()
            connection.sock.settimeout(None)
            self.sockets["listen"] = connection.sock
            headers = {**self.headers(), "Accept": "text/event-stream"}
            connection.request("GET", self.url.path, headers=headers)
            response = connection.getresponse()
            if response.status == 200:
                for message in events(response):
                    self.client.take(message)
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def cancel(self, name, message):
        if self.client.era == OLD:
            self.send(message)
            return
        with contextlib.suppress(OSError, KeyError):
            self.sockets[name].shutdown(socket.SHUT_RDWR)

    def close(self):
        if self.session:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = self.connect()
                connection.request("DELETE", self.url.path, headers=self.headers())
                connection.getresponse().read()
                connection.close()
        self.client.lose("closed")
        for it in list(self.sockets.values()):
            with contextlib.suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)


def events(response):
    """The messages of a stream of events."""
    data = []
    for line in response:
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            text = b"\n".join(data)
            data = []
            if text.strip():
                yield json.loads(text)


def header_value(text):
    """A text as a header field can have it."""
    if text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def await_port(port, process, patience=PATIENCE):
    """Waits until somebody listens there."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Lost(f"it ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Lost(f"nobody listens on port {port}")
