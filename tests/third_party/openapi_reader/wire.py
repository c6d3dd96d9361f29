"""The two ends of a call: an API that keeps the requests as they came, and a client of MCP."""

import http.server
import json
import subprocess
import threading
from typing import NamedTuple

ANSWER = b'{"ok":true}'


class Request(NamedTuple):
    method: str
    target: str
    headers: list
    body: bytes


class Api:
    """Answers everything on loopback, and keeps it."""

    def __init__(self):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return self.answer
                raise AttributeError(name)

            def answer(self):
                seen.append(Request(self.command, self.path, self.headers.items(), self.sent()))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(ANSWER)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(ANSWER)

            def sent(self):
                length = self.headers.get("content-length")
                if length is not None:
                    return self.rfile.read(int(length))
                body = b""
                if "chunked" in (self.headers.get("transfer-encoding") or ""):
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                return body

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Client:
    """A client of the program, on its standard input and output."""

    def __init__(self, command, environment, log):
        self.log = open(log, "wb")
        self.program = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
        )
        self.last = 0
        who = {"name": "compare", "version": "1"}
        self.request(
            "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who}
        )
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.program.stdin.write(json.dumps(message).encode() + b"\n")
        self.program.stdin.flush()

    def request(self, method, params):
        self.last += 1
        self.send({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        for line in self.program.stdout:
            message = json.loads(line)
            if message.get("id") == self.last and "method" not in message:
                return message
        raise EOFError("the program has ended")

    def tools(self):
        """The listed tools by name."""
        found, page = {}, {}
        while True:
            answer = self.request("tools/list", page)["result"]
            found.update((tool["name"], tool) for tool in answer["tools"])
            if not answer.get("nextCursor"):
                return found
            page = {"cursor": answer["nextCursor"]}

    def close(self):
        self.program.stdin.close()
        self.program.wait()
        self.log.close()
