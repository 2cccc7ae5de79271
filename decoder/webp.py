"""WebP (RFC 9649): a RIFF file of chunks."""

from __future__ import annotations

from typing import Final

from decoder.claims import MEGABYTE, Claims
from decoder.errors import CUT_OFF, PhotoError, damaged

BYTES_A_PIXEL: Final = 17
PIXEL_SECONDS: Final = 20e-9

MAX_CHUNKS: Final = 200_000
MAX_MADE_UP: Final = 1024


def look(data: bytes) -> Claims:
    """The claims of a WebP. Of an animation that is its first frame, on the whole canvas.

    Lossless ones and those with transparency are packed in tables whose size nothing foretells.
    """
    width, height = _size(data)
    kinds, picture, end, profile = _chunks(data)
    size = 8 + int.from_bytes(data[4:8], "little")
    missing = size - len(data)
    if end and not picture <= size <= len(data):  # metadata or later frames are cut off, or its size is wrong
        data = data[:4] + (end - 8).to_bytes(4, "little") + data[8:end]
        missing = 0
    if missing > MAX_MADE_UP:
        raise PhotoError("unreadable", CUT_OFF)
    is_plain = kinds <= {b"VP8 ", b"VP8X", b"ICCP"}
    return Claims(
        "WEBP",
        width,
        height,
        memory=2 * len(data) + width * height * BYTES_A_PIXEL + (8 if is_plain else 64) * MEGABYTE,
        seconds=width * height * PIXEL_SECONDS if is_plain else 0,
        parts=(data,),
        apart=not is_plain,
        missing=max(0, missing),
        info={"icc_profile": profile} if profile else {},
    )


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas."""
    kind = data[12:16]
    if len(data) < 30:
        raise PhotoError("unreadable", CUT_OFF)
    if kind == b"VP8X":
        return _number(data, 24, 3) + 1, _number(data, 27, 3) + 1
    if kind == b"VP8L":
        return (_number(data, 21, 2) & 0x3FFF) + 1, (_number(data, 22, 3) >> 6 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _number(data, 26, 2) & 0x3FFF, _number(data, 28, 2) & 0x3FFF
    raise damaged("a broken header")


def _chunks(data: bytes) -> tuple[set[bytes], int, int, bytes]:
    """The kinds of chunks up to the picture, where that ends and where the last whole chunk does (0: the picture is not
    whole), and the colour profile."""
    kinds: set[bytes] = set()
    position, picture, end, profile = 12, 0, 0, b""
    for _ in range(MAX_CHUNKS):
        kind, size = data[position : position + 4], _number(data, position + 4, 4)
        if not picture:
            kinds.add(kind)
            if kind == b"ICCP":
                profile = data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
        if position > len(data):
            return kinds, picture, end, profile
        if kind in (b"VP8 ", b"VP8L", b"ANMF"):
            picture = picture or position
        if picture:
            end = position
    raise PhotoError(
        "too_large",
        f"The WebP has more than {MAX_CHUNKS:,} parts, which takes too long to read; save it again.",
    )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
