"""JPEG (ITU-T T.81): its segments and scans, without the metadata that a decoder does not need."""

from __future__ import annotations

import math
import re
from typing import Any, Final, NamedTuple

import numpy as np

from decoder.claims import MEGABYTE, Claims, Wanted
from decoder.errors import CUT_OFF, PhotoError, damaged

DRAFT_SHARE: Final = 0.89
"""A JPEG is decoded at the smallest of its scales (1, 1/2, 1/4, 1/8) that keeps this share of the wanted side.

Slightly below 1, so that a photo of 533 × 400 is decoded at half its size: a third of the time, for
pixels that differ by 1.3 % of the range on average.
"""

MAX_SEGMENTS: Final = 10_000
"""Of a file, scans included. Large metadata comes to some hundreds, a progressive photo to a few dozen."""

SCAN_SECONDS: Final = 8e-9
REFINING_SCAN_SECONDS: Final = 55e-9
BYTE_SECONDS: Final = 15e-9
BYTE_OF_SCANS_SECONDS: Final = 40e-9
PIXEL_SECONDS: Final = 4e-9
"""Processor time for a block that a scan visits, a byte of one scan, of several, a pixel put out: measured with
libjpeg-turbo 3.2 on empty scans, on scans of end-of-band runs alone, and on photos of 48 megapixels."""

BLOCK: Final = 1 << 16
"""Bytes that are looked at in one go."""

# what is kept beside the frame header
_TABLES = frozenset((0xC4, 0xDB, 0xDD))
_COLOUR_SPACES = {
    0xE0: (b"JFIF\0", 14),
    0xEE: (b"Adobe", 12),
}  # and the size below which libjpeg ignores them
_ALONE = frozenset((0x01, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))  # markers without a length
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_OTHER_FRAMES = {
    0xC3: "A lossless JPEG", 0xC5: "A hierarchical JPEG", 0xC6: "A hierarchical JPEG", 0xC7: "A lossless JPEG",
    0xC9: "A JPEG with arithmetic coding", 0xCA: "A JPEG with arithmetic coding", 0xCB: "A lossless JPEG",
    0xCD: "A hierarchical JPEG", 0xCE: "A hierarchical JPEG", 0xCF: "A lossless JPEG", 0xDE: "A hierarchical JPEG",
    0xF7: "JPEG-LS",
}  # fmt: skip
_SCAN, _END = 0xDA, 0xD9

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_AFTER_SCAN = re.compile(
    rb"\xff[\x01-\xcf\xd8-\xfe]"
)  # in entropy-coded data 0xFF is stuffed or a restart marker
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

# What the decoder reads ahead and no picture needs. A picture that lacks more than this comes to no end.
_AHEAD = b"\xaa" * 8
_END_OF_IMAGE = b"\xff\xd9"


class _Frame(NamedTuple):
    is_progressive: bool
    width: int
    height: int
    names: bytes
    """Of the channels, by which scans call them; some encoders give several the same."""
    blocks: tuple[int, ...]
    """Of 8 x 8 samples in each channel, padding included."""
    bare_blocks: tuple[int, ...]
    """Without the padding, which a scan of one channel leaves out."""


class _Scan(NamedTuple):
    channels: tuple[int, ...]
    first: int
    """The first and last coefficient that it holds, in zigzag order."""
    last: int
    is_refining: bool
    low_bit: int
    """The bit down to which it brings them; 0 is all of them."""


def look(data: bytes, wanted: Wanted) -> Claims:
    """The claims of a JPEG.

    What follows the picture (a phone's second one, a film) is left out. A picture of one scan is given to the decoder
    without its end mark: should data be missing, the decoder asks for more instead of painting the rest grey.
    """
    head, frame, start, info = _head(data)
    scans, end, has_end = _scans(data, start, frame)
    several = frame.is_progressive or len(scans[0].channels) < len(frame.blocks)
    _check_is_whole(frame, scans, end - start, several)
    tails: tuple[bytes, ...] = (_AHEAD,)
    if several:
        tails = (_END_OF_IMAGE,) if has_end else (_END_OF_IMAGE, _made_up(data, start, end))
    pixels = _drafted(frame, wanted)
    samples = 64 * sum(frame.blocks)
    return Claims(
        "JPEG",
        frame.width,
        frame.height,
        memory=(
            2 * len(data)
            + pixels * (4 if len(frame.blocks) > 1 else 1)
            + (2 * samples if several else 0)
            + 8 * MEGABYTE
        ),
        seconds=len(tails)
        * (
            sum(_seconds(scan, frame) for scan in scans)
            + (end - start) * (BYTE_OF_SCANS_SECONDS if several else BYTE_SECONDS)
            + pixels * PIXEL_SECONDS
        ),
        parts=(*head, memoryview(data)[start:end]),
        tails=tails,
        info=info,
    )


def drafted_size(width: int, height: int, wanted: Wanted) -> tuple[int, int]:
    """The least size at which a JPEG is decoded, as `Image.draft` takes it."""
    if wanted.squash:
        return (round(wanted.side * DRAFT_SHARE),) * 2
    if not wanted.side:
        return width, height
    least = wanted.size_of(width, height)
    return 2 * least[0], 2 * least[1]


def _drafted(frame: _Frame, wanted: Wanted) -> int:
    """The pixels that are put out."""
    least = drafted_size(frame.width, frame.height, wanted)
    scale = min(frame.width // least[0], frame.height // least[1])
    scale = next((step for step in (8, 4, 2) if scale >= step), 1)
    return math.ceil(frame.width / scale) * math.ceil(frame.height / scale)


def _head(data: bytes) -> tuple[list[bytes], _Frame, int, dict[str, Any]]:
    """What the decoder needs of the segments before the first scan, the frame, where the scan starts, the metadata."""
    kept, xmp = [b"\xff\xd8"], b""
    exif: list[bytes] = []
    profile: list[bytes] = []
    frame: _Frame | None = None
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker, start, position = _segment(data, position)
        if marker == _SCAN:
            break
        if marker in _FRAMES or marker in _OTHER_FRAMES:
            frame = _frame(marker, data[start + 2 : position])
        if marker in _FRAMES or marker in _TABLES:
            kept.append(data[start - 2 : position])
        elif marker in _COLOUR_SPACES:
            name, size = _COLOUR_SPACES[marker]
            if data.startswith(name, start + 2) and position - start - 2 >= size:
                kept.append(data[start - 2 : position])
        elif marker == 0xE1:
            if data.startswith(b"Exif\0\0", start + 2):
                exif.append(data[start + 2 + (6 if exif else 0) : position])
            elif data.startswith(b"http://ns.adobe.com/xap/1.0/\0", start + 2):
                xmp = data[start + 31 : position]
        elif marker == 0xE2 and frame is None and data.startswith(b"ICC_PROFILE\0", start + 2):
            profile.append(data[start + 2 : position])
    else:
        raise _too_many_segments()
    if frame is None:
        raise damaged("its size is missing")
    if len(frame.blocks) == 4 and not any(segment.startswith(b"Adobe", 4) for segment in kept):
        raise _not_supported("A CMYK JPEG that does not say which way its inks count")
    info: dict[str, Any] = {}
    if exif:
        info["exif"] = b"".join(exif)
    if xmp:
        info["xmp"] = xmp
    profile.sort()
    if profile and len(profile[0]) > 13 and profile[0][13] == len(profile):
        info["icc_profile"] = b"".join(part[14:] for part in profile)
    return kept, frame, start - 2, info


def _segment(data: bytes, position: int) -> tuple[int, int, int]:
    """The next segment: its marker, where what follows the marker starts, and where the segment ends."""
    found = _MARKER.search(data, position)
    if found is None:
        raise PhotoError("unreadable", CUT_OFF)
    start = found.end()
    marker = data[start - 1]
    if marker in _ALONE:
        if marker in _OTHER_FRAMES:
            raise _not_supported(_OTHER_FRAMES[marker])
        return marker, start, start
    length = int.from_bytes(data[start : start + 2], "big")
    if start + max(length, 2) > len(data):
        raise PhotoError("unreadable", CUT_OFF)
    if length < 2:
        raise damaged("a segment without a length")
    return marker, start, start + length


def _frame(marker: int, content: bytes) -> _Frame:
    if marker in _OTHER_FRAMES:
        raise _not_supported(_OTHER_FRAMES[marker])
    if len(content) < 6 or len(content) < 6 + 3 * content[5]:
        raise damaged("a broken frame header")
    bits, height, width, number = content[0], _u16(content, 1), _u16(content, 3), content[5]
    if bits != 8:
        raise _not_supported(f"A JPEG of {bits} bits a channel")
    if number not in (1, 3, 4):
        raise _not_supported(f"A JPEG of {number} channels")
    if not width or not height:
        raise damaged("it has no width or no height")
    factors = [(byte >> 4, byte & 15) for byte in content[7 : 6 + 3 * number : 3]]
    if not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in factors):
        raise damaged("a broken frame header")
    # a unit holds the blocks of all channels that lie at one place
    most_h, most_v = max(h for h, _ in factors), max(v for _, v in factors)
    across, down = math.ceil(width / (8 * most_h)), math.ceil(height / (8 * most_v))
    return _Frame(
        marker == 0xC2,
        width,
        height,
        names=content[6 : 6 + 3 * number : 3],
        blocks=tuple(across * h * down * v for h, v in factors),
        bare_blocks=tuple(
            math.ceil(width * h / (8 * most_h)) * math.ceil(height * v / (8 * most_v)) for h, v in factors
        ),
    )


def _scans(data: bytes, start: int, frame: _Frame) -> tuple[list[_Scan], int, bool]:
    """The scans, where the last one ends, and whether an end mark follows it."""
    scans: list[_Scan] = []
    position = start
    for _ in range(MAX_SEGMENTS):
        try:
            marker, begin, position = _segment(data, position)
        except PhotoError:
            if not scans:
                raise
            return scans, len(data.rstrip(b"\xff")), False
        if marker == _END:
            return scans, begin - 2, True
        if marker != _SCAN:
            continue
        scans.append(_scan(data[begin + 2 : position], frame))
        position = _end_of_scan(data, position)
        is_last = not frame.is_progressive and len(scans[0].channels) == len(frame.blocks)
        if is_last or position + 1 >= len(data):
            return scans, position, data[position : position + 2] == _END_OF_IMAGE
    raise _too_many_segments()


def _end_of_scan(data: bytes, start: int) -> int:
    """Where a scan's data end: at a marker that is no restart (in the data themselves a zero follows every 0xFF)."""
    content = np.frombuffer(data, np.uint8)
    for at in range(start, len(data) - 2 * BLOCK, BLOCK):  # most of a large scan is without any marker
        is_marker = (content[at : at + BLOCK] == 0xFF) & (content[at + 1 : at + 1 + BLOCK] != 0)
        first = int(is_marker.argmax())
        start = at + first if is_marker[first] else at + BLOCK
        if is_marker[first]:
            break
    found = _AFTER_SCAN.search(data, start)
    return found.start() if found else len(data.rstrip(b"\xff"))


def _scan(content: bytes, frame: _Frame) -> _Scan:
    number = content[0] if content else 0
    if not 1 <= number <= 4 or len(content) < 4 + 2 * number:
        raise damaged("a broken scan header")
    channels: list[int] = []
    for name in content[1 : 1 + 2 * number : 2]:
        channel = frame.names.find(name)
        while channel in channels:  # of two of one name each is meant once
            channel = frame.names.find(name, channel + 1)
        if channel < 0:
            raise damaged("a scan of a channel that there is not")
        channels.append(channel)
    first, last, bits = content[1 + 2 * number : 4 + 2 * number]
    return _Scan(tuple(channels), first, last, bool(bits >> 4), bits & 15)


def _blocks(scan: _Scan, frame: _Frame) -> int:
    """How many blocks a scan visits."""
    each = frame.blocks if len(scan.channels) > 1 else frame.bare_blocks
    return sum(each[channel] for channel in scan.channels)


def _check_is_whole(frame: _Frame, scans: list[_Scan], size: int, several: bool) -> None:
    """Raises PhotoError when scans are missing, or their data are too short for the blocks of the first."""
    # a code has at least one bit: one for a block's mean and, unless later scans bring it, one for the rest
    is_short = 8 * size < _blocks(scans[0], frame) * (1 if frame.is_progressive else 2)
    if is_short or (several and not _is_complete(frame, scans)):
        raise PhotoError("unreadable", CUT_OFF)


def _is_complete(frame: _Frame, scans: list[_Scan]) -> bool:
    """Whether the scans bring every coefficient of every channel down to its last bit."""
    if not frame.is_progressive:
        return len({channel for scan in scans for channel in scan.channels}) == len(frame.blocks)
    missing = {(channel, i) for channel in range(len(frame.blocks)) for i in range(64)}
    for scan in scans:
        if scan.low_bit == 0:
            missing -= {(channel, i) for channel in scan.channels for i in range(scan.first, scan.last + 1)}
    return not missing


def _seconds(scan: _Scan, frame: _Frame) -> float:
    return _blocks(scan, frame) * (REFINING_SCAN_SECONDS if scan.is_refining and scan.last else SCAN_SECONDS)


def _made_up(data: bytes, start: int, end: int) -> bytes:
    """Data that go on where the file breaks off: what was decoded with the end mark there must not depend on them."""
    restarts = _RESTART.findall(data, start, end)
    following = restarts[-1][1] - 0xD0 + 1 if restarts else 0
    more = [bytes((0xFF, 0xD0 + (following + i) % 8)) + _AHEAD for i in range(8)] if restarts else []
    return b"".join((_AHEAD * 8, *more, _END_OF_IMAGE))


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _not_supported(what: str) -> PhotoError:
    return PhotoError("unsupported", f"{what} is not supported; save the photo as an ordinary JPEG.")


def _too_many_segments() -> PhotoError:
    return PhotoError(
        "too_large",
        f"The JPEG has more than {MAX_SEGMENTS:,} segments, which takes too long to read; "
        "save it again as an ordinary JPEG.",
    )
