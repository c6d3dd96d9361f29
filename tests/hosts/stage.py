"""What scenarios are made of: their options, the simulated API, and what they ask of it."""

import json
import re
import subprocess
import urllib.request
from typing import Callable, NamedTuple

from host import Server
from play import Missed

# A VM of the simulator, which is halted.
VM, NAME = "c9e3354c-2dd5-4ff6-a3e2-feb268d07525", "web-06"
TOKEN = "demo-token"
SCENARIOS = []


class Scenario(NamedTuple):
    name: str
    script: Callable
    surface: str = "tools"
    person: str = None  # What the person answers; none: nobody can be asked.
    patience: int = 60  # Seconds until the host gives a call up.
    task: str = "2s"  # How long a task of the API takes.
    by_readme: bool = False  # Attached as README tells a new user.
    # What concerns a host alone, and no client of an SDK:
    denied: str = None  # A tool that a rule of the host denies.
    allowed: tuple = None  # The tools that a rule of the host allows; none: all of them.
    hides: bool = False  # The host hides tools behind a search of its own, as it does by default.

    @property
    def is_of_hosts(self):
        return bool(self.by_readme or self.denied or self.allowed or self.hides)


def scenario(name, **options):
    def noted(script):
        SCENARIOS.append(Scenario(name, script, **options))
        return script

    return noted


class Site:
    """A simulated Xen Orchestra, and what is asked of the person."""

    def __init__(self, binary, folder, person, played):
        self.binary, self.files, self.person, self.surface = binary, folder / "files", person, played.surface
        command = [binary, "simulate", "xen-orchestra", "--export-size", "1MB", "--task-duration", played.task]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if not found:
            raise Missed(f"the simulator did not start: {line}{self.process.stderr.read()}")
        self.url = found.group()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def server(self):
        command = [str(self.binary), "serve", "--dadl", "xen-orchestra", "--url", self.url, "--access", "all"]
        command += ["--files", str(self.files), "--surface", self.surface]
        return Server(command, {"CREDENTIAL_XEN_ORCHESTRA_TOKEN": TOKEN})

    def objects(self, path):
        """What the API itself answers."""
        headers = {"Cookie": f"authenticationToken={TOKEN}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", headers=headers)) as answer:
            return json.load(answer)

    def tasks(self):
        """The states of the tasks of the API itself, by their identifiers."""
        return {task["id"]: task["status"] for task in self.objects("tasks?fields=id,status")}

    def asked(self, *words):
        """One question, which has these words."""
        questions = self.person.asked()
        if len(questions) != 1 or not all(word in questions[0] for word in words):
            raise Missed(f"the person was not asked once about {words}, but: {questions}")


class Begun:
    """The tasks of the API that begin after this."""

    def __init__(self, site):
        self.site, self.before = site, site.tasks()

    def expect(self, *states):
        seen = sorted(state for name, state in self.site.tasks().items() if name not in self.before)
        if seen != sorted(states):
            raise Missed(f"the tasks that the API began are {seen}, and not {list(states)}")


def words(shown):
    """What was shown without what hosts put around it."""
    around = r"^Wall time: .* seconds\s*Output:|</?tool_use_error>|<system-reminder>.*"
    text = re.sub(around, "", str(shown), flags=re.S)
    return " ".join(text.split())
