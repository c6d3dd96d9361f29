"""What is played where a host lists four tools (`--surface compact`), and what the model has to be shown."""

import json
import re

import stage
from model import HOST_SEARCH
from play import Missed
from scenarios import exported
from stage import NAME, VM, Begun, words

LISTED = ["api_change", "api_read", "api_script", "api_search"]
HALTED = 'const vms = (await api.list_vms({ filter: "power_state:Halted" })).slice(0, 3);'
# Three tasks of the API, so that a change that is made twice can be counted.
SNAPSHOTS = f"{HALTED} return Promise.all(vms.map((vm) => api.snapshot_vm({{ uuid: vm.id }})))"


def scenario(name, **options):
    return stage.scenario(f"compact: {name}", surface="compact", **options)


def calls_in(shown):
    """The calls that what was shown says to make, which each reading of it has; they may be none."""
    found = []
    for reading in shown.readings:
        # They are in a text, which may be a member of the structured content.
        text = reading.replace('\\"', '"')
        starts = re.finditer(r"(api_\w+) (?:with )?(?=\{)", text)
        found.append([(it.group(1), json.JSONDecoder().raw_decode(text, it.end())[0]) for it in starts])
    if any(calls != found[0] for calls in found):
        raise Missed(f"readings with different calls: {found}")
    return found[0]


def told(shown, name):
    """The call of this tool that the model is told to make."""
    for call in calls_in(shown):
        if call[1].get("tool") == name:
            return call
    raise Missed(f"the model is not told to call {name}: {words(shown)[:300]}")


def tool(name, **arguments):
    return {"tool": name, "arguments": arguments}


def tags(site):
    return site.objects(f"vms/{VM}")["tags"]


@scenario("list")
def lists(_site, offer):
    if sorted(offer.tools) != LISTED:
        raise Missed(f"the model is offered {offer.tools}")
    for said in ["Tools are found by api_search", "find_top_consumers", "Xen Orchestra manages XCP-ng"]:
        if said not in offer.text:
            raise Missed(f"the instructions of the server: {said}")
    return f"{offer.sizes()}, and the instructions"
    yield  # It calls nothing, and is a generator all the same.


@scenario("found and called")
def found_and_called(_site, _offer):
    shown = yield "api_search", {"queries": ["which virtual machines are there", "*snapshot_vm"]}
    shown.expect(r"list_vms\(fields\?: string")
    shown.expect(r"snapshot_vm\(uuid: string")
    shown = yield "api_read", tool("list_vms", limit=2, fields="name_label,power_state")
    for name in ["web-01", "web-02"]:
        shown.expect(f'"name_label":\\s*"{name}"')
    return "the signatures, then the items"


@scenario("a script that reads")
def script_reads(site, _offer):
    count = "const n = {}; for (const { power_state: is } of vms) n[is] = (n[is] ?? 0) + 1; return n"
    shown = yield "api_read", {"code": f"const vms = await api.list_vms({{}}); {count}"}
    running = sum(vm["power_state"] == "Running" for vm in site.objects("vms?fields=power_state"))
    shown.expect(f'"Running":\\s*{running}\\b')
    shown.expect_not("web-01")
    return "what it returns, and nothing else"


@scenario("a change")
def change(site, _offer):
    shown = yield "api_read", tool("add_vm_tag", uuid=VM, tag="seen")
    shown.expect("nothing was called: .*call api_change with the same arguments")
    if "seen" in tags(site):
        raise Missed("api_read changed something")
    shown = yield "api_change", tool("add_vm_tag", uuid=VM, tag="seen")
    shown.expect("204")
    if "seen" not in tags(site):
        raise Missed("api_change changed nothing")
    return "refused by api_read, done by api_change"


@scenario("consent: yes", person="yes")
def consent_yes(site, _offer):
    shown = yield "api_change", tool("delete_vm", uuid=VM)
    yield from deleted(site, shown)
    return "asked, and done"


def deleted(site, shown):
    site.asked("delete_vm", VM)
    shown.expect_not("was not called")
    shown = yield "api_read", tool("get_vm", uuid=VM)
    shown.expect("no such VM")


@scenario("consent: no", person="no")
def consent_no(site, _offer):
    shown = yield "api_change", tool("delete_vm", uuid=VM)
    site.asked("delete_vm", VM)
    shown.expect("was not called: .*(said no|declined)")
    yield from still_there()
    return "asked, and told that it was declined"


@scenario("consent: nobody can be asked")
def consent_nobody(_site, _offer):
    shown = yield "api_change", tool("delete_vm", uuid=VM)
    shown.expect("was not called")
    shown.expect_not("the person (said|closed)")
    shown.expect("dadl-mcp call delete_vm")
    yield from still_there()
    return "told what a person can do"


def still_there():
    shown = yield "api_read", tool("get_vm", uuid=VM)
    shown.expect(NAME)


@scenario("a script that changes: yes", person="yes", task="100ms")
def script_yes(site, _offer):
    begun = Begun(site)
    shown = yield "api_script", {"code": SNAPSHOTS}
    # The question names what the script wants so far, and how far it may go.
    site.asked('"snapshot_vm" 3 times', "50 calls at most")
    shown.expect(r"3 changes by this script: .*snapshot_vm")
    begun.expect("success", "success", "success")
    return "asked once, each change made once and told"


@scenario("a script that changes: no", person="no", task="100ms")
def script_no(site, _offer):
    begun = Begun(site)
    shown = yield "api_script", {"code": SNAPSHOTS}
    site.asked('"snapshot_vm" 3 times')
    shown.expect("nothing was changed by this call: .*(said no|declined)")
    begun.expect()
    return "asked once, and told that it was declined"


@scenario("a script that changes: nobody can be asked", task="100ms")
def script_nobody(site, _offer):
    begun = Begun(site)
    shown = yield "api_script", {"code": SNAPSHOTS}
    if shown.says("3 changes by this script"):
        begun.expect("success", "success", "success")
        return "done, and told"
    shown.expect("nothing was changed by this call")
    begun.expect()
    return f"“{shown.expect(r'nothing was changed by this call: [^;.(]*').strip()}”"


@scenario("a script that fails between changes", person="yes")
def script_fails(site, _offer):
    code = f'await api.add_vm_tag({{ uuid: "{VM}", tag: "seen" }}); await api.get_vm({{ uuid: "nope" }})'
    shown = yield "api_script", {"code": code}
    site.asked("add_vm_tag")
    shown.expect("404: no such VM nope")
    shown.expect("1 change by this script: add_vm_tag .*done")
    # Whether it is run again is the model's decision.
    shown.expect("(?i)again")
    return "the API's words, the line, and what was changed"


@scenario("a dangerous call in a script", person="yes")
def script_dangerous(site, _offer):
    code = f'const vm = await api.get_vm({{ uuid: "{VM}" }}); return api.delete_vm({{ uuid: vm.id }})'
    shown = yield "api_script", {"code": code}
    if site.person.asked():
        raise Missed("the person was asked about a call that no script makes")
    shown.expect("delete_vm.* was not called")
    shown = yield told(shown, "delete_vm")
    yield from deleted(site, shown)
    return "told the call to make; asked about that, and done"


@scenario("a task, by the notes alone", task="3s")
def task(site, _offer):
    begun = Begun(site)
    shown = yield "api_change", tool("snapshot_vm", uuid=VM, wait=0)
    while shown.says(r'"running":\s*true'):
        shown = yield told(shown, "task_wait")
    shown.expect(r'"id":\s*"')
    begun.expect("success")
    return "the handle, and the outcome"


@scenario("a task beyond the host's time-out", patience=3, task="10s")
def long_task(site, _offer):
    begun = Begun(site)
    given_up = yield "api_change", tool("snapshot_vm", uuid=VM)
    given_up.expect("(?i)timed? ?out")
    begun.expect("pending")
    shown = yield "api_read", {"tool": "task_list"}
    shown.expect('"tool":\\s*"snapshot_vm"')
    handle = json.loads("{" + shown.expect(r'"task":\s*"[^"]+"') + "}")["task"]
    while True:
        shown = yield "api_read", tool("task_wait", task=handle, wait=1)
        if not shown.says('"running":\\s*true'):
            break
    shown.expect(r'"id":\s*"')
    begun.expect("success")
    return "given up; then the handle, and the outcome"


@scenario("a script beyond the host's time-out", patience=3, task="10s", person="yes")
def long_script(site, _offer):
    code = f'await api.add_vm_tag({{ uuid: "{VM}", tag: "seen" }}); return api.snapshot_vm({{ uuid: "{VM}" }})'
    begun = Begun(site)
    given_up = yield "api_script", {"code": code}
    given_up.expect("(?i)timed? ?out")
    # The server hears of it after the model.
    for _ in range(20):
        shown = yield "api_read", {"tool": "task_list"}
        if not shown.says(r'"script":\s*"running"'):
            break
    shown.expect(r'"script":\s*"cancelled"')
    shown.expect(r'"tool":\s*"add_vm_tag"')
    shown.expect(r'"tool":\s*"snapshot_vm"')
    begun.expect("pending")
    return "given up, and at its end; its changes are in task_list"


@scenario("a stream")
def stream(_site, _offer):
    shown = yield "api_change", tool("open_events_stream", subscribe=["VM"], open=True)
    read, close = told(shown, "stream_read"), told(shown, "stream_close")
    read[1]["arguments"]["wait"] = 5
    yield "api_change", tool("add_vm_tag", uuid=VM, tag="streamed")
    for _ in range(5):
        shown = yield read
        if shown.says("streamed"):
            break
    shown.expect(r'"event":\s*"update"')
    shown.expect("streamed")
    shown = yield close
    shown.expect('"closed"')
    return "its items, by the calls that the notes name"


@scenario("a cut answer")
def cut(site, _offer):
    shown = yield "api_read", tool("list_vms", fields="*")
    remark = shown.expect(r"first [0-9]+ of [0-9]+")
    last = site.objects("vms?fields=name_label")[-1]["name_label"]
    shown.expect_not(f'"name_label":\\s*"{last}"')
    # The call that the note names leads to the end, and its file can be asked.
    _, read = told(shown, "read_result")
    rest = shown
    while calls := calls_in(rest):
        rest = yield calls[0]
        if not calls_in(rest):
            rest.expect(f'"name_label":\\s*"{last}"')
    asked = {"file": read["arguments"]["file"], "jq": "map(.name_label) | last"}
    asked = yield "api_read", tool("read_result", **asked)
    asked.expect(last)
    count = int(remark.split()[1])
    code = f"return (await api.list_vms({{}})).slice({count}).map((vm) => vm.name_label)"
    shown = yield "api_read", {"code": code}
    shown.expect(f'"{last}"')
    return f"“{remark}”; the rest by read_result and by a script"


@scenario("an export")
def export(site, _offer):
    shown = yield "api_change", tool("export_vm_xva", uuid=VM)
    return exported(site, shown)


@scenario("mistakes")
def mistakes(_site, _offer):
    shown = yield "api_read", tool("list_vms", limit="many")
    shown.expect(r"limit.*it is list_vms\(fields\?: string")
    shown = yield "api_read", {"code": "const a = 1;\nreturn api.get_vm({ id: a, of: 2 })"}
    shown.expect(r"it is get_vm\(uuid: string")
    shown.expect(r"line 2")
    shown = yield "api_read", {"code": "return api.list_vm({})"}
    shown.expect("there is no tool .*list_vm")
    return "the reason, the line and the signature"


@scenario("a tool that is not listed, by its name")
def unlisted(_site, _offer):
    shown = yield "list_vms", {"limit": 1, "fields": "name_label"}
    if shown.says("web-01"):
        return "the items"
    return f"refused by the host: “{words(shown)}”"


@scenario("a rule against a single tool", denied="list_vms")
def rule(_site, offer):
    if sorted(offer.tools) != LISTED:
        raise Missed(f"the model is offered {offer.tools}")
    shown = yield "api_read", tool("list_vms", limit=1, fields="name_label")
    shown.expect("web-01")
    return "does not bind: the items"


@scenario("a rule that allows reading alone", allowed=("api_search", "api_read"))
def reads_alone(site, _offer):
    shown = yield "api_search", {"queries": ["list_vms"]}
    shown.expect(r"list_vms\(")
    shown = yield "api_read", {"code": "return (await api.list_vms({})).length"}
    shown.expect("44")
    refused = yield "api_change", tool("add_vm_tag", uuid=VM, tag="seen")
    if "seen" in tags(site):
        raise Missed("the host did not ask")
    return f"reads are made; a change is refused: “{words(refused).partition(',')[0]}”"


@scenario("the host's own search for tools", hides=True)
def host_search(_site, offer):
    remark = "offered from the start, as its other tools are not"
    if sorted(offer.tools) != LISTED:
        shown = yield HOST_SEARCH, {"query": "delete a VM"}
        for name in LISTED:
            shown.expect(name)
        remark = "“delete a VM” finds all four"
    shown = yield "api_search", {"queries": ["delete a VM"]}
    shown.expect(r"delete_vm\(uuid")
    return remark
