"""What the table is measured with: an API on loopback, servers as processes, and a client that costs little."""

import fcntl
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

OLD, NEW = "2025-11-25", "2026-07-28"
WHO = {"name": "table", "version": "1"}
IN_FLIGHT = 32
# What the answers of the API and of the floor have near their end.
DOCUMENTED = b"/documented"
ERRORS = (b'"isError":true', b'"isError": true', b'"error":{', b'"error": {')


class Failed(Exception):
    """What a server did instead of an answer."""


# The API.


def machine():
    """A machine of about 1 KB, which is that of benches/calls.rs."""
    memory = {"size": 4 << 30, "dynamic": [1 << 30, 4 << 30]}
    tags = [f"tag-of-vm-{tag:02}" for tag in range(56)]
    names = {"uuid": "770aa52a-fd42-8faf-f167-8c5c00000000", "name_label": "a web server", "power_state": "Running"}
    return json.dumps({**names, "memory": memory, "tags": tags}, separators=(",", ":"))


def answered(body):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def serve_api(listener, document):
    """Answers with a machine, with all of them, or with the document."""
    one = answered(machine())
    many = answered("[" + ",".join([machine()] * (1_000_000 // len(machine()))) + "]")
    # For those who ask for it; this program would read it beside the first calls.
    others = {DOCUMENTED + b"/rest/v0/docs/swagger.json": answered(document)}
    poll, connections, requests = select.epoll(), {}, {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for at, _ in poll.poll():
            if at == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                requests[connection.fileno()] = b""
                poll.register(connection, select.EPOLLIN)
                continue
            connection = connections[at]
            try:
                read = connection.recv(65536)
                request = requests[at] = requests[at] + read
                if request.endswith(b"\r\n\r\n"):
                    requests[at] = b""
                    path = request.split(b" ", 2)[1].partition(b"?")[0]
                    connection.sendall(others.get(path) or (many if path.endswith(b"/vms") else one))
            except OSError:
                read = b""
            if not read:
                poll.unregister(at)
                connections.pop(at).close()


def api(document):
    """The process of the API, and its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    child = os.fork()
    if child == 0:
        try:
            serve_api(listener, document)
        finally:
            os._exit(1)
    return child, listener.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# Servers and how they are spoken with.


class Process:
    """A server as a process, with those that it starts."""

    def __init__(self, command, home, variables=None, port=None, path="/mcp", head=b""):
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), **(variables or {})}
        self.port, self.path, self.head = port, path, head
        self.began = time.perf_counter()
        self.child = subprocess.Popen(
            [str(part) for part in command], env=environment, cwd=home, bufsize=0, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if port else subprocess.PIPE, stderr=subprocess.DEVNULL,
        )

    def wire(self):
        """A way to speak with it."""
        return Http(self.port, self.path, self.head) if self.port else Stdio(self)

    def tree(self):
        """The numbers of it and of all that it has started."""
        found = [self.child.pid]
        for process in found:
            for path in pathlib.Path(f"/proc/{process}").glob("task/*/children"):
                found += map(int, text(path).split())
        return found

    def memory(self):
        """Resident megabytes."""
        sizes = [re.search(r"VmRSS:\s+(\d+)", text(pathlib.Path(f"/proc/{it}/status"))) for it in self.tree()]
        return sum(int(size[1]) for size in sizes if size) / 1000

    def processor(self):
        """Seconds of processors that it has taken, threads that are gone included."""
        # What clock_getcpuclockid(3) returns.
        return sum(time.clock_gettime(~process << 3 | 2) for process in self.tree())

    def end(self):
        """Ends it at once."""
        if self.child.returncode is not None:
            return
        for process in self.tree():
            os.kill(process, signal.SIGKILL)
        self.child.wait()


def text(path):
    """Nothing where what it is about has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


class Stdio:
    """A pair of pipes."""

    def __init__(self, process):
        self.to, self.of = process.child.stdin.fileno(), process.child.stdout.fileno()
        for pipe in (self.to, self.of):
            # Of a large answer its bytes are measured, and not how often it wakes this client.
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)

    def message(self, message, _):
        return message + b"\n"

    def write(self, data):
        while data:
            data = data[os.write(self.to, data):]

    def read(self):
        read = os.read(self.of, 1 << 20)
        if not read:
            raise Failed("it has ended")
        return read

    def exchange(self, request):
        """Sends a message, and returns the line that answers it: others have neither a result nor an error."""
        self.write(request)
        while True:
            parts = [self.read()]
            while parts[-1][-1] != 10:
                parts.append(self.read())
            line = parts[0] if len(parts) == 1 else b"".join(parts)
            if b'"result"' in line or b'"error"' in line:
                return line

    def tell(self, message):
        self.write(message)

    def flood(self, request, seconds):
        """Keeps some in flight; returns how many were answered, and the seconds that it took."""
        began = time.perf_counter()
        asked = answers = 0
        wanted = IN_FLIGHT
        while True:
            if time.perf_counter() - began < seconds:
                self.write(b"".join(request(asked + at) for at in range(wanted)))
                asked += wanted
            read = self.read()
            fail_on_error(read)
            wanted = read.count(b"\n")
            answers += wanted
            if answers == asked:
                return answers, time.perf_counter() - began

    def renew(self, _):
        pass

    def close(self):
        pass


class Http:
    """Connections that are kept."""

    def __init__(self, port, path, head=b""):
        self.port, self.path, self.head = port, path, head
        end = time.perf_counter() + 60
        while True:
            try:
                self.sockets = [self.connect()]
                return
            except OSError:
                if time.perf_counter() > end:
                    raise Failed("it does not listen") from None
                time.sleep(0.0005)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def renew(self, count):
        """Opens connections anew: one that says nothing for long is closed by some."""
        self.close()
        self.sockets = [self.connect() for _ in range(count)]

    def message(self, message, more):
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        head += f"Accept: application/json, text/event-stream\r\nContent-Length: {len(message)}\r\n"
        return head.encode() + self.head + more + b"\r\n" + message

    def exchange(self, request):
        self.sockets[0].sendall(request)
        parts = [self.sockets[0].recv(1 << 20)]
        while not is_whole(parts):
            parts.append(self.sockets[0].recv(1 << 20))
        answer = parts[0] if len(parts) == 1 else b"".join(parts)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise Failed(f"HTTP: {answer[:300]}")
        return answer

    def tell(self, message):
        self.exchange(message)

    def flood(self, request, seconds):
        poll, parts, by_number = select.epoll(), {}, {it.fileno(): it for it in self.sockets}
        began = time.perf_counter()
        asked = answers = 0
        for number, connection in by_number.items():
            poll.register(number, select.EPOLLIN)
            parts[number] = []
            connection.sendall(request(asked))
            asked += 1
        while answers < asked:
            for number, _ in poll.poll():
                connection = by_number[number]
                parts[number].append(connection.recv(1 << 18))
                if not is_whole(parts[number]):
                    continue
                answer = b"".join(parts[number])
                fail_on_error(answer)
                parts[number] = []
                answers += 1
                if time.perf_counter() - began < seconds:
                    connection.sendall(request(asked))
                    asked += 1
        poll.close()
        return answers, time.perf_counter() - began

    def close(self):
        for connection in self.sockets:
            connection.close()


def is_whole(parts):
    """Whether these bytes are a whole answer."""
    if not parts[-1]:
        raise Failed(f"the connection ends: {parts[0][:300]}")
    if b"\r\n\r\n" not in parts[0]:
        parts[:] = [b"".join(parts)]
    end = parts[0].find(b"\r\n\r\n")
    head = parts[0][:end].lower()
    if end >= 0 and (at := head.find(b"content-length:")) >= 0:
        return sum(map(len, parts)) >= end + 4 + int(head[at + 15:].split(b"\r\n", 1)[0])
    if b"transfer-encoding: chunked" in head:
        return b"".join(parts[-2:]).endswith(b"0\r\n\r\n")
    return end >= 0


def fail_on_error(answer):
    for error in ERRORS:
        if error in answer:
            raise Failed(f"a call fails: {answer[:400]}")


class Session:
    """A client of one protocol version."""

    def __init__(self, wire, version=OLD):
        self.wire, self.version, self.ids = wire, version, 0
        if version == OLD:
            hello = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": WHO}
            answer = wire.exchange(self.request("initialize", hello))
            if isinstance(wire, Http):
                wire.head += f"MCP-Protocol-Version: {OLD}\r\n".encode()
                if found := re.search(rb"mcp-session-id: *([^\r]+)", answer, re.I):
                    wire.head += b"Mcp-Session-Id: %s\r\n" % found[1]
            ready = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
            wire.tell(wire.message(ready, b""))

    def request(self, method, params):
        """The bytes of a request."""
        self.ids += 1
        more = b""
        if self.version == NEW:
            prefix = "io.modelcontextprotocol/"
            about = {"protocolVersion": NEW, "clientInfo": WHO, "clientCapabilities": {}}
            params = {**params, "_meta": {prefix + name: value for name, value in about.items()}}
            name = f"Mcp-Name: {params['name']}\r\n" if "name" in params else ""
            more = f"MCP-Protocol-Version: {NEW}\r\nMcp-Method: {method}\r\n{name}".encode()
        message = {"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params}
        return self.wire.message(json.dumps(message, separators=(",", ":")).encode(), more)

    def ask(self, method, params):
        """The bytes that answer a request."""
        return self.wire.exchange(self.request(method, params))

    def requests(self, name, arguments):
        """A function that makes the bytes of the next request, quickly."""
        # Ids of one length: the length in the head of a request stays right.
        self.ids = 10_000_000
        request = self.request("tools/call", {"name": name, "arguments": arguments})
        before, after = request.split(b'"id":%d,' % self.ids)
        return lambda at: b'%b"id":%d,%b' % (before, 10_000_001 + at, after)


def result(answer):
    """What the bytes of an answer say, over HTTP with its head and maybe as an event."""
    for line in reversed(answer.splitlines()):
        line = line.removeprefix(b"data:").strip()
        if line.startswith(b"{"):
            message = json.loads(line)
            if "result" in message:
                return message["result"]
    raise Failed(f"no result: {answer[:300]}")


class Direct:
    """Requests to the API without MCP."""

    def __init__(self, port):
        self.wire, self.port = Http(port, ""), port

    def requests(self, path):
        request = f"GET /rest/v0{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: */*\r\n\r\n".encode()
        return lambda _: request


class Subject:
    """Who is measured: a process, a client of it, and its calls for a machine and for all of them."""

    def __init__(self, name, process, session, one, large):
        self.name, self.process, self.session, self.one, self.large = name, process, session, one, large
