"""The differences that are meant: (server, step, words of the difference, why), the first two as globs."""

REASONS = [
    (
        "*", "call *", r"^the error .* is 'the arguments of `\w+` cannot be used",
        "arguments are checked against the schema of the server before it is asked; the words are ours",
    ),
    (
        "*", "list prompt *", r"^the description is 'From the MCP server of backend \"\w",
        "a person picks a prompt, and has to see which server wrote it",
    ),
    (
        "*", "prompt *", r"^`description`: From the MCP server of backend \"\w",
        "as before; where the server says nothing of a prompt that is got, what it listed stands there",
    ),
    (
        "*", "call *", r"^there are 1 items of content instead of 0: .*done, without content",
        "providers of models refuse a result without content",
    ),
    (
        "everything", "call get-env", r"^item 0 of the content: `text`: \{",
        "a server that dadl-mcp starts gets a few variables of its environment, and what `env` says",
    ),
    (
        "everything", "call simulate-research-query", r"^succeeds: ",
        "the server wants it called as a task, which this client does not do and dadl-mcp does",
    ),
    (
        "go-sdk", "question, *: asked", r"^the fields are ",
        "the server ends when a person says no; behind dadl-mcp it is started again, and asks the next time",
    ),
    (
        "demo", "call *", r"^`structuredContent`: `_note` is null instead of ",
        "`_note` is what dadl-mcp says itself of a result, so that an object of a server that has one is below `result`",
    ),
]
