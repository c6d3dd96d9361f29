"""A client on the Python SDK; sdks.py says how it is spoken with."""

import asyncio
import json
import sys

from mcp import Client, MCPError, StdioServerParameters, types


def say(**message):
    print(json.dumps(message), flush=True)


async def hear():
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


async def ask(_context, question):
    say(ask={"message": question.message, "schema": question.requested_schema})
    return types.ElicitResult(**(await hear())["answer"])


def text(block):
    """A block as hosts show it: a link by its address, without what is said about it."""
    return block.text if block.type == "text" else str(getattr(block, "uri", block.type))


def readings(result):
    """What a host may show of a result: the structured content, or the texts."""
    texts = "\n".join(map(text, result.content))
    structured = result.structured_content
    return [texts] if structured is None else [json.dumps(structured, ensure_ascii=False), texts]


async def main(command, env, patience, asks):
    server = StdioServerParameters(command=command[0], args=command[1:], env=env)
    options = {"elicitation_callback": ask} if asks else {}
    async with Client(server, read_timeout_seconds=patience, **options) as client:
        tools = (await client.list_tools()).tools
        told = [{"name": it.name, "description": it.description, "schema": it.input_schema} for it in tools]
        say(offer={"tools": told, "text": client.instructions or ""})
        while "call" in (heard := await hear()):
            try:
                say(shown=readings(await client.call_tool(*heard["call"])))
            except MCPError as error:
                say(shown=[str(error)])


asyncio.run(main(**json.loads(sys.argv[1])))
