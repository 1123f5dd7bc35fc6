"""Every `hitl ...` that the documents show is a command that exists, with options that it has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from feedback.cli import app

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / ".github").glob("*.md"))]


def shown(page: Path) -> list[str]:
    """The command lines of a page: in code spans, and at the start of lines in code blocks, fenced or indented."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`(hitl [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("hitl ")]
    indented = re.findall(r"^    (hitl .+)", text, re.MULTILINE)
    return [" ".join(row.split()) for row in [*spans, *lines, *indented]]


def wrong(line: str) -> str:
    """What is wrong with a command line; "" where nothing is."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line.split(" #")[0].rstrip(" &"))[1:]
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            return f"{line}: no command {words[0]}"
        command = command.commands[words.pop(0)]
    options = {name for row in command.params for name in (*row.opts, *row.secondary_opts)} | {"--help", "-h"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"{line}: no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_exist(page: Path):
    assert [row for line in shown(page) if (row := wrong(line))] == []


def test_a_documented_command_that_does_not_exist_is_found():
    assert wrong("hitl status 12 --jason") == "hitl status 12 --jason: no option --jason"
    assert wrong("hitl stats") == "hitl stats: no command stats"
    assert len(shown(ROOT / "README.md")) > 15
    assert "hitl policy history 12 # all policies that were active, by hash" in shown(ROOT / "docs" / "policy.md")
