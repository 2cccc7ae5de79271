"""Photos to measure with: drawn, of the usual sizes, every file with bytes of its own."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from batch.demo.drawings import draw_garment
from batch.demo.garments import MAIN_OF

DRAWN = 16
"""Different drawings; beyond, files repeat them with another ending, which decoders do not read."""


def fill(folder: Path, number: int, *, phone: bool = False) -> None:
    """Write photos: of 400 × 533 pixels as shops send them, or of 12 megapixels as phones make them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, photo in zip(range(number), photos(phone=phone), strict=False):
        (folder / f"{index:06}.jpg").write_bytes(photo)


def photos(*, phone: bool = False) -> Iterator[bytes]:
    """Endless JPEGs, each different from all others."""
    drawn = [_jpeg(seed, phone=phone) for seed in range(DRAWN)]
    number = 0
    while True:
        yield drawn[number % DRAWN] + number.to_bytes(4, "big")
        number += 1


def _jpeg(seed: int, *, phone: bool) -> bytes:
    sub = sorted(MAIN_OF)[seed % len(MAIN_OF)]
    colour = ("red", "blue", "green", "black")[seed % 4]
    background = ("acceptable", "unacceptable")[seed % 2]
    image = draw_garment(sub, colour, background, seed=seed, size=(600, 800) if phone else (400, 533))
    if phone:
        large = np.asarray(image.resize((3000, 4000), Image.Resampling.BICUBIC), np.int16)
        grain = np.random.default_rng(seed).integers(-9, 10, large.shape, np.int16)  # as a sensor has it
        image = Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()
