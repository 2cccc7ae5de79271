"""What the training photos look like to the network, and whether a photo is like them.

    familiar = Familiar.read(release.folder / FILE)
    seen = familiar.look(features)               # float (N, 512), the network's further output
    seen.kind[0], seen.distance[0], seen.far[0]

Training photos lie in clouds, one for each class of each kind of photo (those of a shop, say). A photo belongs to the
kind of the nearest cloud; its distance is Mahalanobis's, with one covariance for all clouds (Lee et al. 2018, "A Simple
Unified Framework for Detecting Out-of-Distribution Samples"). Photos of groups that training has not seen say how far is
too far. NumPy only: the night uses this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

FILE: Final = "familiar.npz"
UNLIKE: Final = "unlike the photos it learned from"

FAR: Final = 0.005
EDGE: Final = 0.02
"""Shares of held-out photos that lie too far away, and at the edge or beyond."""

FEWEST: Final = 8
"""A class of a kind with fewer photos makes no cloud of its own."""

SHRINKAGE: Final = 0.05
"""How much of the covariance is that of a ball of the same size: few photos say little about rare directions."""

SKETCH_BYTES: Final = 64
SKETCH_REACH: Final = 0.2
"""Numbers in a sketch, and the value that its largest byte stands for: features of length 1 stay below in 99.99 %."""


@dataclass(frozen=True)
class Seen:
    """What is said of N photos: the nearest kind's name, the distance, and whether that is at the edge or too far."""

    kind: np.ndarray
    distance: np.ndarray
    edge: np.ndarray
    far: np.ndarray


@dataclass(frozen=True)
class Familiar:
    """The clouds of a release's training photos.

    kinds: K names. whitening: (512, D), which makes distances plain. centres: (M, D), of the clouds, and `kind_of` each,
    (M,). edge, far: (K,), distances. sketching: (512, 64), see `sketch`.
    """

    kinds: tuple[str, ...]
    whitening: np.ndarray
    centres: np.ndarray
    kind_of: np.ndarray
    edge: np.ndarray
    far: np.ndarray
    sketching: np.ndarray

    def look(self, features: np.ndarray) -> Seen:
        """Say of which kind photos are, and how far from those of training. features: float (N, 512)."""
        kind, distance = self._nearest(features)
        return Seen(
            kind=np.array(self.kinds, dtype=object)[kind],
            distance=distance,
            edge=distance > self.edge[kind],
            far=distance > self.far[kind],
        )

    def sketch(self, features: np.ndarray) -> np.ndarray:
        """What photos look like, in 64 bytes each, int8 (N, 64): of similar photos, similar numbers."""
        lengths = np.linalg.norm(features, axis=1, keepdims=True) + 1e-9
        values = (features / lengths) @ self.sketching.astype(np.float32) * (127 / SKETCH_REACH)
        result: np.ndarray = np.clip(np.rint(values), -127, 127).astype(np.int8)
        return result

    def write(self, path: Path) -> None:
        """Keep it; matrices in half precision."""
        np.savez_compressed(
            path,
            kinds=np.array(self.kinds),
            whitening=self.whitening.astype(np.float16),
            centres=self.centres.astype(np.float16),
            kind_of=self.kind_of,
            edge=self.edge,
            far=self.far,
            sketching=self.sketching.astype(np.float16),
        )

    @staticmethod
    def read(path: Path) -> Familiar:
        """Read what `write` kept. Raises ValueError, KeyError or OSError when it is not that."""
        with np.load(path, allow_pickle=False) as kept:
            return Familiar(
                kinds=tuple(str(kind) for kind in kept["kinds"]),
                whitening=kept["whitening"].astype(np.float32),
                centres=kept["centres"].astype(np.float32),
                kind_of=kept["kind_of"],
                edge=kept["edge"],
                far=kept["far"],
                sketching=kept["sketching"],
            )

    def _nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The kinds of the nearest clouds, int (N,), and the distances to them, float (N,)."""
        spots = np.asarray(features, np.float32) @ self.whitening
        squares = (spots**2).sum(1)[:, None] - 2 * spots @ self.centres.T + (self.centres**2).sum(1)
        nearest = squares.argmin(1)
        return self.kind_of[nearest], np.sqrt(np.maximum(squares[np.arange(len(spots)), nearest], 0))


def fit(features: np.ndarray, kinds: np.ndarray, strata: np.ndarray) -> Familiar:
    """The clouds of training photos: features (N, 512), the kind of each, and the stratum (its class in its kind).

    Until `with_reach` has seen held-out photos, nothing is too far.
    """
    features = np.asarray(features, np.float64)
    names = tuple(sorted(set(kinds.astype(str))))
    found = [s for s in np.unique(strata) if (strata == s).sum() >= FEWEST] or list(np.unique(strata)[:1])
    centres = np.stack([features[strata == s].mean(0) for s in found])
    of = np.array([names.index(str(kinds[strata == s][0])) for s in found])
    inside = np.concatenate(
        [features[strata == s] - centre for s, centre in zip(found, centres, strict=True)]
    )
    covariance = inside.T @ inside / max(1, len(inside) - len(found))
    ball = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
    spreads, axes = np.linalg.eigh((1 - SHRINKAGE) * covariance + SHRINKAGE * ball)
    whitening = axes / np.sqrt(np.maximum(spreads, 1e-12))
    unlimited = np.full(len(names), np.inf)
    return Familiar(names, whitening, centres @ whitening, of, unlimited, unlimited, sketching())


def with_reach(familiar: Familiar, held_out: np.ndarray) -> Familiar:
    """With the distances beyond which the shares FAR and EDGE of held-out photos lie. held_out: features (N, 512)."""
    kind, distance = familiar._nearest(held_out)
    reach = {}
    for name, share in (("edge", EDGE), ("far", FAR)):
        whole = float(np.quantile(distance, 1 - share))
        own = [distance[kind == k] for k in range(len(familiar.kinds))]
        reach[name] = np.array([np.quantile(d, 1 - share) if len(d) >= 1 / share else whole for d in own])
    return Familiar(**{**vars(familiar), **reach})


def sketching(size: int = 512) -> np.ndarray:
    """The fixed matrix that makes sketches: (size, 64), directions drawn from a seed, at right angles."""
    drawn = np.random.default_rng(64).standard_normal((size, SKETCH_BYTES))
    result: np.ndarray = np.linalg.qr(drawn)[0]
    return result
