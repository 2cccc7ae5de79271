"""A whole training, from photos to a finished run: what is learned from, and what is held out.

    division = divide([photos])
    run = learn(Plan(photos, division, Recipe(), begin(photos.classes, Recipe())), Path("runs/first"))

Where photos are few, each is held out once: a network that has not learned from it judges it (cross-validation), and the
network that is kept learns from all. Where they are many, one fold is held out of the network that is kept.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

import in_use
from model.network import Network
from model.serving.classes import HEADS, DataError
from model.training import categories, clothing_head, recipe_file
from model.training.augment import Augmenter
from model.training.data import Photos, beside
from model.training.held_out_scores import FILE, save_scores
from model.training.labels import NO_CLOTHING, UNKNOWN
from model.training.origin import origin_of, short_name
from model.training.palette import palette_stays, train_palette
from model.training.recipe import Recipe
from model.training.run import Run, save_run, story
from model.training.start import Start
from model.training.steps import load_checkpoint, save_checkpoint
from model.training.train import familiarise, label_sets, raw_scores, train

FEW: Final = 1000
"""Fewer photos than these are held out in turn, all of them; and by default only the categories are learned from them."""

KNOWN: Final = 0.9
"""Share of the photos that a clothing head which came with the network must take for clothing, or it learns anew."""


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
    collections: Sequence[Photos], *, folds: int = 5, fold: int | None = None, leave_out: Sequence[str] = ()
) -> Division:
    """What is held out of collections that are laid one after the other, as `Photos.joined` does.

    All photos of some sources, one fold, or, by default, each fold in turn where photos are few. Raises DataError.
    """
    if leave_out or (fold is None and sum(map(len, collections)) < FEW):
        photos = reduce(Photos.joined, collections)
        if leave_out:
            learn, held_out = photos.leave_out(leave_out)
            return Division(learn, ((learn, held_out),))
        groups = len(np.unique(photos.groups()))
        pairs = tuple(photos.folds(min(folds, groups) if groups > 1 else folds))
        return Division(np.arange(len(photos)), pairs, crossed=True)
    return _fold_of_each(collections, fold or 0, folds)


def _fold_of_each(collections: Sequence[Photos], fold: int, folds: int) -> Division:
    """One fold of every collection.

    Each is divided for itself: what is held out of one does not depend on what else is learned from, so a network with more
    photos is measured on those that one with fewer was measured on. One of few groups beside others is only learned from.
    """
    parts, before = [], 0
    for photos in collections:
        few = len(np.unique(photos.groups())) < folds and len(collections) > 1
        pair = (np.arange(len(photos)), np.array([], int)) if few else photos.fold(fold, of=folds)
        parts.append([which + before for which in pair])
        before += len(photos)
    learn, held_out = (np.concatenate(which) for which in zip(*parts, strict=True))
    return Division(learn, ((learn, held_out),))


@dataclass
class Plan:
    """What a training is made of.

    teacher: a file of ResNet-50 weights. others: pictures without clothing. command: what was typed, if anything was.
    """

    photos: Photos
    division: Division
    recipe: Recipe
    start: Start
    teacher: Path | None = None
    others: Sequence[np.ndarray] = ()
    data: tuple[Path, ...] = ()
    command: str = ""
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

    def fingerprints(self) -> dict[str, Any]:
        """What the result depends on beside the recipe; the teacher by its file, before it learns."""
        teachers = [in_use.checksum(self.teacher)] if self.teacher else []
        return {key: value for key, value in self.origin().items() if key != "recipe"} | {
            "teachers": teachers
        }

    def views(self) -> np.ndarray:
        """Features of all photos, seen once (model/training/categories.py)."""
        if self._views is None:
            self._views = categories.features_of_views(
                self.start.network, self.photos, self.recipe, progress=self.progress
            )
        return self._views


def learn(plan: Plan, run: Path) -> Run:
    """Train, score what was held out, and keep both in the folder `run`. Raises WeightsError, DataError."""
    _refuse_learned(plan)
    photos, division, recipe, start = plan.photos, plan.division, plan.recipe, plan.start
    run.mkdir(parents=True, exist_ok=True)
    if not recipe.epochs:
        # nothing is gone on from, but another run is not written over
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
    finished = Run(
        network,
        start.classes,
        story(photos, division.learn, begins_with=start.description, teacher=plan.teacher),
        recipe.serve_size,
        familiarise(network, photos, division.learn, recipe.serve_size),
        trained=_trained(plan),
        learned=frozenset(photos.sha256[division.learn].tolist()) | start.learned,
        data=tuple(str(folder) for folder in plan.data),
        record=recipe_file.record_of(recipe, plan.fingerprints(), plan.command),
    )
    save_run(run, finished)
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    labels = label_sets(photos, division.held_out)
    save_scores(run / FILE, scores, labels, photos, division.held_out)
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
        categories.train_categories(network, plan.views(), photos, learned)
        train_palette(network, photos, learned, recipe, keeps=start.keeps, progress=False)
    if not _knows_clothing(plan, network, learned):
        clothing_head.train_clothing_head(network, Augmenter(photos), learned, plan.others, recipe.serve_size)
    return network.eval()


def _teachers(plan: Plan, learned: np.ndarray, held_out: np.ndarray, run: Path) -> list[nn.Module]:
    """The teacher, having learned the same photos, and the network that is begun with where it knows the categories."""
    if not plan.teacher:
        return []
    from model.training import teacher

    found: list[nn.Module] = [
        teacher.train_teacher(plan.photos, learned, held_out, plan.teacher, plan.recipe, run)
    ]
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
    kept = set(keeps) & {"background", "colour"} if palette_stays(plan.photos, learned, keeps) else set()
    own = {h for h in HEADS if len(set(plan.photos.labels(h)[learned].tolist()) - {UNKNOWN}) > 1}
    return tuple(head for head in HEADS if head in own | kept | {"main", "sub"})


def _refuse_learned(plan: Plan) -> None:
    """Raise DataError when the network that is begun with has learned from photos that are held out now."""
    held_out = plan.photos.sha256[plan.division.held_out]
    known = int(np.isin(held_out, list(plan.start.learned)).sum())
    if known:
        raise DataError(
            f"{known} of the {len(held_out)} held-out photos were learned from by what this training begins with "
            f"({plan.start.description}): they would say nothing. Begin with another (--start, --init), or hold out what "
            "that one held out (--fold)."
        )
