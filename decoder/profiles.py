"""Colour profiles (ICC.1:2022): which of them cost next to nothing to look at and to apply."""

from __future__ import annotations

from typing import Final

from decoder.claims import MEGABYTE

TABLES_BYTES: Final = 100 * MEGABYTE
"""Of memory, for a profile with tables: a printer's come to some megabytes, and are kept several times."""

MAX_BYTES: Final = 1024 * 1024
"""Of a simple one; those of cameras and phones have some hundred, or some thousand."""

MAX_TAGS: Final = 100
"""What Little CMS reads of a profile."""

_WITH_TABLES = (b"A2B", b"B2A", b"D2B", b"B2D")


def is_simple(profile: bytes) -> bool:
    """Whether a profile holds matrices, curves and texts alone, as those of cameras and phones do.

    A few bytes can claim colour tables, or texts in many languages, of hundreds of megabytes, and Little CMS lays them
    out before it finds their content missing.
    """
    if len(profile) > MAX_BYTES:
        return False
    tags = min(_u32(profile, 128), MAX_TAGS)
    for at in range(132, 132 + 12 * tags, 12):
        content = _u32(profile, at + 4)
        is_text = profile[content : content + 4] == b"mluc"
        if profile[at : at + 3] in _WITH_TABLES or (
            is_text and 12 * _u32(profile, content + 8) > len(profile)
        ):
            return False
    return True


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
