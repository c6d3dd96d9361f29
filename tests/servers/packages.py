"""What is compared, and where it is installed: from npm, PyPI and the Go module proxy into target/servers, once."""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACE = ROOT / "target/servers"
MODULES = PLACE / "node_modules"
NODE = MODULES / "node/bin/node"

NPM = {
    "everything": "@modelcontextprotocol/server-everything@2026.8.31",
    "filesystem": "@modelcontextprotocol/server-filesystem@2026.8.31",
    "memory": "@modelcontextprotocol/server-memory@2026.8.31",
    "thinking": "@modelcontextprotocol/server-sequential-thinking@2026.8.31",
    "board": "@modelcontextprotocol/server@2.4.0",
}
BESIDES = ["@modelcontextprotocol/node@2.1.2", "zod@4.4.3", "node@22.23.3"]
# Each has a Python of its own: they want different versions of the SDK.
PYPI = {
    "git": ["mcp-server-git==2026.10.19"],
    "fetch": ["mcp-server-fetch==2026.10.24"],
    "time": ["mcp-server-time==2026.10.19"],
    "sqlite": ["mcp-server-sqlite==2025.4.25", "mcp==1.30.0"],
    "notes": ["fastmcp==4.1.6"],
}
GO = {
    "go-sdk": "github.com/modelcontextprotocol/go-sdk/examples/server/everything@v1.8.0",
    "mcp-go": "github.com/mark3labs/mcp-go/examples/everything@v1.2.1",
}


def install():
    """Installs what is missing."""
    install_npm()
    pypi(PYPI)
    if shutil.which("go"):
        go_proxy(GO)


def install_npm():
    npm([*NPM.values(), *BESIDES])


def once(install):
    """Installs what is wanted unless that was done."""
    def installed(*wanted):
        note = PLACE / f"installed-{install.__name__}"
        if note.exists() and note.read_text() == str(wanted):
            return
        PLACE.mkdir(parents=True, exist_ok=True)
        install(*wanted)
        note.write_text(str(wanted))

    return installed


@once
def npm(wanted):
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", PLACE]
    subprocess.run([*command, *wanted], check=True)


@once
def pypi(wanted):
    for name, packages in wanted.items():
        subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE / "python" / name], check=True)
        pip = [python(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)


@once
def go_proxy(wanted):
    for name, package in wanted.items():
        environment = {**os.environ, "GOBIN": str(PLACE / "go" / name)}
        subprocess.run(["go", "install", package], check=True, env=environment)


def python(name):
    return PLACE / "python" / name / "bin/python"


def program(name, command):
    """A command that a package of PyPI brings."""
    return python(name).parent / command


def module(name):
    """The program of a package of npm."""
    folder = NPM[name].rpartition("@")[0]
    return [NODE, MODULES / folder / "dist/index.js"]


def go(name):
    """The program of a package of Go; none where there is no Go."""
    program = PLACE / "go" / name / "everything"
    return [program] if program.exists() else None


def version(name):
    """The version of a package as it is pinned above."""
    package = NPM.get(name) or GO.get(name) or PYPI[name][0]
    return package.replace("==", "@").rpartition("@")[2].removeprefix("v")
