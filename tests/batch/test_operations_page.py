"""docs/operations.md has what the program says: no warning, error or refusal without a line there."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.__main__ import main
from batch.commands import commands
from command_line import Command
from settings import ROOT
from tests.docs.typed import can_be_typed

PAGE = re.sub(r"\s+", " ", (ROOT / "docs" / "operations.md").read_text("utf-8")).lower()
SOURCES = [*sorted((ROOT / "batch").rglob("*.py")), ROOT / "settings.py", ROOT / "api" / "__main__.py"]
NOT_FOR_PEOPLE = {"doctor.py", "drawings.py", "garments.py", "charts.py", "rename.py"}
"""Doctor's lines tell what to do themselves; the others say nothing."""

INTERNAL = {
    "TypeError",
    "ValueError",
    "OSError",
    "KeyError",
    "click.UsageError",
    "sqlite3.DatabaseError",
}
"""Caught and put into other words, or the help of an option."""


def messages() -> Iterator[tuple[str, str]]:
    """Where and what: every text that is logged as a warning or worse, or raised as one of our errors."""
    for path in SOURCES:
        if path.name in NOT_FOR_PEOPLE:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and _speaks(ast.unparse(node.func)):
                text = _template(node.args[0])
                if text:
                    yield f"{path.name}:{node.lineno}", text


def _speaks(function: str) -> bool:
    if function in ("log.warning", "log.error", "log.critical"):
        return True
    return function.endswith("Error") and function not in INTERNAL


def _template(argument: ast.expr) -> str:
    """The text with `…` for what differs."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return re.sub(r"%[sdg]", "…", argument.value)
    if isinstance(argument, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in argument.values)
    return ""


def test_there_are_messages_to_look_for() -> None:
    assert len(list(messages())) > 40


@pytest.mark.parametrize(("place", "text"), [pytest.param(*found, id=found[0]) for found in messages()])
def test_every_message_has_its_line(place: str, text: str) -> None:
    words = [part for part in re.split(r"…|\n|; |\. |: ", text) if len(part.strip(" .;:,()`'")) >= 8]
    if not words:
        return  # nothing but what differs
    assert any(part.strip(" .;:,()`'").lower() in PAGE for part in words), f"{place} says: {text}"


def test_no_link_of_the_page_leads_nowhere() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
    for name in re.findall(r"`((?:deploy|docs)/[\w./-]+)`", page):
        assert (ROOT / name).exists(), name
    assert Path(ROOT / "crontab.example").exists()


def commands_shown() -> set[str]:
    """Every `python -m batch …` in the page, the README, the examples and the help of the commands."""
    texts = [
        (ROOT / name).read_text("utf-8") for name in ("docs/operations.md", "crontab.example", ".env.example")
    ]
    texts += [path.read_text("utf-8") for path in (ROOT / "deploy").rglob("*.*")]
    texts += [command.help or "" for command in commands.commands.values()]
    found = re.findall(r"python -m batch ([a-z][^`#\n|;]*?)(?:[`#\n|;]|&&|$)", "\n".join(texts))
    return {shown.strip() for shown in found}


def test_there_are_commands_to_try() -> None:
    assert len(commands_shown()) > 20


@pytest.mark.parametrize("shown", sorted(commands_shown()))
def test_every_command_that_is_shown_can_be_typed(shown: str) -> None:
    can_be_typed(commands, shlex.split(shown.split(" > ")[0].split(" --help")[0].rstrip(").")))


@pytest.mark.parametrize("command", commands.commands.values(), ids=lambda command: command.name)
def test_the_help_of_each_command_ends_with_exit_codes_of_its_own(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(command.name), "--help"]) == 0
    _, _, codes = capsys.readouterr().out.partition("\nExit codes:\n")
    told = dict(line.strip().split(maxsplit=1) for line in codes.replace(", 143", "").strip().splitlines())
    assert list(told) == [str(code).removesuffix(", 143") for code in command.exit_codes]
    assert {"0", "2"} <= told.keys()
    if command.name not in ("run", "sweep", "demo"):
        assert "3" not in told
        assert not re.search("photo|night|sorted", codes), "these are the night's"
