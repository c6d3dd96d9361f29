"""What is driven, and where it is installed: from npm and PyPI into target/hosts, once."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PLACE = ROOT / "target/hosts"
MODULES = PLACE / "node_modules"
PYTHON = PLACE / "python/bin/python"

CLAUDE = "@anthropic-ai/claude-code@2.1.332"
CODEX = "@openai/codex@0.171.0"
PYTHON_SDK = "mcp==2.3.0"
TYPESCRIPT_SDK = "@modelcontextprotocol/client@2.4.0"
NODE = "node@22.23.3"


def install():
    wanted = " ".join([CLAUDE, CODEX, PYTHON_SDK, TYPESCRIPT_SDK, NODE])
    installed = PLACE / "installed"
    if installed.exists() and installed.read_text() == wanted:
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    npm = ["npm", "install", "--no-audit", "--no-fund", "--prefix", PLACE]
    subprocess.run([*npm, CLAUDE, CODEX, TYPESCRIPT_SDK, NODE], check=True)
    subprocess.run([sys.executable, "-m", "venv", PYTHON.parent.parent], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, PYTHON_SDK], check=True)
    installed.write_text(wanted)


def version(package):
    """The version of a package as it is pinned above."""
    return package.replace("==", "@").rpartition("@")[2]
