"""The SDKs of Python and TypeScript: programs that do what hosts built on them do.

A client is told on its command line how to start the server. Then it is spoken with, one JSON text a line:

    client                                          driver
    {"offer": {"tools": [{"name", ..}], "text"}}    {"call": [TOOL, ARGUMENTS]}
    {"ask": {"message", "schema"}}                  {"answer": {"action", "content"}}
    {"shown": [READING, ..]}                        {"call": ..} or {"end": true}
"""

import json
import pathlib

import packages
from host import Host
from play import Missed, Offer, Shown, size_of

HERE = pathlib.Path(__file__).parent


class Sdk(Host):
    command = None

    def __init__(self, name, package, client):
        self.name, self.version, self.client = name, packages.version(package), client

    def play(self, play, server, person, played):
        told = {"command": server.command, "env": server.env}
        told |= {"patience": played.patience, "asks": person is not None}
        with self.home() as home, self.open([*self.client, json.dumps(told)], home, {}) as process:
            for line in process.stdout:
                heard = json.loads(line)
                if "ask" in heard:
                    said = {"answer": person.answer(**heard["ask"])}
                else:
                    is_first = "offer" in heard
                    call = play.begin(offer(**heard["offer"])) if is_first else play.go_on(Shown(*heard["shown"]))
                    said = {"call": call} if call else {"end": True}
                process.stdin.write(json.dumps(said) + "\n")
                process.stdin.flush()
            if not play.is_over:
                raise Missed(f"{self.name} ended before the play did")


def offer(tools, text):
    return Offer([tool["name"] for tool in tools], size_of(tools), text)


PYTHON = Sdk("Python SDK", packages.PYTHON_SDK, [packages.PYTHON, HERE / "sdk.py"])
TYPESCRIPT = Sdk(
    "TypeScript SDK",
    packages.TYPESCRIPT_SDK,
    [packages.MODULES / "node/bin/node", HERE / "sdk.mjs", packages.MODULES],
)
