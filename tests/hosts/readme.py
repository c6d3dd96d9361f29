"""The first minutes of a new user, as README has them."""

import os
import shlex
import time

import packages
from model import Model
from play import Missed

SECTION = "## In two minutes"
LIMIT = 120


def commands(host):
    """The commands of the section that are those of a host."""
    page = (packages.ROOT / "README.md").read_text()
    _, _, rest = page.partition(f"\n{SECTION}\n")
    lines = [line.strip() for line in rest.partition("\n## ")[0].splitlines() if line.startswith("    ")]
    found = [line for line in lines if line.split()[0] == host]
    if not found:
        raise Missed(f"README has no section “{SECTION.strip('# ')}” with a command of {host}")
    return found


def play(host, play, binary):
    """Types the commands; the host itself, which is a terminal's, is asked without one."""
    with Model(play) as model, host.home() as home:
        programs = home / "bin"
        programs.mkdir()
        (programs / "dadl-mcp").symlink_to(binary)
        environment = host.settings(home, model)
        path = os.pathsep.join([str(programs), str(packages.MODULES / ".bin"), os.environ["PATH"]])
        environment["PATH"] = path
        began = time.monotonic()
        for line in commands(host.command):
            words = shlex.split(line)
            is_mcp = words[1:2] == ["mcp"]
            host.run(words if is_mcp else host.ask("Which VMs are running?"), home, environment)
        took = time.monotonic() - began
        if not play.is_over:
            raise Missed("README's commands of the host do not end with the host itself")
        if took > LIMIT:
            raise Missed(f"it took {took:.0f} s")
        play.remark = f"after {took:.0f} s"
