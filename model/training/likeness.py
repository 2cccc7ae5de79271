"""Which photos are nearly the same: the same picture in another size or quality, or one shot after the other.

    looks = np.stack([look(pixels) for pixels in photos])
    for one, other in near_duplicates(looks):      # indices

A difference hash (16 × 16 comparisons of neighbouring greys) proposes pairs, and pixels decide: two shirts of one cut have
the same hash, and other colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 16
"""The hash compares so many pixels in so many rows with their neighbours; so many colours in a row are compared."""

HASH_BYTES: Final = SIDE * SIDE // 8

# Of 2,400 photos (thumbnails, shop, worn) saved again at four fifths of the size and quality 50, 99 % stay below both; of a
# million pairs of other photos two do, bangles and pendants that nobody can tell apart.
PROPOSED: Final = 42
"""Hashes that differ in so many of 256 bits propose a pair."""

ALIKE: Final = 8.0
"""The largest root mean square by which the colours (of 255) of nearly the same photos differ."""

ROWS_AT_ONCE: Final = 128
PAIRS_AT_ONCE: Final = 8192


def look(pixels: np.ndarray) -> np.ndarray:
    """What is compared of a photo, uint8 (N, N, 3): its hash, and its colours after that; uint8 (800,)."""
    picture = Image.fromarray(pixels)
    grey = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, np.int16)
    colours = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.uint8)
    return np.concatenate([np.packbits(values[:, 1:] > values[:, :-1]), colours.ravel()])


def near_duplicates(looks: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of photos that are nearly the same, the lower index first. looks: uint8 (N, 800)."""
    words = np.ascontiguousarray(looks[:, :HASH_BYTES]).view(np.uint64)
    colours = looks[:, HASH_BYTES:]
    for start in range(0, len(words), ROWS_AT_ONCE):
        some = words[start : start + ROWS_AT_ONCE]
        apart = np.zeros((len(some), len(words) - start), np.uint16)
        for word in range(words.shape[1]):
            apart += np.bitwise_count(some[:, None, word] ^ words[None, start:, word])
        pairs = np.argwhere(apart <= PROPOSED) + start
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            one, other = pairs[first : first + PAIRS_AT_ONCE].T
            differ = colours[one].astype(np.float32) - colours[other]
            alike = np.sqrt((differ**2).mean(1)) <= ALIKE
            yield from zip(one[alike].tolist(), other[alike].tolist(), strict=True)


def joined(number: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """The group of each of so many photos, int (number,): those that pairs join, directly or not, are in one."""
    group = list(range(number))

    def head(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for one, other in pairs:
        first, second = sorted((head(one), head(other)))
        group[second] = first
    return np.array([head(index) for index in range(number)], dtype=int)
