"""Tables of what was played."""

import json
import statistics

HEAD = ("task", "right", "calls", "failed", "asked", "listed", "arguments", "results", "total")


def table(played):
    """Returns a table in Markdown, and below it what went wrong."""
    rows = [
        (it.task, "yes" if it.is_right else "NO", it.calls, it.failed_calls, it.questions, it.listed,
         it.arguments, it.results, it.total)
        for it in played
    ]
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    rule = "| --- " * 2 + "| ---: " * (len(HEAD) - 2) + "|"
    middle = lambda pick: round(statistics.median(pick(it) for it in played)) if played else 0
    right = sum(it.is_right for it in played)
    wrong = sum(len(it.wrong_changes) for it in played)
    text = [f"| {' | '.join(HEAD)} |", rule, *lines, ""]
    text.append(
        f"{right} of {len(played)} right, {wrong} wrong changes, {sum(it.calls for it in played)} calls; "
        f"median tokens: {middle(lambda it: it.total)}, of these arguments and results "
        f"{middle(lambda it: it.arguments + it.results)}"
    )
    for it in played:
        for problem in [*it.problems, *(f"wrong change: {change}" for change in it.wrong_changes)]:
            text.append(f"- {it.task}: {problem}")
    return "\n".join(text)


def save(played, path):
    """Keeps everything, for `--compare` and for whoever wants to see the calls."""
    kept = [vars(it) | {"is_right": it.is_right, "total": it.total} for it in played]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1, ensure_ascii=False)


def compare(first, second):
    """Returns the tokens of two saved plays side by side, and their median ratio."""
    plays = []
    for path in (first, second):
        with open(path, encoding="utf-8") as file:
            plays.append({it["task"]: it for it in json.load(file)})
    both = [task for task in plays[0] if task in plays[1]]
    surfaces = [next(iter(it.values()))["surface"] for it in plays]
    text = [f"| task | {surfaces[0]} | {surfaces[1]} | ratio |", "| --- | ---: | ---: | ---: |"]
    ratios = []
    for task in both:
        one, two = (it[task] for it in plays)
        ratios.append(two["total"] / max(1, one["total"]))
        marks = ["" if it["is_right"] else " (wrong)" for it in (one, two)]
        text.append(f"| {task} | {one['total']}{marks[0]} | {two['total']}{marks[1]} | {ratios[-1]:.2f} |")
    if ratios:
        text.append(f"\nmedian ratio over {len(both)} tasks: {statistics.median(ratios):.2f}")
    return "\n".join(text)
