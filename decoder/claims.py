"""What a file says about itself, and what that will take: found before anything of it is decoded.

The memory that each format takes was measured as the growth of a fresh process' peak, resident and address space,
whichever was larger, over reading one photo for the network: photos of 24 and 48 megapixels (HEIC: of 6 and 48), with
Pillow 13.0, libjpeg-turbo 3.2, libwebp 1.6, libavif 1.4, libheif 1.23 and libtiff 4.7 on Linux. Bytes a pixel, the file
itself not counted; `tests/faults/test_contents.py` measures again.

| photo | measured | foretold |
|---|---|---|
| JPEG of one scan, decoded at an eighth | 0.1 | its output, 8 MB |
| progressive JPEG, 4:2:0 / 4:4:4 / CMYK | 3.0 / 6.0 / 8.0 | 2 a coefficient, its output, 8 MB |
| PNG: grey / 16 bits / RGB / palette, 1 bit | 0.8 / 3.8 / 3.5 / 5.0 | 2 / 5 / 6 / 6, 8 MB |
| PNG: with alpha / with a transparent colour | 7.8 / 11.5 | 9 / 13, 8 MB |
| GIF: without / with transparency | 4.9 / 8.9 | 10, 8 MB |
| BMP: grey / RGB, palette | 1.0 / 4.3 | 10, 8 MB |
| WebP: lossy / lossless or with alpha | 16.0 / 15.4 | 17, 8 or 64 MB |
| AVIF: 4:2:0 / 4:4:4 / 4:4:4 with alpha | 9.0 / 10.7 / 13.1 | 9.9 / 12.0 / 15.9, 32 MB |
| HEIC of 8 bits: 4:2:0 / 4:4:4 | 7.3 / 10.7 | 8.3 / 11.7, 32 MB |
| HEIC of 10 bits: 4:2:0 / 4:4:4 with alpha | 9.2 / 21.7 | 11.7 / 24.8, 32 MB |
| TIFF: RGB / RGBA of 16 bits in one strip / turned | 4.1 / 12.0 / 11.0 | 14, 32 MB |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from decoder.errors import PhotoError

MEGABYTE: Final = 1_000_000

FREE_PIXELS: Final = 4_000_000
PIXELS_A_BYTE: Final = 10_000
"""So many pixels a byte of the file may claim beyond the free ones. Flat drawings of 8000 x 6000 pixels come to 6,500
(lossless WebP, AVIF), photos to 300 at most; pictures of one colour, which are bombs at that size, to 25,000 and more."""

RESULT_BYTES_A_PIXEL: Final = 8
"""Of the picture that is wanted, and a copy of it."""


@dataclass(frozen=True)
class Wanted:
    """The picture that is wanted of a photo: squashed to a square, within a square, or (no side) as large as it is."""

    side: int = 0
    squash: bool = False

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """The size of the picture that a photo of `width` x `height` pixels gives."""
        if self.squash:
            return self.side, self.side
        longest = max(width, height)
        if not self.side or longest <= self.side:
            return width, height
        return max(1, round(width * self.side / longest)), max(1, round(height * self.side / longest))


@dataclass(frozen=True)
class Limits:
    """What one photo may be and take. The settings of these names in capitals set them."""

    megapixels: float = 120
    """MAX_IMAGE_MEGAPIXELS"""
    memory_mb: float = 1000
    """MAX_PHOTO_MEMORY_MB"""
    seconds: float = 5
    """Of processor time."""


@dataclass(frozen=True)
class Claims:
    """What a photo's header, segments and scans say."""

    format: str
    """One of FORMATS."""
    width: int
    """In pixels, as stored; 0 when the header does not say."""
    height: int
    memory: float
    """Bytes that decoding takes at its peak, the file itself included, the picture that is wanted not."""
    parts: Sequence[bytes | memoryview]
    """What the decoder is given: the file, for some formats without what it does not need."""
    seconds: float = 0
    """Processor time that decoding takes, as far as it is foretold."""
    apart: bool = False
    """Whether header and counts do not foretell what decoding takes; then a process of its own does it."""
    tails: tuple[bytes, ...] = (b"",)
    """What is put behind the parts. With several, the picture is certain when it comes out the same with each."""
    missing: int = 0
    """Bytes that the file seems to lack at its end: should it not decode, they are made up."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Metadata that was taken out of the file: `exif`, `xmp` and `icc_profile` as Pillow names them."""


def check(claims: Claims, wanted: Wanted, file_size: int, limits: Limits) -> float:
    """The bytes of memory that a photo will take; raises PhotoError for one that claims more than the limits, or more
    than its file can hold."""
    pixels = claims.width * claims.height
    check_pixels(claims.width, claims.height, limits)
    if pixels > FREE_PIXELS + PIXELS_A_BYTE * file_size:
        raise PhotoError(
            "too_large",
            f"The file claims {claims.width} x {claims.height} pixels and has {file_size:,} bytes, "
            "out of all proportion for a photo; it is refused.",
        )
    if not pixels:  # nothing tells its size: it gets all there is, and is measured once it is open
        return limits.memory_mb * MEGABYTE
    across, down = wanted.size_of(claims.width, claims.height)
    memory = claims.memory + RESULT_BYTES_A_PIXEL * across * down
    if memory > limits.memory_mb * MEGABYTE:
        raise PhotoError(
            "too_large",
            f"Decoding the photo ({claims.format}, {claims.width} x {claims.height} pixels) would take "
            f"{math.ceil(memory / MEGABYTE):,} MB of memory, more than MAX_PHOTO_MEMORY_MB={limits.memory_mb:g} "
            "allows.",
        )
    if claims.seconds > limits.seconds:
        raise PhotoError(
            "too_large",
            f"Decoding the photo would take about {claims.seconds:.0f} s of processor time; a photo may take "
            f"{limits.seconds:g} s. Save it again as an ordinary JPEG.",
        )
    return memory


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raises PhotoError for more pixels than the limits allow."""
    megapixels = width * height / 1e6
    if megapixels > limits.megapixels:
        raise PhotoError(
            "too_large",
            f"The photo has {width} x {height} pixels ({megapixels:.1f} megapixels); at most "
            f"{limits.megapixels:g} megapixels are read (MAX_IMAGE_MEGAPIXELS).",
        )
