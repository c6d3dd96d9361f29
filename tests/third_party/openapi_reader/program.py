"""The program: what it makes of a document, and its tools."""

import json
import os
import re
import subprocess

import yaml

from document import Loader, essence
from wire import Client


def template(path):
    """A path without the names of its placeholders."""
    is_folder = path.endswith("/") and path != "/"
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/", is_folder


def placeholders(path):
    return re.findall(r"\{([^}]*)\}", path)


def properties(keys, listed):
    """Arguments by parameters: the same name, or the one that hosts accept in its place."""

    def plain(name):
        return re.sub(r"[^a-z0-9]", "", name.lower())

    out = {key: key for key in keys if key in listed}
    rest = [name for name in listed if name not in out]
    for key in (key for key in keys if key not in out):
        alike = [name for name in rest if plain(name).startswith(plain(key)[:20])]
        if alike:
            out[key] = alike[0]
            rest.remove(alike[0])
    return out


class Tool:
    """A tool of the descriptor, with the names under which a client lists its parameters."""

    def __init__(self, name, tool, rules, listed):
        self.name, self.path = name, tool["path"]
        self.media = tool.get("content_type") or "application/json"
        self.is_open = (rules.get("body") or {}).get("open", False)
        extra = rules.get("params") or {}
        own = tool.get("params") or {}
        found = {**{key: it for key, it in extra.items() if "in" in it}, **own}
        arguments = properties(list(found), listed)
        # By place and name on the wire: the argument.
        self.arguments, self.whole, members = {}, None, {}
        for key, parameter in found.items():
            more = extra.get(key) or {}
            place = parameter.get("in", "query")
            if more.get("whole"):
                self.whole = arguments.get(key)
                continue
            wire = parameter.get("name", key)
            if key in arguments:
                self.arguments[(place, wire)] = arguments[key]
            if place == "body":
                members[wire] = key
        fields = ("multipart/form-data", "application/x-www-form-urlencoded")
        if len(members) == 1 and essence(self.media) not in fields:
            (wire, key), = members.items()
            is_json = essence(self.media).endswith("json")
            if found[key].get("type") == "file_url" or not is_json:
                self.whole = self.arguments.pop(("body", wire))


class Program:
    """The program with the tools of one document, of an API on loopback."""

    def __init__(self, binary, document, url, folder):
        self.folder, self.files = folder, os.path.join(folder, "files")
        self.environment = {"HOME": folder, "PATH": os.environ["PATH"]}
        os.mkdir(self.files)
        descriptor, report = os.path.join(folder, "api.dadl"), os.path.join(folder, "report.json")
        command = [binary, "import", "--quiet", document, "--output", descriptor]
        command += ["--report", report]
        subprocess.run(command, check=True, env=self.environment)
        with open(report, encoding="utf-8") as file:
            remarks = json.load(file)["remarks"]
        self.lost = {it["place"]: it["message"] for it in remarks if it["kind"] == "lost"}
        with open(descriptor, encoding="utf-8") as file:
            text = file.read()
        # Requests are compared here; logins are elsewhere.
        first, *more = re.split(r"(?<=\n)  auth:\n(?:    .*\n)+", text)
        text = first + "  auth:\n    type: bearer\n    credential: none\n" + "".join(more)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        config = os.path.join(folder, "backends.yaml")
        backend = {"name": "api", "dadl": descriptor, "url": url + "/base"}
        backend |= {"access": "all", "confirm": "never"}
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"backends": [backend]}, file)
        command = [binary, "serve", "--config", config, "--files", self.files]
        self.client = Client(command, self.environment, os.path.join(folder, "log"))
        listed = self.client.tools()
        whole = yaml.load(text, Loader)
        rules = (whole.get("_dadl_mcp") or {}).get("requests") or {}
        self.tools = {}
        for name, tool in whole["backend"]["tools"].items():
            schema = (listed.get(name) or {}).get("inputSchema") or {}
            made = Tool(name, tool, rules.get(name) or {}, schema.get("properties") or {})
            self.tools[(tool["method"].lower(), *template(tool["path"]))] = made

    def tool(self, method, path):
        return self.tools.get((method, *template(path)))

    def call(self, tool, arguments):
        """Calls a tool, and returns what it answers, as text."""
        params = {"name": tool.name, "arguments": arguments}
        answer = self.client.request("tools/call", params)
        content = (answer.get("result") or {}).get("content") or [{}]
        return content[0].get("text") or json.dumps(answer)

    def file(self, name, content):
        """Puts a file where calls may name it."""
        with open(os.path.join(self.files, name), "w", encoding="utf-8") as file:
            file.write(content)
        return name
