"""The numbers that a training depends on, beside the photos and the initial weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from model.user_errors import UserError


def _number(default: float, meaning: str, low: float = 0.0, high: float = math.inf) -> float:
    """A field with its meaning, which the command line shows, and the smallest and largest value it may have."""
    value: float = field(default=default, metadata={"help": meaning, "low": low, "high": high})
    return value


def _count(default: int, meaning: str, low: int = 0, high: int = 10_000) -> int:
    value: int = field(default=default, metadata={"help": meaning, "low": low, "high": high})
    return value


@dataclass(frozen=True)
class Recipe:
    """Everything but data and weights; each field says what it means in its metadata."""

    epochs: int = _count(22, "epochs in all; 0 leaves the backbone as it is and learns the categories alone")
    last_epochs: int = _count(3, "epochs at the end that see photos at last_size: cheap first, exact last")
    size: int = _count(160, "side of the training photos, in pixels", 32, 1024)
    last_size: int = _count(
        192,
        "side of the training photos in the last epochs; objects then look as they do in serving",
        32,
        1024,
    )
    serve_size: int = _count(
        160,
        "side at which photos are seen in serving, each as it is and mirrored; also when colours are learned",
        32,
        224,
    )
    batch: int = _count(32, "photos a step", 2)
    rate: float = _number(
        4e-4,
        "peak learning rate of layer3; layer2 gets a quarter, layer4 and the heads five times as much",
        0,
        1,
    )
    decay: float = _number(0.02, "weight decay", 0, 10)
    dropout: float = _number(0.2, "share of features hidden from the heads", 0, 0.99)
    blend: float = _number(
        0.4, "share of photos mixed with another: their categories count in proportion (mixup, CutMix)", 0, 1
    )
    smoothing: float = _number(0.1, "label smoothing of main and sub", 0, 0.99)
    average: float = _number(
        0.995, "decay, a step, of the moving average of the weights, which is what is kept", 0, 1
    )
    even_classes: float = _number(
        0.4, "photos are drawn in proportion to (size of their class) ** -even_classes", 0, 4
    )
    even_groups: float = _number(
        0.25, "and to (photos of their group, such as a sender's) ** -even_groups", 0, 4
    )
    even_kinds: float = _number(0.4, "and to (photos of their kind) ** -even_kinds", 0, 4)
    teacher_epochs: int = _count(
        9, "epochs in which the teacher, where there is one, learns the classes; the first half in small"
    )
    teacher_rate: float = _number(
        1.5e-4,
        "peak learning rate of the teacher's layer3; layer4 gets twice as much, its answers ten times",
        0,
        1,
    )
    taught: float = _number(
        0.7, "share of main's and sub's loss that is the teachers', where there are any", 0, 1
    )
    views: int = _count(
        3, "views of each labelled photo that background and colour are learned from at the end", 1, 100
    )
    palette_epochs: int = _count(30, "passes over these views", 1)
    palette_rate: float = _number(3e-3, "peak learning rate of these passes", 0, 1)
    patience: int = _count(8, "epochs without a better held-out score after which training stops", 1)
    seed: int = _count(0, "the same seed repeats a run exactly on one machine", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        for each in fields(self):
            value, low, high = getattr(self, each.name), each.metadata["low"], each.metadata["high"]
            option = f"--{each.name.replace('_', '-')}"
            if not (low <= value <= high and math.isfinite(value)):
                raise UserError(
                    f"{option} is {value:g}; a number from {low:g} "
                    + (f"to {high:g} is meant." if high < math.inf else "on is meant.")
                )
            if each.name.endswith("size") and value % 16:
                raise UserError(f"{option} is {value}; a multiple of 16 is meant.")
