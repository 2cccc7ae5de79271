"""From a file's bytes to the pixels that the network sees.

    pixels = read_photo(path.read_bytes(), max_megapixels=80)   # uint8, (224, 224, 3), sRGB

Training, evaluation and serving all read photos with this one function, so a photo looks the same to
the network whenever it looks. The whole frame is squashed to a square: the background is evidence, so
nothing is cropped.

Only Pillow, pillow_heif and NumPy are used here.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from functools import lru_cache
from importlib import import_module
from typing import Final, Literal

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, UnidentifiedImageError, features

INPUT_SIZE: Final = 224
"""Side of the square that the network sees, in pixels."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
"""The only decoders that are ever opened (an EPS, for one, would start Ghostscript); Pillow reads MPO as JPEG."""

DRAFT_SHARE: Final = 0.89
"""A JPEG is decoded at the smallest of its scales (1, 1/2, 1/4, 1/8) that keeps this share of the wanted side.

Slightly below 1, so that a photo of 533 × 400 is decoded at half its size: a third of the time, for
pixels that differ by 1.3 % of the range on average.
"""

STRIP: Final = 256
"""Rows of a deep picture that are converted at a time."""

Code = Literal["unsupported", "unreadable", "too_large"]

for _plugin in ("Jpeg", "Mpo", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif"):
    import_module(f"PIL.{_plugin}ImagePlugin")  # Pillow knows a format once its module is loaded
pillow_heif.register_heif_opener(thumbnails=False)
Image.MAX_IMAGE_PIXELS = None  # our own limit, checked before anything is decoded, takes its place
warnings.filterwarnings("ignore", module=r"PIL\..*")  # odd metadata is no news worth a line on stderr


class PhotoError(ValueError):
    """A file that cannot be read as a photo; its text is one plain sentence for the one who sent it."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(sentence)
        self.code: Code = code


class CodecError(RuntimeError):
    """This installation lacks a decoder: the photo is not to blame, and neither is any other."""


def read_photo(data: bytes, *, max_megapixels: float, size: int = INPUT_SIZE) -> np.ndarray:
    """The whole frame as sRGB pixels: uint8, (size, size, 3).

    Raises PhotoError for a file that is no photo we read (`unsupported`), a damaged one (`unreadable`),
    or one of more than `max_megapixels` million pixels (`too_large`), and CodecError when the fault is
    this installation's. MemoryError passes through.
    """
    require_codecs()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image, max_megapixels)
            return _squash(image, size)
    except PhotoError:
        raise
    except UnidentifiedImageError:
        raise _not_recognised(data) from None
    except _DECODER_ERRORS as error:
        raise PhotoError("unreadable", f"The photo is damaged or cut off: {_reason(error)}.") from error


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


# Everything that Pillow's and libheif's decoders raise on damaged files. MemoryError is not among them.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)

_SIGNATURES = (
    b"\xff\xd8\xff",  # JPEG, MPO
    b"\x89PNG",
    b"GIF8",
    b"BM",
    b"II*\0",  # TIFF, and below
    b"MM\0*",
)


def _check_pixels(image: Image.Image, max_megapixels: float) -> None:
    megapixels = image.width * image.height / 1e6
    if megapixels > max_megapixels:
        raise PhotoError(
            "too_large",
            f"The photo has {image.width} x {image.height} pixels ({megapixels:.1f} megapixels); "
            f"at most {max_megapixels:g} megapixels are read.",
        )


def _not_recognised(data: bytes) -> PhotoError:
    """The error for bytes that no decoder takes: a photo's damaged beginning, or no photo at all."""
    if not data:
        return PhotoError("unreadable", "The file is empty.")
    container = data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")
    riff = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if container or riff or data.startswith(_SIGNATURES):
        return PhotoError("unreadable", "The photo is damaged or cut off: its beginning makes no sense.")
    return PhotoError(
        "unsupported",
        "The file is no photo that can be read (JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF can).",
    )


def _reason(error: BaseException) -> str:
    """The decoder's own words, short enough for a table cell."""
    return (" ".join(str(error).split()) or type(error).__name__)[:120].rstrip(".")


def _squash(image: Image.Image, size: int) -> np.ndarray:
    """Decode, reduce, turn upright, lay on white and convert to sRGB, in the cheapest right order."""
    orientation = _orientation(image)
    profile = image.info.get("icc_profile")
    drafted = round(size * DRAFT_SHARE)
    image.draft(None, (drafted, drafted))
    small = _resizable(image).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if orientation in _TURNS:
        small = small.transpose(_TURNS[orientation])
    return np.asarray(_on_white(_to_srgb(small, profile)))


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
    """The EXIF orientation, 1 to 8; 1 when there is none or the EXIF block is broken."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except _DECODER_ERRORS:
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
    transform = _transform(_Profile(profile), plain.mode)
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
    except (ImageCms.PyCMSError, *_DECODER_ERRORS):
        return None


def _on_white(image: Image.Image) -> Image.Image:
    """RGB pixels, what was transparent laid on white."""
    if image.mode not in ("RGBA", "LA"):
        return image.convert("RGB")
    colour = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, colour).convert("RGB")
