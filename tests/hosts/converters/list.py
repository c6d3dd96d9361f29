"""Asks the program for the tools of each descriptor, all levels allowed, as a host does.

    list.py PROGRAM FOLDER DESCRIPTOR..

writes one file of JSON for each into FOLDER. A descriptor is a path or a name of a bundled one.
"""

import json
import pathlib
import subprocess
import sys


def tools(program: str, descriptor: str) -> list:
    command = [
        program, "serve", "--quiet", "--dadl", descriptor, "--access", "all",
        "--url", "https://api.example.com/v1",
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def send(message: dict) -> None:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.flush()

    def answer(number: int) -> dict:
        for line in process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message["result"]
        sys.exit(f"{descriptor}: {process.stderr.read()}")

    client = {"name": "converters", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    send({"id": 1, "method": "initialize", "params": hello})
    answer(1)
    send({"method": "notifications/initialized"})
    found, cursor = [], None
    for number in range(2, 100):
        send({"id": number, "method": "tools/list", "params": {"cursor": cursor} if cursor else {}})
        page = answer(number)
        found += page["tools"]
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    process.stdin.close()
    process.wait()
    return found


def main() -> None:
    program, folder, *descriptors = sys.argv[1:]
    for descriptor in descriptors:
        name = pathlib.Path(descriptor).name.removesuffix(".dadl")
        (pathlib.Path(folder) / f"{name}.json").write_text(json.dumps(tools(program, descriptor)))


main()
