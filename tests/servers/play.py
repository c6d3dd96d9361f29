"""What is played with a server, whether directly or through dadl-mcp: everything that it lists is used.

A play gives observations by the names of their steps. Names and URIs in them are those of the server itself.
"""

import contextlib
import time

from client import OLD, UNACKNOWLEDGED, Lost, Refusal
from servers import answers, sample

LISTS = {
    "tools": ("tools/list", "tools", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    "prompts": ("prompts/list", "prompts", "name"),
}
# What the client says where a server asks something other than a form.
SAID = {"role": "assistant", "model": "none", "stopReason": "endTurn", "content": {"type": "text", "text": "Something."}}


class Answerer:
    """The person and the model behind the client."""

    def __init__(self, site):
        self.action, self.site = "accept", site

    def all(self):
        return {"elicitation/create": self.form, "sampling/createMessage": lambda _: SAID, "roots/list": self.roots}

    def form(self, question):
        if self.action != "accept":
            return {"action": self.action}
        return {"action": "accept", "content": answers(question.get("requestedSchema", {}))}

    def roots(self, _):
        return {"roots": [{"uri": f"file://{self.site.folder}/shelf", "name": "shelf"}]}


class Names:
    """What the things of a server are called; directly, as the server calls them."""

    def tool(self, name):
        return name

    def prompt(self, name):
        return name

    def uri(self, uri):
        return uri

    def template(self, uri):
        return uri


class Play:
    def __init__(self, server, site, client, answerer, names, direct=None):
        self.server, self.site, self.client, self.answerer, self.names = server, site, client, answerer, names
        # What is played is decided by what the server lists to a direct client.
        self.lists = direct or listed(client)
        self.seen = {}

    def play(self):
        self.calls()
        self.resources()
        self.prompts()
        self.completions()
        self.progress()
        self.questions()
        self.watching()
        self.changes()
        self.cancelling()
        self.dying()
        return self.seen

    def note(self, step, act):
        """Notes what an act gives; an error is an observation too."""
        try:
            self.seen[step] = act()
        except Refusal as refusal:
            self.seen[step] = {"refusal": refusal.code, "message": refusal.message}
        except Lost as lost:
            self.seen[step] = {"lost": str(lost)}

    def call(self, tool, arguments, **more):
        return self.client.request("tools/call", {"name": self.names.tool(tool), "arguments": arguments, **more})

    def calls(self):
        tools = {tool["name"]: tool for tool in self.lists["tools"]}
        ordered = [name for name in self.server.order if name in tools]
        arguments = self.server.arguments(self.site)
        for name in [*ordered, *(name for name in tools if name not in ordered)]:
            if name in self.server.apart:
                continue
            schema = {"type": "object", **tools[name]["inputSchema"]}
            for given in arguments.get(name) or [sample(schema)]:
                step, times = f"call {name}", 1
                while (numbered := step if times == 1 else f"{step}, {times}") in self.seen:
                    times += 1
                self.note(numbered, lambda: self.call(name, given))

    def read(self, uri):
        return self.client.request("resources/read", {"uri": uri})

    def resources(self):
        for resource in self.lists["resources"]:
            uri = resource["uri"]
            self.note(f"read {uri}", lambda: self.read(self.names.uri(uri)))
        for template in self.lists["templates"]:
            uri = template["uriTemplate"]
            self.note(f"read {uri}", lambda: self.read(self.expanded(self.names.template(uri))))

    def expanded(self, template):
        for name, value in self.server.variables.items():
            for form in (f"{{{name}}}", f"{{{name}*}}", f"{{+{name}}}"):
                template = template.replace(form, value)
        return template

    def prompts(self):
        for prompt in self.lists["prompts"]:
            name = prompt["name"]
            wanted = {it["name"]: "text" for it in prompt.get("arguments") or [] if it.get("required")}
            given = self.server.prompts.get(name, wanted)
            given = given(self.site) if callable(given) else given
            self.note(f"prompt {name}", lambda: self.prompt(name, given))

    def prompt(self, name, arguments):
        return self.client.request("prompts/get", {"name": self.names.prompt(name), "arguments": arguments})

    def completions(self):
        if "completions" not in self.lists["capabilities"]:
            return
        for prompt in self.lists["prompts"]:
            for argument in prompt.get("arguments") or []:
                self.complete(prompt["name"], argument["name"], "ref/prompt", "name", self.names.prompt)
        for template in self.lists["templates"]:
            for name in self.server.variables:
                if f"{{{name}" in template["uriTemplate"]:
                    self.complete(template["uriTemplate"], name, "ref/resource", "uri", self.names.template)

    def complete(self, of, argument, kind, key, name):
        def act():
            asked = {"ref": {"type": kind, key: name(of)}, "argument": {"name": argument, "value": ""}}
            return self.client.request("completion/complete", asked)

        self.note(f"complete {argument} of {of}", act)

    def progress(self):
        if not self.server.progress:
            return
        tool, arguments = self.server.progress

        def act():
            self.client.heard.clear()
            result = self.call(tool, arguments, _meta={"progressToken": "told"})
            told = [it for method, it in self.client.heard if method == "notifications/progress"]
            steps = [it.get("progress") for it in told if it.get("progressToken") == "told"]
            grows = all(one < other for one, other in zip(steps, steps[1:]))
            return {"isError": result.get("isError", False), "was told": len(steps) > 1, "grows": grows}

        self.note("progress", act)

    def questions(self):
        if not self.server.asks:
            return
        tool, arguments = self.server.asks
        for action in ("accept", "decline", "cancel"):
            self.answerer.action = action
            self.client.person.asked.clear()
            self.note(f"question, {action}", lambda: self.call(tool, arguments))
            asked = [params for method, params in self.client.person.asked if method == "elicitation/create"]
            fields = [sorted(it.get("requestedSchema", {}).get("properties", {})) for it in asked]
            self.seen[f"question, {action}: asked"] = {"messages": [it.get("message") for it in asked], "fields": fields}
        self.answerer.action = "accept"

    @contextlib.contextmanager
    def listening(self, uri=None, kind=None):
        """What is told of a resource, or of a list."""
        if self.client.era == OLD:
            if uri:
                self.client.request("resources/subscribe", {"uri": uri})
            yield
            if uri:
                self.client.request("resources/unsubscribe", {"uri": uri})
            return
        wanted = {"resourceSubscriptions": [uri]} if uri else {f"{kind}ListChanged": True}
        self.client.heard.clear()
        name = self.client.begin("subscriptions/listen", {"notifications": wanted})
        told = self.client.hear(lambda method, _: method == "notifications/subscriptions/acknowledged", 5)
        if told is None:
            self.client.wait(name, 1)
        elif not any(told[1].get("notifications", {}).get(key) for key in wanted):
            raise Refusal({"code": UNACKNOWLEDGED, "message": "it does not tell of this"})
        yield
        self.client.cancel(name)

    def watching(self):
        if not self.server.watch:
            return
        uri, tool, arguments = self.server.watch

        def act():
            ours = self.names.uri(uri)
            with self.listening(uri=ours):
                # What was told before is not what is waited for.
                self.client.heard.clear()
                self.call(tool, arguments)
                is_it = lambda method, it: method == "notifications/resources/updated" and it.get("uri") == ours
                return {"told": self.client.hear(is_it) is not None}

        self.note(f"watch {uri}", act)

    def changes(self):
        if not self.server.changes:
            return
        kind, tool, arguments = self.server.changes

        def act():
            with self.listening(kind=kind):
                self.client.heard.clear()
                result = self.call(tool, arguments)
                told = self.client.hear(lambda method, _: method == f"notifications/{kind}/list_changed")
                return {"told": told is not None, "isError": result.get("isError", False)}

        self.note(f"change of the list of {kind}", act)

    def cancelling(self):
        if not self.server.cancel:
            return
        tool, arguments = self.server.cancel
        witness = self.site.folder / "witness"
        witness.unlink(missing_ok=True)
        has_witness = any(
            "witness" in it["inputSchema"].get("properties", {}) for it in self.lists["tools"] if it["name"] == tool
        )
        if has_witness:
            arguments = {**arguments, "witness": str(witness)}

        def act():
            name = self.client.begin("tools/call", {"name": self.names.tool(tool), "arguments": arguments})
            time.sleep(0.7)
            self.client.cancel(name)
            until = time.monotonic() + 5
            while has_witness and not witness.exists() and time.monotonic() < until:
                time.sleep(0.05)
            answered = self.client.all("tools/list", "tools") != []
            return {"the server was told": not has_witness or witness.exists(), "answers after it": answered}

        self.note("cancellation", act)

    def dying(self):
        """A server that dies in a call fails that call alone; only behind us it comes back."""
        if self.server.dies:
            self.note(f"call {self.server.dies}, which ends the server", lambda: self.call(self.server.dies, {}))


def listed(client):
    """What a server says of itself and lists; a list that it has not is empty."""
    lists = {"capabilities": client.capabilities, "server": client.server}
    # Some list more when the introduction is over.
    time.sleep(0.3)
    for key, (method, member, _) in LISTS.items():
        try:
            lists[key] = client.all(method, member)
        except Refusal as refusal:
            if refusal.code not in (-32601, -32602):
                raise
            lists[key] = []
    return lists
