"""What of a server is not the same behind dadl-mcp, in words; an empty text where all is."""

import base64
import json
import re
from urllib.parse import unquote

from client import BROKEN, UNACKNOWLEDGED

# The longest description that all hosts take, and the longest name.
LONGEST_DESCRIPTION, LONGEST_NAME = 1024, 45
# Of a text that is JSON.
LAYOUT = "the same JSON in another layout"
TIMES = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
    (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]* (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[^\"\n]*", "<time>"),
    (r"\b1[789]\d{11}\b", "<time>"),
]


class Missing(Exception):
    """It is not listed by us."""


class OurNames:
    """What the things of a server are called by dadl-mcp, as far as it lists them."""

    def __init__(self, direct, ours, prefix=""):
        self.prefix = prefix
        self.tools = self.named(direct["tools"], ours["tools"])
        self.prompts = self.named(direct["prompts"], ours["prompts"])
        self.uris = located(direct["resources"], ours["resources"], "uri")
        self.templates = located(direct["templates"], ours["templates"], "uriTemplate")

    def named(self, direct, ours):
        names = [it["name"] for it in ours]
        return {it["name"]: our_name(self.prefix + it["name"], names) for it in direct}

    def tool(self, name):
        return self.found(self.tools, name)

    def prompt(self, name):
        return self.found(self.prompts, name)

    def template(self, uri):
        return self.found(self.templates, uri)

    def uri(self, uri):
        """A URI that is not listed is made as those are that are listed, by what is in front."""
        if self.uris.get(uri):
            return self.uris[uri]
        for theirs, ours in [*self.uris.items(), *self.templates.items()]:
            if ours and ours.endswith(theirs):
                return ours.removesuffix(theirs) + uri
            scheme = theirs.partition(":")[0]
            rest = theirs.removeprefix(scheme)
            if ours and ours.endswith(rest) and uri.startswith(f"{scheme}:"):
                return ours.removesuffix(rest) + uri.removeprefix(scheme)
        raise Missing(f"{uri} is not listed")

    @staticmethod
    def found(names, name):
        if not names.get(name):
            raise Missing(f"{name} is not listed")
        return names[name]


def our_name(name, listed):
    """The name that the rule of names makes of a name; none where it is not listed."""
    mapped = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if mapped in listed and len(mapped) <= LONGEST_NAME:
        return mapped
    # Cut, or told apart from another one, by a hash behind.
    hashed = [it for it in listed if (found := re.fullmatch(r"(.+)_[0-9a-z]{4,}", it)) and mapped.startswith(found.group(1))]
    return max(hashed, key=len, default=None)


def located(direct, ours, key):
    """Our URIs by those of the server."""
    found, left = {}, list(ours)
    for it in direct:
        same = next((our for our in left if same_uri(it[key], our[key])), None)
        found[it[key]] = same and same[key]
        if same:
            left.remove(same)
    return found


def same_uri(theirs, ours):
    rest = theirs.partition(":")[2]
    forms = {ours, unquote(ours)}
    return any(form == theirs or form.endswith(theirs) or (rest and form.endswith(rest)) for form in forms)


def prose(text):
    """A description as models are shown it: without controls, each run of white space as one space."""
    text = "".join(it if it.isprintable() or it.isspace() else "" for it in text or "")
    return " ".join(text.split())


def same_prose(theirs, ours):
    theirs, ours = prose(theirs), prose(ours)
    if theirs == ours or not theirs:
        return True
    start = ours.rstrip("… .")
    return len(theirs) > LONGEST_DESCRIPTION and len(start) > LONGEST_DESCRIPTION // 2 and theirs.startswith(start)


def lists(direct, ours, names):
    """The differences of what is listed, by steps such as `list tool echo`."""
    seen = {}
    our_tools = {it["name"]: it for it in ours["tools"]}
    for tool in direct["tools"]:
        our = our_tools.get(names.tools[tool["name"]])
        seen[f"list tool {tool['name']}"] = tool_difference(tool, our)
    our_prompts = {it["name"]: it for it in ours["prompts"]}
    for prompt in direct["prompts"]:
        our = our_prompts.get(names.prompts[prompt["name"]])
        seen[f"list prompt {prompt['name']}"] = prompt_difference(prompt, our)
    for key, word, its, found in (
        ("resources", "uri", "resource", names.uris), ("templates", "uriTemplate", "template", names.templates),
    ):
        listed = {it[word]: it for it in ours[key]}
        for it in direct[key]:
            our = listed.get(found[it[word]])
            seen[f"list {its} {it[word]}"] = resource_difference(it, our)
    return seen


def tool_difference(tool, our):
    if our is None:
        return "it is not listed"
    if not same_prose(tool.get("description"), our.get("description")):
        return f"the description is {excerpt(our.get('description') or '')!r}"
    title = tool.get("title") or tool.get("annotations", {}).get("title")
    if title and title != our.get("title"):
        return f"the title is {our.get('title')!r} instead of {title!r}"
    theirs, schema = tool["inputSchema"], our["inputSchema"]
    properties = [re.sub(r"[^A-Za-z0-9_.-]", "_", it) for it in theirs.get("properties", {})]
    if sorted(properties) != sorted(schema.get("properties", {})):
        return f"the arguments are {list(schema.get('properties', {}))} instead of {properties}"
    if sorted(theirs.get("required") or []) != sorted(schema.get("required") or []):
        return f"the arguments {schema.get('required')} are required instead of {theirs.get('required')}"
    if ("outputSchema" in tool) != ("outputSchema" in our):
        return f"there is {'no' if 'outputSchema' in tool else 'an'} `outputSchema`"
    return ""


def prompt_difference(prompt, our):
    if our is None:
        return "it is not listed"
    if prompt.get("title") and prompt["title"] != our.get("title"):
        return f"the title is {our.get('title')!r}"
    theirs, ours = ([(it["name"], it.get("required", False)) for it in one.get("arguments") or []] for one in (prompt, our))
    if theirs != ours:
        return f"the arguments are {ours} instead of {theirs}"
    # Last, because ours says whose it is: what is explained must hide nothing else.
    if not same_prose(prompt.get("description"), our.get("description")):
        return f"the description is {excerpt(our.get('description') or '')!r}"
    return ""


def resource_difference(resource, our):
    if our is None:
        return "it is not listed"
    if not same_prose(resource.get("description"), our.get("description")):
        return f"the description is {excerpt(our.get('description') or '')!r}"
    for key in ("title", "mimeType", "size", "annotations"):
        if resource.get(key) and resource[key] != our.get(key):
            return f"`{key}` is {our.get(key)!r} instead of {resource[key]!r}"
    return ""


def step(theirs, ours, volatile):
    """The difference of two observations of one step."""
    theirs, ours = steady(theirs, volatile), steady(ours, volatile)
    if theirs == ours:
        return ""
    if "lost" in ours:
        return f"there is no answer: {ours['lost']}" if "lost" not in theirs else ""
    if fails(theirs) != fails(ours):
        return f"{'succeeds' if fails(theirs) else 'fails'}: {excerpt(ours)}"
    if fails(theirs):
        return failed(theirs, ours)
    if "messages" in theirs:
        return asked(theirs, ours)
    if "content" in theirs or "content" in ours:
        return called(theirs, ours)
    if "contents" in theirs:
        return items(theirs["contents"], ours.get("contents", []))
    return values(theirs, ours)


def failed(theirs, ours):
    """The kind is the same; a model needs the words too, as far as they are the server's."""
    said, heard = prose(words(theirs)), prose(words(ours))
    without_code = re.sub(r"^(MCP error -?\d+: )+", "", said)
    if without_code in heard or is_of_client(theirs) or ours.get("refusal") == UNACKNOWLEDGED:
        return ""
    return f"the error {excerpt(said)!r} is {excerpt(heard)!r}"


def is_of_client(seen):
    """Whether the words are those of the client: the server ended, or its answer broke off."""
    return "lost" in seen or seen.get("refusal") == BROKEN


def asked(theirs, ours):
    """A question names the server besides; a prompt is compared as it is."""
    if "fields" not in theirs:
        for key in ("messages", "description"):
            if difference := values(theirs.get(key), ours.get(key)):
                return f"`{key}`: {difference}"
        return ""
    if theirs["fields"] != ours["fields"]:
        return f"the fields are {ours['fields']} instead of {theirs['fields']}"
    same = zip(theirs["messages"], ours["messages"])
    return "" if all(prose(one) in prose(other) for one, other in same) else f"the questions are {ours['messages']}"


def called(theirs, ours):
    if "structuredContent" in theirs or "structuredContent" in ours:
        if difference := values(theirs.get("structuredContent"), ours.get("structuredContent")):
            return f"`structuredContent`: {difference}"
    return items(theirs.get("content", []), ours.get("content", []))


def items(theirs, ours):
    if len(theirs) != len(ours):
        return f"there are {len(ours)} items of content instead of {len(theirs)}: {excerpt(ours)}"
    for at, (one, other) in enumerate(zip(theirs, ours)):
        if difference := values(one, other):
            return f"item {at} of the content: {difference}"
    return ""


def values(theirs, ours):
    """What differs of two values; URIs are the same where they lead to the same."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            if key in ("_meta", "resultType", "ttlMs", "cacheScope") or (key in theirs and theirs.get(key) == ours.get(key)):
                continue
            if key == "uri" and same_uri(str(theirs.get(key)), str(ours.get(key))):
                continue
            if key in theirs and key in ours:
                if difference := values(theirs[key], ours[key]):
                    return f"`{key}`: {difference}"
            elif theirs.get(key) is not None or ours.get(key) is not None:
                return f"`{key}` is {excerpt(ours.get(key))} instead of {excerpt(theirs.get(key))}"
        return ""
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return next((it for it in map(values, theirs, ours) if it), "")
    if theirs == ours:
        return ""
    is_json = isinstance(theirs, str) and isinstance(ours, str) and json_of(theirs) is not None
    if is_json and json_of(theirs) == json_of(ours):
        return LAYOUT
    return f"{excerpt(ours)} instead of {excerpt(theirs)}"


def json_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def fails(seen):
    return "refusal" in seen or "lost" in seen or bool(seen.get("isError"))


def words(seen):
    if "content" in seen:
        return " ".join(it.get("text", "") for it in seen["content"])
    return seen.get("message") or seen.get("lost") or ""


def steady(value, volatile):
    """The value with what changes from one play to the next made equal."""
    if isinstance(value, dict):
        return {key: steady_member(key, it, volatile) for key, it in value.items()}
    if isinstance(value, list):
        return [steady(it, volatile) for it in value]
    if isinstance(value, str):
        for pattern, replacement in [*TIMES, *volatile]:
            value = re.sub(pattern, replacement, value)
    elif isinstance(value, (int, float)) and 1.7e9 < value < 2e12:
        return "<time>"
    return value


def steady_member(key, value, volatile):
    if key.endswith("_ms") and isinstance(value, (int, float)):
        return "<time>"
    return steady(unpacked(value) if key == "blob" else value, volatile)


def unpacked(blob):
    """The text in Base64, where it is one."""
    try:
        return base64.b64decode(blob, validate=True).decode()
    except ValueError:
        return blob


def excerpt(value, length=160):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "⏎")
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"
