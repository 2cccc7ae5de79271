"""Small files that cost much: each is within the limits on bytes and pixels, and made to take memory or time.

    python -m tests.faults.bombs

tries each in a process of its own and says what came of it, and what it took.
"""

import argparse
import contextlib
import io
import json
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pillow_heif
import psutil
from PIL import Image, ImageCms

from settings import ROOT

pillow_heif.register_heif_opener()

Make = Callable[[], bytes]

BOMBS: dict[str, tuple[Make, str]] = {}
"""Name → what makes it, and what is to come of it: `read`, or the code of the error."""


def bomb(outcome: str) -> Callable[[Make], Make]:
    """Note a bomb under the name of the function that makes it."""

    def note(make: Make) -> Make:
        BOMBS[make.__name__] = (make, outcome)
        return make

    return note


# --- JPEG ------------------------------------------------------------------------------------------------


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def encoded(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def jpeg_tables() -> bytes:
    """The quantization and Huffman tables of a JPEG."""
    data = encoded(Image.new("RGB", (8, 8)), "JPEG")
    at, tables = 2, b""
    while data[at + 1] != 0xDA:
        size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] in (0xDB, 0xC4):
            tables += data[at : at + size]
        at += size
    return tables


def progressive(width: int, height: int, scans: int) -> bytes:
    """A grey picture with one scan that brings everything, and many that look at every coefficient and change none."""
    frame = segment(0xC2, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
    end_of_band = segment(
        0xC4, bytes((0x11, 1)) + bytes(15) + b"\xe0"
    )  # one code: 16,384 blocks or more are done
    blocks = -(-width // 8) * -(-height // 8)
    runs = bytes(2 * (blocks // 16384 + 1))
    first = segment(0xDA, bytes((1, 1, 0, 0, 0, 0))) + bytes(blocks // 4 + 8)
    rest = segment(0xDA, bytes((1, 1, 1, 1, 63, 0))) + runs
    more = segment(0xDA, bytes((1, 1, 1, 1, 63, 0x10))) + runs
    return b"\xff\xd8" + jpeg_tables() + frame + end_of_band + first + rest + more * scans + b"\xff\xd9"


def before_the_picture(*segments: bytes) -> bytes:
    """A sound JPEG with something before its picture."""
    return b"\xff\xd8" + b"".join(segments) + encoded(Image.new("RGB", (64, 48), "red"), "JPEG")[2:]


@bomb("too_large")
def jpeg_of_20_000_scans() -> bytes:
    return progressive(1024, 1024, 20_000)


@bomb("too_large")
def jpeg_of_9_000_scans() -> bytes:
    return progressive(2048, 2048, 9_000)


@bomb("too_large")
def jpeg_of_900_scans_of_100_megapixels() -> bytes:
    return progressive(10_000, 10_000, 900)


@bomb("too_large")
def jpeg_of_millions_of_comments() -> bytes:
    return before_the_picture(segment(0xFE, b"") * 2_000_000)


@bomb("read")
def jpeg_of_millions_of_fill_bytes() -> bytes:
    return before_the_picture(b"\xff" * 30_000_000)


@bomb("read")
def jpeg_of_millions_of_stray_bytes() -> bytes:
    return before_the_picture(b"\xff\0" * 15_000_000)


@bomb("read")
def jpeg_of_photoshop_resources() -> bytes:
    resources = b"Photoshop 3.0\0" + b"8BIM\x04\0\0\0\0\0\0\0" * 5000
    return before_the_picture(segment(0xED, resources) * 700)


@bomb("read")
def jpeg_of_exif_in_pieces() -> bytes:
    return before_the_picture(segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 700)


@bomb("unreadable")
def jpeg_cut_off_at_100_megapixels() -> bytes:
    return progressive(10_000, 10_000, 1)[:3000]


@bomb("read")
def jpeg_with_a_profile_that_claims_tables() -> bytes:
    return encoded(Image.new("RGB", (64, 48)), "JPEG", icc_profile=profile_that_claims_tables())


@bomb("read")
def jpeg_with_a_profile_that_claims_millions_of_texts() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = profile.index(b"mluc") + 8
    claimed = profile[:at] + struct.pack(">I", 30_000_000) + profile[at + 4 :]
    return encoded(Image.new("RGB", (64, 48)), "JPEG", icc_profile=claimed)


def profile_that_claims_tables() -> bytes:
    """A colour profile of some hundred bytes with a table of 250 x 250 x 250 x 15 numbers, of which none is there."""
    table = b"mft2" + bytes(4) + bytes((3, 15, 250, 0)) + struct.pack(">9i", *(65536, 0, 0, 0) * 2, 65536)
    table += struct.pack(">HH", 2, 2) + struct.pack(">HH", 0, 65535) * 3
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = plain.replace(b"sRGB", b"line").replace(b"s\0R\0G\0B", b"l\0i\0n\0e")
    tags = int.from_bytes(plain[128:132], "big")
    listed = b"".join(
        plain[at : at + 4]
        + struct.pack(">I", int.from_bytes(plain[at + 4 : at + 8], "big") + 12)  # one more tag moves the rest
        + plain[at + 8 : at + 12]
        for at in range(132, 132 + 12 * tags, 12)
    )
    rest = plain[132 + 12 * tags :]
    listed += b"A2B0" + struct.pack(">II", len(plain) + 12, len(table))
    size = struct.pack(">I", len(plain) + 12 + len(table))
    return size + plain[4:128] + struct.pack(">I", tags + 1) + listed + rest + table


# --- PNG -------------------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int, height: int, packed: bytes, *, colour: int = 0, depth: int = 8, more: bytes = b""
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + packed + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """So many zeros, packed with deflate."""
    packer = zlib.compressobj(9)
    whole, rest = divmod(size, 1_000_000)
    block = bytes(1_000_000)
    return (
        b"".join(packer.compress(block) for _ in range(whole)) + packer.compress(bytes(rest)) + packer.flush()
    )


@bomb("read")
def png_of_texts_that_unpack_to_gigabytes() -> bytes:
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zeros(15_000_000))
    return png(64, 48, chunk(b"IDAT", zeros(65 * 48)), more=text * 400)


@bomb("read")
def png_of_a_profile_that_unpacks_to_200_megabytes() -> bytes:
    return png(64, 48, chunk(b"IDAT", zeros(65 * 48)), more=chunk(b"iCCP", b"x\0\0" + zeros(200_000_000)))


@bomb("too_large")
def png_in_millions_of_pieces() -> bytes:
    packed = zeros(65 * 48)
    return png(
        64, 48, chunk(b"IDAT", packed[:5]) + chunk(b"IDAT", b"") * 2_000_000 + chunk(b"IDAT", packed[5:])
    )


@bomb("read")
def png_that_goes_on_after_its_picture() -> bytes:
    return png(64, 48, chunk(b"IDAT", zeros(300_000_000)))


@bomb("too_large")
def png_of_120_megapixels_of_16_bits() -> bytes:
    return png(12_000, 10_000, chunk(b"IDAT", zeros(10_000 * (1 + 8 * 12_000))), colour=6, depth=16)


# --- WebP, AVIF, HEIC ------------------------------------------------------------------------------------


@bomb("too_large")
def webp_of_one_colour_and_120_megapixels() -> bytes:
    return encoded(Image.new("RGB", (12_000, 9_990), "red"), "WEBP", lossless=True, method=0)


@bomb("too_large")
def webp_of_120_megapixels() -> bytes:
    return encoded(Image.new("RGB", (12_000, 9_990), "red"), "WEBP", method=0)


@bomb("too_large")
def webp_of_a_small_frame_on_a_large_canvas() -> bytes:
    frame = encoded(Image.new("RGB", (16, 16), "red"), "WEBP")[12:]
    canvas = (12_000 - 1).to_bytes(3, "little") + (9_990 - 1).to_bytes(3, "little")
    size = (15).to_bytes(3, "little")
    film = riff(b"ANMF", bytes(6) + size + size + bytes(4) + frame)
    body = (
        riff(b"VP8X", b"\x02\0\0\0" + canvas) + riff(b"ANIM", bytes(6)) + film + riff(b"JUNK", bytes(30_000))
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


@bomb("too_large")
@cache
def avif_of_one_colour_and_118_megapixels() -> bytes:
    return encoded(Image.new("RGB", (11_800, 10_000), "red"), "AVIF", speed=10)


@bomb("too_large")
def avif_of_one_colour_made_larger() -> bytes:
    return avif_of_one_colour_and_118_megapixels() + struct.pack(">I", 100_000) + b"free" + bytes(99_992)


@bomb("unreadable")
def avif_that_claims_to_be_small() -> bytes:
    data = avif_of_one_colour_and_118_megapixels()
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 100, 100) + data[at + 8 :]


@bomb("too_large")
def heic_that_claims_to_be_small() -> bytes:
    data = encoded(Image.new("RGB", (3000, 2000), "red"), "HEIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 100, 100) + data[at + 8 :]


@bomb("too_large")
def heic_of_a_million_boxes() -> bytes:
    data = encoded(Image.new("RGB", (64, 48), "red"), "HEIF")
    return data[: int.from_bytes(data[:4], "big")] + (struct.pack(">I", 8) + b"free") * 1_000_000 + data[32:]


# --- GIF, BMP, TIFF --------------------------------------------------------------------------------------


def gif(width: int, height: int, frame: tuple[int, int, int, int], before: bytes = b"") -> bytes:
    """A GIF whose first frame lies at (left, top) and has a size, of a few pixels only."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return head + before + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x4c\x01\0;"


@bomb("too_large")
def gif_with_a_large_canvas() -> bytes:
    return gif(11_000, 10_900, (0, 0, 1, 1))


@bomb("too_large")
def gif_with_a_frame_far_away() -> bytes:
    return gif(10, 10, (65_000, 65_000, 2, 2))


@bomb("too_large")
def gif_of_millions_of_pieces() -> bytes:
    return gif(10, 10, (0, 0, 2, 2), b"!\xfe" + b"\x01x" * 15_000_000 + b"\0")


@bomb("too_large")
def bmp_of_run_lengths() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 11_000, 10_800, 1, 8, 1, 0, 0, 0, 256, 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024)
        + head
        + bytes(range(256)) * 4
        + bytes(2 * 10_800)
    )


@bomb("too_large")
def bmp_of_millions_of_run_lengths() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 5_000, 5_000, 1, 8, 1, 0, 0, 0, 256, 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024)
        + head
        + bytes(range(256)) * 4
        + b"\1\1" * 20_000_000
    )


def tiff(tags: dict[int, tuple[int, int, bytes]], content: bytes = b"", at: int = 8) -> bytes:
    """A little-endian TIFF: tag → (type, count, value or offset), with content before the directory."""
    directory = struct.pack("<H", len(tags))
    for tag, (kind, count, value) in sorted(tags.items()):
        directory += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", at + len(content)) + content + directory + bytes(4)


def short(value: int) -> tuple[int, int, bytes]:
    return 3, 1, struct.pack("<H", value)


def long(value: int) -> tuple[int, int, bytes]:
    return 4, 1, struct.pack("<I", value)


@bomb("unreadable")
def tiff_of_a_progressive_jpeg() -> bytes:
    photo = progressive(1024, 1024, 20_000)
    tags = {
        256: long(1024), 257: long(1024), 258: short(8), 259: short(7), 262: short(1), 273: long(8), 277: short(1),
        278: long(1024), 279: long(len(photo)),
    }  # fmt: skip
    return tiff(tags, photo)


@bomb("too_large")
def tiff_of_millions_of_strips() -> bytes:
    strips = bytes(4 * 4_000_000)
    tags = {
        256: long(100), 257: long(100), 258: short(8), 259: short(1), 262: short(1), 273: (4, 4_000_000, b"\x08\0\0\0"),
        277: short(1), 278: long(1), 279: (4, 4_000_000, b"\x08\0\0\0"),
    }  # fmt: skip
    return tiff(tags, strips)


@bomb("too_large")
def tiff_of_100_megapixels_packed_with_zstd() -> bytes:
    return encoded(Image.new("RGB", (11_000, 9_000)), "TIFF", compression="zstd")


@bomb("unreadable")
def tiff_of_huge_tiles() -> bytes:
    tags = {
        256: long(100), 257: long(100), 258: short(8), 259: short(8), 262: short(1), 277: short(1), 322: long(60_000),
        323: long(60_000), 324: long(8), 325: long(1000),
    }  # fmt: skip
    return tiff(tags, zeros(1_000_000))


@bomb("unreadable")
def bigtiff_of_endless_tags() -> bytes:
    return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + bytes(20) * 1_000_000


# --- trying them -----------------------------------------------------------------------------------------

_TRY = """
import json, sys, time
import decoder
from tests.faults import bombs
data = sys.stdin.buffer.read()
decoder.read(bombs.before_the_picture(), square=224)
print("started", flush=True)
started = time.process_time()
try:
    decoder.read(data, square=224)
    came = "read"
except decoder.PhotoError as error:
    came = f"{error.code}: {error}"
print(json.dumps({"came": came, "seconds": time.process_time() - started}), flush=True)
"""


@dataclass
class Tried:
    """What came of a photo in a process of its own, and what it took, that of the decoder's helpers included."""

    came: str = ""
    seconds: float = 0.0
    """Of processor time."""
    memory_mb: float = 0.0
    """At the peak, beyond what was there before."""


def tried(data: bytes) -> Tried:
    """Try a photo."""
    with subprocess.Popen(
        [sys.executable, "-c", _TRY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as ours:
        assert ours.stdin is not None
        assert ours.stdout is not None
        ours.stdin.write(data)
        ours.stdin.close()
        ours.stdout.readline()
        process, found = psutil.Process(ours.pid), Tried()
        before = _memory(process)
        helped: dict[int, float] = {}
        while ours.poll() is None:
            with contextlib.suppress(psutil.Error):
                found.memory_mb = max(found.memory_mb, _memory(process) - before)
                for helper in process.children():
                    helped[helper.pid] = sum(helper.cpu_times()[:2])
            time.sleep(0.002)
        answer = json.loads(ours.stdout.read())
    found.came = answer["came"]
    found.seconds = answer["seconds"] + sum(helped.values())
    return found


def _memory(process: psutil.Process) -> float:
    """What a process and its children have, in MB."""
    return float(sum(each.memory_info().rss for each in (process, *process.children())) / 1e6)


def main() -> None:
    """Try them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.bombs", description=__doc__)
    parser.add_argument("name", nargs="*", help="the bombs to try (all of them)")
    for name in parser.parse_args().name or BOMBS:
        data = BOMBS[name][0]()
        found = tried(data)
        print(
            f"{name:48} {len(data):>11,} B  {found.seconds:6.2f} s  {found.memory_mb:6.0f} MB  {found.came}",
            flush=True,
        )


if __name__ == "__main__":
    main()
