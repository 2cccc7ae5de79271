"""What a training begins from: a release or a run, ImageNet's weights, or random ones.

    start = begin(classes, Recipe(), start=shipped())       # the shipped release, whatever classes it has
    start.network, start.keeps

A network that tells other categories apart gives its backbone, and what it knows of backgrounds, colours and clothing; its
category heads begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from model import releases
from model.classes import HEADS, Classes, WeightsError
from model.export import load_run
from model.network import COMMITTEE, Network, Palette, load_backbone, load_release
from model.recipe import Recipe

RELEASES: Final = Path(__file__).with_name("releases")
"""Where the program's own releases lie, whatever MODEL_DIR says."""

NONE: Final = "none"
IMAGENET: Final = "imagenet"
"""What `init` may name beside a file of weights: random ones, and torchvision's, which are fetched."""


@dataclass(frozen=True)
class Start:
    """A network to train. keeps: the heads that know their classes already, `clothing` among them.

    told: what the card says of it. learned: checksums of the photos that it has learned from, as far as that is known.
    """

    network: Network
    told: str
    keeps: tuple[str, ...] = ()
    learned: frozenset[str] = frozenset()


def shipped() -> Path:
    """The folder of the release that the program came with."""
    return RELEASES / (RELEASES / releases.CURRENT).read_text(encoding="utf-8").strip()


def begin(
    classes: Classes, recipe: Recipe, *, init: str | Path | None = None, start: Path | None = None
) -> Start:
    """A network for these classes: from `start`, a run or a release, or from `init`, or from the shipped release.

    What is new in it is drawn by the recipe's seed. Raises WeightsError, ReleaseError.
    """
    torch.manual_seed(recipe.seed)
    if init is None:
        return _from(start or shipped(), classes, recipe)
    network = Network(classes, dropout=recipe.dropout)
    if init == NONE:
        return Start(network, "random weights to begin with")
    load_backbone(network, None if init == IMAGENET else Path(init))
    told = "torchvision's IMAGENET1K_V1 weights" if init == IMAGENET else f"weights of {Path(init).name}"
    return Start(network, f"{told} to begin with")


def _from(folder: Path, classes: Classes, recipe: Recipe) -> Start:
    if (folder / "run.json").is_file():
        run = load_run(folder)
        old, before, knows, learned = run.network, run.classes, run.trained, run.learned
        told = f"the run {folder.name} to begin with"
    elif (folder / "classes.json").is_file():
        release = releases.load(folder)
        if not (folder / "weights.safetensors").is_file():
            raise WeightsError(f"The release {folder} has no weights.safetensors to go on from.")
        old, before, knows, learned = load_release(folder, release.classes), release.classes, HEADS, frozenset()
        told = f"release {release.version} to begin with"
    else:
        raise WeightsError(
            f"{folder} is neither a finished run nor a release: `python -m model list` shows the releases."
        )
    network, keeps = _for_classes(old, before, classes, recipe)
    return Start(network, told, tuple(head for head in keeps if head in (*knows, "clothing")), learned)


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
