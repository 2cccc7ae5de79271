"""A training's course: a line an epoch, TensorBoard's events, and a picture of the curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def record(run: Path, line: dict[str, Any]) -> None:
    """Add an epoch to the run's `scores.jsonl`, `events/` and `curves.png`."""
    from torch.utils.tensorboard import SummaryWriter

    with (run / "scores.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with SummaryWriter(str(run / "events")) as writer:
        for name, value in line.items():
            if name != "epoch":
                writer.add_scalar(name, value, line["epoch"])
    _draw(run)


def _draw(run: Path) -> None:
    from matplotlib.figure import Figure

    lines = [json.loads(text) for text in (run / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [line["epoch"] for line in lines]
    for name in lines[-1]:
        if name not in ("epoch", "size"):
            axis = left if name.startswith("loss/") else right
            axis.plot(epochs, [line.get(name) for line in lines], label=name.removeprefix("loss/"))
    left.set(title="loss in training", xlabel="epoch")
    right.set(title="accuracy on held-out senders", xlabel="epoch")
    for axis in (left, right):
        if axis.lines:
            axis.legend(fontsize=8)
    figure.savefig(run / "curves.png", dpi=100)
