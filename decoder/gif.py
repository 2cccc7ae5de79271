"""GIF (89a): the canvas and the first frame."""

from __future__ import annotations

from typing import Final

from decoder.claims import MEGABYTE, Claims
from decoder.errors import CUT_OFF, PhotoError, damaged

BYTES_A_PIXEL: Final = 10
PIXEL_SECONDS: Final = 15e-9

MAX_BLOCKS: Final = 200_000
"""Before the first frame: 50 MB of comments have as many."""

LZW_RATIO: Final = 4096
"""Pixels that a code of 12 bits can stand for, so that a byte stands for two thirds of them."""

MADE_UP: Final = 512

_IMAGE, _EXTENSION = 0x2C, 0x21
_CONTROL, _CONTROL_BYTES = b"!\xf9\x04", 8


def look(data: bytes) -> Claims:
    """The claims of a GIF: its canvas, or the first frame where that reaches further. Comments and the like are left out."""
    if len(data) < 13:
        raise PhotoError("unreadable", CUT_OFF)
    control, at = _first_frame(data)
    left, top, width, height = (int.from_bytes(data[at + i : at + i + 2], "little") for i in (0, 2, 4, 6))
    if not width or not height:
        raise damaged("its first frame is empty")
    if width * height > LZW_RATIO * (len(data) - at):
        raise PhotoError("unreadable", CUT_OFF)
    canvas = (
        max(int.from_bytes(data[6:8], "little"), left + width),
        max(int.from_bytes(data[8:10], "little"), top + height),
    )
    pixels = canvas[0] * canvas[1]
    return Claims(
        "GIF",
        *canvas,
        memory=2 * len(data) + pixels * BYTES_A_PIXEL + 8 * MEGABYTE,
        seconds=pixels * PIXEL_SECONDS,
        parts=(data[: 13 + _palette(data[10])], control, memoryview(data)[at - 1 :]),
        missing=MADE_UP,
    )


def _first_frame(data: bytes) -> tuple[bytes, int]:
    """The extension that tells the first frame's transparency, if any, and where the description of that frame starts."""
    position = 13 + _palette(data[10])
    control, blocks = b"", 0
    while blocks < MAX_BLOCKS:
        kind, start = data[position : position + 1], position
        if kind == bytes((_IMAGE,)):
            if position + 10 > len(data):
                break
            return control, position + 1
        if not kind or kind == b";":
            break
        position += 1
        if kind != bytes((_EXTENSION,)):
            blocks += 1  # rubbish, which decoders step over
            continue
        position += 1
        while size := data[position : position + 1]:
            blocks += 1
            position += 1 + size[0]
            if not size[0] or blocks >= MAX_BLOCKS:
                break
        if data.startswith(_CONTROL, start) and position - start == _CONTROL_BYTES:
            control = data[start:position]
    if blocks >= MAX_BLOCKS:
        raise PhotoError(
            "too_large",
            f"The GIF has more than {MAX_BLOCKS:,} parts before its picture, which takes too long to read; "
            "save it again.",
        )
    raise PhotoError("unreadable", CUT_OFF)


def _palette(flags: int) -> int:
    """The size of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
