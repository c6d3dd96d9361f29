"""Whether an answer has the facts, and whether what changed is what should have changed."""

import datetime
import re

from .worlds import name_of

# How far apart the two words of a pair may stand.
NEAR = 200


def missing_facts(answer, text):
    """Returns what the text lacks of what a task wants, and what it should not have."""
    # 1,024 and 1 024 are 1024.
    plain = re.sub(r"(?<=\d)[,\u00a0\u202f' ](?=\d{3}(?!\d))", "", text)
    problems = []
    for pattern in answer.get("has", []):
        pattern = dated(pattern)
        if not any(re.search(pattern, it, re.I | re.S) for it in (text, plain)):
            problems.append(f"the answer lacks /{pattern}/")
    for pattern in answer.get("hasnt", []):
        pattern = dated(pattern)
        if re.search(pattern, text, re.I | re.S):
            problems.append(f"the answer has /{pattern}/")
    pairs = [(key, dated(value)) for key, value in answer.get("near", [])]
    keys = {key for key, _ in pairs}
    for key, value in pairs:
        if not any(is_near(key, value, keys, it) for it in (text, plain)):
            problems.append(f"the answer does not say {value} of {key}")
    return problems


def dated(pattern):
    """Puts the day `N` days ago in the place of `{day-N}`."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    day = lambda found: str(today - datetime.timedelta(days=int(found[1])))
    return re.sub(r"\{day-(\d+)\}", day, pattern)


def is_near(key, value, keys, text):
    """Says whether both stand together, and no other key between them."""
    between = [spans(other, text) for other in keys if other != key]
    between = [span for found in between for span in found]
    for at in spans(key, text):
        for of in spans(value, text):
            begin, end = min(at[1], of[1]), max(at[0], of[0])
            if begin <= end <= begin + NEAR:
                if not any(begin <= span[0] and span[1] <= end for span in between):
                    return True
    return False


def spans(word, text):
    """Finds a word where it is not part of a longer one; `/../` is a pattern."""
    if word.startswith("/") and word.endswith("/"):
        pattern = word[1:-1]
    else:
        after = r"(?!\d|[.,]\d)" if word[-1].isdigit() else r"(?![\w-])"
        pattern = rf"(?<![\w.-]){re.escape(word)}{after}"
    return [found.span() for found in re.finditer(pattern, text, re.I)]


class Change:
    """One object that was added, removed or changed, and the properties that differ."""

    def __init__(self, backend, collection, key, before, after):
        self.backend, self.collection, self.key = backend, collection, key
        self.before, self.after = before, after
        self.op = "add" if before is None else "remove" if after is None else "change"
        self.name = name_of(after or before)
        names = set(before or {}) | set(after or {})
        self.properties = {
            name for name in names if (before or {}).get(name) != (after or {}).get(name)
        }

    def __str__(self):
        what = f" ({', '.join(sorted(self.properties))})" if self.op == "change" else ""
        return f"{self.backend}: {self.op} {self.collection} \"{self.name}\"{what}"


def changes(backend, world, before, after):
    """Compares the objects of a world before and after."""
    found = []
    for collection, key in sorted(before.keys() | after.keys()):
        old, new = before.get((collection, key)), after.get((collection, key))
        if old == new or (old is None and collection in world.growing):
            continue
        found.append(Change(backend, collection, key, old, new))
    return found


def compare(expected, found):
    """Returns the expected changes that are not there, and the changes that nobody expects."""
    left, absent = list(found), []
    brought = set()
    for one in expected:
        fitting = [change for change in left if fits(one, change)]
        names = list(one.get("names", [one["name"]] if "name" in one else []))
        if one.get("optional"):
            left = [change for change in left if change not in fitting]
            continue
        if names:
            missing = [name for name in names if name not in [it.name for it in fitting]]
            absent += [f"{one['op']} {one['of']} \"{name}\"" for name in missing]
        count = one.get("count", len(names) or None)
        if count is not None and len(fitting) != count:
            absent.append(f"{count} times {one['op']} {one['of']}, not {len(fitting)}")
        if fitting:
            brought |= {(one["op"], collection) for collection in one.get("brings", [])}
        left = [change for change in left if change not in fitting]
    left = [change for change in left if (change.op, change.collection) not in brought]
    return absent, [str(change) for change in left]


def fits(expected, change):
    """Says whether a change is one of an expected kind, and no more than that."""
    if (expected["of"], expected["op"]) != (change.collection, change.op):
        return False
    if "backend" in expected and expected["backend"] != change.backend:
        return False
    names = expected.get("names", [expected["name"]] if "name" in expected else None)
    if names is not None and change.name not in names:
        return False
    new, old = change.after or change.before, change.before or {}
    for path, value in expected.get("set", {}).items():
        if not equals(value, follow(new, path)):
            return False
    for path, values in expected.get("adds", {}).items():
        if sorted(follow(new, path)) != sorted({*follow(old, path), *values}):
            return False
    for path, values in expected.get("takes", {}).items():
        if sorted(follow(new, path)) != sorted({*follow(old, path)} - {*values}):
            return False
    if change.op != "change":
        return True
    named = [*expected.get("set", {}), *expected.get("adds", {}), *expected.get("takes", {})]
    allowed = {path.split(".")[0] for path in named} | set(expected.get("follows", []))
    return change.properties <= allowed


def equals(wanted, value):
    """Compares with a value, or with a pattern that begins with `~`."""
    if isinstance(wanted, str) and wanted.startswith("~"):
        return re.search(wanted[1:], str(value)) is not None
    return wanted == value


def follow(value, path):
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if value is not None else ""
