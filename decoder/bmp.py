"""BMP (Windows bitmap, versions 2 to 5)."""

from __future__ import annotations

from typing import Final

from decoder.claims import MEGABYTE, Claims
from decoder.errors import CUT_OFF, PhotoError, damaged

BYTES_A_PIXEL: Final = 10
_RUN_LENGTHS = (1, 2)


def look(data: bytes) -> Claims:
    """The claims of a BMP. Run lengths are unpacked by Pillow in Python, at a speed that depends on what they hold."""
    if len(data) < 34:
        raise PhotoError("unreadable", CUT_OFF)
    if _number(data, 14, 4) == 12:
        width, height, bits, packing = _number(data, 18, 2), _number(data, 20, 2), _number(data, 24, 2), 0
    else:
        width, height, bits, packing = (
            _number(data, at, size) for at, size in ((18, 4), (22, 4), (28, 2), (30, 4))
        )
        height = min(height, 2**32 - height)  # stored from above where it is negative
    if not width or not height:
        raise damaged("it has no width or no height")
    if packing not in _RUN_LENGTHS and width * height * bits > 8 * len(data):
        raise PhotoError("unreadable", CUT_OFF)
    return Claims(
        "BMP",
        width,
        height,
        memory=2 * len(data) + width * height * BYTES_A_PIXEL + 8 * MEGABYTE,
        parts=(data,),
        apart=packing in _RUN_LENGTHS,
    )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
