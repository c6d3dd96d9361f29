"""The API behind test.dadl: texts, media, jobs that take their time, things to delete.

    upstream.py [PORT]      prints its URL and serves until it is ended
"""

import base64
import json
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

# One red pixel, and a sound without samples.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
WAV = (
    b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", 0)
)
FILES = {
    "/text": ("text/plain", b"This is a simple text response for testing."),
    "/quiet": ("text/plain", b"Nothing was logged."),
    "/document.txt": ("text/plain", b"This is an embedded resource content."),
    "/image.png": ("image/png", PNG),
    "/audio.wav": ("audio/wav", WAV),
}
# How a job ends that was begun at this path.
ENDS = {"/jobs/failing": "failed", "/jobs/odd": "unheard of"}


class Jobs:
    """Jobs that run for as many seconds as they were asked to."""

    def __init__(self):
        self.jobs, self.lock = {}, threading.Lock()

    def begin(self, seconds, label, end):
        with self.lock:
            name = f"job{len(self.jobs) + 1}"
            self.jobs[name] = {"began": time.monotonic(), "seconds": seconds, "label": label, "end": end}
        return name

    def cancel(self, name):
        with self.lock:
            job = self.jobs.get(name)
            if job and self.share(job) < 1:
                job.update(end="cancelled", seconds=0)
        return job is not None

    def look(self, name):
        with self.lock:
            job = self.jobs.get(name)
            if job is None:
                return None
            share = self.share(job)
            state = job["end"] if share >= 1 else "running"
            return {
                "id": name,
                "state": state,
                "progress": int(share * 100),
                "result": {"computed": job["label"]} if state == "done" else None,
                "error": "it failed" if state == "failed" else None,
            }

    @staticmethod
    def share(job):
        return min(1, (time.monotonic() - job["began"]) / max(job["seconds"], 0.001))


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    jobs = Jobs()

    def do_GET(self):
        url = urlsplit(self.path)
        folder, _, name = url.path.lstrip("/").partition("/")
        if url.path in FILES:
            self.answer(200, FILES[url.path][1], FILES[url.path][0])
        elif folder == "greet":
            who = parse_qs(url.query).get("name", ["you"])[0]
            self.answer(200, f"Hello, {who}!".encode(), "text/plain")
        elif folder == "error":
            self.answer(400, {"message": "This tool intentionally returns an error for testing"})
        elif folder == "templates":
            # The suite reads test://template/123/data, whose identifier is here "123/data".
            name = unquote(name).split("/")[0]
            self.answer(200, {"id": name, "templateTest": True, "data": f"Data for ID: {name}"})
        elif folder == "jobs" and (job := self.jobs.look(name)):
            self.answer(200, job)
        elif folder == "events":
            self.events()
        else:
            self.answer(404, {"message": "not here"})

    def do_POST(self):
        body = self.body()
        if self.path.endswith("/cancel"):
            known = self.jobs.cancel(self.path.split("/")[2])
            self.answer(200 if known else 404, {})
        else:
            seconds = body.get("seconds")
            end = ENDS.get(self.path, "done")
            name = self.jobs.begin(1 if seconds is None else seconds, body.get("label"), end)
            self.answer(202, {"id": name})

    def do_DELETE(self):
        self.body()
        # The suite looks for this word in what a confirmed call answers.
        self.answer(200, {"ok": "state-ok"})

    def body(self):
        length = int(self.headers.get("content-length") or 0)
        return json.loads(self.rfile.read(length) or b"{}")

    def answer(self, status, body, content_type="application/json"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self):
        """A stream on which nothing happens."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b": still here\n\n")
                self.wfile.flush()
                time.sleep(5)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Upstream)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
