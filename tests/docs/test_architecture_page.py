"""docs/architecture.md: every path, link and name on it exists. Its rules on imports are `lint-imports`'s to check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from settings import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PAGE = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
PLACES = dict(re.findall(r"^\[([^\]]+)\]: \.\./(\S+)$", PAGE, re.MULTILINE))
PROSE = re.sub(r"^\[[^\]]+\]: .*$", "", PAGE, flags=re.MULTILINE)
NAMED = re.findall(r"`(\w+)`(?: in| of \w+ in|, raised in) \[([^\]]+)\](?!\()", PROSE)
CONTENTS = ("data/", "logs/", "runs/")
"""Folders that git ignores."""


def test_every_word_in_brackets_has_its_place_and_every_place_its_word() -> None:
    words = set(re.findall(r"\[([^\]]+)\](?!\()", PROSE))
    assert words == set(PLACES)


@pytest.mark.parametrize(("word", "place"), PLACES.items())
def test_every_place_exists(word: str, place: str) -> None:
    assert (ROOT / place).exists()


def test_every_path_in_the_text_exists() -> None:
    paths = re.findall(r"`(\.?[\w-]+(?:/[\w.-]+)*(?:/|\.(?:py|sh|bat|txt|md|json|example)))`", PROSE)
    paths += re.findall(r"`(\w+(?:/\w+)+)`", PROSE)
    assert len(paths) > 5
    assert [path for path in paths if path not in CONTENTS and not (ROOT / path).exists()] == []


def test_there_are_names_to_look_for() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize(("name", "word"), NAMED)
def test_every_name_is_defined_where_the_page_says(name: str, word: str) -> None:
    place = ROOT / PLACES[word]
    files = place.parent.glob("*.py") if place.name == "__init__.py" else [place]
    assert any(name in defined(file) for file in files)


def defined(file: Path) -> set[str]:
    """What a module defines at its top."""
    names = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_what_stands_beside_the_packages_knows_none_of_them() -> None:
    packages = {"api", "batch", "decoder", "model"}
    for file in ROOT.glob("*.py"):
        names = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            for name in imported(node)
        }
        assert not names & packages, file.name


def test_the_server_starts_without_pytorch() -> None:
    code = "import sys, api.serve, model.serving.predictor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
