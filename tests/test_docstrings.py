"""The examples in docstrings are true; those that need photos or a server are marked as skipped there."""

import doctest
import importlib
from pathlib import Path

import pytest

from settings import ROOT

FILES = [
    *ROOT.glob("*.py"),
    *(path for package in ("api", "batch", "decoder", "model") for path in (ROOT / package).rglob("*.py")),
]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
    if ">>> " in path.read_text("utf-8")
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example writes is not to lie among somebody's own photos."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_to_be_tried() -> None:
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) > 20
