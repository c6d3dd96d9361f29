"""Other servers of HTTP APIs that registries have: what is compared, and where it is installed, once."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Callable, NamedTuple

from client import DOCUMENTED

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACE = ROOT / "target/peers"
NPM = ["@xen-orchestra/mcp@1.4.2", "@ivotoby/openapi-mcp-server@1.16.1"]
PYPI = ["fastmcp==4.2.3"]
CRATES = ["rmcp-openapi-server@0.32.1"]
# As many operations as the descriptor of Xen Orchestra has tools.
OPERATIONS = 263
ID = "770aa52a-fd42-8faf-f167-8c5c00000000"
FASTMCP = """
import json, sys, httpx2
from fastmcp import FastMCP
client = httpx2.AsyncClient(base_url=sys.argv[2])
FastMCP.from_openapi(json.load(open(sys.argv[1])), client=client, name="table").run(show_banner=False)
"""
# The names of two are tools; the others are found by its two tools of its own.
TOOLMESH_BACKENDS = """
backends:
  - {{ name: machines, transport: rest, dadl: machines.dadl, url: "{url}", expose_tools: [get_vm, list_vms] }}
"""
TOOLMESH_DESCRIPTOR = """
spec: https://dadl.ai/spec/dadl-spec-v0.1.md
backend:
  name: machines
  type: rest
  description: Machines
  base_url: http://127.0.0.1
  auth: { type: bearer, credential: machines }
  tools:
    list_vms: { method: GET, path: /vms, access: read, description: Returns all machines. }
    get_vm: { method: GET, path: "/vms/{id}", access: read, description: Returns a machine, params: { id: { type: string, in: path, required: true } } }
"""


class Peer(NamedTuple):
    name: str
    # Of the file of the document, the URL of the API and a port: the command and its variables.
    command: Callable
    # A tool and arguments, for one machine and for all of them.
    one: tuple
    large: tuple
    # Where it is on its port; none on stdio.
    path: str = None
    port: int = None
    # What more there is in the head of each request.
    head: bytes = b""


def document(url):
    """An OpenAPI document of an API with a list of machines, a machine, and others of their kind."""
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": {}}}}}

    def operation(name, parameters):
        about = f"Returns {name.replace('_', ' ')} with all that is known about it."
        return {"get": {
            "operationId": name, "summary": about, "parameters": parameters, "responses": answer,
            # Without this @xen-orchestra/mcp shows none.
            "x-mcp-exposure": "allow",
        }}

    def parameter(name, place):
        return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}

    identified = [parameter("id", "path"), parameter("fields", "query"), parameter("filter", "query")]
    paths = {"/vms": operation("list_vms", identified[1:]), "/vms/{id}": operation("get_vm", identified)}
    for number in range(OPERATIONS - 2):
        path = f"/kind_{number % 40}/{{id}}/part_{number}"
        paths[path] = operation(f"get_part_{number}", identified)
    about = {"title": "Machines", "version": "1"}
    return json.dumps({"openapi": "3.0.3", "info": about, "servers": [{"url": url}], "paths": paths})


def once(what, wanted, install):
    note = PLACE / f"installed-{what}"
    if note.exists() and note.read_text() == str(wanted):
        return True
    PLACE.mkdir(parents=True, exist_ok=True)
    try:
        install()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{what}: not installed, not measured: {error}", file=sys.stderr)
        return False
    note.write_text(str(wanted))
    return True


def npm():
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", PLACE]
    subprocess.run([*command, *NPM], check=True)


def pypi():
    subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE / "python"], check=True)
    pip = [PLACE / "python/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PYPI], check=True)


def crates():
    command = ["cargo", "install", "--quiet", "--locked", "--root", PLACE / "rust"]
    # Not among the settings of this project.
    subprocess.run([*command, *CRATES], check=True, cwd=PLACE)


def node():
    """What registries have for Node."""
    modules = PLACE / "node_modules"
    xo = [shutil.which("node"), modules / "@xen-orchestra/mcp/bin/xo-mcp.mjs"]
    ivotoby = [shutil.which("node"), modules / "@ivotoby/openapi-mcp-server/bin/mcp-server.js"]

    def of_xo(_, url, __):
        return xo, {"XO_URL": url.replace("/rest/v0", DOCUMENTED.decode()), "XO_TOKEN": "a-token"}

    def of_ivotoby(document, url, _):
        return [*ivotoby, "--api-base-url", url, "--openapi-spec", document, "--verbose", "false"], {}

    asked = {"operation": "get_vm", "id": ID, "fields": "*"}
    yield Peer(
        NPM[0].replace("mcp@", "mcp "), of_xo, ("vms_query", asked),
        ("vms_query", {"operation": "list_vms", "fields": "*"}),
    )
    yield Peer(NPM[1].replace("server@", "server "), of_ivotoby, ("get-vm", {"id": ID}), ("lst-vms", {}))


def of_fastmcp(document, url, _):
    return [PLACE / "python/bin/python", "-c", FASTMCP, document, url], {}


def of_rmcp_openapi(document, url, port):
    program = PLACE / "rust/bin/rmcp-openapi-server"
    return [program, document, "--base-url", url, "--bind-address", "127.0.0.1", "--port", str(port)], {}


def installed():
    """Those that could be installed."""
    if shutil.which("npm") and once("npm", NPM, npm):
        yield from node()
    if once("pypi", PYPI, pypi):
        yield Peer(PYPI[0].replace("fastmcp==", "FastMCP "), of_fastmcp, ("get_vm", {"id": ID}), ("list_vms", {}))
    if once("crates", CRATES, crates):
        yield Peer(
            CRATES[0].replace("@", " "), of_rmcp_openapi, ("get_vm", {"id": ID}), ("list_vms", {}), path="/mcp",
        )


def toolmesh(program, folder):
    """ToolMesh with as many tools. Its port is always this one, and its door is on every address."""
    for name in ("data", "policies", "tools"):
        (folder / name).mkdir()
    part = "    get_part_{0}: {{ method: GET, path: /parts/{0}, access: read, description: Returns part {0}. }}\n"
    text = TOOLMESH_DESCRIPTOR + "".join(part.format(number) for number in range(OPERATIONS - 2))
    (folder / "machines.dadl").write_text(text)

    def command(_, url, __):
        (folder / "toolmesh.yaml").write_text(TOOLMESH_BACKENDS.format(url=url))
        return [program], {
            "TOOLMESH_API_KEY": "a-key-of-the-benchmark", "TOOLMESH_BACKENDS_CONFIG": str(folder / "toolmesh.yaml"),
            "TOOLMESH_DADL_DIR": str(folder), "TOOLMESH_DATA_DIR": str(folder / "data"),
            "TOOLMESH_POLICIES_DIR": str(folder / "policies"), "TOOLMESH_TOOLS_DIR": str(folder / "tools"),
            "TOOLMESH_METRICS_ENABLED": "false", "DO_NOT_SEND_ANONYMOUS_STATISTICS": "yes", "LOG_LEVEL": "error",
            "REDIS_URL": "none", "CREDENTIAL_MACHINES": "a-token",
        }

    yield Peer(
        "ToolMesh", command, ("get_vm", {"id": ID}), ("list_vms", {}), path="/mcp", port=8080,
        head=b"Authorization: Bearer a-key-of-the-benchmark\r\n",
    )
