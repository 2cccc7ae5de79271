"""TIFF 6.0 and BigTIFF: the first picture, whether its pixels are read for certain, and the camera RAW built on it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from decoder.claims import MEGABYTE, Claims
from decoder.errors import CUT_OFF, PhotoError, damaged

BYTES_A_PIXEL: Final = 14
"""At the peak of reading: the picture, a strip that is all of it in 16 bits, and a turned copy."""

MAX_TAGS: Final = 4096
"""Of a directory."""

MADE_UP: Final = 1024
"""Bytes that are made up where a file ends in its last strip."""

# tags
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_MAKE, _SAMPLES, _PLANAR, _SUBFILES, _FORMAT, _SUBSAMPLING, _DNG = 271, 277, 284, 330, 339, 530, 50706

_PROFILE = 34675
# the layout of the pixels, where they lie, their palette, orientation and colours (TIFF 6.0, part 1 and 2)
_OF_THE_PICTURE = frozenset((
    *range(254, 260), 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, *range(322, 326), 332, 338, 339, 347,
    *range(512, 522), *range(529, 533), _PROFILE,
))  # fmt: skip

_UNCOMPRESSED, _WHITE_IS_ZERO, _YCBCR, _SEPARATE = 1, 0, 6, 2
_SIGNED, _FLOATING = 2, 3
_COLOUR_FILTER, _LINEAR_RAW = 32803, 34892
_RAW_COMPRESSION = (32767, 32769, 32770, 34713, 65000, 65535)  # Sony, packed, Samsung, Nikon, Kodak, Pentax

_MAKERS = (
    "canon", "epson", "fuji", "hasselblad", "kodak", "leaf", "leica", "mamiya", "nikon", "olympus", "om digital",
    "panasonic", "pentax", "phase one", "ricoh", "samsung", "sigma", "sony",
)  # fmt: skip


def look(data: bytes) -> Claims:
    """The claims of a TIFF; raises PhotoError for camera RAW, and for layouts that are not read for certain."""
    if data.startswith(b"MM\0+"):
        raise _uncertain("the largest offsets in this byte order (BigTIFF)")
    tags = _directory(data, None)
    if _is_raw(data, tags):
        raise _raw("DNG" if _DNG in tags else str(tags.get(_MAKE, "")).strip("\0 ") or "TIFF")
    width, height = _number(tags, _WIDTH), _number(tags, _HEIGHT)
    if not width or not height:
        raise damaged("it has no width or no height")
    _check_is_certain(data, tags)
    return Claims(
        "TIFF",
        width,
        height,
        memory=2 * len(data) + width * height * BYTES_A_PIXEL + 32 * MEGABYTE,
        parts=_bare(data),
        apart=True,
        missing=MADE_UP,
    )


class _Place(NamedTuple):
    """Where a directory's entries stand."""

    start: int
    entries: int
    size: int
    """Of an entry, in bytes."""
    order: Literal["little", "big"]


def _place(data: bytes, at: int | None) -> _Place:
    """The place of the first directory, or of the one `at`."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    is_big = data[2:3] == b"+"
    if at is None:
        at = int.from_bytes(data[8:16] if is_big else data[4:8], order)
    size_of_count, size = (8, 20) if is_big else (2, 12)
    count = int.from_bytes(data[at : at + size_of_count], order)
    if count > MAX_TAGS:
        raise damaged(f"more than {MAX_TAGS:,} tags")
    if at + size_of_count + count * size > len(data):
        raise PhotoError("unreadable", CUT_OFF)
    return _Place(at + size_of_count, count, size, order)


def _bare(data: bytes) -> tuple[bytes, bytes, memoryview]:
    """The file with the tags that do not make the picture given a type that there is not, so that nobody reads them."""
    place = _place(data, None)
    end = place.start + place.entries * place.size
    entries = bytearray(data[place.start : end])
    for at in range(0, len(entries), place.size):
        tag, kind = (int.from_bytes(entries[at + i : at + i + 2], place.order) for i in (0, 2))
        if tag not in _OF_THE_PICTURE or (tag == _PROFILE and kind not in (1, 7)):
            entries[at + 2 : at + 4] = b"\0\0"
    return data[: place.start], bytes(entries), memoryview(data)[end:]


def _directory(data: bytes, at: int | None) -> dict[int, Any]:
    """The numbers and texts of a directory's tags that are looked at: the first one's, or those of the one `at`."""
    wanted = (
        _SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _MAKE, _SAMPLES, _PLANAR, _SUBFILES, _FORMAT,
        _SUBSAMPLING, _DNG,
    )  # fmt: skip
    place = _place(data, at)
    is_big = place.size == 20
    try:
        found, file = ImageFileDirectory_v2(data[: 16 if is_big else 8]), io.BytesIO(data)
        file.seek(place.start - (8 if is_big else 2))
        found.load(file)
        return {tag: found[tag] for tag in wanted if tag in found}
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error) as error:
        raise damaged(error) from error


def _is_raw(data: bytes, tags: dict[int, Any]) -> bool:
    """Whether what it shows first is only a preview of what a camera's sensor saw."""
    if _DNG in tags:
        return True
    directories = [tags, *_inner(data, tags)]
    if any(
        _number(each, _PHOTOMETRIC) in (_COLOUR_FILTER, _LINEAR_RAW)
        or _number(each, _COMPRESSION) in _RAW_COMPRESSION
        for each in directories
    ):
        return True
    # inner pictures that are no smaller copies, in a camera maker's file
    by_camera = str(tags.get(_MAKE, "")).lower().startswith(_MAKERS)
    return by_camera and any(not _number(each, _SUBFILE_TYPE) & 1 for each in directories[1:])


def _inner(data: bytes, tags: dict[int, Any]) -> Iterator[dict[int, Any]]:
    """The directories of the pictures within the first one; what cannot be read of them counts as nothing."""
    offsets = tags.get(_SUBFILES, ())
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:8]:
        try:
            yield _directory(data, int(offset))
        except (PhotoError, TypeError, ValueError):
            yield {}


def _check_is_certain(data: bytes, tags: dict[int, Any]) -> None:
    """Raises PhotoError for what Pillow 13 opens and gives wrong pixels for (found by comparing with tifffile)."""
    bits, numbers = max(_numbers(tags, _BITS) or (1,)), _numbers(tags, _FORMAT)
    is_separate = _number(tags, _PLANAR) == _SEPARATE and _number(tags, _SAMPLES) > 1
    is_compressed = _number(tags, _COMPRESSION) not in (0, _UNCOMPRESSED)
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    uncertain = {
        "16-bit colours in planes of their own": bits > 8 and is_separate and not is_compressed,
        "transparency in a plane of its own": is_separate and is_compressed and _number(tags, _SAMPLES) == 2,
        "more than 8 bits with white as zero": bits > 8 and photometric == _WHITE_IS_ZERO,
        "an odd number of bits": bits not in (1, 2, 4, 8, 16, 32),
        "numbers below zero": _SIGNED in numbers,
        "whole numbers of 32 bits": bits == 32 and _FLOATING not in numbers,
        "floating point in another byte order": bits == 32 and is_compressed and not data.startswith(b"II"),
        "colours of fewer pixels than lightness, without compression": (
            photometric == _YCBCR and not is_compressed and _numbers(tags, _SUBSAMPLING) != (1, 1)
        ),
    }
    for layout, applies in uncertain.items():
        if applies:
            raise _uncertain(layout)


def _uncertain(layout: str) -> PhotoError:
    return PhotoError(
        "unsupported",
        f"A TIFF with {layout} is not supported; save the photo as an ordinary 8-bit TIFF or JPEG.",
    )


def _number(tags: dict[int, Any], tag: int) -> int:
    """The (first) whole number of a tag; 0 when there is none."""
    return next(iter(_numbers(tags, tag)), 0)


def _numbers(tags: dict[int, Any], tag: int) -> tuple[int, ...]:
    value = tags.get(tag, ())
    return tuple(n for n in (value if isinstance(value, tuple) else (value,)) if isinstance(n, int))


def _raw(kind: str) -> PhotoError:
    return PhotoError(
        "unsupported", f"Camera RAW ({kind}) is not supported; export the photo as JPEG and send that."
    )
