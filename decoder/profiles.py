"""Colour profiles (ICC.1:2022): which of them cost nothing to apply."""

from __future__ import annotations

from typing import Final

from decoder.claims import MEGABYTE

TABLES_BYTES: Final = 100 * MEGABYTE
"""Of memory, for a profile with tables: a printer's come to some megabytes, and are kept several times."""

MAX_TAGS: Final = 100
_WITH_TABLES = (b"A2B", b"B2A", b"D2B", b"B2D")


def has_tables(profile: bytes) -> bool:
    """Whether a profile holds colour tables. A few bytes can claim ones of hundreds of megabytes, which are laid out
    before their content is found missing; matrices and curves, which cameras and phones use, are small."""
    tags = min(int.from_bytes(profile[128:132], "big"), MAX_TAGS)
    return any(profile[at : at + 3] in _WITH_TABLES for at in range(132, 132 + 12 * tags, 12))
