"""OpenAPI's table of styles, over text that is not decoded yet: is this text that value?"""

import json
import urllib.parse


def decoded(text):
    return urllib.parse.unquote(text, errors="strict")


def decoded_form(text):
    return decoded(text.replace("+", " "))


def as_is(text):
    return text


def json_of(text):
    """The value of JSON text; what equals nothing where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return object()


def pairs_of(text):
    """The pairs of a query or form, names and values not decoded."""
    return [tuple((pair.split("=", 1) + [""])[:2]) for pair in text.split("&")] if text else []


def is_scalar(text, value):
    """Whether decoded text is a value that has no parts, or JSON of one that has."""
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, int):
        return text == str(value)
    if isinstance(value, float):
        try:
            return float(text) == value
        except ValueError:
            return False
    if value is None:
        return text in ("", "null")
    if isinstance(value, (list, dict)):
        return json_of(text) == value
    return text == value


def is_parts(raw, delimiter, values, decode):
    parts = raw.split(delimiter) if raw else []
    return len(parts) == len(values) and all(
        is_scalar(decode(part), value) for part, value in zip(parts, values)
    )


def is_members(raw, delimiter, members, decode):
    """Whether the text is `name=value`, `name=value`.."""
    parts = [part.partition("=") for part in raw.split(delimiter)]
    return len(parts) == len(members) and all(
        equals and decode(name) == wanted and is_scalar(decode(text), value)
        for (name, equals, text), (wanted, value) in zip(parts, members.items())
    )


def flat(members):
    return [part for pair in members.items() for part in pair]


def is_text(raw, value, style, explode, name, decode=decoded):
    """Whether one text, of a path, a field or a pair, is the value."""
    if style in ("label", "matrix"):
        lead = "." if style == "label" else ";"
        if not raw.startswith(lead):
            return False
        raw = raw[1:]
        if isinstance(value, dict) and explode:
            return is_members(raw, lead, value, decode)
        if style == "matrix":
            if isinstance(value, list) and explode:
                parts = [part.partition("=") for part in raw.split(";")]
                texts = [text for own, _, text in parts if own == name]
                return len(texts) == len(parts) == len(value) and all(
                    is_scalar(decode(text), item) for text, item in zip(texts, value)
                )
            if not raw.startswith(name + "="):
                return False
            raw = raw[len(name) + 1 :]
        delimiter = "." if style == "label" and explode else ","
    else:
        delimiters = {"spaceDelimited": "%20", "pipeDelimited": "|", "tabDelimited": "%09"}
        delimiter = delimiters.get(style, ",")
        if isinstance(value, dict) and explode:
            return is_members(raw, ",", value, decode)
    if isinstance(value, (list, dict)):
        values = flat(value) if isinstance(value, dict) else value
        # A pipe may be encoded, and a space be a plus.
        other = {"|": "%7C", "%20": "+"}.get(delimiter, delimiter)
        return any(is_parts(raw, it, values, decode) for it in {delimiter, other})
    return is_scalar(decode(raw), value)


def deep(prefix, members):
    """The names of `deepObject` and their values."""
    for name, value in members.items():
        if isinstance(value, dict):
            yield from deep(f"{prefix}[{name}]", value)
        else:
            yield f"{prefix}[{name}]", value


def take(pairs, name, value, style, explode):
    """Takes what belongs to a value out of pairs: whether it is the value, and what was there."""

    def taken(*names):
        own = [pair for pair in pairs if decoded_form(pair[0]) in names]
        for pair in own:
            pairs.remove(pair)
        return own

    def are(own, values):
        return len(own) == len(values) and all(
            is_scalar(decoded_form(text), item) for (_, text), item in zip(own, values)
        )

    if isinstance(value, dict) and (style == "deepObject" or (explode and style == "form")):
        members = deep(name, value) if style == "deepObject" else value.items()
        shown, is_right = [], True
        for member, item in members:
            is_list = isinstance(item, list)
            own = taken(member, member + "[]") if style == "deepObject" else taken(member)
            is_right &= are(own, item if is_list else [item])
            shown += own
        return is_right, shown or taken(name)
    own = taken(name)
    if explode and isinstance(value, list):
        return are(own, value), own
    if len(own) != 1:
        return False, own
    return is_text(own[0][1], value, style, explode, name, decoded_form), own
