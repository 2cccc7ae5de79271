"""Formats are told by how files begin, and nothing that is no photo is taken for one."""

import io

import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin

from decoder import headers
from decoder.claims import Wanted
from decoder.errors import PhotoError
from photo_formats import BEGINNING, EITHER_BRANDS, HEIF_BRANDS, format_of

pillow_heif.register_heif_opener()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "HEIF", "AVIF"])
def test_what_pillow_writes_is_recognised(name: str) -> None:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(content, name)
    assert format_of(content.getvalue()[:BEGINNING]) == name


def box(major: bytes, *compatible: bytes) -> bytes:
    brands = b"".join(compatible)
    return (16 + len(brands)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + brands + b"\0\0\0\x08meta"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        *((box(brand, b"mif1"), "HEIF") for brand in HEIF_BRANDS),
        *((box(brand), "HEIF") for brand in EITHER_BRANDS),
        *((box(brand, *[b"heic"] * 30, b"avif"), "AVIF") for brand in EITHER_BRANDS),
        (box(b"avis"), "AVIF"),
        (box(b"mif1", b"miaf", b"avif"), "AVIF"),
        (box(b"mif1") + b"avif" * 4, "HEIF"),  # what follows the box is no brand
        (b"II+\0\x08\0\0\0", "TIFF"),  # BigTIFF
        (b"GIF87a", "GIF"),
        (b"BM" + bytes(12) + (12).to_bytes(4, "little"), "BMP"),  # OS/2's
    ],
)
def test_every_variant_of_a_supported_format_is_recognised(content: bytes, wanted: str) -> None:
    assert format_of(content[:BEGINNING]) == wanted


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"BMW parts, ordered by the number on the box",
        b"GIF is a format",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"MM",
        b"%PDF-1.7",
        b"\xff\x0a\xfa\x1f",  # JPEG XL
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"II*\0\x10\0\0\0CR\x02\0",  # Canon's CR2
        b"IIU\0\x18\0\0\0",  # Panasonic's RW2
        b"FUJIFILMCCD-RAW 0201",
        box(b"crx ", b"isom"),  # Canon's CR3
        box(b"qt  "),
        box(b"mp42", b"isom", b"avif"),
        b"ftyp",
    ],
)
def test_nothing_else_is_taken_for_a_photo(content: bytes) -> None:
    assert format_of(content[:BEGINNING]) == ""


def test_pillow_takes_nothing_for_a_tiff_that_we_do_not() -> None:
    assert {format_of(prefix) for prefix in TiffImagePlugin.PREFIXES} == {"TIFF"}


def test_camera_raw_that_begins_like_a_tiff_is_called_by_its_name() -> None:
    with pytest.raises(PhotoError, match=r"Camera RAW \(Canon CR2\) is not supported"):
        headers.look(b"II*\0\x10\0\0\0CR\x02\0" + bytes(100), Wanted())
