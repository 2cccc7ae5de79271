"""What is no photo that is read is told by its content, whatever its name: what it is, and what to do about it."""

import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

import decoder
from tests.faults.bombs import encoded, long, segment, short, tiff


def refusal(data: bytes) -> str:
    with pytest.raises(decoder.PhotoError) as caught:
        decoder.plan(data, square=224)
    assert caught.value.code == "unsupported"
    assert str(caught.value).endswith(".")
    return str(caught.value)


def text(value: str) -> tuple[int, int, bytes]:
    """A tag's text of four bytes at most, or one that stands at 8, before the directory."""
    content = value.encode() + b"\0"
    return (2, len(content), content) if len(content) <= 4 else (2, len(content), struct.pack("<I", 8))


def thumbnail_tiff(more: dict[int, tuple[int, int, bytes]], content: bytes = b"") -> bytes:
    """A TIFF that shows 8 x 6 grey pixels, as cameras' RAW files begin."""
    tags = {
        256: long(8), 257: long(6), 258: short(8), 259: short(1), 262: short(1), 277: short(1), 278: long(6),
        273: long(8 + len(content)), 279: long(48),
    }  # fmt: skip
    return tiff(tags | more, content + bytes(48))


def with_inner(make: str, inner: dict[int, tuple[int, int, bytes]], *, reduced: bool = True) -> bytes:
    """A camera maker's TIFF: a thumbnail, and another picture within."""
    name = make.encode() + b"\0" * 4
    directory = struct.pack("<H", len(inner))
    for tag, (kind, count, value) in sorted(inner.items()):
        directory += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    content = name + directory + bytes(4)
    return thumbnail_tiff({254: long(int(reduced)), 271: text(make), 330: long(8 + len(name))}, content)


SENSOR = {254: long(0), 256: long(6000), 257: long(4000), 259: short(34713), 262: short(32803)}

RAW = {
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(100),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(100),
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(100),
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(100),
    "ORF": b"IIRO\x08\0\0\0" + bytes(100),
    "ORF of old": b"IIRS\x08\0\0\0" + bytes(100),
    "ORF of Motorola order": b"MMOR\0\0\0\x08" + bytes(100),
    "RW2": b"IIU\0\x18\0\0\0" + bytes(100),
    "DNG": thumbnail_tiff({50706: (1, 4, b"\1\4\0\0")}),
    "NEF": with_inner("NIKON CORPORATION", SENSOR),
    "NEF, packed otherwise": with_inner("NIKON CORPORATION", SENSOR | {259: short(1), 262: short(1)}),
    "ARW": with_inner("SONY", SENSOR | {259: short(32767)}),
    "no maker's": with_inner("Somebody", SENSOR),
    "PEF": thumbnail_tiff({262: short(32803), 259: short(65535)}),
}


@pytest.mark.parametrize("kind", RAW)
def test_camera_raw_is_not_taken_for_its_thumbnail(kind: str) -> None:
    words = refusal(RAW[kind])
    assert words.startswith("Camera RAW (")
    assert "export the photo as JPEG" in words


def test_a_cameras_ordinary_tiff_is_read_also_with_smaller_copies_in_it() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[271] = "NIKON CORPORATION"
    photo = encoded(Image.new("RGB", (64, 48), "red"), "TIFF", tiffinfo=tags)
    copy = {254: long(1), 256: long(4), 257: long(3), 259: short(1), 262: short(1)}
    for data in (photo, with_inner("NIKON CORPORATION", copy, reduced=False)):
        assert decoder.read(data, square=8).size == (8, 8)


def jpeg_with_frame(marker: int, bits: int = 8, channels: int = 3) -> bytes:
    layout = b"".join(bytes((i + 1, 0x11, 0)) for i in range(channels))
    frame = segment(marker, struct.pack(">BHHB", bits, 48, 64, channels) + layout)
    scan = segment(0xDA, bytes((channels, *(b for i in range(channels) for b in (i + 1, 0)), 0, 63, 0)))
    return b"\xff\xd8" + segment(0xE0, b"JFIF\0" + bytes(9)) + frame + scan + bytes(2000) + b"\xff\xd9"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (jpeg_with_frame(0xC1, bits=12), "12 bits"),
        (jpeg_with_frame(0xC2, bits=12), "12 bits"),
        (jpeg_with_frame(0xC3), "lossless JPEG"),
        (jpeg_with_frame(0xC3, bits=16), "lossless JPEG"),
        (jpeg_with_frame(0xC9), "arithmetic"),
        (jpeg_with_frame(0xCA), "arithmetic"),
        (jpeg_with_frame(0xC5), "hierarchical"),
        (jpeg_with_frame(0xF7), "JPEG-LS"),
        (jpeg_with_frame(0xC0, channels=2), "2 channels"),
    ],
)
def test_a_jpeg_of_another_kind_is_told_from_a_damaged_one(data: bytes, words: str) -> None:
    assert words in refusal(data)
    assert "save the photo as an ordinary JPEG" in refusal(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\x0a\xfa\x1f" + bytes(100), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl " + bytes(100), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 " + bytes(100), "JPEG 2000"),
        (b"\xff\x4f\xff\x51" + bytes(100), "JPEG 2000"),
        (b"8BPS\0\1" + bytes(100), "PSD"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn -->\n<svg/>', "SVG"),
        (b"%PDF-1.7\n", "Not a photo but PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100), "video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(100), "video"),
        (b"RIFF\0\1\0\0AVI LIST" + bytes(100), "video"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "video"),
        (b"PK\x03\x04" + bytes(100), "office document"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(100), "iPhone"),
        (b"BMW is no bitmap, although it begins like one", "Not a readable photo. Supported: JPEG"),
        (b"\0\5\x16\7" + bytes(100), "Not a readable photo"),
    ],
)  # fmt: skip
def test_other_files_are_told_by_their_content(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_heif_and_avif_are_told_apart_by_their_brands() -> None:
    photo = Image.fromarray(np.full((48, 64, 3), (200, 30, 40), np.uint8))
    for kind in ("HEIF", "AVIF"):
        data = encoded(photo, kind)
        neutral = (
            data[:8] + b"mif1" + data[12:]
        )  # as some encoders write it: the codec stands with the other brands
        assert decoder.read(neutral, square=8).getpixel((4, 4)) == pytest.approx((200, 30, 40), abs=6)
