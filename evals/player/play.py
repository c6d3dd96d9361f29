"""Plays one task, by its reference or by a model, and judges the outcome."""

import contextlib
import dataclasses
import glob
import json
import os
import re
import shlex
import subprocess
import tempfile

from . import outcome
from .session import Person, ServerGone, Session, environment
from .worlds import TOKEN, WORLDS

# A model that is not done by then is lost.
MOST_TURNS = 40
SYSTEM = (
    "You help the operator of the systems behind your tools. Do what is asked with the tools, nothing more. "
    "Answer briefly, with the names and figures that were asked for. If something cannot be done, or it is "
    "not clear what is meant, say so and change nothing. There is nobody to ask back: your first answer "
    "without a tool call ends the conversation."
)

try:
    import tiktoken

    ENCODING = tiktoken.get_encoding("o200k_base")
except Exception:  # Not there, or its table cannot be loaded.
    ENCODING = None


def tokens(text):
    """Counts with o200k_base where tiktoken is there; else four characters are a token."""
    return len(ENCODING.encode(text, disallowed_special=())) if ENCODING else (len(text) + 3) // 4


@dataclasses.dataclass
class Played:
    """What came of a task, and what it cost."""

    task: str
    surface: str
    listed: int = 0
    arguments: int = 0
    results: int = 0
    calls: int = 0
    failed_calls: int = 0
    questions: int = 0
    answer: str = ""
    problems: list = dataclasses.field(default_factory=list)
    wrong_changes: list = dataclasses.field(default_factory=list)
    transcript: list = dataclasses.field(default_factory=list)

    @property
    def is_right(self):
        return not self.problems and not self.wrong_changes

    @property
    def total(self):
        return self.listed + self.arguments + self.results


class Meter:
    """Makes the calls of a task, and counts them."""

    def __init__(self, session, played):
        self.session, self.played = session, played
        self.tools = session.tools()
        shown = [
            {"name": it["name"], "description": it.get("description", ""), "inputSchema": it["inputSchema"]}
            for it in self.tools
        ]
        text = session.instructions + "".join(json.dumps(it, separators=(",", ":")) for it in shown)
        played.listed = tokens(text)

    def call(self, name, arguments):
        text, failed = self.session.call(name, arguments)
        written = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        self.played.calls += 1
        self.played.failed_calls += failed
        self.played.arguments += tokens(name + written)
        self.played.results += tokens(text)
        self.played.transcript.append({"call": name, "arguments": arguments, "failed": failed, "result": text})
        return text, failed


def play(task, binary, surface, player):
    """Starts the worlds of a task, lets somebody play, and judges."""
    played = Played(task.id, surface)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dadl-evals-"))
        worlds = {
            name: stack.enter_context(WORLDS[backend["product"]](binary, task.task_duration))
            for name, backend in task.backends.items()
        }
        before = {name: world.objects() for name, world in worlds.items()}
        files = os.path.join(folder, "files")
        os.mkdir(files)
        command = [binary, "serve", "--config", settings(task, worlds, folder), "--files", files]
        if surface != "tools":
            command += ["--surface", surface]
        credentials = {world.credential: TOKEN for world in worlds.values()}
        person = Person(task.person)
        try:
            with Session(command, environment(folder, credentials), person) as session:
                played.answer = player(task, session, played)
        except (ServerGone, Lost) as lost:
            played.problems.append(str(lost))
        played.questions = len(person.questions)
        judge(task, worlds, before, files, played)
    return played


def settings(task, worlds, folder):
    """Writes a backends.yaml, of which JSON is a kind."""
    backends = [
        {
            "name": name, "transport": "rest", "dadl": backend["product"], "url": worlds[name].url,
            "access": backend["access"],
        }
        for name, backend in task.backends.items()
    ]
    path = os.path.join(folder, "backends.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"backends": backends}, file)
    return path


def judge(task, worlds, before, files, played):
    """Writes down what is wrong with an outcome."""
    played.problems += outcome.missing_facts(task.data.get("answer", {}), played.answer)
    found = []
    for name, world in worlds.items():
        found += outcome.changes(name, world, before[name], world.settled())
    absent, played.wrong_changes = outcome.compare(task.data.get("change", []), found)
    played.problems += [f"did not happen: {it}" for it in absent]
    if "asked" in task.data and bool(played.questions) != task.data["asked"]:
        played.problems.append("the person was asked" if played.questions else "the person was not asked")
    for wanted in task.data.get("file", []):
        paths = glob.glob(os.path.join(files, "**", wanted["name"]), recursive=True)
        if not any(os.path.getsize(path) >= wanted.get("bytes", 1) for path in paths):
            there = sorted(os.listdir(files))
            played.problems.append(f"no file {wanted['name']} of {wanted.get('bytes', 1)} bytes; there are {there}")


class Lost(Exception):
    """The player cannot go on."""


def by_reference(task, session, played):
    """Plays the steps of the reference, over the compact surface."""
    meter = Meter(session, played)
    listed = [tool["name"] for tool in meter.tools]
    # Scripts that change something are listed only where something may be changed.
    run = "api_script" if "api_script" in listed else "api_read"
    if run not in listed:
        raise Lost("api_read is not listed: does this program have the compact surface?")
    values, answer = [], ""
    for number, step in enumerate(task.steps, 1):
        if "says" in step:
            answer = f"{answer}\n{step['says']}"
            continue
        if "script" in step:
            text, failed = meter.call(run, {"code": step["script"].strip()})
        else:
            arguments = fill(step.get("arguments", {}), values)
            text, failed = meter.call("api_change", {"tool": step["tool"], "arguments": arguments})
        values.append(text)
        expected = step.get("fails")
        if failed != (expected is not None) or (expected and not re.search(expected, text, re.I)):
            raise Lost(f"step {number}: {text[:600]}")
        answer = text
    return answer


def fill(value, values):
    """Puts what earlier steps gave in the place of `${STEP.PATH}`."""
    if isinstance(value, dict):
        return {name: fill(it, values) for name, it in value.items()}
    if isinstance(value, list):
        return [fill(it, values) for it in value]
    found = isinstance(value, str) and re.fullmatch(r"\$\{(\d+)\.?(.*)\}", value)
    if not found:
        return value
    result = last_json(values[int(found[1]) - 1])
    for part in filter(None, found[2].split(".")):
        result = result[int(part) if isinstance(result, list) else part]
    return result


def last_json(text):
    """Reads the JSON of a result, which may have notes on the lines before it."""
    lines = text.splitlines()
    for at in range(len(lines)):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads("\n".join(lines[at:]))
    raise Lost(f"a step needs JSON, and has {text[:300]}")


def by_model(command):
    """Returns a player that asks a program for each turn."""
    words = shlex.split(command)

    def player(task, session, played):
        meter = Meter(session, played)
        system = f"{SYSTEM}\n\n{session.instructions}".strip()
        tools = [
            {"name": it["name"], "description": it.get("description", ""), "input_schema": it["inputSchema"]}
            for it in meter.tools
        ]
        messages = [{"role": "user", "content": task.ask}]
        for _ in range(MOST_TURNS):
            turn = ask(words, {"system": system, "tools": tools, "messages": messages})
            calls = turn.get("tool_calls") or []
            if not calls:
                return str(turn.get("answer", ""))
            for number, call in enumerate(calls):
                call.setdefault("id", f"call-{played.calls + number + 1}")
            messages.append({"role": "assistant", "content": turn.get("answer", ""), "tool_calls": calls})
            for call in calls:
                text, _ = meter.call(call["name"], call.get("arguments") or {})
                messages.append({"role": "tool", "id": call["id"], "name": call["name"], "content": text})
        raise Lost(f"no answer after {MOST_TURNS} turns")

    return player


def ask(words, document):
    """Asks the program once: JSON on its input, JSON on its output."""
    done = subprocess.run(words, input=json.dumps(document), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Lost(f"the model's program failed: {done.stderr.strip()[-600:]}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Lost(f"the model's program answered no JSON: {done.stdout[:300]}") from None
