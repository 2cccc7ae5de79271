"""Drawn photos with known masks and labels: for trying the lab without photos at hand, for its tests and its notebook.

    labels = draw_samples(Path("drawn"), count=60)      # drawn/*.jpg and drawn/labels.csv
    store = extract_samples(Path("drawn"), Path("out"))  # what `extract` would write, with the true masks

They are plain on purpose: one garment-like shape in one cloth colour, on a wall that is white, cream, coloured, dark or
patterned. What a model scores on them says nothing about photos.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from model.lab.photos.store import write_csv

CLOTH: Final = {
    "black": (28, 28, 30),
    "white": (238, 238, 236),
    "red": (186, 24, 38),
    "blue": (40, 78, 160),
    "green": (46, 120, 66),
    "yellow": (236, 196, 40),
}
WALLS: Final = {
    "white": ((236, 236, 234), "1"),
    "cream": ((240, 230, 208), "1"),
    "pink": ((222, 150, 165), "0"),
    "dark": ((70, 66, 64), "0"),
    "wood": ((150, 108, 70), "0"),
    "checked": ((205, 205, 200), "0"),
}
"""Walls, and whether they are acceptable as the labels CSV writes it."""

SHAPE: Final = (
    *((0.32, 0.2), (0.68, 0.2), (0.9, 0.42), (0.78, 0.52), (0.7, 0.44)),
    *((0.7, 0.85), (0.3, 0.85), (0.3, 0.44), (0.22, 0.52), (0.1, 0.42)),
)
"""A shirt, in shares of the frame."""

SENDERS: Final = 6


class Drawn(NamedTuple):
    """A drawn photo and its true mask, of one size."""

    photo: Image.Image
    mask: Image.Image


def draw(cloth: str, wall: str, random: np.random.Generator, side: int = 256) -> Drawn:
    """Draw one photo: cloth with folds, a wall with a soft gradient, a little noise."""
    ramp = np.linspace(random.uniform(0.88, 1), random.uniform(0.94, 1.04), side)[:, None, None]
    ground = np.full((side, side, 3), WALLS[wall][0]) * ramp
    if wall == "checked":
        cells = (np.indices((side, side)) // (side // 10)).sum(0) % 2
        ground = np.where(cells[..., None], ground, np.array([120, 60, 60]))
    mask = Image.new("L", (side, side))
    shift, scale = random.uniform(-0.05, 0.05, 2), random.uniform(0.85, 1.05)
    points = [tuple(((np.array(point) - 0.5) * scale + 0.5 + shift) * side) for point in SHAPE]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(1))
    folds = 1 + 0.12 * np.sin(np.arange(side) / random.uniform(6, 14))[None, :, None]
    opacity = np.asarray(mask)[..., None] / 255
    pixels = (
        ground * (1 - opacity)
        + np.array(CLOTH[cloth]) * folds * opacity
        + random.normal(0, 3, (side, side, 3))
    )
    return Drawn(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), mask)


def draw_samples(folder: Path, count: int = 72, seed: int = 0) -> Path:
    """Draw `count` photos into train/ and validation/ below `folder` and return the path of their labels.csv.

    The last fifth is for validation, by senders of their own. Masks go to masks/ as PNG.
    """
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        cloth, wall = list(CLOTH)[number % len(CLOTH)], list(WALLS)[(number // len(CLOTH)) % len(WALLS)]
        part = "train" if number < count * 4 // 5 else "validation"
        file = f"{part}/{number:03d}-{cloth}-{wall}.jpg"
        drawn = draw(cloth, wall, random)
        for path, image in ((folder / file, drawn.photo), (mask_path(folder, file), drawn.mask)):
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
        background = "?" if number % 17 == 16 else WALLS[wall][1]
        sender = f"{part}-{random.integers(SENDERS if part == 'train' else 2)}"
        rows.append({"file": file, "background": background, "colour": cloth, "sender": sender})
    write_csv(folder / "labels.csv", pd.DataFrame(rows))
    return folder / "labels.csv"


def mask_path(folder: Path, file: str) -> Path:
    """Return where a drawn photo's true mask lies."""
    return folder / "masks" / f"{Path(file).stem}.png"
