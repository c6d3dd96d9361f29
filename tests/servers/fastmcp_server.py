"""A server on FastMCP with what the published ones lack.

    fastmcp_server.py [PORT]        on stdio, or over HTTP at this port
"""

import asyncio
import os
import pathlib
import sys

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.types import Audio, File, Image
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from pydantic import BaseModel

mcp = FastMCP("notes", instructions="Notes of a house, and what a server can do.", version="1.0")

# One red pixel, and a sound without samples.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cf"
    "c0000003010100c9fe92ef0000000049454e44ae426082"
)
SILENCE = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data\0\0\0\0"
NOTES = {"milk": "Buy milk.", "umlaut": "Grüße, naïve façade, 日本語, 🦀"}


class Note(BaseModel):
    """A note, and where it is linked to."""

    title: str
    tags: list[str] = []
    next: "Note | None" = None


@mcp.tool
def add(a: float, b: float = 1) -> float:
    """Adds two numbers."""
    return a + b


@mcp.tool
def keep(note: Note, urgent: bool = False) -> Note:
    """Keeps a note: its schema leads into itself."""
    return note.model_copy(update={"tags": [*note.tags, "urgent"] if urgent else note.tags})


@mcp.tool
def words(text: str, at_most: int | None = None) -> list[str]:
    """The words of a text."""
    return text.split()[:at_most]


@mcp.tool
def nothing() -> None:
    """Answers nothing."""


@mcp.tool
def picture() -> Image:
    """A picture."""
    return Image(data=PIXEL, format="png")


@mcp.tool
def sound() -> Audio:
    """A sound."""
    return Audio(data=SILENCE, format="wav")


@mcp.tool
def attachment() -> File:
    """A file within the result."""
    return File(data=b"\0\1\2 not a text", format="octet-stream", name="attachment")


@mcp.tool
def mixed() -> list:
    """A text, a picture and a text again."""
    return ["before", Image(data=PIXEL, format="png"), "after"]


@mcp.tool
def long_text(size: int = 100_000) -> str:
    """A text of so many characters."""
    return ("0123456789" * (size // 10 + 1))[:size]


@mcp.tool
def fail(message: str) -> str:
    """Fails with this message."""
    raise ToolError(message)


@mcp.tool
def crash() -> None:
    """Ends the server within the call."""
    os._exit(3)


@mcp.tool
async def count(to: int, context: Context) -> str:
    """Counts, and says how far it is."""
    for at in range(1, to + 1):
        await context.report_progress(at, to, f"at {at}")
        await asyncio.sleep(0.05)
    return f"counted to {to}"


@mcp.tool
async def wait(seconds: float, witness: str) -> str:
    """Waits; where the call is given up, it says so in the file."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        pathlib.Path(witness).write_text("given up")
        raise
    return "waited"


@mcp.tool
async def say(message: str, context: Context) -> str:
    """Logs a message to the client."""
    await context.info(message)
    return "said"


@mcp.tool
async def order(drink: str, context: Context) -> str | InputRequiredResult:
    """Asks a person for the size of a drink, and orders it."""
    question = f"How large is the {drink}?"
    schema = {
        "type": "object",
        "properties": {
            "size": {"type": "string", "enum": ["small", "large"]},
            "cups": {"type": "integer", "minimum": 1, "default": 1},
        },
        "required": ["size"],
    }
    if context.request_context and context.request_context.protocol_version < "2026":
        answer = await context.session.elicit_form(question, schema)
    else:
        answer = (context.input_responses or {}).get("size")
        if answer is None:
            form = ElicitRequestFormParams(message=question, requested_schema=schema)
            return InputRequiredResult(input_requests={"size": ElicitRequest(params=form)})
    if answer.action != "accept":
        return f"no {drink}: {answer.action}"
    return f"{answer.content.get('cups', 1)} {answer.content['size']} {drink}"


@mcp.resource("note://welcome", name="welcome", title="Welcome", mime_type="text/markdown")
def welcome() -> str:
    """The first note."""
    return "# Welcome\n\nGrüße."


@mcp.resource("note://pixel", mime_type="image/png")
def pixel() -> bytes:
    """A picture as a resource."""
    return PIXEL


@mcp.resource("note://house/{name}", mime_type="text/plain")
def house_note(name: str) -> str:
    """A note by its name."""
    return NOTES[name]


@mcp.resource("note://shelf/{shelf}/{name*}")
def shelf_note(shelf: str, name: str) -> str:
    """A note on a shelf, by its path."""
    return f"{shelf}: {name}"


@mcp.prompt
def summarize(name: str, style: str = "short") -> str:
    """Summarizes a note."""
    return f"Summarize in a {style} way: {NOTES.get(name, name)}"


@mcp.prompt(title="No arguments")
def plain() -> str:
    """Has no arguments."""
    return "Say hello."


@mcp.completion
def complete(reference, argument, context):
    return [name for name in sorted(NOTES) if argument.name == "name" and name.startswith(argument.value)]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        mcp.run("http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
    else:
        mcp.run(show_banner=False)
