"""An OpenAPI document: references, the parameters of an operation, merged schemas."""

import json
import re
from typing import NamedTuple

import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

METHODS = ["get", "head", "post", "put", "patch", "delete", "options", "trace"]
HOPS = 20


class Loader(yaml.CSafeLoader):
    """Reads YAML 1.2: `off`, `12:30` and dates are text."""


OLD = tuple("tag:yaml.org,2002:" + kind for kind in ("bool", "float", "int", "timestamp"))
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in OLD]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for kind, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    tag = "tag:yaml.org,2002:" + kind
    Loader.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), list(first))


def load(path):
    """The document in a file, be it JSON or YAML."""
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    return json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader)


def escaped(key):
    return str(key).replace("~", "~0").replace("/", "~1")


def essence(media):
    """A media type without its parameters."""
    return str(media).split(";")[0].strip().lower()


def types(schema):
    """The types that a schema names or means, but for null."""
    named = schema.get("type")
    if isinstance(named, list):
        return [name for name in named if name != "null"]
    if named:
        return [named]
    if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
        return ["object"]
    return ["array"] if "items" in schema else []


def is_binary(schema):
    """Whether values are bytes and no text."""
    is_encoded = "contentEncoding" in schema
    return schema.get("format") == "binary" or ("contentMediaType" in schema and not is_encoded)


class Operation(NamedTuple):
    """An operation of a document, and where it stands and leads."""

    method: str
    path: str
    item: dict
    value: dict
    item_place: str
    named: str
    place: str


class Document:
    def __init__(self, root):
        self.root = root
        self.is_swagger2 = "swagger" in root
        # From 3.1 on a schema may be beside its reference, and null is a type.
        self.is_json_schema = str(root.get("openapi", "3.0")) >= "3.1"
        resource = Resource(contents=root, specification=DRAFT202012)
        self.resolver = Registry().with_resource("urn:document", resource).resolver("urn:document")

    def followed(self, value, place):
        """What a value is, its references followed, and where that is."""
        for _ in range(HOPS):
            if not (isinstance(value, dict) and isinstance(value.get("$ref"), str)):
                break
            reference = value["$ref"]
            target = "urn:document" + reference if reference.startswith("#") else reference
            value, place = self.resolver.lookup(target).contents, reference[1:]
        return value, place

    def merged(self, schema, depth=0):
        """A schema with references followed and `allOf` merged; its members are as they were."""
        if not isinstance(schema, dict):
            return {}
        if self.is_json_schema and "$ref" in schema and len(schema) > 1 and depth <= 12:
            own = {key: value for key, value in schema.items() if key != "$ref"}
            own["allOf"] = [*(own.get("allOf") or []), {"$ref": schema["$ref"]}]
            return self.merged(own, depth + 1)
        schema, _ = self.followed(schema, "")
        if not isinstance(schema, dict):
            return {}
        if depth > 12:
            return schema
        out = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema.get("allOf") or []:
            for key, value in self.merged(part, depth + 1).items():
                if key == "properties":
                    out[key] = {**value, **(out.get(key) or {})}
                elif key == "required" and isinstance(value, list):
                    own = out.get(key) if isinstance(out.get(key), list) else []
                    out[key] = list(dict.fromkeys(own + value))
                elif key != "discriminator":
                    out.setdefault(key, value)
        return out

    def operations(self):
        for path, item in (self.root.get("paths") or {}).items():
            if not path.startswith("/"):
                continue
            named = "/paths/" + escaped(path)
            item, item_place = self.followed(item, named)
            for method in METHODS:
                if method in item:
                    value, place = self.followed(item[method], f"{item_place}/{method}")
                    at = f"{named}/{method}"
                    yield Operation(method, path, item, value, item_place, at, place)

    def parameters(self, one):
        """Parameters of an operation: what they are, where that is, and where they are named."""
        found = {}
        for owner, base in ((one.item, one.item_place), (one.value, one.place)):
            for index, value in enumerate(owner.get("parameters") or []):
                named = f"{base}/parameters/{index}"
                value, led = self.followed(value, named)
                if isinstance(value, dict):
                    found[(value.get("in"), value.get("name"))] = (value, led, named)
        return list(found.values())

    def style(self, parameter):
        """How a parameter is written: its style, and whether it is exploded."""
        location = parameter["in"]
        if self.is_swagger2:
            if parameter.get("type") != "array":
                return ("form" if location in ("query", "formData") else "simple"), False
            return {
                "csv": ("form", False),
                "ssv": ("spaceDelimited", False),
                "tsv": ("tabDelimited", False),
                "pipes": ("pipeDelimited", False),
                "multi": ("form", True),
            }[parameter.get("collectionFormat") or "csv"]
        usual = "form" if location in ("query", "cookie") else "simple"
        style = parameter.get("style") or usual
        return style, parameter.get("explode", style in ("form", "deepObject"))

    def schema_of(self, parameter):
        """The schema of a parameter, and whether its value is JSON text."""
        if self.is_swagger2:
            words = ("name", "in", "required", "description")
            return {key: it for key, it in parameter.items() if key not in words}, False
        content = parameter.get("content")
        if content:
            return next(iter(content.values())).get("schema") or {}, True
        return parameter.get("schema") or {}, False

    def offers(self, operation):
        """The media types of the answers of an operation that succeeded."""
        found = []
        for code, answer in (operation.get("responses") or {}).items():
            if not str(code).startswith("2"):
                continue
            answer, _ = self.followed(answer, "")
            if self.is_swagger2 and isinstance(answer, dict) and answer.get("schema"):
                found += operation.get("produces") or self.root.get("produces") or []
            elif isinstance(answer, dict):
                found += list(answer.get("content") or {})
        return [essence(media) for media in found]
