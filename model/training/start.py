"""What a training begins from: a release or a run, ImageNet's weights, or random ones.

    start = begin(classes, Recipe(), start=shipped())       # the shipped release, whatever classes it has
    start.network, start.keeps

A network that tells other categories apart gives its backbone, and what it knows of backgrounds, colours and clothing; its
category heads begin anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

import in_use
from model.network import COMMITTEE, Network, Palette, load_backbone
from model.serving.classes import Classes
from model.training.recipe import Recipe
from model.training.run import load_run

RELEASES: Final = Path(__file__).parents[1] / "releases"
"""Where the program's own releases lie, whatever MODEL_DIR says."""

NONE: Final = "none"
IMAGENET: Final = "imagenet"
"""What `init` may name beside a file of weights: random ones, and torchvision's, which are fetched."""


@dataclass(frozen=True)
class Start:
    """A network to train, and its classes, calibrated as far as it knows them.

    keeps: the heads that know their classes already, `clothing` among them. description: what the card says of it.
    learned: checksums of the photos that it has learned from, as far as that is known.
    """

    network: Network
    classes: Classes
    description: str
    keeps: tuple[str, ...] = ()
    learned: frozenset[str] = frozenset()


def shipped() -> Path:
    """The folder of the release that the program came with."""
    return RELEASES / (in_use.first_line(RELEASES / in_use.CURRENT) or "")


def begin(classes: Classes, recipe: Recipe, *, init: Path | None = None, start: Path | None = None) -> Start:
    """A network for these classes: from `start`, a run or a release, or from `init`, or from the shipped release.

    What is new in it is drawn by the recipe's seed. Raises WeightsError, ReleaseError.
    """
    torch.manual_seed(recipe.seed)
    if init is None:
        return _from(start or shipped(), classes, recipe)
    network = Network(classes, dropout=recipe.dropout)
    if str(init) == NONE:
        return Start(network, classes, "random weights to begin with")
    load_backbone(network, None if str(init) == IMAGENET else init)
    description = (
        "torchvision's IMAGENET1K_V1 weights" if str(init) == IMAGENET else f"weights of {init.name}"
    )
    return Start(network, classes, f"{description} to begin with")


def _from(folder: Path, classes: Classes, recipe: Recipe) -> Start:
    run = load_run(folder)
    what = f"release {run.release.version}" if run.release else f"the run {folder.name}"
    network, keeps = _for_classes(run.network, run.classes, classes, recipe)
    keeps = tuple(head for head in keeps if head in (*run.trained, "clothing"))
    classes = _calibrated(classes, run.classes, keeps)
    return Start(network, classes, f"{what} to begin with", keeps, run.learned or frozenset())


def _calibrated(classes: Classes, before: Classes, keeps: Collection[str]) -> Classes:
    """The classes with the temperatures, offsets and doubts of the heads that stay."""

    def kept(table: Mapping[str, float]) -> dict[str, float]:
        return {head: value for head, value in table.items() if head in keeps}

    return replace(
        classes,
        temperatures={**classes.temperatures, **kept(before.temperatures)},
        offsets=kept(before.offsets),
        doubts=kept(before.doubts),
    )


def _for_classes(
    old: Network, before: Classes, classes: Classes, recipe: Recipe
) -> tuple[Network, tuple[str, ...]]:
    """The network for other classes, and the heads that keep what they know. Rows of a head go with their class's name."""
    network = Network(classes, dropout=recipe.dropout)
    tints = old.palette.tint is not None
    network.palette = Palette(classes, tints=tints)
    same = dict(classes.main_of) == dict(before.main_of)
    weights, theirs = network.state_dict(), old.state_dict()
    last = tuple(f"palette.members.{i}.4." for i in range(COMMITTEE))
    outputs = [*before.backgrounds, *before.colours], [*classes.backgrounds, *classes.colours]
    for name, value in theirs.items():
        head = name.partition(".")[0]
        if head in ("main", "sub"):
            if same:
                weights[name] = _rows(value, before.names(head), classes.names(head), weights[name])
        elif head == "palette" and name.startswith(last):
            weights[name] = _rows(value, outputs[0], outputs[1], weights[name])
        else:
            weights[name] = value
    network.load_state_dict(weights)
    keeps = ["background", "clothing"]
    keeps += ["colour"] if set(classes.colours) <= set(before.colours) else []
    keeps += ["main", "sub"] if same else []
    return network, tuple(keeps)


def _rows(old: Tensor, before: Sequence[str], names: Sequence[str], new: Tensor) -> Tensor:
    """The rows of `old`, one a class, in the order of `names`; those of `new` where there is no such class."""
    return torch.stack([old[before.index(n)] if n in before else new[i] for i, n in enumerate(names)])
