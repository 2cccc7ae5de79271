"""What the training photos look like to the network, and whether a photo is like them.

    familiar = Familiar.read(release.folder / FILE)
    seen = familiar.look(features)               # float (N, 512), the network's further output
    seen.kind[0], seen.distance[0], seen.far[0]

Every photo has a sketch of 64 bytes, in which similar photos have similar numbers. A release keeps the sketches of some of
its training photos, of every class of every kind; a photo is as far from them as the fifth nearest is (Sun et al. 2022,
"Out-of-Distribution Detection with Deep Nearest Neighbors"), and photos of groups that training has not seen say how far is
too far. Of which kind a photo is (one of a shop, say) is read from its features. NumPy only: the night uses this.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

FILE: Final = "familiar.npz"
UNLIKE: Final = "unlike the photos it learned from"

NEIGHBOUR: Final = 5
"""The how manieth nearest photo says how far away a photo is: one alone may be an odd one itself."""

SKETCH_BYTES: Final = 64
SKETCH_REACH: Final = 0.25
"""Numbers in a sketch, and the value that its largest byte stands for; hardly any number is larger."""


@dataclass(frozen=True)
class Seen:
    """What is said of N photos: the kind's name, the distance, and whether that is at the edge or too far."""

    kind: np.ndarray
    distance: np.ndarray
    edge: np.ndarray
    far: np.ndarray


@dataclass(frozen=True)
class Familiar:
    """What a release's training photos look like.

    kinds: K names. weights, bias: (512, K) and (K,), which read the kind from features. middle: (512,), the mean of
    features. sketching: (512, 64), the fixed matrix that makes sketches. sketches: int8 (M, 64), of training photos.
    edge, far: (K,), distances from 0 to 2.
    """

    kinds: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    middle: np.ndarray
    sketching: np.ndarray
    sketches: np.ndarray
    edge: np.ndarray
    far: np.ndarray

    def look(self, features: np.ndarray) -> Seen:
        """Say of which kind photos are, and how far from those of training. features: float (N, 512)."""
        kind, distance = self.kind(features), self.distance(features)
        return Seen(
            kind=self.kinds.astype(object)[kind],
            distance=distance,
            edge=distance > self.edge[kind],
            far=distance > self.far[kind],
        )

    def kind(self, features: np.ndarray) -> np.ndarray:
        """The likeliest kind of each photo: int (N,)."""
        result: np.ndarray = (np.asarray(features, np.float32) @ self.weights + self.bias).argmax(1)
        return result

    def distance(self, features: np.ndarray) -> np.ndarray:
        """How far each photo is from those of training, from 0 to 2: one minus the cosine of two sketches' angle."""
        alike = _of_length_one(self.sketch(features)) @ _of_length_one(self.sketches).T
        place = min(NEIGHBOUR, len(self.sketches))
        result: np.ndarray = 1 - np.partition(alike, -place, axis=1)[:, -place]
        return result

    def sketch(self, features: np.ndarray) -> np.ndarray:
        """What photos look like, in 64 bytes each: int8 (N, 64)."""
        values = _of_length_one(np.asarray(features, np.float32) - self.middle) @ self.sketching
        result: np.ndarray = np.clip(np.rint(values * (127 / SKETCH_REACH)), -127, 127).astype(np.int8)
        return result

    def write(self, path: Path) -> None:
        """Keep it."""
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def read(path: Path) -> Familiar:
        """Read what `write` kept. Raises ValueError, KeyError or OSError when it is not that."""
        with np.load(path, allow_pickle=False) as kept:
            return Familiar(**{field.name: kept[field.name] for field in fields(Familiar)})


def _of_length_one(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    result: np.ndarray = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
    return result
