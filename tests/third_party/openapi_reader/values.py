"""Values of schemas, the same each time: what decides is the place that they are for."""

import hashlib

from document import is_binary, types

TEXTS = ["a b", "x&y=z", "é/ü", "100%", "plain", "q?#r", "1+1", "a;b"]
PLAIN = ["plain", "abc", "x1"]
FORMATS = {
    "date-time": "2024-01-02T03:04:05+02:00",
    "date": "2024-01-02",
    "time": "03:04:05Z",
    "duration": "P1D",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "email": "a@b.example",
    "uri": "https://x.example/a?b=c",
    "url": "https://x.example/a?b=c",
    "ipv4": "192.0.2.1",
    "byte": "AQID",
}
# What a form of `oneOf` must say of itself to be one: one that only requires names is none.
SAYS = ("enum", "const", "oneOf", "anyOf")


def chosen(seed, count):
    return int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16) % count


class Values:
    def __init__(self, document, has_nulls=False):
        self.document, self.has_nulls = document, has_nulls

    def value(self, schema, seed, depth=0, plain=False):
        """A value of a schema; `plain` is for what is no place for every character."""
        schema = self.document.merged(schema)
        if "const" in schema:
            return schema["const"]
        listed = [value for value in schema.get("enum") or [] if value is not None]
        if listed:
            return listed[chosen(seed, len(listed))]
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                form = self.form(schema, key, seed)
                if form is not None:
                    return self.value(form, seed + key, depth + 1, plain)
        kinds = types(schema)
        if not kinds:
            return "any" if plain else ["any", 7, True][chosen(seed, 3)]
        kind = kinds[chosen(seed, len(kinds))]
        if kind == "integer":
            low, high = schema.get("minimum", 1), schema.get("maximum", 10**6)
            return int(max(low, min(high, 1 + chosen(seed, 99))))
        if kind == "number":
            low, high = schema.get("minimum", 0), schema.get("maximum", 10**6)
            return float(max(low, min(high, 0.5 + chosen(seed, 9))))
        if kind == "boolean":
            return chosen(seed, 2) == 0
        if kind == "array":
            return self.array(schema, seed, depth, plain)
        if kind == "object":
            return self.object(schema, seed, depth, plain)
        return self.text(schema, seed, plain)

    def form(self, schema, key, seed):
        """One of the forms of `oneOf` or `anyOf`, with what is beside them."""
        own = {name: value for name, value in schema.items() if name not in ("oneOf", "anyOf")}
        forms = [self.document.merged(form) for form in schema[key]]
        forms = [form for form in forms if form.get("type") != "null"]
        for at in range(len(forms)):
            form = forms[(chosen(seed, len(forms)) + at) % len(forms)]
            merged = {**own, **form}
            if own.get("properties"):
                merged["properties"] = {**own["properties"], **(form.get("properties") or {})}
            if own.get("required"):
                merged["required"] = list(own["required"]) + list(form.get("required") or [])
            if types(merged) or any(word in merged for word in SAYS):
                return merged
        return None

    def text(self, schema, seed, plain):
        if schema.get("format") in FORMATS:
            text = FORMATS[schema["format"]]
        elif schema.get("pattern"):
            example = schema.get("example")
            text = example if isinstance(example, str) else "abc"
        else:
            texts = PLAIN if plain else TEXTS
            text = texts[chosen(seed, len(texts))]
        if isinstance(schema.get("minLength"), int):
            text = text.ljust(min(schema["minLength"], 2000), "x")
        if isinstance(schema.get("maxLength"), int):
            text = text[: schema["maxLength"]]
        return text

    def array(self, schema, seed, depth, plain):
        least = schema.get("minItems") or 0
        count = min(max(2, least), schema.get("maxItems") or max(2, least))
        items = []
        for at in range(least if depth > 4 else count):
            item = self.value(schema.get("items") or {}, f"{seed}/{at}", depth + 1, plain)
            if not (schema.get("uniqueItems") and item in items):
                items.append(item)
        return items

    def object(self, schema, seed, depth, plain):
        members = schema.get("properties") or {}
        required = schema.get("required") if isinstance(schema.get("required"), list) else []
        out = {}
        for name, member in members.items():
            if self.is_read_only(member):
                continue
            own = self.document.merged(member)
            if self.has_nulls and depth == 0 and self.is_nullable(own):
                out[str(name)] = None
            elif name in required or (depth < 3 and chosen(seed + str(name), 3) == 0):
                out[str(name)] = self.value(member, f"{seed}/{name}", depth + 1, plain)
        if depth < 2 and not out:
            # One that is empty says nothing.
            name = next((str(it) for it in members if not self.is_read_only(members[it])), None)
            if name is not None:
                out[name] = self.value(members[name], f"{seed}/{name}", depth + 1, plain)
        for name in required:
            if name not in members and isinstance(name, str):
                out[name] = "x"
        others = schema.get("additionalProperties")
        if not members and others is not False and depth < 4:
            is_described = isinstance(others, dict)
            out["key1"] = self.value(others, seed + "/*", depth + 1, plain) if is_described else "v"
        return out

    def is_read_only(self, schema):
        return bool(self.document.merged(schema).get("readOnly"))

    def required_alone(self, schema, value):
        """An object with nothing but what it requires; one with several forms as it is."""
        schema = self.document.merged(schema)
        if not isinstance(value, dict) or schema.get("oneOf") or schema.get("anyOf"):
            return value
        required = schema.get("required") if isinstance(schema.get("required"), list) else []
        return {name: member for name, member in value.items() if name in required}

    def is_nullable(self, schema):
        if schema.get("enum") and None not in schema["enum"]:
            return False
        if not self.document.is_json_schema:
            # Without a type the word has no effect.
            return bool(schema.get("nullable")) and "type" in schema
        forms = [*(schema.get("oneOf") or []), *(schema.get("anyOf") or [])]
        kinds = [it.get("type") for it in (schema, *map(self.document.merged, forms))]
        is_null = [kind == "null" or isinstance(kind, list) and "null" in kind for kind in kinds]
        return any(is_null[1:]) if forms else is_null[0]

    def holds_files(self, schema, media):
        """Whether a field is a file, or several; `media` is what the encoding says of it."""
        schema = self.document.merged(schema)
        if media.startswith(("audio/", "image/", "video/", "application/octet-stream")):
            items = self.document.merged(schema.get("items") or {})
            is_list = schema.get("type") == "array"
            value = items if is_list else schema
            if value.get("type", "string") == "string" and not value.get("enum"):
                return not is_list, is_list
        forms = [*(schema.get("oneOf") or []), *(schema.get("anyOf") or [])]
        for form in (schema, *map(self.document.merged, forms)):
            items = self.document.merged(form.get("items") or {})
            if is_binary(form) or form.get("type") == "file" or is_binary(items):
                return not is_binary(items), is_binary(items)
        return False, False
