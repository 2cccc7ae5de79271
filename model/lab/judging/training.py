"""Training a classical model on the lab's numbers, checked by cross-validation.

    facts = train(Store(out), task, ["background"], "svc", Plan(search="grid"), workers=2)

Interrupted, the same call goes on where it was; what is trained already is not trained again unless labels, numbers or
settings have changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.lab import LabError
from model.lab.judging import classical
from model.lab.judging.tasks import Task
from model.lab.numbers.features import load_features
from model.lab.photos.parallel import in_parallel
from model.lab.photos.store import Store, write_csv
from model.scoring import Scores
from replacing import replacing

LAYOUT: Final = 2
"""What a saved model looks like; a model of an earlier one is trained again."""

WHOLE: Final = -1
"""The number of the piece of work that trains on all folds together: the model that is kept."""


def chosen_models(names: str, sets: Sequence[str]) -> list[str]:
    """Return the models for `all` or a list joined by commas.

    Raises LabError for an unknown name, and where the CNN is to see anything but pictures or another model is to see
    them.
    """
    pictures = list(sets) == ["picture"]
    if names == "all":
        return (
            ["cnn"]
            if pictures
            else [name for name in classical.CLASSIFIERS if name not in ("cnn", "svc-full")]
        )
    chosen = names.split(",")
    for name in chosen:
        classical.classifier(name)
        if (name == "cnn") != pictures:
            raise LabError(
                "The model cnn and the feature set picture belong together, and go with nothing else."
            )
    return chosen


class Plan(NamedTuple):
    """How to train: which search for settings, how many folds, which seed."""

    search: classical.Search = "none"
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Data:
    """What a model is trained on: numbers (n, columns), codes (n), groups (n), and how they are cut into folds."""

    rows: npt.NDArray[np.float64]
    columns: list[str]
    codes: classical.Codes
    groups: npt.NDArray[Any]
    classes: list[str]
    cuts: list[classical.Split]
    plan: Plan

    def fingerprint(self, model: str) -> str:
        """Return a checksum of everything that the training of `model` depends on."""
        digest = hashlib.blake2b(digest_size=12)
        for part in (self.rows.tobytes(), self.codes.tobytes(), "\n".join(self.groups).encode()):
            digest.update(part)
        settings = (
            LAYOUT,
            model,
            classical.build(model, self.plan.seed),
            self.columns,
            self.classes,
            self.plan,
        )
        digest.update(repr(settings).encode())
        return digest.hexdigest()


class Piece(NamedTuple):
    """What one fold, or the training on all photos, came to."""

    number: int
    model: Any
    settings: dict[str, Any]
    seconds: float
    probabilities: classical.Probabilities
    losses: dict[str, float]
    tries: pd.DataFrame | None = None


def train(
    store: Store, task: Task, sets: Sequence[str], name: str, plan: Plan, workers: int = 1
) -> dict[str, Any]:
    """Train and check one model, unless that has been done; return its facts, which are also in facts.json.

    Raises LabError when features are missing or a class is too small for cross-validation.
    """
    task = task.among(store.files)
    data = prepare(store, task, sets, plan)
    folder = model_folder(store.folder, task.name, sets, name)
    known = trained_already(folder, data.fingerprint(name))
    if known:
        return known
    log = open_log(folder / "train.log")
    log.info(
        "%s, %s on %s: %s photos, %s numbers, %s", task.name, name, "+".join(sets), *data.rows.shape, plan
    )
    with explained(task.classes):
        pieces = folds_and_whole(folder / "folds", name, data, workers, log)
    folds, whole = [pieces[number] for number in range(len(data.cuts))], pieces[WHOLE]
    probabilities = np.zeros((len(data.codes), len(data.classes)))
    for fold, (_, places) in zip(folds, data.cuts, strict=True):
        probabilities[places] = fold.probabilities
    scores = Scores(data.codes, probabilities, data.classes, list(data.groups))
    facts = {
        "task": task.name,
        "column": task.column or task.name,
        "model": name,
        "sets": list(sets),
        "columns": data.columns,
        "classes": data.classes,
        "plan": plan._asdict(),
        "settings": {key: repr(value) for key, value in whole.settings.items()},
        "seconds": whole.seconds,
        "cross_validation": scores.summary(),
        "fingerprint": data.fingerprint(name),
    }
    write_csv(folder / "answers.csv", answers_table(task, data.classes, probabilities))
    write_csv(folder / "importance.csv", mean_losses(folds))
    (folder / "search.csv").unlink(missing_ok=True)
    if plan.search != "none":
        write_csv(folder / "search.csv", search_table(name, [whole, *folds]))
    classical.save_model(folder, whole.model, facts)
    shutil.rmtree(folder / "folds")
    log.info("cross-validation: %s", facts["cross_validation"])
    return facts


@contextlib.contextmanager
def explained(classes: Sequence[str]) -> Iterator[None]:
    """Say which class is too small to be cut into parts, in a LabError."""
    try:
        yield
    except classical.ScarceError as error:
        name = classes[error.code]
        raise LabError(
            f"The class {name!r} has only one {error.what} to learn from: cross-validation and a search need at least "
            f"two of each class. Label more, or leave it out with --drop {name!r}."
        ) from error


def model_folder(out: Path, task: str, sets: Sequence[str], model: str) -> Path:
    """Return where a model is kept."""
    return out / "models" / task / "+".join(sets) / model


def prepare(store: Store, task: Task, sets: Sequence[str], plan: Plan) -> Data:
    """Load the numbers of the task's photos and cut them into folds."""
    if not task.files:
        raise LabError("None of the labelled photos is in the extraction: do the paths in the CSV match it?")
    table = load_features(store, sets).loc[list(task.files)]
    codes = task.codes(task.classes)
    groups = np.array(task.groups, dtype=object)
    with explained(task.classes):
        cuts = classical.splits(codes, groups, plan.folds, plan.seed)
    return Data(table.to_numpy(np.float64), list(table.columns), codes, groups, task.classes, cuts, plan)


def trained_already(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the facts of a model that was trained on the very same, or None."""
    if not (folder / "facts.json").is_file():
        return None
    facts = classical.load_facts(folder)
    return facts if facts["fingerprint"] == fingerprint else None


def folds_and_whole(
    folder: Path, name: str, data: Data, workers: int, log: logging.Logger
) -> dict[int, Piece]:
    """Train on every fold and on everything, in parallel; folds done before an interruption are read from `folder`."""
    fingerprint = data.fingerprint(name)
    pieces = {
        number: piece for number in range(len(data.cuts)) if (piece := read_fold(folder, number, fingerprint))
    }
    todo = [number for number in (*range(len(data.cuts)), WHOLE) if number not in pieces]
    for piece in in_parallel(
        train_piece,
        todo,
        workers=min(workers, len(todo)),
        what=name,
        prepare=open_worker,
        prepared_with=(name, data),
    ):
        pieces[piece.number] = piece
        what = "all photos" if piece.number == WHOLE else f"fold {piece.number}"
        log.info("%s: %.1f s, %s", what, piece.seconds, piece.settings)
        if piece.number != WHOLE:
            write_fold(folder, piece, fingerprint)
    return pieces


_work: tuple[str, Data]


def open_worker(name: str, data: Data) -> None:
    """Prepare a worker process: its data, and one thread, since there is a process for each core."""
    global _work
    _work = name, data
    os.environ["OMP_NUM_THREADS"] = "1"


def train_piece(number: int) -> Piece:
    """Train on one fold's training part and answer its test part, or train on everything."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    name, data = _work
    every = np.arange(len(data.codes))
    train_places, test_places = data.cuts[number] if number != WHOLE else (every, every[:0])
    started = time.perf_counter()
    with threadpool_limits(1):
        try:
            model, tries = classical.fit(
                name,
                data.rows[train_places],
                data.codes[train_places],
                data.groups[train_places],
                data.plan.search,
                data.plan.seed,
            )
        except ValueError as error:
            # scikit-learn's own checks, of which classes that are too small for a model's inner folds are the usual
            raise LabError(
                f"{name} cannot learn from these photos: {' '.join(str(error).split())}"
            ) from error
        seconds = time.perf_counter() - started
        settings = classical.settings(model, name)
        if number == WHOLE:
            return Piece(number, model, settings, seconds, np.zeros((0, len(data.classes))), {}, tries)
        rows, codes = data.rows[test_places], data.codes[test_places]
        probabilities = classical.class_probabilities(model, rows, len(data.classes))
        losses = classical.losses_when_shuffled(model, rows, codes, data.columns)
    return Piece(number, None, settings, seconds, probabilities, losses, tries)


def write_fold(folder: Path, piece: Piece, fingerprint: str) -> None:
    """Keep a fold's result."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{piece.number}.npz") as scratch, scratch.open("wb") as stream:
        np.savez(
            stream,
            fingerprint=fingerprint,
            seconds=piece.seconds,
            probabilities=piece.probabilities,
            features=list(piece.losses),
            losses=list(piece.losses.values()),
            tries="" if piece.tries is None else piece.tries.to_csv(index=False),
        )


def read_fold(folder: Path, number: int, fingerprint: str) -> Piece | None:
    """Return a fold's result from an interrupted run of the very same training, or None."""
    path = folder / f"{number}.npz"
    if not path.is_file():
        return None
    with np.load(path) as kept:
        if str(kept["fingerprint"]) != fingerprint:
            return None
        losses = dict(zip(kept["features"].tolist(), kept["losses"].tolist(), strict=True))
        text = str(kept["tries"])
        tries = pd.read_csv(io.StringIO(text)) if text else None
        return Piece(number, None, {}, float(kept["seconds"]), kept["probabilities"], losses, tries)


def search_table(name: str, pieces: Sequence[Piece]) -> pd.DataFrame:
    """Return every try of every search: the model, which photos it learned from, settings, mean and deviation, rank."""
    tables = []
    for piece in pieces:
        if piece.tries is not None:
            photos = "all" if piece.number == WHOLE else f"without fold {piece.number}"
            table = piece.tries.copy()
            table.insert(0, "classifier", name)
            table.insert(1, "photos", photos)
            tables.append(table)
    return pd.concat(tables)


def mean_losses(folds: Sequence[Piece]) -> pd.DataFrame:
    """Return each feature's importance over the folds, most important first."""
    table = pd.DataFrame([fold.losses for fold in folds])
    figures = pd.DataFrame({"feature": table.columns, "mean": table.mean().values, "std": table.std().values})
    return figures.sort_values("mean", ascending=False)


def answers_table(task: Task, classes: Sequence[str], probabilities: classical.Probabilities) -> pd.DataFrame:
    """Return one row per photo: file, truth, guess, the guess's probability, and every class's."""
    guesses = probabilities.argmax(1)
    table = pd.DataFrame(
        {
            "file": task.files,
            "truth": task.answers,
            "guess": [classes[guess] for guess in guesses],
            "probability": probabilities.max(1),
        }
    )
    return table.join(pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes]))


def open_log(path: Path) -> logging.Logger:
    """Return a logger that appends lines with the time to `path`, and prints nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = logging.Logger(str(path), logging.INFO)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return log
