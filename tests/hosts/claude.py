"""Claude Code, headless: `claude -p`."""

import json
import pathlib
import shlex
import sys

import packages
from host import LONGEST, Host
from model import Model, SPACE, named


class Claude(Host):
    name = "Claude Code"
    version = packages.version(packages.CLAUDE)
    command = "claude"

    def settings(self, home, model):
        """The environment in which nothing but the model is asked."""
        return {
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "scripted",
            "CLAUDE_CONFIG_DIR": str(home / ".claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def play(self, play, server, person, played):
        with Model(play) as model, self.home() as home:
            configuration = home / "mcp.json"
            entry = {"type": "stdio", "command": server.command[0], "args": server.command[1:], "env": server.env}
            configuration.write_text(json.dumps({"mcpServers": {"xo": entry}}))
            if person:
                self.answer_questions(home, person)
            command = ["claude", "-p", "go", "--mcp-config", configuration, "--strict-mcp-config"]
            command += ["--allowedTools", *([named(name) for name in played.allowed or []] or [SPACE])]
            if played.denied:
                command += ["--disallowedTools", named(played.denied)]
            more = {"MCP_TOOL_TIMEOUT": str(played.patience * 1000), "MCP_TIMEOUT": str(LONGEST * 1000)}
            if not played.hides:
                # With its search the model would be offered names only.
                more["ENABLE_TOOL_SEARCH"] = "false"
            self.run(command, home, self.settings(home, model) | more, play)

    def answer_questions(self, home, person):
        """Headless it cancels questions, unless a hook answers them."""
        script = pathlib.Path(__file__).with_name("person.py")
        command = shlex.join([sys.executable, str(script), person.choice, str(person.file)])
        hooks = {"Elicitation": [{"hooks": [{"type": "command", "command": command}]}]}
        (home / ".claude").mkdir()
        (home / ".claude/settings.json").write_text(json.dumps({"hooks": hooks}))

    def ask(self, question):
        """The command for a question of a new user, who allows what the host asks about."""
        return ["claude", "-p", question, "--allowedTools", SPACE]
