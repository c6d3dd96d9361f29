#!/usr/bin/env python3
"""Calls each operation of OpenAPI documents over MCP, and compares its request with the document.

    compare.py PROGRAM RESULTS DOCUMENT..

Values are made of the document alone (values.py). The request is read twice: by OpenAPI's table of
styles (reading.py, styles.py) and by openapi-core (judge.py). reasons.txt explains differences.
"""

import collections
import concurrent.futures
import fnmatch
import json
import os
import sys
import tempfile
import traceback
from typing import NamedTuple

from calls import MODES, Call
from document import Document, load
from judge import Judge
from program import Program
from reading import differences
from values import Values
from wire import Api


class Difference(NamedTuple):
    document: str
    operation: str
    mode: str
    kind: str
    place: str
    detail: str
    arguments: str
    why: str


class Comparison:
    def __init__(self, binary, path, folder):
        self.name, self.api = os.path.basename(path), Api()
        self.document = Document(load(path))
        self.values = Values(self.document)
        self.judge = Judge(self.document)
        self.program = Program(binary, path, self.api.url, folder)
        self.counts = collections.Counter()
        self.found, self.made = [], set()

    def differs(self, operation, mode, kind, place, detail, arguments=None, others=()):
        """Keeps a difference. What is no tool or parameter may be in the report of the import."""
        why = ""
        if kind.startswith("no "):
            lost = self.program.lost
            why = next((lost[it] for it in (place, *others) if it in lost), "")
        shown = json.dumps(arguments, ensure_ascii=False)[:400] if arguments is not None else ""
        name = f"{operation.method.upper()} {operation.path}"
        detail = str(detail)[:500]
        self.found.append(Difference(self.name, name, mode, kind, place, detail, shown, why))

    def run(self):
        for operation in self.document.operations():
            self.counts["operations"] += 1
            tool = self.program.tool(operation.method, operation.path)
            if tool is None:
                others = (operation.place, operation.named.rpartition("/")[0])
                self.differs(operation, "", "no tool", operation.named, "", others=others)
                continue
            self.counts["tools"] += 1
            for mode in MODES:
                try:
                    self.call(operation, tool, mode)
                except EOFError:
                    raise
                except Exception:
                    detail = traceback.format_exc()[-500:]
                    self.differs(operation, mode, "broken", operation.place, detail)
        self.program.client.close()
        return self.counts, self.found

    def call(self, operation, tool, mode):
        call = Call(operation, tool, mode, self.document, self.values, self.program)
        for kind, place, detail, others in call.missing:
            self.differs(operation, mode, kind, place, detail, others=others)
        same = (tool.name, json.dumps(call.arguments, sort_keys=True))
        if same in self.made:
            return
        self.made.add(same)
        before = len(self.api.seen)
        answer = self.program.call(tool, call.arguments)
        self.counts["calls"] += 1
        requests = self.api.seen[before:]
        if len(requests) != 1:
            kind = f"{len(requests)} requests" if requests else "refused"
            self.differs(operation, mode, kind, operation.place, answer, call.arguments)
            return
        offers = self.document.offers(operation.value)
        found = list(differences(requests[0], operation, call, offers))
        judged = self.judge.differences(requests[0], operation, call.given, call.body)
        self.counts["judged"] += judged is not None
        found += judged or []
        for kind, place, detail in found:
            self.differs(operation, mode, kind, place, detail, call.arguments)


def reasons():
    """The lines of reasons.txt: kind, document and operation, with `*` and `?`, and why."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reasons.txt")
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    found = [line.split(" | ", 3) for line in lines if line and not line.startswith("#")]
    for kind, document, operation, why in found:
        if document == operation == "*" and not kind.startswith("core: "):
            raise SystemExit(f"reasons.txt: {kind}: only gaps of openapi-core are everywhere")
    return found


def compared(binary, path):
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        return Comparison(binary, path, folder).run()


def main():
    binary, results, *paths = sys.argv[1:]
    lines = reasons()
    counts, found = collections.Counter(), []
    paths.sort(key=os.path.getsize, reverse=True)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        work = {pool.submit(compared, binary, path): path for path in paths}
        for done in concurrent.futures.as_completed(work):
            own, differs = done.result()
            counts.update(own)
            found += differs
            print(os.path.basename(work[done]), dict(own), len(differs), flush=True)
    needed, unexplained = set(), []
    for one in found:
        what = (one.kind, one.document, one.operation)
        fit = [at for at, it in enumerate(lines) if all(map(fnmatch.fnmatchcase, what, it))]
        needed.update(fit)
        if not fit and not one.why:
            unexplained.append(one._asdict())
    names = [os.path.basename(path) for path in paths]
    stale = [
        " | ".join(line)
        for at, line in enumerate(lines)
        if at not in needed and fnmatch.filter(names, line[1])
    ]
    kinds = collections.Counter(one.kind for one in found)
    outcome = {**counts, "kinds": dict(kinds.most_common()), "stale": stale}
    with open(results, "w", encoding="utf-8") as file:
        json.dump({**outcome, "unexplained": unexplained}, file, indent=1, ensure_ascii=False)
    print(json.dumps({**outcome, "unexplained": len(unexplained)}, indent=1))


if __name__ == "__main__":
    main()
