"""The differences that are meant: (server, step, words of the difference, why), the first two as globs."""

REASONS = [
    (
        "*", "call *", r"^the error .* is 'the arguments of `\w+` cannot be used",
        "arguments are checked against the schema of the server before it is asked; the words are ours",
    ),
]
