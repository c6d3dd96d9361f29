"""A play: a scenario that speaks for the model, step by step.

A scenario is a generator. It is given what the model is offered, yields calls as `(tool, arguments)`, gets
back what the model was shown for each, and returns a remark for the record. It raises `Missed` when the
model was not shown what it should have been.
"""

import json
import re
from typing import NamedTuple


class Missed(Exception):
    """What a model should have been shown, or a person been asked, and was not."""


class Offer(NamedTuple):
    """What a model knows before its first call."""

    tools: list  # Names of the tools of dadl-mcp, without what the host puts in front.
    size: int  # Characters of what is said of these tools.
    text: str  # Everything else: the prompt of the host, the instructions of the server.

    def sizes(self):
        return f"{len(self.tools)} tools in {self.size:,} characters"


class Shown:
    """What a model was shown for a call. An SDK leaves the choice to its user, who may show the structured
    content or the texts: each of these is a reading, and what is true must be in all of them."""

    def __init__(self, *readings):
        self.readings = readings

    def says(self, pattern):
        return all(re.search(pattern, reading) for reading in self.readings)

    def expect(self, pattern):
        """The first match of the pattern, which has to be in each reading."""
        for reading in self.readings:
            if not re.search(pattern, reading):
                raise Missed(f"no {pattern!r} in what the model was shown: {excerpt(reading)}")
        return re.search(pattern, self.readings[0]).group()

    def expect_not(self, pattern):
        for reading in self.readings:
            if re.search(pattern, reading):
                raise Missed(f"{pattern!r} is in what the model was shown: {excerpt(reading)}")

    def __str__(self):
        return self.readings[0]


def size_of(tools):
    """How many characters a list of tools has for a model."""
    return len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")))


def excerpt(text):
    text = " ".join(text.split())
    return text if len(text) <= 400 else f"{text[:200]} .. {text[-200:]}"


def text_of(content):
    """The text of a tool's result as hosts send it to a model: a text, or blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else [content]
    return "\n".join(block["text"] if "text" in block else json.dumps(block) for block in blocks)


class Play:
    """Runs a scenario beside whatever stands for the model."""

    def __init__(self, scenario, *arguments):
        self.scenario, self.arguments = scenario, arguments
        self.steps = self.failure = self.remark = None
        self.is_over = False

    def begin(self, offer):
        """The first call, if there is one."""
        self.steps = self.scenario(*self.arguments, offer)
        return self._step(lambda: next(self.steps))

    def go_on(self, shown):
        """The next call, if there is one."""
        return self._step(lambda: self.steps.send(shown))

    def _step(self, step):
        try:
            return step()
        except StopIteration as end:
            self.remark = end.value
        except Missed as missed:
            self.failure = str(missed)
        self.is_over = True
        return None
