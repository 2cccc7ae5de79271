"""The lab's rooms use one another in one direction only, and no import hides inside a function to go round that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import model.lab

LAB = Path(model.lab.__file__).parent
ROOMS = ("photos", "numbers", "judging", "pages", "commands")


def rooms_used_by(room: str) -> dict[str, set[str]]:
    """Each of a room's files, and the rooms that it imports from anywhere within it."""
    return {
        str(path.relative_to(LAB)): {
            name.split(".")[2]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in imported(node)
            if name.startswith("model.lab.")
        }
        for path in sorted((LAB / room).glob("*.py"))
    }


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names] if node.module else []
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_only_itself_and_the_rooms_below_it(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    used = rooms_used_by(room)
    assert used, "the room is empty"
    for file, rooms in used.items():
        assert rooms & set(ROOMS) <= allowed, file


def test_every_file_of_the_lab_is_in_a_room() -> None:
    assert {path.name for path in LAB.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert {path.parent.name for path in LAB.glob("*/*.py")} == set(ROOMS)
