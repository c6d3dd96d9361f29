"""Codex: `codex exec`, and `codex app-server` where a person is asked."""

import contextlib
import json
import queue
import subprocess
import threading

import packages
from host import LONGEST, Host
from model import Model
from play import Missed

# A model with which Codex hides tools behind its search.
SEARCHES = "gpt-5.5"


class Codex(Host):
    name = "Codex"
    version = packages.version(packages.CODEX)
    command = "codex"

    def settings(self, home, model, known_as="scripted"):
        """The environment, and a configuration in which nothing but the model is asked."""
        folder = home / ".codex"
        folder.mkdir()
        (folder / "config.toml").write_text(f"""\
model = "{known_as}"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "{model.url}/v1"
wire_api = "responses"
""")
        return {"CODEX_HOME": str(folder)}

    def play(self, play, server, person, played):
        with Model(play) as model, self.home() as home:
            environment = self.settings(home, model, SEARCHES if played.hides else "scripted")
            # Its texts are JSON as well as TOML.
            variables = "".join(f"{name} = {json.dumps(value)}\n" for name, value in server.env.items())
            with open(home / ".codex/config.toml", "a") as file:
                file.write(f"""
[mcp_servers.xo]
command = {json.dumps(server.command[0])}
args = {json.dumps(server.command[1:])}
default_tools_approval_mode = "{"auto" if played.allowed else "approve"}"
disabled_tools = {json.dumps([played.denied] if played.denied else [])}
tool_timeout_sec = {played.patience}
startup_timeout_sec = {LONGEST}
required = true
[mcp_servers.xo.env]
{variables}""")
            if person:
                with self.open(["codex", "app-server"], home, environment) as process:
                    AppServer(process, person).turn(home)
            else:
                self.run(["codex", "exec", "--skip-git-repo-check", "go"], home, environment, play)

    def ask(self, question):
        """The command for a question of a new user."""
        return ["codex", "exec", "--skip-git-repo-check", question]


class AppServer:
    """The door through which editors use Codex: JSON-RPC, one message a line."""

    def __init__(self, process, person):
        self.process, self.person = process, person
        self.messages = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.messages.put(json.loads(line))

    def send(self, **message):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def request(self, method, **params):
        self.send(id=method, method=method, params=params)
        return self.until(lambda message: message.get("id") == method)

    def until(self, is_wanted):
        """Answers questions until a message is the one."""
        while True:
            try:
                message = self.messages.get(timeout=LONGEST)
            except queue.Empty:
                raise Missed("Codex's app-server went silent") from None
            if is_wanted(message):
                return message
            if "method" in message and "id" in message:
                question = message["params"]
                answer = self.person.answer(question["message"], question["requestedSchema"])
                self.send(id=message["id"], result={"content": None, **answer})

    def turn(self, home):
        client = {"name": "driver", "title": "driver", "version": "1"}
        self.request("initialize", clientInfo=client, capabilities={"experimentalApi": True})
        self.send(method="initialized")
        started = self.request("thread/start", cwd=str(home / "work"))
        go = [{"type": "text", "text": "go"}]
        self.request("turn/start", threadId=started["result"]["thread"]["id"], input=go)
        self.until(lambda message: message.get("method") == "turn/completed")
