"""Decoding, in the process that asks for it: orientation, transparency and colour, in the cheapest right order.

Only Pillow, pillow_heif and NumPy are used here.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from functools import lru_cache
from importlib import import_module
from typing import Final

import numpy as np
import pillow_heif
from PIL import AvifImagePlugin, Image, ImageCms, UnidentifiedImageError, features

from decoder.claims import Claims, Limits, Wanted, check_pixels
from decoder.errors import CUT_OFF, CodecError, PhotoError, damaged
from decoder.jpeg import drafted_size

STRIP: Final = 256
"""Rows of a deep picture that are converted at a time."""

BLOCK: Final = 1024 * 1024
"""Bytes that Pillow hands its decoders at a time."""

MAX_EXIF: Final = 1024 * 1024
"""Bytes of EXIF that are looked at; its directory stands at the beginning."""

MAX_KEPT_PROFILE: Final = 1024 * 1024
"""Bytes of a colour profile whose conversion is kept for the next photo that has it."""

for _plugin in ("Jpeg", "Png", "WebP", "Gif", "Bmp", "Tiff"):
    import_module(f"PIL.{_plugin}ImagePlugin")  # Pillow knows a format once its module is loaded
# a photo has one core; the others have photos of their own
pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
Image.MAX_IMAGE_PIXELS = None  # our own limits, checked before anything is decoded, take its place
warnings.filterwarnings("ignore", module=r"PIL\..*")  # odd metadata is no news worth a line on stderr

# Everything that Pillow's and libheif's decoders raise on damaged files. MemoryError is not among them.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)

_SHORT = re.compile(
    r"truncat|end of file|\beof\b|premature|incomplete|buffer is not large enough", re.IGNORECASE
)


@lru_cache(maxsize=1)
def require_codecs() -> None:
    """Raise CodecError when this Pillow was built without a decoder that we promise."""
    missing = [
        name for name in ("jpg", "zlib", "webp", "avif", "libtiff", "littlecms2") if not features.check(name)
    ]
    if missing:
        raise CodecError(
            f"Pillow is installed without {', '.join(missing)}: install Pillow's own wheel again "
            "(pip install --force-reinstall --only-binary=:all: pillow)."
        )


def decode(claims: Claims, wanted: Wanted, limits: Limits) -> Image.Image:
    """The picture that is wanted of a photo: upright, sRGB, what is transparent on white; mode RGB.

    Raises PhotoError for a damaged or cut-off one. What is missing at the end of a file may be metadata, or an end mark:
    then it is made up, twice and differently, and the picture is certain when it comes out the same.
    """
    try:
        pictures = [_picture(claims, tail, wanted, limits) for tail in claims.tails]
    except DECODER_ERRORS as error:
        if not claims.missing:
            raise _in_words(error, claims) from error
        try:
            pictures = [_picture(claims, byte * claims.missing, wanted, limits) for byte in (b"\0", b"\xaa")]
        except DECODER_ERRORS:
            raise _in_words(error, claims) from error
    if any(other.tobytes() != pictures[0].tobytes() for other in pictures[1:]):
        raise PhotoError("unreadable", CUT_OFF)
    return pictures[0]


def _in_words(error: Exception, claims: Claims) -> PhotoError:
    if isinstance(error, PhotoError):
        return error
    if isinstance(error, UnidentifiedImageError):
        if claims.format == "TIFF":
            return PhotoError(
                "unsupported",
                "A TIFF with this layout of pixels is not supported; save the photo as an ordinary 8-bit TIFF or JPEG.",
            )
        return damaged("its beginning makes no sense")
    if _SHORT.search(str(error)):
        return PhotoError("unreadable", CUT_OFF)
    return damaged("its data make no sense" if str(error).startswith("decoder error") else error)


def _picture(claims: Claims, tail: bytes, wanted: Wanted, limits: Limits) -> Image.Image:
    data = b"".join((*claims.parts, tail) if tail else claims.parts)
    with Image.open(io.BytesIO(data), formats=(claims.format,)) as image:
        check_pixels(image.width, image.height, limits)
        image.info.update(claims.info)
        orientation = _orientation(image)
        profile = image.info.get("icc_profile")
        image.decodermaxblock = BLOCK
        image.draft(None, drafted_size(image.width, image.height, wanted))
        small = _resized(_resizable(image), wanted)
        if orientation in _TURNS:
            small = small.transpose(_TURNS[orientation])
        return _on_white(_to_srgb(small, profile))


def _resized(image: Image.Image, wanted: Wanted) -> Image.Image:
    size = wanted.size_of(*image.size)
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what brings the photo upright."""


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 when there is none, the EXIF block is broken, or loading turns the picture."""
    if image.format == "TIFF":
        return 1
    if exif := image.info.get("exif"):
        image.info["exif"] = exif[:MAX_EXIF]
    try:
        return int(image.getexif().get(0x0112, 1))
    except DECODER_ERRORS:
        return 1


def _resizable(image: Image.Image) -> Image.Image:
    """Decode into a mode whose pixels can be averaged: L, RGB, CMYK, LAB, LA or RGBA."""
    image.load()
    if image.mode in ("L", "RGB", "CMYK", "LAB", "YCbCr", "RGBA", "LA") and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    transparent = "transparency" in image.info or image.mode in ("PA", "La", "RGBa", "LA", "RGBA")
    return image.convert("RGBA" if transparent else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, 32-bit or floating-point greyscale picture in 8 bits; worked on in strips, which are small."""
    strips = range(0, image.height, STRIP)
    divisor = _divisor(image.mode, max((float(_values(image, top).max()) for top in strips), default=0.0))
    pixels = np.empty((image.height, image.width), np.uint8)
    for top in strips:
        pixels[top : top + STRIP] = np.clip(np.rint(_values(image, top) / divisor), 0, 255)
    return Image.fromarray(pixels)


def _values(image: Image.Image, top: int) -> np.ndarray:
    """The numbers in some rows of the picture."""
    rows = image.crop((0, top, image.width, min(top + STRIP, image.height)))
    return np.nan_to_num(np.asarray(rows, dtype=np.float32))


def _divisor(mode: str, highest: float) -> float:
    """What brings the numbers of a greyscale picture to 0 ... 255."""
    if mode.startswith("I;16") or (mode == "I" and 255 < highest <= 65535):
        return 257
    if mode == "F" and 0 < highest <= 1:
        return 1 / 255
    return max(highest / 255, 1)


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Convert from the embedded colour profile; a broken or unfitting profile is as good as none."""
    if not isinstance(profile, bytes) or not profile:
        return image
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    plain = image.convert(image.mode.removesuffix("A")) if alpha else image
    make = _transform if len(profile) <= MAX_KEPT_PROFILE else _transform.__wrapped__
    transform = make(_Profile(profile), plain.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(plain, transform)
    if converted is None:
        return image
    if alpha:
        converted.putalpha(alpha)
    return converted


class _Profile(bytes):
    """A colour profile's bytes, compared by checksum: the cache below keeps few and looks often."""

    def __hash__(self) -> int:
        return hash(hashlib.blake2b(self, digest_size=8).digest())


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion to sRGB, or None when there is nothing to convert or nothing to be made of it."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (ImageCms.getProfileDescription(source) or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return None


def _on_white(image: Image.Image) -> Image.Image:
    """RGB pixels, what was transparent laid on white."""
    if image.mode not in ("RGBA", "LA"):
        return image if image.mode == "RGB" else image.convert("RGB")
    colour = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, colour).convert("RGB")
