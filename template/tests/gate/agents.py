"""Runs the commands of a service's page for agents, one after another, in the service: agents.py SERVICE."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "template/tests/docs"), str(ROOT / "crates/chassis/gate")]

import app_env
from markdown import blocks, commands

# What CI runs: the page has to name them, or the gate would check less than it says.
GATE = {"make lint", "make service"}


def main(service):
    os.chdir(service)
    console = [block for block in blocks(Path("AGENTS.md").read_text()) if block.language == "console"]
    typed = [command.text for block in console for command in commands(block)]
    assert GATE <= set(typed), f"AGENTS.md lacks {GATE - set(typed)}"
    for command in typed:
        print(f"$ {command}", flush=True)
        subprocess.run(command, shell=True, env=os.environ | app_env.read(), check=True)


main(sys.argv[1])
