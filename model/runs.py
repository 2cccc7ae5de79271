"""A whole training, from photos to a finished run: what is learned from, what is held out, and what that says.

    division = divide(photos, Choice())
    run = learn(Plan(photos, division, Recipe(), begin(photos.classes, Recipe())), Path("runs/first"))

Where photos are few, each is held out once: a network that has not learned from it judges it (cross-validation), and the
network that is kept learns from all. Where they are many, one fold is held out of the network that is kept.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

import in_use
from model import categories, export, strangers
from model.augment import Augmenter
from model.calibrate import calibrate
from model.classes import HEADS, Classes, DataError
from model.data import Photos, beside
from model.evaluate import chosen, judge
from model.labels import NO_CLOTHING, UNKNOWN
from model.network import Network
from model.origin import origin_of, short_name
from model.recipe import Recipe
from model.settle import settle, stays
from model.start import Start
from model.steps import load_checkpoint, save_checkpoint
from model.train import familiarise, label_sets, raw_scores, train

FEW: Final = 1000
"""Fewer photos than these are held out in turn, all of them; and by default only the categories are learned from them."""

KNOWN: Final = 0.9
"""Share of the photos that a clothing head which came with the network must take for clothing, or it learns anew."""

PROMISE: Final = 0.97
MOST: Final = 4000
"""The promised precision, and the number of held-out photos, up to which is reckoned how many it takes."""


@dataclass(frozen=True)
class Division:
    """Indices to learn from in the end, and pairs of indices: to learn from, and held out meanwhile.

    `crossed`: every photo is held out once, and learned from in the end.
    """

    learn: np.ndarray
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    crossed: bool = False

    @property
    def held_out(self) -> np.ndarray:
        """All photos that are held out at some time."""
        return np.concatenate([held_out for _, held_out in self.folds])

    def with_more(self, photos: Photos, more: np.ndarray) -> Division:
        """The same with further photos to learn from, but for those of the senders held out."""
        folds = tuple(
            (np.concatenate([learn, beside(photos, more, held_out)]), held_out)
            for learn, held_out in self.folds
        )
        end = more if self.crossed else beside(photos, more, self.held_out)
        return replace(self, learn=np.concatenate([self.learn, end]), folds=folds)

    def honest(self, photos: Photos) -> Division:
        """The same without held-out photos that are learned from as well, as another file with the same bytes."""
        folds = tuple(
            (learn, held_out[~np.isin(photos.sha256[held_out], photos.sha256[learn])])
            for learn, held_out in self.folds
        )
        return replace(self, folds=folds)


def divide(
    photos: Photos, *, folds: int = 5, fold: int | None = None, leave_out: Sequence[str] = ()
) -> Division:
    """What is held out: all photos of some sources, one fold, or, by default, each fold in turn where photos are few.

    Raises DataError.
    """
    if leave_out:
        learn, held_out = photos.leave_out(leave_out)
        return Division(learn, ((learn, held_out),))
    if fold is None and len(photos) < FEW:
        groups = len(np.unique(photos.groups()))
        pairs = tuple(photos.folds(min(folds, groups) if groups > 1 else folds))
        return Division(np.arange(len(photos)), pairs, crossed=True)
    learn, held_out = photos.fold(fold or 0, of=folds)
    return Division(learn, ((learn, held_out),))


def fold_of_each(collections: Sequence[Photos], fold: int, *, folds: int = 5) -> Division:
    """One fold of every collection, as `Photos.joined` lays them one after the other.

    Each is divided for itself: what is held out of one does not depend on what else is learned from, so a network with more
    photos is measured on those that one with fewer was measured on. Raises DataError.
    """
    learn, held_out, before = [], [], 0
    for photos in collections:
        own = photos.fold(fold, of=folds)
        learn.append(own[0] + before)
        held_out.append(own[1] + before)
        before += len(photos)
    pair = np.concatenate(learn), np.concatenate(held_out)
    return Division(pair[0], (pair,))


@dataclass
class Plan:
    """What a training is made of. teacher: a file of ResNet-50 weights. others: pictures without clothing."""

    photos: Photos
    division: Division
    recipe: Recipe
    start: Start
    teacher: Path | None = None
    others: Sequence[np.ndarray] = ()
    data: tuple[Path, ...] = ()
    progress: bool = True
    _views: np.ndarray | None = field(default=None, init=False)

    def folder(self, below: Path = Path("runs")) -> Path:
        """A folder of its own for this training: the same one for the same, so that it goes on after an interruption."""
        origin = self.origin() | {"teacher": self.teacher and in_use.checksum(self.teacher)}
        name = self.data[0].resolve().name if self.data else "photos"
        return below / f"{name}-{short_name(origin)}"

    def origin(self) -> dict[str, Any]:
        """What the result depends on, by content."""
        division = self.division
        return origin_of(self.photos, division.learn, division.held_out, self.recipe, self.start.network)

    def views(self) -> np.ndarray:
        """Features of all photos, seen once (model/categories.py)."""
        if self._views is None:
            self._views = categories.look(
                self.start.network, self.photos, self.recipe, progress=self.progress
            )
        return self._views


def learn(plan: Plan, run: Path) -> export.Run:
    """Train, score what was held out, and keep both in the folder `run`. Raises WeightsError, DataError."""
    _refuse_learned(plan)
    photos, division, recipe, start = plan.photos, plan.division, plan.recipe, plan.start
    run.mkdir(parents=True, exist_ok=True)
    if not recipe.epochs:  # nothing is gone on from, but another run is not written over
        origin = plan.origin()
        load_checkpoint(run / "checkpoint.pt", origin)
        save_checkpoint(run / "checkpoint.pt", {"origin": origin})
    parts = []
    for number, (learned, held_out) in enumerate(division.folds):
        folder = run / f"fold-{number}" if division.crossed else run
        begun = time.monotonic()
        network = _network(plan, learned, held_out, folder)
        parts.append(raw_scores(network, photos, held_out, recipe.serve_size))
        if division.crossed and plan.progress:
            left = (time.monotonic() - begun) * (len(division.folds) - number)
            print(
                f"Fold {number + 1} of {len(division.folds)} is judged; about {left / 60:.0f} minutes left."
            )
    if division.crossed:
        network = _network(plan, division.learn, np.array([], int), run)
    finished = export.Run(
        network,
        start.classes,
        export.story(recipe, photos, division.learn, begins_with=start.told, teacher=plan.teacher),
        recipe.serve_size,
        familiarise(network, photos, division.learn, recipe.serve_size),
        trained=_trained(plan),
        learned=frozenset(photos.sha256[division.learn].tolist()) | start.learned,
        data=tuple(str(folder) for folder in plan.data),
    )
    export.save_run(run, finished)
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    labels = label_sets(photos, division.held_out)
    export.save_scores(run / "held_out.npz", scores, labels, photos, division.held_out)
    return finished


def _network(plan: Plan, learned: np.ndarray, held_out: np.ndarray, run: Path) -> Network:
    """A network that has learned from some of the photos."""
    photos, recipe, start = plan.photos, plan.recipe, plan.start
    network = copy.deepcopy(start.network)
    if recipe.epochs:
        teachers = _teachers(plan, learned, held_out, run)
        network = train(
            network,
            photos,
            learned,
            held_out,
            recipe,
            run,
            keeps=start.keeps,
            teachers=teachers,
            progress=plan.progress,
        )
    else:
        categories.learn(network, plan.views(), photos, learned, recipe)
        settle(network, photos, learned, recipe, keeps=start.keeps, progress=False)
    if not _knows_clothing(plan, network, learned):
        strangers.teach(network, Augmenter(photos), learned, plan.others, recipe.serve_size)
    return network.eval()


def _teachers(plan: Plan, learned: np.ndarray, held_out: np.ndarray, run: Path) -> list[nn.Module]:
    """The teacher, having learned the same photos, and the network that is begun with where it knows the categories."""
    if not plan.teacher:
        return []
    from model import teacher

    found: list[nn.Module] = [teacher.teach(plan.photos, learned, held_out, plan.teacher, plan.recipe, run)]
    return found + ([copy.deepcopy(plan.start.network).eval()] if "sub" in plan.start.keeps else [])


def _knows_clothing(plan: Plan, network: Network, learned: np.ndarray) -> bool:
    """Whether the clothing head is fit for these photos: learned from them, or kept and taking them for clothing."""
    if plan.recipe.epochs:
        return bool((plan.photos.clothing[learned] == NO_CLOTHING).any())
    if "clothing" not in plan.start.keeps:
        return False
    some = learned[np.linspace(0, len(learned) - 1, min(len(learned), 100)).astype(int)]
    some = some[plan.photos.clothing[some] != NO_CLOTHING]
    clothing = raw_scores(network, plan.photos, some, plan.recipe.serve_size)["clothing"]
    return bool((clothing > 0).mean() >= KNOWN)


def _trained(plan: Plan) -> tuple[str, ...]:
    """The heads that answer: those with labels of two classes at least, and those that came with the network and stay."""
    learned, keeps = plan.division.learn, plan.start.keeps
    kept = set(keeps) & {"background", "colour"} if stays(plan.photos, learned, keeps) else set()
    own = {h for h in HEADS if len(set(plan.photos.labels(h)[learned].tolist()) - {UNKNOWN}) > 1}
    return tuple(head for head in HEADS if head in own | kept | {"main", "sub"})


def _refuse_learned(plan: Plan) -> None:
    """Raise DataError when the network that is begun with has learned from photos that are held out now."""
    held_out = plan.photos.sha256[plan.division.held_out]
    known = int(np.isin(held_out, list(plan.start.learned)).sum())
    if known:
        raise DataError(
            f"{known} of the {len(held_out)} held-out photos were learned from by what this training begins with "
            f"({plan.start.told}): they would say nothing. Begin with another (--start, --init), or hold out what that one "
            "held out (--fold)."
        )


def summary(run: export.Run, held_out: export.HeldOut, division: Division) -> Iterator[str]:
    """What the held-out photos say, line by line: scores, what would be filed, and how many more photos it takes."""
    share, right = _judged(run.classes, held_out)
    scores = {
        head: np.mean((given == labels)[labels != UNKNOWN])
        for head, given, labels in _given(run.classes, held_out)
        if head in ("main", "sub") and (labels != UNKNOWN).any()
    }
    way = "none of them was learned from"
    if division.crossed:
        way = f"each judged by one of {len(division.folds)} networks that had not seen it"
    told = ", ".join(f"{head} {score:.3f}" for head, score in scores.items())
    yield f"On {len(held_out.labels['sub'])} held-out photos ({way}): {told} right."
    rightly = f", {right:.1%} of these rightly" if share else ""
    yield f"At a promise of {PROMISE:g}, {share:.1%} of them would be filed without a person{rightly}."
    more = photos_needed(run.classes, held_out)
    if more:
        yield f"With about {more[0]} more photos like these it would be {more[1]:.0%}, were the network no better."
    elif share == 0:
        yield (
            "More photos to check on would not be enough for that: its surest answers are wrong too often. Photos to learn "
            "from are needed, above all of the categories it confuses (`python -m model evaluate`)."
        )


def photos_needed(classes: Classes, held_out: export.HeldOut) -> tuple[int, float] | None:
    """How many more held-out photos, such as these, it takes to file clearly more, and the share that is then filed.

    Thresholds are set by the same photos several times over, as calibration does. None where that files no more.
    """
    number, shares = len(held_out.labels["sub"]), {1: _judged(classes, held_out)[0]}
    times = 2
    while times * number <= max(MOST, 2 * number) and times <= 64:
        shares[times] = _judged(classes, _repeated(held_out, times))[0]
        times *= 2
    best = max(shares.values())
    if best < shares[1] + 0.05:
        return None
    enough = next(times for times, share in shares.items() if share >= 0.8 * best)
    return ((enough - 1) * number, shares[enough]) if enough > 1 else None


def _repeated(held_out: export.HeldOut, times: int) -> export.HeldOut:
    """The same photos several times over, each time of other groups."""
    groups = (
        held_out.groups if held_out.groups is not None else np.arange(len(held_out.labels["sub"])).astype(str)
    )
    again = [np.char.add(groups.astype(str), f"/{i}") for i in range(times)]
    rows = np.tile(np.arange(len(groups)), times)
    return replace(held_out.take(rows), groups=np.concatenate(again))


def _judged(classes: Classes, held_out: export.HeldOut) -> tuple[float, float]:
    """The share filed at PROMISE, and that of the right ones among these, by thresholds set on the same photos."""
    fitted = calibrate(classes, held_out.scores, held_out.labels, groups=held_out.groups)
    probable, filed = judge(held_out.scores, fitted, PROMISE)
    labels = held_out.labels["sub"]
    filed, known = filed & (labels != UNKNOWN), labels != UNKNOWN
    right = chosen("sub", probable, fitted) == labels
    return float(filed.sum() / max(1, known.sum())), float(right[filed].mean()) if filed.any() else 0.0


def _given(classes: Classes, held_out: export.HeldOut) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Every head's answers and labels."""
    probable, _ = judge(held_out.scores, replace(classes, thresholds={}), PROMISE)
    for head in HEADS:
        yield head, chosen(head, probable, classes), held_out.labels[head]
