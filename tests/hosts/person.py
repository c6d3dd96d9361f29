"""The person at a host, who is asked before a dangerous call.

    person.py CHOICE FILE       answers the question on standard input, as Claude Code's hook
"""

import json
import sys

CHOICES = ("yes", "unticked", "no")


class Person:
    """Answers each question by one choice, and notes it in a file."""

    def __init__(self, choice, file):
        self.choice, self.file = choice, file

    def answer(self, message, schema):
        """The action and the content of an answer to a form."""
        with open(self.file, "a") as file:
            file.write(json.dumps({"message": message, "schema": schema}) + "\n")
        if self.choice == "no":
            return {"action": "decline"}
        boxes = [name for name, field in schema["properties"].items() if field.get("type") == "boolean"]
        return {"action": "accept", "content": {name: True for name in boxes if self.choice == "yes"}}

    def asked(self):
        """The questions so far."""
        try:
            with open(self.file) as file:
                return [json.loads(line)["message"] for line in file]
        except FileNotFoundError:
            return []


if __name__ == "__main__":
    question = json.load(sys.stdin)
    answer = Person(*sys.argv[1:]).answer(question["message"], question["requested_schema"])
    print(json.dumps({"hookSpecificOutput": {"hookEventName": "Elicitation", **answer}}))
