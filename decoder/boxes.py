"""HEIC, HEIF and AVIF: pictures in the boxes of ISO 14496-12."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from decoder.claims import MEGABYTE, Claims
from decoder.errors import CUT_OFF, PhotoError

# Bytes a pixel at the peak of reading: so many for each byte of the coded planes, so many for each channel that comes
# out, and what does not depend on either.
SHARES: Final = {"HEIF": (2.3, 1.6, 0.0), "AVIF": (1.4, 1.1, 4.5)}

MAX_BOXES: Final = 20_000
MAX_MADE_UP: Final = 16 * 1024 * 1024

# boxes with boxes in them, and the bytes before these
_CONTAINERS = {
    b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8,
    b"av01": 78, b"hvc1": 78, b"hev1": 78, b"iinf": 6,
}  # fmt: skip
_FILM = (b"av01", b"hvc1", b"hev1")
_SAMPLES = (1.0, 1.5, 2.0, 3.0)  # a pixel: grey, 4:2:0, 4:2:2, 4:4:4
_WITH_PICTURES = (b"ftyp", b"meta", b"moov", b"mdat", b"idat")


def look(data: bytes, kind: str) -> Claims:
    """The claims of a HEIF or AVIF: the largest picture and the deepest planes that any of its boxes tells of."""
    data, missing = _ended(data)
    width = height = 0
    planes, has_alpha = 0.0, False
    exif: list[int] = []
    for name, at, end in _boxes(data):
        size = (0, 0)
        if name == b"ispe":
            size = _number(data, at + 4, 4), _number(data, at + 8, 4)
        elif name in _FILM:
            size = _number(data, at + 24, 2), _number(data, at + 26, 2)
        elif name == b"hvcC":
            chroma, depth = _number(data, at + 16, 1) & 3, _number(data, at + 17, 1) & 7
            planes = max(planes, _SAMPLES[chroma] * (2 if depth else 1))
        elif name == b"av1C":
            flags = _number(data, at + 2, 1)
            chroma = 0 if flags & 16 else 1 if flags & 4 else 2 if flags & 8 else 3
            planes = max(planes, _SAMPLES[chroma] * (2 if flags & 64 else 1))
        elif name == b"infe":
            kind_at = at + (10 if data[at : at + 1] == b"\3" else 8)
            if data[kind_at : kind_at + 4] == b"Exif":
                exif.append(kind_at)
        elif name == b"auxC":
            has_alpha |= data.find(b"alpha", at, end) >= 0 or data.find(b"auxid:1\0", at, end) >= 0
        if size[0] * size[1] > width * height:
            width, height = size
    if not width and missing:
        raise PhotoError("unreadable", CUT_OFF)
    plane, channel, rest = SHARES[kind]
    planes = planes or 6  # nothing tells: as if the deepest
    bytes_a_pixel = plane * (planes + has_alpha * 2) + channel * (3 + has_alpha) + rest
    return Claims(
        kind,
        width,
        height,
        memory=2 * len(data) + width * height * bytes_a_pixel + 32 * MEGABYTE,
        parts=_without(data, exif if kind == "AVIF" else []),
        apart=True,
        missing=missing,
    )


def _without(data: bytes, items: list[int]) -> tuple[bytes, ...]:
    """The file with its EXIF called something else: AVIF's orientation stands elsewhere, and libavif reads no photo
    whose EXIF is broken. `items` is where their kinds stand."""
    parts, start = [], 0
    for at in items:
        parts += [data[start:at], b"free"]
        start = at + 4
    return (*parts, data[start:])


def _ended(data: bytes) -> tuple[bytes, int]:
    """The file without a last box that is cut off and holds no picture; else as it is, and how much is missing."""
    position = 0
    for _ in range(MAX_BOXES):
        size, name = _number(data, position, 4), data[position + 4 : position + 8]
        if size == 1:
            size = _number(data, position + 8, 8)
        missing = position + size - len(data)
        if position + 8 > len(data) or 0 < size < 8:  # the end, or rubbish behind it
            return data[:position], 0
        if size == 0:  # it goes on to the end
            return data, 0
        if missing > 0 and name not in _WITH_PICTURES:
            return data[:position], 0
        if missing > MAX_MADE_UP:
            raise PhotoError("unreadable", CUT_OFF)
        if missing > 0:
            return data, missing
        position += size
    return data, 0


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The boxes, and those within them: their names, and where their contents start and end."""
    position, ends = 0, [len(data)]
    for _ in range(MAX_BOXES):
        while ends and position + 8 > ends[-1]:
            position = ends.pop()
        if not ends:
            return
        size, name, head = _number(data, position, 4), data[position + 4 : position + 8], 8
        if size == 1:
            size, head = _number(data, position + 8, 8), 16
        end = min(position + size, ends[-1]) if size else ends[-1]
        if end < position + head:
            position = ends.pop()
            continue
        yield name, position + head, end
        if name in _CONTAINERS:
            ends.append(end)
            position += head + _CONTAINERS[name]
        else:
            position = end
    raise PhotoError(
        "too_large",
        f"The file has more than {MAX_BOXES:,} parts, which takes too long to read; save the photo as JPEG.",
    )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
