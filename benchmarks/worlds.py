"""What a way of choosing thresholds files, and in how many nights it keeps its promise: simulated worlds.

    python -m benchmarks.worlds

A world has the ten classes at home in their shares, each a few times as often wrong as another. Its held-out photos set a
threshold; 12,000 further photos, in 100 nights of any mixture, say what that is worth.
"""

import argparse

import numpy as np

from model.releasing import nights
from model.releasing.calibrate import keep_promises

CLASSES = np.array([48, 18, 91, 29, 100, 50, 40, 41, 23, 147])
"""Photos of each class among the held-out ones at home."""

FURTHER, NIGHTS = 12_000, 100

WAYS = {
    "five photos, twice as often wrong": (0.95, 5, 2),
    "twenty, twice": (0.95, 20, 2),
    "twenty, three times": (0.95, 20, 3),
    "fifty, twice": (0.95, 50, 2),
    "twenty, twice, 90 % of the nights": (0.9, 20, 2),
}
"""Share of the nights that is asked for, photos that are added to a class, how many times as often these are wrong."""


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, nargs="+", default=[290, 587, 1500], help="held-out photos")
    parser.add_argument("--worlds", type=int, default=25)
    parser.add_argument("--promise", type=float, default=0.97)
    chosen = parser.parse_args()
    for photos in chosen.photos:
        print(f"{photos} held-out photos{'':<22}filed  nights kept  right")
        fares = [_fares(photos, seed, chosen.promise) for seed in range(chosen.worlds)]
        for way in fares[0]:
            filed, kept, right = np.nanmean([world[way] for world in fares], axis=0)
            print(f"  {way:<38}{filed:>7.3f}{kept:>13.3f}{right:>7.3f}", flush=True)


def _fares(photos: int, seed: int, promise: float) -> dict[str, tuple[float, float, float]]:
    """What each way files in one world, the share of nights that keep the promise, and the share of right answers."""
    worse = np.random.default_rng(seed).lognormal(-0.15, 0.55, len(CLASSES))
    held_out, further = _photos(photos, worse, seed + 1000), _photos(FURTHER, worse, seed + 5000)
    drawn = nights.draw(held_out[2], np.arange(photos), np.random.default_rng(0))
    others = nights.draw(
        further[2], np.arange(FURTHER), np.random.default_rng(1), nights=NIGHTS, resampled=False
    )
    limits = {"no nights": keep_promises(*held_out[:2])[promise]}
    for way, numbers in WAYS.items():
        nights.CHOSEN, nights.PRIOR, nights.WORSE = numbers  # type: ignore[misc]
        limits[way] = keep_promises(*held_out[:2], drawn, held_out[2])[promise]
    return {way: _fare(further, others, limit, promise) for way, limit in limits.items()}


def _photos(number: int, worse: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How sure answers are, whether they are right, and the class of each photo."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(CLASSES), number, p=CLASSES / CLASSES.sum())
    unsure = np.clip(rng.beta(0.35, 2.6, number), 0, 0.9)
    return 1 - unsure, rng.random(number) >= np.clip(0.8 * worse[classes] * unsure, 0, 0.95), classes


def _fare(
    photos: tuple[np.ndarray, np.ndarray, np.ndarray], others: np.ndarray, limit: float, promise: float
) -> tuple[float, float, float]:
    sure, right, _ = photos
    filed = sure >= limit
    precision, _ = nights.fare(others, filed, right)
    some = ~np.isnan(precision)
    kept = float((precision[some] >= promise).mean()) if some.any() else 1.0
    return float(filed.mean()), kept, float(right[filed].mean()) if filed.any() else np.nan


if __name__ == "__main__":
    main()
