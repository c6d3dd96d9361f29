"""What is played where a host lists every tool, and what the model has to be shown."""

import hashlib
import json
import re

from model import HOST_SEARCH
from play import Missed
from stage import NAME, VM, Begun, scenario, words


@scenario("list")
def lists(_site, offer):
    for name in ["list_vms", "delete_vm", "task_wait", "task_list"]:
        if name not in offer.tools:
            raise Missed(f"no {name} among the {len(offer.tools)} tools")
    if "Xen Orchestra manages XCP-ng" not in offer.text:
        raise Missed("the instructions of the server")
    return f"{offer.sizes()}, and the instructions"
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
    site.asked("delete_vm", VM)
    shown.expect_not("was not called")
    shown = yield "get_vm", {"uuid": VM}
    shown.expect("no such VM")


@scenario("consent: no", person="no")
def consent_no(site, _offer):
    shown = yield "delete_vm", {"uuid": VM}
    site.asked("delete_vm", VM)
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
    begun = Begun(site)
    given_up = yield "snapshot_vm", {"uuid": VM}
    given_up.expect("(?i)timed? ?out")
    # To stop it would be a task as well.
    begun.expect("pending")
    shown = yield "task_list", {}
    shown.expect('"tool":\\s*"snapshot_vm"')
    handle = json.loads("{" + shown.expect(r'"task":\s*"[^"]+"') + "}")["task"]
    while True:
        shown = yield "task_wait", {"task": handle, "wait": 1}
        if not shown.says('"running":\\s*true'):
            break
    shown.expect(r'"id":\s*"')
    begun.expect("success")
    return f"“{words(given_up)}”; then the handle, and the outcome"


@scenario("a cut answer")
def cut(_site, _offer):
    shown = yield "list_vms", {"fields": "*"}
    return f"“{shown.expect(r'first [0-9]+ of [0-9]+')}”"


@scenario("an export")
def export(site, _offer):
    shown = yield "export_vm_xva", {"uuid": VM}
    return exported(site, shown)


def exported(site, shown):
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


@scenario("a rule against a single tool", denied="list_vms")
def rule(_site, offer):
    if "list_vms" in offer.tools or "list_hosts" not in offer.tools:
        raise Missed("the rule of the host")
    return "the tool is not offered"
    yield


@scenario("the host's own search for tools", hides=True)
def host_search(_site, offer):
    if offer.tools:
        raise Missed(f"the host does not hide {len(offer.tools)} tools")
    shown = yield HOST_SEARCH, {"query": "delete a VM"}
    found = re.findall(r'mcp__xo__(\w+)|"name": "(?!mcp__)(\w+)"', str(shown))
    names = [one or other for one, other in found]
    is_there = "delete_vm among them" if "delete_vm" in names else "not delete_vm"
    return f"“delete a VM” finds {len(names)} tools, {is_there}"
