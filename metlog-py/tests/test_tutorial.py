"""Runs docs/python/tutorial.md: its files are written, its commands run in order, against real daemons.

A block's first line names its language, and a file if it is one. In a ``console`` block a line that begins
with ``$`` is a command, those below are what it says, with ``...`` for anything.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sidecar import PATIENCE

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "python" / "tutorial.md"
PROGRAMS = (Path(sys.executable).parent, ROOT / "target" / "debug")

BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Commands that only ask: what is not yet so is asked again.
ASKING = ("grep ", "metlog-grater audit ", "python -m metlog doctor")

# What a command says comes after it in one piece, ended by its code.
END = "end of the command, code "


class Shell:
    """One shell for all commands, as a reader has."""

    def __init__(self, folder):
        path = os.pathsep.join([*map(str, PROGRAMS), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("METLOG_")}
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env={**kept, "PATH": path, "COLUMNS": "200"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def says(self, command):
        # In a line of its own, so that a command in the background may end in an ampersand.
        self._shell.stdin.write(f'{command}\necho "{END}$?"\n')
        self._shell.stdin.flush()
        said = []
        for line in self._shell.stdout:
            if line.startswith(END):
                break
            said.append(line)
        return "".join(said)

    def close(self):
        self._shell.stdin.write("kill $(jobs -p)\nwait\n")
        self._shell.communicate(timeout=30)


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_the_tutorial_does_what_it_says(shell, tmp_path):
    blocks = BLOCK.findall(TUTORIAL.read_text("utf-8"))
    assert len(blocks) > 9
    for language, file, text in blocks:
        if file:
            (tmp_path / file).write_text(text)
        elif language == "console":
            for command, expected in commands(text):
                check(shell, command, expected)


def commands(text):
    """Give each command of a block, and what it is to say."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def check(shell, command, expected):
    pattern = re.compile(re.escape(expected.rstrip("\n")).replace(r"\.\.\.", ".*"), re.DOTALL)
    deadline = time.monotonic() + (PATIENCE if command.startswith(ASKING) else 0)
    while True:
        said = shell.says(command).rstrip("\n")
        if not expected or pattern.fullmatch(said):
            return
        if time.monotonic() > deadline:
            pytest.fail(f"$ {command}\nexpected:\n{expected}\nsaid:\n{said}")
        time.sleep(0.05)


@pytest.mark.parametrize("page", sorted(TUTORIAL.parent.glob("*.md")), ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_index_names_every_page():
    index = (TUTORIAL.parent / "README.md").read_text("utf-8")
    missing = [page.name for page in TUTORIAL.parent.glob("*.md") if f"({page.name})" not in index]
    assert missing == ["README.md"]
