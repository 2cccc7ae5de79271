"""docs/lab.ipynb runs from top to bottom on photos it draws itself, and keeps its outputs small."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

NOTEBOOK = Path(__file__).parents[2] / "docs" / "lab.ipynb"


def cells() -> list[dict[str, Any]]:
    return [
        cell
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]


def test_every_cell_runs_without_photos_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB", str(tmp_path / "none"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells()):
        result = run_cell("".join(cell["source"]), names)
        if isinstance(result, Figure):
            result.savefig(tmp_path / f"{number}.png")
    assert not names["real"]


def run_cell(source: str, names: dict[str, Any]) -> object:
    """Run a cell as a notebook does, and return the value of its last line, if that is an expression."""
    tree = ast.parse("\n".join(line for line in source.splitlines() if not line.startswith("%")))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return (
        eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        if isinstance(last, ast.Expr)
        else None
    )


def test_the_kept_outputs_are_small() -> None:
    assert NOTEBOOK.stat().st_size < 1_000_000
    assert all(cell["outputs"] for cell in cells()), "run the notebook before it is committed"
