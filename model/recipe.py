"""The numbers that a training depends on, beside the photos and the initial weights."""

from __future__ import annotations

from dataclasses import dataclass, field


def _number(default: float, meaning: str) -> float:
    """A field with its meaning, which the command line shows."""
    value: float = field(default=default, metadata={"help": meaning})
    return value


def _count(default: int, meaning: str) -> int:
    value: int = field(default=default, metadata={"help": meaning})
    return value


@dataclass(frozen=True)
class Recipe:
    """Everything but data and weights; each field says what it means in its metadata."""

    epochs: int = _count(22, "epochs in all")
    last_epochs: int = _count(3, "epochs at the end that see photos at last_size: cheap first, exact last")
    size: int = _count(160, "side of the training photos, in pixels")
    last_size: int = _count(
        192, "side of the training photos in the last epochs; objects then look as they do in serving"
    )
    serve_size: int = _count(
        160,
        "side at which photos are seen in serving, each as it is and mirrored; also when colours are learned",
    )
    batch: int = _count(32, "photos a step")
    rate: float = _number(
        4e-4, "peak learning rate of layer3; layer2 gets a quarter, layer4 and the heads five times as much"
    )
    decay: float = _number(0.02, "weight decay")
    dropout: float = _number(0.2, "share of features hidden from the heads")
    blend: float = _number(
        0.4, "share of photos mixed with another: their categories count in proportion (mixup, CutMix)"
    )
    smoothing: float = _number(0.1, "label smoothing of main and sub")
    average: float = _number(
        0.995, "decay, a step, of the moving average of the weights, which is what is kept"
    )
    even_classes: float = _number(
        0.4, "photos are drawn in proportion to (size of their class) ** -even_classes"
    )
    even_groups: float = _number(0.25, "and to (photos of their group, such as a sender's) ** -even_groups")
    even_kinds: float = _number(0.4, "and to (photos of their kind) ** -even_kinds")
    teacher_epochs: int = _count(
        9, "epochs in which the teacher, where there is one, learns the classes; the first half in small"
    )
    teacher_rate: float = _number(
        1.5e-4, "peak learning rate of the teacher's layer3; layer4 gets twice as much, its answers ten times"
    )
    taught: float = _number(0.7, "share of main's and sub's loss that is the teachers', where there are any")
    views: int = _count(
        3, "views of each labelled photo that background and colour are learned from at the end"
    )
    settle_epochs: int = _count(30, "passes over these views")
    settle_rate: float = _number(3e-3, "peak learning rate of these passes")
    patience: int = _count(8, "epochs without a better held-out score after which training stops")
    seed: int = _count(0, "the same seed repeats a run exactly on one machine")
