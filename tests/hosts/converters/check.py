"""Converts lists of tools as hosts in Python do, and holds the results against what the APIs take.

    check.py FOLDER NOT-STRICT

Each `.json` in FOLDER is what `tools/list` answered. NOT-STRICT names the tools that OpenAI's strict
mode does not take, each with its reason: one more or one less is an error.
"""

import copy
import json
import logging
import pathlib
import re
import sys
import warnings

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

from agents.strict_schema import ensure_strict_json_schema  # noqa: E402
from google.genai import _mcp_utils  # noqa: E402
from langchain_core.utils.function_calling import convert_to_openai_tool  # noqa: E402
from langchain_google_genai._function_utils import (  # noqa: E402
    convert_to_genai_function_declarations,
)
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool  # noqa: E402
from mcp.types import Tool  # noqa: E402

NAME = re.compile(r"^[a-zA-Z_][\w.:-]{0,63}$")


def refused_by_gemini(schema: dict, at: tuple = ()) -> list[str]:
    """What the Gemini API refuses in a converted schema (reference of `Schema`).

    An object without properties is taken: a tool without arguments has no other form.
    """
    where = "/".join(at) or "/"
    kind = schema.get("type")
    branches = schema.get("any_of") or []
    found = []
    if kind is None and not branches:
        found.append(f"{where}: no type")
    if kind == "ARRAY" and not schema.get("items"):
        found.append(f"{where}: an array without items")
    values = schema.get("enum")
    if values is not None and (kind != "STRING" or not all(values)):
        found.append(f"{where}: enum {values} of {kind}")
    if kind == "STRING" and schema.get("format") not in (None, "enum", "date-time"):
        found.append(f"{where}: format {schema['format']}")
    properties = schema.get("properties") or {}
    for name in schema.get("required") or []:
        if name not in properties:
            found.append(f"{where}: requires {name}, which it has not")
    for name, member in properties.items():
        found += refused_by_gemini(member, (*at, name))
    if schema.get("items"):
        found += refused_by_gemini(schema["items"], (*at, "[]"))
    for branch in branches:
        found += refused_by_gemini(branch, (*at, "|"))
    return found


def gemini(tool: Tool) -> list[str]:
    declaration = _mcp_utils.mcp_to_gemini_tool(tool).function_declarations[0]
    found = [] if NAME.match(declaration.name) else ["a name that is refused"]
    return found + refused_by_gemini(
        declaration.parameters.model_dump(mode="json", exclude_none=True)
    )


def langchain(tool: Tool) -> list[str]:
    connection = {"transport": "stdio", "command": "none", "args": []}
    converted = convert_mcp_tool_to_langchain_tool(None, tool, connection=connection)
    convert_to_genai_function_declarations([converted])
    convert_to_openai_tool(converted)
    convert_to_openai_tool(converted, strict=True)
    return []


def not_strict(schema: dict, at: str = "") -> str | None:
    """Why OpenAI's strict mode does not take a schema; the reason of openai-agents is shorter."""
    for name, member in (schema.get("properties") or {}).items():
        if reason := not_strict(member, f"{at}/{name}"):
            return reason
    for inner in [schema.get("items"), *(schema.get("anyOf") or [])]:
        if isinstance(inner, dict) and (reason := not_strict(inner, f"{at}/[]")):
            return reason
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if schema.get("additionalProperties"):
        return f"{at} has members of any name"
    if "object" in kinds and len(kinds) > 1:
        return f"{at} may be anything"
    if "object" in kinds and not schema.get("properties"):
        return f"{at} is a free object" if at else "no arguments"
    return None


def main() -> None:
    folder, expected = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    refused, tools, loose = 0, 0, {}
    for path in sorted(folder.glob("*.json")):
        for raw in json.loads(path.read_text()):
            tools += 1
            for convert in (gemini, langchain):
                try:
                    found = convert(Tool.model_validate(raw))
                except Exception as error:  # noqa: BLE001: whatever a converter raises
                    found = [f"{type(error).__name__}: {error}"[:300]]
                for line in found:
                    print(f"{path.stem}: {raw['name']}: {convert.__name__}: {line}")
                    refused += 1
            try:
                schema = copy.deepcopy(raw["inputSchema"])
                ensure_strict_json_schema(schema, _reject_open_objects=True)
            except Exception:  # noqa: BLE001
                reason = not_strict(raw["inputSchema"]) or "a reason that is not known"
                loose[f"{path.stem} {raw['name']}"] = reason
    known = dict(line.split(": ", 1) for line in expected.read_text().splitlines() if line)
    files = {path.stem for path in folder.glob("*.json")}
    known = {name: why for name, why in known.items() if name.split(" ")[0] in files}
    # Of descriptors by others, the number alone is printed.
    own = {name.split(" ")[0] for name in known}
    for name, why in sorted(loose.items()):
        if name.split(" ")[0] in own and known.pop(name, None) != why:
            print(f"not strict: {name}: {why}")
            refused += 1
    for name in known:
        print(f"strict by now: {name}")
        refused += 1
    print(f"Python: {tools} tools, {refused} refused, {len(loose)} not strict")
    sys.exit(1 if refused or not tools else 0)


main()
