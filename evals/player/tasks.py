"""The task files: TOML, one task each. `evals/README.md` says what they hold."""

import pathlib
import re
import tomllib

from .worlds import WORLDS

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tasks"
LEVELS = {"read", "write", "admin", "dangerous", "all"}
KEYS = {"ask", "kind", "person", "asked", "task_duration", "backend", "answer", "change", "file", "reference"}
STEPS = {"script", "tool", "arguments", "says", "fails"}
CHANGES = {
    "backend", "of", "op", "name", "names", "count", "set", "adds", "takes", "follows", "brings",
    "optional",
}
KINDS = {
    "count", "join", "average", "top", "bulk", "change", "consent", "refusal", "ambiguous", "impossible",
    "reason", "follow", "file", "several",
}


class Task:
    def __init__(self, path):
        self.id = path.stem.split("-", 1)[1]
        self.path = path
        self.data = tomllib.loads(path.read_text(encoding="utf-8"))
        self.ask = self.data["ask"].strip()
        self.person = self.data.get("person", "absent")
        self.backends = self.data["backend"]
        self.steps = self.data["reference"]
        self.task_duration = self.data.get("task_duration", "100ms")


def load(only=None):
    """Returns the tasks in the order of their numbers."""
    tasks = [Task(path) for path in sorted(FOLDER.glob("*.toml"))]
    if only:
        unknown = set(only) - {task.id for task in tasks}
        if unknown:
            raise SystemExit(f"error: no task is named {', '.join(sorted(unknown))}")
        tasks = [task for task in tasks if task.id in only]
    return tasks


def problems(task):
    """Returns what is wrong with a task file."""
    data, found = task.data, []
    unknown = set(data) - KEYS
    if unknown:
        found.append(f"unknown keys {sorted(unknown)}")
    if data.get("kind") not in KINDS:
        found.append(f"kind is none of {sorted(KINDS)}")
    if task.person not in ("agrees", "declines", "absent"):
        found.append("person is agrees, declines or absent")
    for name, backend in task.backends.items():
        if backend.get("product") not in WORLDS:
            found.append(f"backend {name}: product is none of {sorted(WORLDS)}")
        if not backend.get("access") or set(backend["access"]) - LEVELS:
            found.append(f"backend {name}: access is none of {sorted(LEVELS)}")
    answer = data.get("answer", {})
    if not any(answer.get(key) for key in ("has", "near")):
        found.append("answer has neither `has` nor `near`: nothing of it would be checked")
    for pattern in [*answer.get("has", []), *answer.get("hasnt", [])]:
        try:
            re.compile(pattern)
        except re.error as error:
            found.append(f"/{pattern}/: {error}")
    for change in data.get("change", []):
        if set(change) - CHANGES or not {"of", "op"} <= set(change):
            found.append(f"change {change}: takes {sorted(CHANGES)}, needs of and op")
    for step in task.steps:
        if set(step) - STEPS or len({"script", "tool", "says"} & set(step)) != 1:
            found.append("a step of the reference has one of script, tool and says")
    return [f"{task.path.name}: {problem}" for problem in found]
