"""What is played with each host, and what the model has to be shown."""

import hashlib
import json
import pathlib
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
    person: str = None  # What the person answers; none: nobody can be asked.
    patience: int = 60  # Seconds until the host gives a call up.
    task: str = "2s"  # How long a task of the API takes.
    by_readme: bool = False  # Attached as README tells a new user.


def scenario(name, **options):
    def noted(script):
        SCENARIOS.append(Scenario(name, script, **options))
        return script

    return noted


class Site:
    """A simulated Xen Orchestra, and what is asked of the person."""

    def __init__(self, binary, folder, person, task):
        self.binary, self.files, self.person = binary, folder / "files", person
        command = [binary, "simulate", "xen-orchestra", "--export-size", "1MB", "--task-duration", task]
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
        return Server([*command, "--files", str(self.files)], {"CREDENTIAL_XEN_ORCHESTRA_TOKEN": TOKEN})

    def tasks(self):
        """The states of the tasks of the API itself, by their identifiers."""
        headers = {"Cookie": f"authenticationToken={TOKEN}"}
        request = urllib.request.Request(f"{self.url}/tasks?fields=id,status", headers=headers)
        with urllib.request.urlopen(request) as answer:
            return {task["id"]: task["status"] for task in json.load(answer)}


@scenario("list")
def lists(_site, offer):
    for name in ["list_vms", "delete_vm", "task_wait", "task_list"]:
        if name not in offer.tools:
            raise Missed(f"no {name} among the {len(offer.tools)} tools")
    if "Xen Orchestra manages XCP-ng" not in offer.text:
        raise Missed("the instructions of the server")
    return f"{len(offer.tools)} tools, and the instructions"
    yield  # It calls nothing, and is a generator all the same.


@scenario("call")
def call(_site, _offer):
    shown = yield "list_vms", {"limit": 2, "fields": "name_label,power_state"}
    for name in ["web-01", "web-02"]:
        shown.expect(f'"name_label":\\s*"{name}"')
    return "the items"


@scenario("consent: yes", person="yes")
def consent_yes(site, _offer):
    yield from deleted(site)
    return "asked, and done"


@scenario("consent: accepted as it is", person="unticked")
def consent_unticked(site, _offer):
    yield from deleted(site)
    return "asked, and done"


def deleted(site):
    shown = yield "delete_vm", {"uuid": VM}
    asked(site)
    shown.expect_not("was not called")
    shown = yield "get_vm", {"uuid": VM}
    shown.expect("no such VM")


def asked(site):
    """One question, which says what is about to happen."""
    questions = site.person.asked()
    if len(questions) != 1 or "delete_vm" not in questions[0] or VM not in questions[0]:
        raise Missed(f"the person was not asked about the call, but: {questions}")


@scenario("consent: no", person="no")
def consent_no(site, _offer):
    shown = yield "delete_vm", {"uuid": VM}
    asked(site)
    shown.expect("was not called: .*(said no|declined)")
    yield from still_there()
    return "asked, and told that it was declined"


@scenario("consent: nobody can be asked")
def consent_nobody(_site, _offer):
    shown = yield "delete_vm", {"uuid": VM}
    shown.expect("was not called")
    # Nobody was there who could have.
    shown.expect_not("the person (said|closed)")
    shown.expect("dadl-mcp call delete_vm")
    yield from still_there()
    return "told what a person can do"


def still_there():
    shown = yield "get_vm", {"uuid": VM}
    shown.expect(NAME)


@scenario("a task beyond the host's time-out", patience=3, task="10s")
def long_task(site, _offer):
    before = site.tasks()

    def begun():
        return {name: state for name, state in site.tasks().items() if name not in before}

    given_up = yield "snapshot_vm", {"uuid": VM}
    given_up.expect("(?i)timed? ?out")
    # To stop it would be a task as well.
    if list(begun().values()) != ["pending"]:
        raise Missed(f"the API's task does not go on: {begun()}")
    shown = yield "task_list", {}
    shown.expect('"tool":\\s*"snapshot_vm"')
    handle = json.loads("{" + shown.expect(r'"task":\s*"[^"]+"') + "}")["task"]
    while True:
        shown = yield "task_wait", {"task": handle, "wait": 1}
        if not shown.says('"running":\\s*true'):
            break
    shown.expect(r'"id":\s*"')
    if list(begun().values()) != ["success"]:
        raise Missed(f"the API's task did not end well: {begun()}")
    return f"“{words(given_up)}”; then the handle, and the outcome"


def words(shown):
    """What was shown without what hosts put around it."""
    text = re.sub(r"^Wall time: .* seconds\s*Output:|<system-reminder>.*", "", str(shown), flags=re.S)
    return " ".join(text.split())


@scenario("a cut answer")
def cut(_site, _offer):
    shown = yield "list_vms", {"fields": "*"}
    return f"“{shown.expect(r'first [0-9]+ of [0-9]+')}”"


@scenario("an export")
def export(site, _offer):
    shown = yield "export_vm_xva", {"uuid": VM}
    files = [file for file in site.files.rglob("*.xva") if file.is_file()]
    if len(files) != 1:
        raise Missed(f"not one exported file, but: {files}")
    content = files[0].read_bytes()
    shown.expect(re.escape(files[0].name))
    shown.expect(hashlib.sha256(content).hexdigest())
    shown.expect(str(len(content)))
    return "path, size and digest"


@scenario("an error of the API")
def error(_site, _offer):
    shown = yield "get_vm", {"uuid": "nope"}
    shown.expect("404: no such VM nope")
    return "the API's words"


@scenario("a wrong argument")
def wrong_argument(_site, _offer):
    shown = yield "list_vms", {"limit": "many"}
    shown.expect("limit")
    return "the parameter's name"


@scenario("a first answer by README", by_readme=True)
def first_answer(_site, _offer):
    shown = yield "list_vms", {"limit": 2, "fields": "name_label,power_state"}
    shown.expect("web-01")
