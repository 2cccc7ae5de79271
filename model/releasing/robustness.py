"""How answers hold when photos get worse: noise, blur, compression, darkness, low resolution, a part covered.

    table = robustness(lambda pixels: scores_of(network, pixels), judged, photos)
    write_page(table, Path("runs/evaluation"))

Each kind of damage comes in three strengths, after ImageNet-C (Hendrycks and Dietterich 2019, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations"). It is done to the pixels that the network is given, the same to every
release. Beside how many answers are right stands how many photos would be filed without a person, and how many of these
are right: a photo that got too bad is to go to a person.
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from model.releasing.evaluate import scores_of_heads
from model.serving.classes import HEADS
from model.training.data import Photos, serving_pixels
from model.training.labels import UNKNOWN
from replacing import replacing

MOST: Final = 600
"""Photos that are looked at, evenly spread: each is looked at some twenty times."""

Damage = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
Judged = Callable[[np.ndarray], tuple[Mapping[str, np.ndarray], np.ndarray]]
"""From pixels, uint8 (N, 224, 224, 3), to every head's probabilities and whether each photo would be filed, bool (N,)."""


def noise(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of this standard deviation, of 255."""
    return _as_bytes(pixels + rng.normal(0, strength, pixels.shape))


def blur(pixels: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    """A Gaussian blur of this radius."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(strength)))


def jpeg(pixels: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    """Compression to JPEG of this quality."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=int(strength))
    return np.asarray(Image.open(content))


def darkness(pixels: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    """This share of the light, in linear light."""
    return _as_bytes(pixels * strength ** (1 / 2.2))


def low_resolution(pixels: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    """So many pixels a side, enlarged again."""
    small = Image.fromarray(pixels).resize((int(strength),) * 2, Image.Resampling.BOX)
    return np.asarray(small.resize(pixels.shape[1::-1], Image.Resampling.BILINEAR))


def occlusion(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A grey square on this share of the photo, anywhere."""
    side = round(strength**0.5 * len(pixels))
    top, left = rng.integers(0, len(pixels) - side + 1, 2)
    result = pixels.copy()
    result[top : top + side, left : left + side] = 127
    return result


def denoised(pixels: np.ndarray) -> np.ndarray:
    """The median of each pixel and its eight neighbours: what may be done against noise before the network looks."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(3)))


DAMAGES: Final[Mapping[str, tuple[Damage, Sequence[float]]]] = {
    "noise": (noise, (10, 20, 40)),
    "blur": (blur, (1, 2, 4)),
    "JPEG": (jpeg, (50, 30, 15)),
    "darkness": (darkness, (0.5, 0.25, 0.1)),
    "low resolution": (low_resolution, (112, 64, 32)),
    "occlusion": (occlusion, (0.05, 0.15, 0.3)),
}
"""Kind of damage → how it is done, and its three strengths, the mildest first."""


@dataclass(frozen=True)
class Line:
    """What one kind of damage at one strength leaves: shares of right answers (of backgrounds, the mean of both kinds').

    NaN where no photo has such a label.
    """

    damage: str
    strength: float
    main: float
    sub: float
    background: float
    colour: float
    filed: float
    """The share that would be filed without a person."""
    filed_right: float


def robustness(
    judged: Judged, photos: Photos, *, denoise: bool = False, most: int = MOST, seed: int = 0
) -> list[Line]:
    """The photos as they are, and after every kind of damage; with `denoise`, `denoised` before they are looked at."""
    if len(photos) > most:
        photos = photos.take(np.linspace(0, len(photos) - 1, most).astype(int))
    pixels = serving_pixels(photos)
    return [
        _line(name, strength, judged(changed), photos)
        for name, strength, changed in _all(pixels, denoise, seed)
    ]


def as_table(lines: Sequence[Line]) -> str:
    """The lines as text."""
    rows = [
        f"{'damage':<16}{'strength':>9}{'main':>7}{'sub':>7}{'backgr.':>9}{'colour':>8}{'filed':>7}{'right':>7}"
    ]
    for line in lines:
        shown = f"{line.strength:g}" if line.strength else ""
        rows.append(
            f"{line.damage:<16}{shown:>9}{line.main:>7.3f}{line.sub:>7.3f}{line.background:>9.3f}{line.colour:>8.3f}"
            f"{line.filed:>7.2f}{line.filed_right:>7.3f}"
        )
    return "\n".join(rows)


def write_page(lines: Sequence[Line], folder: Path) -> list[Path]:
    """Write the lines as a table and as a page."""
    folder.mkdir(parents=True, exist_ok=True)
    table, page = folder / "robustness.csv", folder / "robustness.html"
    names = list(Line.__dataclass_fields__)
    with replacing(table) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for line in lines:
            writer.writerow([_shown(getattr(line, name)) for name in names])
    with replacing(page) as new:
        new.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Robustness</title>'
            "<style>body{font:15px sans-serif;margin:2em}</style><h1>Robustness</h1>"
            f"<pre>{html.escape(as_table(lines))}</pre>\n",
            encoding="utf-8",
        )
    return [table, page]


def _all(pixels: np.ndarray, denoise: bool, seed: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """Every kind of damage and its strength, with the pixels after it; first the photos as they are."""
    last = denoised if denoise else np.asarray
    yield "none", 0, np.stack([last(photo) for photo in pixels])
    for name, (damage, strengths) in DAMAGES.items():
        for strength in strengths:
            rng = np.random.default_rng(seed)
            yield name, strength, np.stack([last(damage(photo, strength, rng)) for photo in pixels])


def _line(
    name: str, strength: float, found: tuple[Mapping[str, np.ndarray], np.ndarray], photos: Photos
) -> Line:
    probable, filed = found
    scores = scores_of_heads(probable, photos, photos.classes)
    right = {
        head: one.balanced_accuracy if head == "background" else one.accuracy for head, one in scores.items()
    }
    sub = scores.get("sub")
    of_filed = sub.right[filed[photos.sub != UNKNOWN]] if sub else np.empty(0)
    return Line(
        damage=name,
        strength=strength,
        **{head: right.get(head, float("nan")) for head in HEADS},
        filed=float(filed.mean()),
        filed_right=float(of_filed.mean()) if len(of_filed) else float("nan"),
    )


def _as_bytes(values: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return result


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
