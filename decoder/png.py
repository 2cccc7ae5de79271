"""PNG (W3C, third edition): its picture, without the metadata that a decoder does not need."""

from __future__ import annotations

import zlib
from typing import Any, Final

from decoder.claims import MEGABYTE, Claims
from decoder.errors import CUT_OFF, PhotoError, damaged

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

MAX_CHUNKS: Final = 200_000
"""Of a file: 1 GB in pieces of 8 kB, as libpng writes them, has 131,072."""

MAX_PROFILE: Final = 16 * 1024 * 1024
MAX_TEXT: Final = 1024 * 1024
"""Bytes of a colour profile, and of a text that holds EXIF or XMP; larger ones are ignored."""

DEFLATE_RATIO: Final = 1032
"""The most that deflate packs (RFC 1951: 258 bytes in two bits)."""

RAW_BYTE_SECONDS: Final = 5e-9
"""Processor time for a byte of the unpacked picture, measured with zlib-ng 2.3 on photos of 48 megapixels."""

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}

_KEPT = (b"PLTE", b"tRNS")
_METADATA = (b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_EXIF_TEXT = b"Raw profile type exif"  # as ImageMagick writes it


def look(data: bytes) -> Claims:
    """The claims of a PNG. Of an animation that is the still picture that it begins with."""
    if data[12:16] == b"CgBI":
        raise PhotoError(
            "unsupported", "A PNG made for iPhone apps is not supported; save it as an ordinary PNG."
        )
    if len(data) < 33:
        raise PhotoError("unreadable", CUT_OFF)
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    depth, colour = data[24], data[25]
    if data[12:16] != b"IHDR" or colour not in _CHANNELS or not width or not height:
        raise damaged("a broken header")
    kept, pixels, is_sound, info = _chunks(data)
    packed = sum(map(len, pixels))
    raw = height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8)
    if not packed or raw > DEFLATE_RATIO * (packed + 100):
        raise PhotoError("unreadable", CUT_OFF)
    if not is_sound and not _unpacks(pixels, 2 * raw):
        raise damaged("its checksum is wrong")
    is_transparent = any(chunk[4:8] == b"tRNS" for chunk in kept)
    return Claims(
        "PNG",
        width,
        height,
        memory=2 * len(data) + width * height * _bytes_a_pixel(colour, depth, is_transparent) + 8 * MEGABYTE,
        seconds=raw * RAW_BYTE_SECONDS,
        parts=(SIGNATURE, data[8:33], *kept, packed.to_bytes(4, "big"), b"IDAT", *pixels, bytes(4), _END),
        info=info,
    )


_END = bytes(4) + b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")


def _bytes_a_pixel(colour: int, depth: int, is_transparent: bool) -> int:
    """As Pillow keeps and resizes them: with transparency there is a second copy with the colours weighted by it."""
    if colour in (_GREY_ALPHA, _RGBA):
        return 9
    if is_transparent:
        return 13
    if colour == _GREY:
        return {1: 6, 16: 5}.get(depth, 2)
    return 6


def _chunks(data: bytes) -> tuple[list[bytes], list[memoryview], bool, dict[str, Any]]:
    """The chunks that the decoder needs, the parts of the packed picture, whether the checksums of those that are whole
    are right, and the metadata."""
    kept: list[bytes] = []
    pixels: list[memoryview] = []
    info: dict[str, Any] = {}
    position, is_over, is_sound, view = 33, False, True, memoryview(data)
    for _ in range(MAX_CHUNKS):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        start, position = position + 8, position + 12 + size
        if len(kind) < 4 or kind == b"IEND":
            return kept, pixels, is_sound, info
        if kind == b"IDAT":
            if not is_over:
                pixels.append(view[start : start + size])
                is_sound &= (
                    position > len(data)
                    or _checksum(view[start - 4 : position - 4]) == data[position - 4 : position]
                )
            continue
        is_over = bool(pixels)
        if position > len(data):
            return kept, pixels, is_sound, info
        if kind in _KEPT:
            kept.append(data[start - 8 : position])
        elif kind in _METADATA:
            _note(info, kind, data[start : position - 4], data[position - 4 : position])
        elif pixels and not kind.isalpha():
            return kept, pixels, is_sound, info
        elif not kind[0] & 0x20:  # upper case: without it the picture is another one
            raise damaged(f"an unknown part {kind!r}")
    raise PhotoError(
        "too_large",
        f"The PNG has more than {MAX_CHUNKS:,} parts, which takes too long to read; save it again.",
    )


def _note(info: dict[str, Any], kind: bytes, content: bytes, checksum: bytes) -> None:
    """Note what this metadata says, the first time; odd or damaged ones are ignored."""
    if _checksum(kind + content) != checksum:
        return
    name, _, rest = content.partition(b"\0")
    if kind == b"eXIf" and "exif" not in info:
        info["exif"] = b"Exif\0\0" + content
    elif kind == b"iCCP" and "icc_profile" not in info:
        info["icc_profile"] = _unpacked(rest[1:], MAX_PROFILE)
    elif name == _EXIF_TEXT and kind in (b"tEXt", b"zTXt") and _EXIF_TEXT.decode() not in info:
        text = _unpacked(rest[1:], MAX_TEXT) if kind == b"zTXt" else rest
        info[_EXIF_TEXT.decode()] = text.decode("latin-1") if len(text) <= MAX_TEXT else ""
    elif name == b"XML:com.adobe.xmp" and kind == b"iTXt" and "xmp" not in info:
        is_packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        info["xmp"] = _unpacked(text, MAX_TEXT) if is_packed else text


def _checksum(chunk: bytes | memoryview) -> bytes:
    return zlib.crc32(chunk).to_bytes(4, "big")


def _unpacks(pixels: list[memoryview], size: int) -> bool:
    """Whether the packed picture comes to its end, where deflate has a checksum of its own, within so many bytes."""
    unpacker, unpacked = zlib.decompressobj(), 0
    try:
        for part in pixels:
            rest: bytes | memoryview = part
            while rest and unpacked <= size:
                unpacked += len(unpacker.decompress(rest, 1_000_000))
                rest = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof


def _unpacked(packed: bytes, most: int) -> bytes:
    """What was packed with deflate; nothing when it makes no sense or is larger than `most`."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, most)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else content
