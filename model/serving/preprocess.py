"""From a file's bytes to the pixels that the network sees.

    pixels = read_photo(path.read_bytes(), max_megapixels=80)   # uint8, (224, 224, 3), sRGB

Training, evaluation and serving all read photos with this one function, so a photo looks the same to
the network whenever it looks. The whole frame is squashed to a square: the background is evidence, so
nothing is cropped. Opening, limits, orientation and colour are the decoder's.
"""

from __future__ import annotations

from typing import Final

import numpy as np

import decoder
from decoder import CodecError, Limits, PhotoError, Plan, require_codecs

__all__ = [
    "INPUT_SIZE",
    "CodecError",
    "PhotoError",
    "pixels_of",
    "plan_photo",
    "read_photo",
    "require_codecs",
]

INPUT_SIZE: Final = 224
"""Side of the square that the network sees, in pixels."""


def read_photo(data: bytes, *, max_megapixels: float, size: int = INPUT_SIZE) -> np.ndarray:
    """The whole frame as sRGB pixels: uint8, (size, size, 3).

    Raises PhotoError for a file that is no photo we read (`unsupported`), a damaged one (`unreadable`),
    or one of more than `max_megapixels` million pixels (`too_large`), and CodecError when the fault is
    this installation's. MemoryError passes through.
    """
    return pixels_of(plan_photo(data, Limits(megapixels=max_megapixels), size))


def plan_photo(data: bytes, limits: Limits, size: int = INPUT_SIZE) -> Plan:
    """What reading a photo will take, for those who share memory; raises PhotoError as `read_photo` does."""
    return decoder.plan(data, square=size, limits=limits)


def pixels_of(plan: Plan) -> np.ndarray:
    """The pixels of a photo that was planned, as `read_photo` gives them."""
    return np.asarray(plan.picture())
