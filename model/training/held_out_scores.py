"""A network's scores of photos that it has not learned from, and their labels: `held_out.npz` in a run's folder.

save_scores(run / FILE, scores, labels, photos, which)
load_held_out(run / FILE, classes)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from model.serving.classes import HEADS, Classes
from model.serving.releases import ReleaseError
from model.training.data import Photos

FILE: Final = "held_out.npz"


@dataclass(frozen=True)
class HeldOutScores:
    """Scores and features of photos of groups that training had not seen, and their labels (UNKNOWN = none).

    kinds, groups, sha256: of what kind each photo is, what it must stay together with, and its file's checksum; names: the
    heads' class names. None where that was not kept.
    """

    scores: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    kinds: np.ndarray | None = None
    groups: np.ndarray | None = None
    sha256: np.ndarray | None = None
    learned: frozenset[str] | None = None
    """Checksums of what the network has learned from, where it is a release's, which does not say so."""
    names: Mapping[str, tuple[str, ...]] | None = None

    def take(self, which: np.ndarray) -> HeldOutScores:
        """The photos at these indices (or where this mask is true)."""
        return HeldOutScores(
            {name: values[which] for name, values in self.scores.items()},
            {name: values[which] for name, values in self.labels.items()},
            None if self.kinds is None else self.kinds[which],
            None if self.groups is None else self.groups[which],
            None if self.sha256 is None else self.sha256[which],
            self.learned,
            self.names,
        )


def save_scores(
    path: Path,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    photos: Photos,
    which: np.ndarray,
    *,
    learned: Sequence[str] | None = None,
) -> None:
    """Keep scores and labels of the photos at `which` for `load_held_out`.

    learned: checksums of the photos that the network itself has learned from, for a release, which does not say so.
    """
    kept = {f"score/{head}": values for head, values in scores.items()}
    kept |= {f"label/{name}": values for name, values in labels.items()}
    kept |= {
        "kinds": photos.kind[which].astype(str),
        "groups": photos.groups()[which],
        "sha256": photos.sha256[which],
    }
    kept |= {f"names/{head}": np.array(photos.classes.names(head), dtype=str) for head in HEADS}
    if learned is not None:
        kept["learned"] = np.array(learned, dtype=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **kept)


def load_held_out(path: Path, classes: Classes | None = None) -> HeldOutScores:
    """Read what `save_scores` kept. Raises ReleaseError when there is nothing, or when it is of other classes."""
    if not path.is_file():
        raise ReleaseError(
            f"{path} is missing: thresholds need photos that training has not seen, and a run keeps what it says of "
            "these there. Train again, or name another run's held_out.npz with --held-out."
        )
    try:
        with np.load(path, allow_pickle=False) as kept:
            parts = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise ReleaseError(f"{path} cannot be read ({error}): name a run's held_out.npz.") from error

    def of(kind: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(kind): values for n, values in parts.items() if n.startswith(kind)}

    held_out = HeldOutScores(
        scores=of("score/"),
        labels=of("label/"),
        kinds=parts.get("kinds"),
        groups=parts.get("groups"),
        sha256=parts.get("sha256"),
        names={head: tuple(names.tolist()) for head, names in of("names/").items()} or None,
        learned=frozenset(parts["learned"].tolist()) if "learned" in parts else None,
    )
    if classes:
        _check_names(path, held_out, classes)
    return held_out


def _check_names(path: Path, held_out: HeldOutScores, classes: Classes) -> None:
    """Raise ReleaseError when scores are those of other classes, or of fewer heads."""
    for head in HEADS:
        names = classes.names(head)
        if head not in held_out.scores or head not in held_out.labels:
            raise ReleaseError(f"{path} holds no scores of the {head} head: name a run's held_out.npz.")
        same = held_out.names is None or held_out.names.get(head) == names
        if not same or held_out.scores[head].shape[1:] != (len(names),):
            raise ReleaseError(
                f"{path} is of a run with other classes ({head}): hold photos out in a run with these categories."
            )


def of_held_out(held_out: HeldOutScores, photos: Photos) -> tuple[Photos, dict[str, np.ndarray]]:
    """Those of the photos that were held out, and their scores. Raises ReleaseError where none is among them."""
    assert held_out.sha256 is not None
    place = {checksum: i for i, checksum in enumerate(held_out.sha256.tolist())}
    which = [i for i, checksum in enumerate(photos.sha256.tolist()) if checksum in place]
    if not which:
        raise ReleaseError(
            "None of the held-out photos is in the data folders: name those that the run was made of."
        )
    rows = np.array([place[photos.sha256[i]] for i in which])
    return photos.take(np.array(which)), {name: values[rows] for name, values in held_out.scores.items()}
