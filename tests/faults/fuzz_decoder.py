"""Throws broken photos at the decoder: whatever a file holds, the answer is pixels or a PhotoError, soon and small.

    python -m tests.faults.fuzz_decoder --cases 20000

Each case is made from its number alone, so that one which fails can be repeated (`--first N --cases 1`). The
decoding happens in a child process, which may crash or hang without ending the campaign.
"""

import argparse
import io
import multiprocessing
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection

import numpy as np
import psutil
from PIL import Image, ImageCms

from model.serving.preprocess import PhotoError, read_photo

MAX_MEGAPIXELS = 120
OVERDUE_SECONDS = 30
CASES_PER_CHILD = 2000


@dataclass
class Figures:
    """What came of the cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0
    peak_mb: float = 0.0
    growth_mb: float = 0.0
    """The most that a child's memory at rest grew from its 200th case to its last."""

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        return (
            f"{self.outcomes.total()} mutated files: {outcomes}; {len(self.problems)} problems; slowest "
            f"{self.slowest:.2f} s; peak {self.peak_mb:.0f} MB, growth over a child's cases {self.growth_mb:.0f} MB"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; returns 1 when something was neither pixels nor a PhotoError."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz_decoder", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args(arguments)
    figures = campaign(given.first, given.first + given.cases)
    print(figures)
    for problem in figures.problems[:20]:
        print(problem)
    return 1 if figures.problems else 0


def campaign(first: int, last: int) -> Figures:
    """Decode cases `first` to `last` (not included)."""
    figures = Figures()
    while first < last:
        first = _in_a_child(first, min(last, first + CASES_PER_CHILD), figures)
    return figures


def _in_a_child(first: int, last: int, figures: Figures) -> int:
    """Decode some cases in a child process; returns the first case that is still to be done."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=_decode, args=(first, last, theirs), daemon=True
    )
    child.start()
    theirs.close()
    number = first
    try:
        while number < last:
            if not ours.poll(OVERDUE_SECONDS + 30 * (number == first)):  # the first one waits for the imports
                figures.problems.append(f"case {number}: no end within {OVERDUE_SECONDS} s")
                figures.outcomes["overdue"] += 1
                break
            outcome, seconds = ours.recv()
            figures.outcomes[outcome.partition(":")[0]] += 1
            figures.slowest = max(figures.slowest, seconds)
            if outcome.startswith("PROBLEM"):
                figures.problems.append(f"case {number}: {outcome}")
            number += 1
        else:
            peak, growth = ours.recv()
            figures.peak_mb, figures.growth_mb = max(figures.peak_mb, peak), max(figures.growth_mb, growth)
            return last
    except EOFError:
        child.join()
        figures.problems.append(f"case {number}: the decoder crashed ({child.exitcode})")
        figures.outcomes["crashed"] += 1
    child.kill()
    child.join()
    return number + 1


def _decode(first: int, last: int, pipe: Connection) -> None:
    rest = psutil.Process()
    at_first = 0.0
    for number in range(first, last):
        if number - first == min(200, (last - first) // 2):
            at_first = rest.memory_info().rss
        data = mutated(number)
        started = time.perf_counter()
        pipe.send((_outcome(data), time.perf_counter() - started))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send((peak, (rest.memory_info().rss - at_first) / 1e6))


def _outcome(data: bytes) -> str:
    try:
        pixels = read_photo(data, max_megapixels=MAX_MEGAPIXELS)
    except PhotoError as error:
        return error.code if str(error) and str(error).isprintable() else f"PROBLEM: {error!r}"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"PROBLEM: {error!r}"
    fits = pixels.shape == (224, 224, 3) and pixels.dtype == np.uint8
    return "read" if fits else f"PROBLEM: {pixels.shape} {pixels.dtype}"


def mutated(number: int) -> bytes:
    """The broken file of a case."""
    chance = random.Random(number)
    data = bytearray(chance.choice(seeds()))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        chance.choice(MUTATIONS)(data, chance)
        if not data:
            break
    return bytes(data)


def _cut_off(data: bytearray, chance: random.Random) -> None:
    del data[len(data) * chance.randrange(100) // 100 :]


def _flip_bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 2, 10, 100))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _flip_bits_of_header(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 2, 5))):
        data[chance.randrange(min(len(data), 600))] ^= 1 << chance.randrange(8)


def _write_extremes(data: bytearray, chance: random.Random) -> None:
    """Sizes, offsets and counts as large or as small as they come."""
    value = chance.choice(
        (
            b"\0",
            b"\xff",
            b"\x7f\xff",
            b"\x80\0",
            b"\0\0\0\0",
            b"\xff" * 4,
            b"\x7f\xff\xff\xff",
            b"\0\0\x27\x10",
        )
    )
    at = chance.randrange(min(len(data), chance.choice((64, 600, len(data)))))
    data[at : at + len(value)] = value


def _remove_some(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 4, 100, 1000))]


def _repeat_some(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.choice((1, 4, 100, 1000))] * chance.choice((1, 3, 50))


def _splice(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(seeds())
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


def _other_beginning(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(seeds())
    size = chance.choice((4, 12, 32))
    data[:size] = other[:size]


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _cut_off,
    _flip_bits,
    _flip_bits_of_header,
    _write_extremes,
    _remove_some,
    _repeat_some,
    _splice,
    _other_beginning,
)


@lru_cache(maxsize=1)
def seeds() -> tuple[bytes, ...]:
    """Sound photos of every kind that is read, small ones."""
    chance = np.random.default_rng(1)
    noise = Image.fromarray(chance.integers(0, 255, (40, 50, 3), np.uint8)).resize((160, 120))
    grey, deep = noise.convert("L"), Image.fromarray(chance.integers(0, 65535, (60, 80), np.uint16))
    transparent = noise.convert("RGBA")
    transparent.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    film: dict[str, object] = {"save_all": True, "append_images": [grey.convert("RGB"), noise]}
    photos: list[tuple[Image.Image, str, dict[str, object]]] = [
        (noise, "JPEG", {"exif": exif, "icc_profile": profile}),
        (noise, "JPEG", {"progressive": True, "optimize": True}),
        (noise.convert("CMYK"), "JPEG", {}),
        (grey, "JPEG", {}),
        (noise, "MPO", {"save_all": True, "append_images": [noise]}),
        (noise, "PNG", {"exif": exif, "icc_profile": profile}),
        (transparent, "PNG", {}),
        (noise.convert("P"), "PNG", {"transparency": 3}),
        (grey.convert("1"), "PNG", {}),
        (deep, "PNG", {}),
        (noise, "PNG", film),
        (noise, "WEBP", {"exif": exif}),
        (transparent, "WEBP", {"lossless": True}),
        (noise, "WEBP", film),
        (noise.convert("P"), "GIF", film),
        (noise, "BMP", {}),
        (noise.convert("P"), "BMP", {}),
        (noise, "TIFF", {"compression": "tiff_lzw"}),
        (noise, "TIFF", {"compression": "tiff_jpeg"}),
        (noise, "TIFF", {"compression": "tiff_deflate"} | film),
        (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (deep, "TIFF", {}),
        (grey.convert("F"), "TIFF", {}),
        (noise, "HEIF", {"quality": 50, "exif": exif.tobytes()}),
        (transparent, "HEIF", {"quality": 50}),
        (noise, "AVIF", {"speed": 10}),
        (transparent, "AVIF", {"speed": 10}),
    ]
    return tuple(_encoded(image, kind, how) for image, kind, how in photos)


def _encoded(image: Image.Image, kind: str, how: dict[str, object]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
