"""What openapi-core reads of a request, by the document: its typed values and its errors."""

import json
import re
import urllib.parse

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from document import Document, essence, types
from styles import pairs_of

# What values that are made of a schema need not keep. `discriminator` names members that a form may
# lack; a `default` of null is filled in and then refused.
LEFT_OUT = {
    "default",
    "discriminator",
    "example",
    "examples",
    "maxLength",
    "maxProperties",
    "minLength",
    "minProperties",
    "multipleOf",
    "pattern",
    "readOnly",
    "uniqueItems",
    "writeOnly",
}
# What has names of its own below it, which are no keywords.
NAMED = {
    "content",
    "definitions",
    "encoding",
    "headers",
    "parameters",
    "patternProperties",
    "properties",
    "schemas",
    "$defs",
}
# What it does not read: such values need not be there.
UNREAD = ("deepObject", "label", "matrix", "pipeDelimited", "spaceDelimited")


def lenient(value, document, has_names=False):
    """A document of which places and types are left."""
    if isinstance(value, list):
        return [lenient(item, document) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, member in value.items():
        if has_names:
            out[key] = lenient(member, document)
        elif key in ("enum", "const"):
            out[key] = member
        elif key == "format" and member not in ("binary", "byte"):
            continue
        elif key == "required" and isinstance(member, list):
            members = value.get("properties") or {}
            out[key] = [
                name for name in member if not document.merged(members.get(name)).get("readOnly")
            ]
        elif key not in LEFT_OUT:
            out[key] = lenient(member, document, key in NAMED)
    return out


class Received:
    """A request, as openapi-core wants to see one."""

    def __init__(self, request, path, values):
        target, _, query = request.target.partition("?")
        self.method, self.host_url = request.method.lower(), "http://h"
        self.path, self.path_pattern = urllib.parse.unquote(target[len("/base") :]), path
        self.body = request.body
        found = {name.lower(): value for name, value in request.headers}
        self.content_type = found.get("content-type", "")
        cookies = [pair.partition("=") for pair in found.get("cookie", "").split("; ")]
        decode = urllib.parse.unquote_plus
        self.parameters = RequestParameters(
            path=values,
            query=ImmutableMultiDict([(decode(a), decode(b)) for a, b in pairs_of(query)]),
            header=Headers(request.headers),
            cookie=ImmutableMultiDict([(name, value) for name, _, value in cookies]),
        )


def openapi3(parameters):
    """Parameters of Swagger 2 as OpenAPI 3 has them, and the schema of the body."""
    out, body = [], None
    for parameter in parameters:
        location = parameter.get("in")
        if location == "body":
            body = parameter.get("schema") or {}
        elif location != "formData":
            keys = ("name", "in", "required", "description", "collectionFormat", "allowEmptyValue")
            schema = {key: value for key, value in parameter.items() if key not in keys}
            made = {"name": parameter["name"], "in": location, "schema": schema}
            if location == "query" and parameter.get("type") == "array":
                format = parameter.get("collectionFormat")
                styles = {"ssv": "spaceDelimited", "pipes": "pipeDelimited"}
                made["style"] = styles.get(format, "form")
                made["explode"] = format == "multi"
            out.append(made)
    return out, body


def is_unread(parameter, document):
    """Whether it is no judge of a parameter: of its style, of objects, which it parts after it has
    decoded them, or of a union, which it reads as text."""
    if parameter.get("style") in UNREAD or "content" in parameter:
        return True
    kinds = types(document.merged(parameter.get("schema")))
    return len(kinds) != 1 or kinds == ["object"]


def is_mixed(one):
    """Whether items hold what parts them: it decodes a list before it parts it."""
    is_joined = isinstance(one.value, list) and not one.explode
    return is_joined and any("," in str(item) for item in one.value)


class Judge:
    def __init__(self, document):
        self.whole, self.document = document, Document(lenient(document.root, document))

    def differences(self, request, operation, given, body):
        """What it reads otherwise; `None` where it cannot tell."""
        method, place = operation.method, operation.place
        path = operation.path.partition("?")[0]
        item, value = (lenient(it, self.whole) for it in (operation.item, operation.value))
        found = self.document.parameters(operation._replace(item=item, value=value))
        declared, content = [dict(parameter) for parameter, _, _ in found], None
        if self.document.is_swagger2:
            declared, schema = openapi3(declared)
            if schema is not None and body:
                content = {essence(body.media): {"schema": schema}}
        elif body is not None:
            whole, _ = self.document.followed(value.get("requestBody"), "")
            wanted = essence(body.media)
            content = {key: it for key, it in whole["content"].items() if essence(key) == wanted}
        declared = [it for it in declared if it.get("in") in ("path", "query", "header")]
        declared = [it for it in declared if not is_unread(it, self.document)]
        sent = {(one.location, one.name): one for one in given}
        for parameter in declared:
            one = sent.get((parameter["in"], parameter["name"]))
            parameter["required"] = one is not None and one.value not in ([], {})
        # Of a body that is no JSON and no plain form it gives bytes, which are no text of a schema.
        is_read = body is not None and essence(body.media).endswith(("json", "urlencoded"))
        is_read = is_read and all(it.get("schema") for it in (content or {}).values())
        content = content if request.body and is_read else None
        read = self.read(request, method, path, declared, content)
        if read.errors and content and essence(body.media).endswith("json"):
            # A value that is not valid itself, such as one with two forms of `oneOf`, says nothing.
            own = request._replace(body=json.dumps(body.value).encode())
            if self.read(own, method, path, declared, content).errors:
                return None
        found = [
            (f"core: {type(error).__name__}", place, f"{error} {getattr(error, '__cause__', '')}")
            for error in read.errors
        ]
        for parameter in declared if not found else []:
            one = sent.get((parameter["in"], parameter["name"]))
            if one is None or one.value in ([], {}) or is_mixed(one):
                continue
            have = getattr(read.parameters, one.location).get(one.name)
            if have != one.value:
                found.append((f"core: {one.kind()}", one.place, f"{have!r} is not {one.value!r}"))
        return found

    def read(self, request, method, path, parameters, content):
        operation = {"parameters": parameters, "responses": {"200": {"description": "ok"}}}
        if content:
            operation["requestBody"] = {"content": content}
        root = self.document.root
        specification = {
            "openapi": root.get("openapi", "3.0.3"),
            "info": {"title": "t", "version": "1"},
            "servers": [{"url": "http://h"}],
            "paths": {path: {method: operation}},
            "components": root.get("components") or {},
            "definitions": root.get("definitions") or {},
        }
        pieces = re.split(r"\{([^}]*)\}", path)
        quoted = [urllib.parse.quote(piece, safe="/:@!$&'()*+,;=~%") for piece in pieces]
        pattern = "".join("([^/]*)" if at % 2 else re.escape(it) for at, it in enumerate(quoted))
        hit = re.fullmatch(pattern, request.target.partition("?")[0][len("/base") :])
        texts = map(urllib.parse.unquote, hit.groups()) if hit else []
        values = dict(zip(pieces[1::2], texts))
        api = OpenAPI.from_dict(specification, config=Config(spec_validator_cls=None))
        return api.unmarshal_request(Received(request, path, values))
