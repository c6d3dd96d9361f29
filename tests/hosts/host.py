"""What the drivers of hosts have in common."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
from typing import NamedTuple

import packages
from play import Missed, excerpt

# Seconds for a play, and for silence.
LONGEST = 120


class Server(NamedTuple):
    """How a host starts dadl-mcp."""

    command: list
    env: dict


class Host:
    """A host from npm, in a home of its own."""

    @contextlib.contextmanager
    def home(self):
        with tempfile.TemporaryDirectory(prefix="host-", ignore_cleanup_errors=True) as folder:
            home = pathlib.Path(folder)
            (home / "work").mkdir()
            yield home

    def environment(self, home, more):
        """What a host needs, and nothing of the person who runs this."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join([str(packages.MODULES / ".bin"), os.environ["PATH"]])
        alone = {"HOME": str(home), "NO_PROXY": "127.0.0.1,localhost", "TERM": "dumb"}
        return {**kept, "PATH": path, **alone, **more}

    def run(self, command, home, environment, play=None):
        """Runs a command of the host to its end; it is an error when the play is not at its own then."""
        environment = self.environment(home, environment)
        try:
            done = subprocess.run(
                command, env=environment, cwd=home / "work", stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            raise Missed(f"{command[0]} did not end within {LONGEST} s") from None
        if done.returncode or (play and not play.is_over):
            raise Missed(f"{command[0]} ended with {done.returncode}: {excerpt(done.stdout + done.stderr)}")
        return done.stdout

    @contextlib.contextmanager
    def open(self, command, home, environment):
        """A command of the host that is spoken with, and ended when that takes too long."""
        process = subprocess.Popen(
            command, env=self.environment(home, environment), cwd=home / "work", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        watch = threading.Timer(LONGEST, process.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.terminate()
            process.wait()
