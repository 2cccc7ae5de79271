"""What files may hold: cut off anywhere, the wrong thing under a photo's name, bombs; memory has a bound."""

import io
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

import decoder
from model.serving.preprocess import PhotoError, read_photo
from settings import ROOT
from tests.faults.fuzz_decoder import seeds


def outcome(data: bytes, max_megapixels: float = 120) -> str:
    """What becomes of a file: `read`, or the code of the error, whose sentence is for people."""
    try:
        pixels = read_photo(data, max_megapixels=max_megapixels)
    except PhotoError as error:
        return error.code if str(error).endswith(".") else repr(error)
    assert pixels.shape == (224, 224, 3)
    return "read"


def test_every_kind_of_photo_is_read_whole_and_read_or_refused_when_cut_off_at_every_percent() -> None:
    for photo in seeds():
        assert outcome(photo) == "read"
        found = {outcome(photo[: len(photo) * percent // 100]) for percent in range(100)}
        assert found <= {"read", "unreadable", "unsupported"}
        assert outcome(photo[: len(photo) // 20]) != "read"


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%PDF-1.7\n1 0 obj\n",
        b"<!DOCTYPE html><html><body>not found</body></html>",
        b"MZ\x90\0\x03" + bytes(500),
        b"\x7fELF\x02\x01\x01" + bytes(500),
        b"#!/bin/sh\nrm -rf /\n",
        b"PK\x03\x04" + bytes(500),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\0" * 10_000,
    ],
)
def test_what_is_no_photo_is_unsupported_whatever_its_name(content: bytes) -> None:
    assert outcome(content) == "unsupported"


def test_an_empty_file_is_unreadable() -> None:
    assert outcome(b"") == "unreadable"


def bomb(width: int, height: int) -> bytes:
    """A PNG of black pixels, however many."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + checksum

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x01\0\0\0\0"
    packer = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    small = bomb(50_000, 5_000)
    assert len(small) < 100_000
    assert outcome(small) == "too_large"
    assert outcome(small[:16] + (50_000).to_bytes(4, "big") * 2 + small[24:]) in ("too_large", "unreadable")


def test_the_limit_on_pixels_is_exact() -> None:
    assert outcome(bomb(1000, 1000), max_megapixels=1) == "read"
    assert outcome(bomb(1000, 1001), max_megapixels=1) == "too_large"


def test_of_films_and_many_pages_the_first_one_counts() -> None:
    red, blue = (Image.new("RGB", (50, 50), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        file = io.BytesIO()
        red.save(file, kind, save_all=True, append_images=[blue])
        pixels = read_photo(file.getvalue(), max_megapixels=1)
        assert abs(pixels[112, 112].astype(int) - (255, 0, 0)).max() < 30


@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 50],
)
@pytest.mark.parametrize("profile", [b"", b"rubbish", bytes(200), b"\xff" * 3000])
def test_broken_metadata_costs_no_photo(exif: bytes, profile: bytes) -> None:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(file, "JPEG", exif=exif, icc_profile=profile)
    assert outcome(file.getvalue()) == "read"


MEMORY = """
import re, sys
from pathlib import Path
import decoder

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

photo, before = sys.stdin.buffer.read(), peak()
plan = decoder.plan(photo, square=224)
decoder.pixels.decode(decoder.headers.look(photo, plan._wanted), plan._wanted, plan._limits)
print(peak() - before, plan.memory)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
@pytest.mark.parametrize(
    ("mode", "kind", "how"),
    [
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", "JPEG", {"progressive": True}),
        *((mode, "PNG", {}) for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")),
        ("P", "PNG", {"transparency": 0}),
        ("RGB", "PNG", {"transparency": (0, 0, 0)}),
        ("L", "GIF", {}),
        ("P", "GIF", {"transparency": 0}),
        ("RGB", "BMP", {}),
        ("P", "BMP", {}),
        ("RGB", "WEBP", {"method": 0}),
        ("RGBA", "WEBP", {"method": 0, "lossless": True, "quality": 0}),
        ("RGB", "AVIF", {"speed": 10}),
        ("RGBA", "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGBA", "TIFF", {"compression": "tiff_adobe_deflate", "strip_size": 10**9}),
        ("F", "TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_a_photo_takes_no_more_memory_than_is_foretold_and_not_much_less(
    mode: str, kind: str, how: dict[str, object]
) -> None:
    side = 2500
    image = Image.effect_noise((side, side), 40)
    image = image.quantize(64) if mode == "P" else image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **how)
    environment = os.environ | decoder.apart._ENVIRONMENT  # as a helper has it
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        input=file.getvalue(),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    taken, foretold = map(float, done.stdout.split())
    assert taken <= foretold
    assert foretold < 4 * taken + 100e6


def test_a_picture_of_16_bits_or_of_floating_point_keeps_its_brightness() -> None:
    for values in (np.full((600, 700), 32896, np.uint16), np.full((600, 700), 0.5, np.float32)):
        file = io.BytesIO()
        Image.fromarray(values).save(file, "TIFF")
        assert abs(int(read_photo(file.getvalue(), max_megapixels=1).mean()) - 128) <= 1
