"""Reads a request as OpenAPI says, over the bytes as they came, and compares it with a call.

Each difference is a kind, the place in the document that it is about, and details.
"""

import collections
import email
import email.policy
import json
import re
import urllib.parse
from typing import NamedTuple

from document import essence
from styles import as_is, decoded, is_scalar, is_text, json_of, pairs_of, take

# The program's own fields.
OURS = (
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "content-length",
    "content-type",
    "connection",
    "transfer-encoding",
    "cookie",
)


class Given(NamedTuple):
    """A parameter that a call gave, and how it is written."""

    location: str
    name: str
    value: object
    style: str
    explode: bool
    is_json: bool
    place: str

    def kind(self):
        how = "json" if self.is_json else self.style + (" exploded" if self.explode else "")
        return f"{self.location}: {how} {type(self.value).__name__}"


class Body(NamedTuple):
    """A body that a call gave."""

    media: str
    value: object
    required: bool
    place: str
    # By field: what OpenAPI's `encoding` says; style and `explode` of Swagger 2; the files.
    encoding: dict = {}
    styles: dict = {}
    files: dict = {}
    # Whether fields of multipart bodies have styles: from OpenAPI 3.1 on.
    has_styles: bool = False


def same(left, right):
    """Whether two values are the same JSON: `true` is not 1."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def short(value):
    return json.dumps(value, ensure_ascii=False, default=str)[:300]


def differences(request, operation, call, offers):
    """What a request is not that it should be."""
    method, path, place = operation.method, operation.path, operation.place
    if request.method.lower() != method:
        yield "method", place, request.method
    target, _, query = request.target.partition("?")
    path, _, fixed = path.partition("?")
    if not target.startswith("/base"):
        yield "path", place, request.target
        return
    yield from path_differences(target[len("/base") :], path, call.given, place)
    pairs = pairs_of(query)
    for pair in pairs_of(fixed):
        if pair in pairs:
            pairs.remove(pair)
        else:
            yield "query: fixed", place, f"{pair} is not in {query}"
    headers = collections.defaultdict(list)
    for name, value in request.headers:
        headers[name.lower()].append(value)
    # Objects last: their members do not take what belongs to others.
    for one in sorted(call.given, key=lambda one: isinstance(one.value, dict)):
        is_empty = one.value in ([], {})
        if one.location == "query":
            style, explode = ("json", False) if one.is_json else (one.style, one.explode)
            is_right, shown = take(pairs, one.name, one.value, style, explode)
            if one.is_json and len(shown) == 1:
                text = urllib.parse.unquote_plus(shown[0][1])
                is_right = is_scalar(text, one.value) or json_of(text) == one.value
        elif one.location == "header":
            shown = ", ".join(headers.pop(one.name.lower(), []))
            is_right = is_scalar(shown, one.value) if one.is_json else False
            is_right = is_right or is_text(
                shown, one.value, one.style, one.explode, one.name, as_is
            )
        elif one.location == "cookie":
            shown = "; ".join(headers.get("cookie", []))
            is_right = is_cookie(shown, one)
        else:
            continue
        if not is_right and not is_empty:
            yield one.kind(), one.place, f"{shown!r} is not {one.value!r}"
    if pairs:
        yield "query: not asked for", place, pairs
    yield from body_differences(call.body, request.body, headers, method, place)
    for name in OURS:
        headers.pop(name, None)
    if headers:
        yield "header: not asked for", place, dict(headers)
    accept = ", ".join(value for name, value in request.headers if name.lower() == "accept")
    if offers and not any(fits(a, b) for a in map(essence, accept.split(",")) for b in offers):
        yield "accept", place, f"{accept} for {offers}"


def path_differences(sent, path, given, place):
    pattern, names = "", []
    for piece in re.split(r"(\{[^}]*\})", path):
        if piece.startswith("{") and piece.endswith("}"):
            pattern += "([^/]*)"
            names.append(piece[1:-1])
        else:
            pattern += re.escape(urllib.parse.quote(piece, safe="/:@!$&'()*+,;=~%"))
    hit = re.fullmatch(pattern, sent)
    if not hit:
        yield "path", place, f"{sent} is no {path}"
        return
    for one in given:
        if one.location == "path" and one.name in names:
            raw = hit.group(names.index(one.name) + 1)
            if one.is_json:
                is_right = is_scalar(decoded(raw), one.value)
            else:
                is_right = is_text(raw, one.value, one.style, one.explode, one.name)
            if not is_right:
                yield one.kind(), one.place, f"{raw} is not {one.value!r}"


def is_cookie(field, one):
    """Whether a cookie has the value. The parts of an exploded value are cookies of their own."""
    cookies = [tuple((pair.split("=", 1) + [""])[:2]) for pair in field.split("; ")]
    return take(cookies, one.name, one.value, one.style, one.explode)[0]


def fits(accepted, offered):
    """Whether one media range holds the other."""
    if accepted == offered or "*/*" in (accepted, offered):
        return True
    return any(
        wide.endswith("/*") and narrow.startswith(wide[:-1])
        for wide, narrow in ((accepted, offered), (offered, accepted))
    )


def body_differences(body, raw, headers, method, place):
    declared = ", ".join(headers.get("content-type", []))
    if body is None:
        if raw:
            yield "body: not asked for", place, raw[:200]
        elif method in ("post", "put", "patch") and "content-length" not in headers:
            yield "body: no content-length", place, ""
        return
    if body.value == {}:
        if body.required and not raw:
            yield "body: required and not sent", body.place, body.media
        return
    media = essence(body.media)
    if essence(declared) != media:
        yield "body: content type", body.place, f"{declared} is not {body.media}"
    if media.endswith("json"):
        have = json_of(raw)
        if not same(have, body.value):
            shown = f"{short(have)} is not {short(body.value)}"
            yield f"body: JSON {type(body.value).__name__}", body.place, shown
    elif media == "application/x-www-form-urlencoded":
        yield from form_differences(body, raw)
    elif media.startswith("multipart/"):
        yield from multipart_differences(body, raw, declared)
    else:
        wanted = body.files.get("", body.value)
        if raw.decode("utf-8", "replace") != wanted:
            yield "body: text or bytes", body.place, f"{raw[:200]} is not {wanted!r}"


def form_differences(body, raw):
    pairs = pairs_of(raw.decode())
    for name, value in body.value.items():
        encoding = body.encoding.get(name) or {}
        style = encoding.get("style") or "form"
        explode = encoding.get("explode", style in ("form", "deepObject"))
        if name in body.styles:
            style, explode = body.styles[name]
        elif isinstance(value, dict) and not encoding:
            # An object without an encoding is JSON text.
            style, explode = "json", False
        if style == "json":
            own = [pair for pair in pairs if urllib.parse.unquote_plus(pair[0]) == name]
            is_right = len(own) == 1 and json_of(urllib.parse.unquote_plus(own[0][1])) == value
            pairs = [pair for pair in pairs if pair not in own]
        else:
            is_right, own = take(pairs, name, value, style, explode)
        if not is_right and value not in ([], {}):
            how = style + (" exploded" if explode else "")
            kind = f"body: form {how} {type(value).__name__}"
            yield kind, body.place, f"{name}: {own} is not {value!r}"
    if pairs:
        yield "body: form, not asked for", body.place, pairs


def take_parts(parts, name, value, encoding):
    """Takes the parts of a field that has a style: whether they are the value, and what was there."""
    style = encoding.get("style") or "form"
    explode = encoding.get("explode", style == "form")
    members = value if isinstance(value, dict) else {}
    if members and explode:
        have = [(key, text) for key in members for _, text in parts.pop(key, [])]
        texts = [text.decode() for _, text in have]
        return len(texts) == len(members) and all(map(is_scalar, texts, members.values())), have
    have = parts.pop(name, [])
    texts = [text.decode() for _, text in have]
    values = [part for pair in members.items() for part in pair] if members else list(value)
    if explode or not values:
        return len(texts) == len(values) and all(map(is_scalar, texts, values)), have
    delimiter = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(style, ",")
    plain = [item if isinstance(item, str) else json.dumps(item) for item in values]
    return texts == [delimiter.join(plain)], have


def multipart_differences(body, raw, declared):
    head = b"Content-Type: " + declared.encode() + b"\r\n\r\n"
    message = email.message_from_bytes(head + raw, policy=email.policy.HTTP)
    parts = collections.defaultdict(list)
    for part in message.iter_parts() if message.is_multipart() else []:
        name = part.get_param("name", header="content-disposition")
        parts[name].append((part.get_content_type(), part.get_payload(decode=True)))
    for name, value in body.value.items():
        encoding = body.encoding.get(name) or {}
        is_styled = body.has_styles and ("style" in encoding or "explode" in encoding)
        if is_styled and isinstance(value, (dict, list)) and encoding.get("style") != "deepObject":
            is_right, have = take_parts(parts, name, value, encoding)
            if not is_right:
                kind = f"body: multipart styled {type(value).__name__}"
                yield kind, body.place, f"{name}: {have} is not {value!r}"
            continue
        have = parts.pop(name, [])
        texts = [content.decode() for _, content in have]
        values = value if isinstance(value, list) else [value]
        if name in body.files:
            is_right = texts == body.files[name]
        else:
            is_right = len(texts) == len(values) and all(map(is_scalar, texts, values))
            is_right = is_right or (len(texts) == 1 and json_of(texts[0]) == value)
        if not is_right:
            kind = f"body: multipart {'file' if name in body.files else type(value).__name__}"
            yield kind, body.place, f"{name}: {have} is not {value!r}"
        wanted = encoding.get("contentType")
        if wanted and have and have[0][0] not in map(essence, wanted.split(",")):
            yield "body: type of a part", body.place, f"{name}: {have[0][0]} is not {wanted}"
    if parts:
        yield "body: multipart, not asked for", body.place, dict(parts)
