"""What a call of an operation gives, and so what should arrive."""

import hashlib
import json

from document import escaped, essence, types
from program import placeholders
from reading import Body, Given

# Everything; what is required alone; other values, with nulls and with lists as JSON text.
MODES = ("all", "required", "other")
# Texts of values.py, and what they become in the items of such lists: what parts items as well.
DELIMITED = {"a b": "a,b", "plain": "c|d", "1+1": "1,|1"}
# The types of bodies that are text, which a call gives inline.
TEXT = ("text/", "application/xml", "application/yaml")
FIELDS = ("multipart/form-data", "application/x-www-form-urlencoded")


class Call:
    """The arguments of a call, what they are in the document, and what has no argument."""

    def __init__(self, operation, tool, mode, document, values, program):
        self.operation, self.tool, self.mode = operation, tool, mode
        self.document, self.values, self.program = document, values, program
        self.arguments, self.given, self.missing = {}, [], []
        self.parameters()
        read = self.body2 if document.is_swagger2 else self.body3
        self.body = read()

    def misses(self, kind, place, detail, *others):
        self.missing.append((kind, place, detail, others))

    def seed(self, what):
        other = " other" if self.mode == "other" else ""
        return f"{self.operation.path} {self.operation.method} {what}{other}"

    def is_left_out(self, value):
        return self.mode == "required" and not value.get("required")

    def parameters(self):
        theirs, ours = placeholders(self.operation.path), placeholders(self.tool.path)
        for parameter, led, use in self.document.parameters(self.operation):
            location, name = parameter.get("in"), parameter.get("name")
            if location not in ("path", "query", "header", "cookie"):
                continue
            if self.is_left_out(parameter) and location != "path":
                continue
            if location == "header" and name.lower() in ("accept", "content-type", "authorization"):
                continue
            schema, is_json = self.document.schema_of(parameter)
            style, explode = self.document.style(parameter)
            # In fields, and between spaces or pipes, not every character can be said.
            is_plain = location in ("header", "cookie") or style.endswith("Delimited")
            value = self.values.value(schema, self.seed(f"{location} {name}"), plain=is_plain)
            wire = name
            if location == "path":
                if name not in theirs:
                    self.misses("no placeholder", use, name, led)
                    continue
                wire, value = ours[theirs.index(name)], "x" if value == "" else value
            one = Given(location, name, value, style, explode, is_json, use)
            argument = self.tool.arguments.get((location, wire))
            if argument is not None:
                self.give(argument, one, is_plain)
            elif isinstance(value, dict) and style == "form" and explode and not is_json:
                self.members(one, led)
            else:
                self.misses(f"no parameter: {location}", use, name, led)

    def give(self, argument, one, is_plain):
        self.arguments[argument] = one.value
        if isinstance(one.value, list) and not one.explode and self.mode == "other":
            if not is_plain:
                one = one._replace(value=[DELIMITED.get(item, item) for item in one.value])
            self.arguments[argument] = json.dumps(one.value)
        self.given.append(one)

    def members(self, one, led):
        """Gives an exploded object, whose members are parameters of their own."""
        known = {}
        for name, value in one.value.items():
            argument = self.tool.arguments.get((one.location, name))
            if argument is None:
                kind = f"no parameter: member, {one.location}"
                self.misses(kind, one.place, f"{one.name}.{name}", led)
            else:
                self.arguments[argument] = known[name] = value
        self.given.append(one._replace(value=known))

    def body3(self):
        place = self.operation.place + "/requestBody"
        body, place = self.document.followed(self.operation.value.get("requestBody"), place)
        if not isinstance(body, dict) or not body.get("content") or self.is_left_out(body):
            return None
        content, wanted = body["content"], essence(self.tool.media)
        media = next((it for it in content if essence(it) == wanted), None)
        media = media or next((it for it in content if "*" in it), None)
        has_body = self.tool.whole or self.tool.is_open
        has_body = has_body or any(location == "body" for location, _ in self.tool.arguments)
        if media is None or not has_body:
            kind = "body: media type" if has_body else "no body"
            others = (place, f"{place}/content/{escaped(media or '')}")
            self.misses(kind, place + "/content", f"{self.tool.media} of {list(content)}", *others)
            return None
        place = f"{place}/content/{escaped(media)}/schema"
        made = Body(self.tool.media, None, bool(body.get("required")), place)
        encoding, has_styles = content[media].get("encoding") or {}, self.document.is_json_schema
        made = made._replace(encoding=encoding, has_styles=has_styles)
        return self.filled(content[media].get("schema") or {}, made)

    def body2(self):
        """The body of an operation of Swagger 2."""
        fields, styles = {}, {}
        for parameter, led, _ in self.document.parameters(self.operation):
            if self.is_left_out(parameter):
                continue
            if parameter.get("in") == "body":
                is_required = bool(parameter.get("required"))
                made = Body(self.tool.media, None, is_required, led + "/schema")
                return self.filled(parameter["schema"], made)
            if parameter.get("in") == "formData":
                fields[parameter["name"]], _ = self.document.schema_of(parameter)
                styles[parameter["name"]] = self.document.style(parameter)
        if not fields:
            return None
        schema = {"type": "object", "properties": fields, "required": list(fields)}
        made = Body(self.tool.media, None, True, self.operation.place, styles=styles)
        return self.filled(schema, made)

    def filled(self, schema, made):
        """A body with a value of its schema, which the call gives whole or member by member."""
        media = essence(made.media)
        if media not in FIELDS and not media.endswith("json"):
            return self.raw(made)
        self.values.has_nulls = self.mode == "other" and media not in FIELDS
        value = self.values.value(schema, self.seed("body"))
        self.values.has_nulls = False
        if self.mode == "required":
            value = self.values.required_alone(schema, value)
        has_members = any(location == "body" for location, _ in self.tool.arguments)
        if self.tool.whole and not (has_members and isinstance(value, dict)):
            self.arguments[self.tool.whole] = value
            return made._replace(value=value)
        own = self.document.merged(schema)
        if not isinstance(value, dict):
            self.misses("no parameter: body", made.place, types(own))
            return None
        sent, files = {}, {}
        for name, member in value.items():
            described = (own.get("properties") or {}).get(name)
            if media == "multipart/form-data" and described is not None:
                of = (made.encoding.get(name) or {}).get("contentType", "")
                is_file, is_files = self.values.holds_files(described, of)
                count = 1 if is_file else 2 if is_files else 0
                names = [self.file(f"{name} {at}") for at in range(count)]
                if names:
                    member = names if is_files else names[0]
                    files[name] = [f"FILE {it}" for it in names]
            argument = self.tool.arguments.get(("body", name))
            if argument is None and not self.tool.is_open:
                place = f"{made.place}/properties/{escaped(name)}"
                self.misses("no parameter: member, body", place, name)
                continue
            self.arguments[argument or name] = sent[name] = member
        return made._replace(value=sent, files=files)

    def raw(self, made):
        """A body of text or of bytes."""
        if self.tool.whole is None:
            self.misses("no parameter: body", made.place, made.media)
            return None
        media = essence(made.media)
        if media.startswith(TEXT) or media.endswith("+xml"):
            self.arguments[self.tool.whole] = text = "<a>é & 1</a>"
            return made._replace(value=text)
        self.arguments[self.tool.whole] = name = self.file("body")
        return made._replace(value=name, files={"": f"FILE {name}"})

    def file(self, what):
        name = hashlib.sha256(self.seed(what).encode()).hexdigest()[:10] + ".bin"
        return self.program.file(name, f"FILE {name}")
