"""Does an answer stay when the light changes? Copies of photos in other light, compared with the photos themselves.

    python -m benchmarks.relight ../shared/clothing --part validation

Six lamps and half a stop more and less exposure. A camera takes most of a lamp's colour away by itself: a quarter of it is
left in the copies (`--left 1` leaves all of it). Prints the share of answers that stay, for every head and change.
"""

import argparse
from pathlib import Path

import numpy as np

from model.serving import releases
from model.serving.answers import decode
from model.serving.predictor import Predictor
from model.training import data
from settings import ROOT

LAMPS = {
    "bulb 2856 K": (1.0985, 0.3558),
    "lamp 4000 K": (1.0068, 0.6274),
    "sun 5000 K": (0.9642, 0.8249),
    "sun 5500 K": (0.9568, 0.9214),
    "shade 7500 K": (0.9497, 1.2264),
    "tube F11": (1.0096, 0.6435),
}
"""X and Z of each lamp's white, Y being 1 (CIE 15, two degrees; 4000 K: a black body)."""

SRGB_WHITE = (0.9505, 1.0891)
TO_LINEAR_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
"""From XYZ to linear sRGB (IEC 61966-2-1)."""

STOPS = (-0.5, 0.5)


def main() -> None:
    """Answer photos and their copies, and print what stays."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "photos", type=Path, nargs="+", help="data folders, as for `python -m model evaluate`"
    )
    parser.add_argument("--part", default="validation")
    parser.add_argument("--release", type=Path, help="release folder (default: the one in use)")
    parser.add_argument("--left", type=float, default=0.25, help="share of a lamp's colour that is left")
    parser.add_argument("--most", type=int, default=300, help="photos of each folder, evenly spread")
    chosen = parser.parse_args()
    release = (
        releases.load(chosen.release) if chosen.release else releases.current(ROOT / "model" / "releases")
    )
    photos = data.load_all(chosen.photos, part=chosen.part, classes=release.classes, most=chosen.most)
    pixels, predictor = data.serving_pixels(photos), Predictor(release)
    before = _names(predictor, pixels)
    print(f"{len(pixels)} photos\n{'':<16}" + "".join(f"{head:>12}" for head in release.classes.heads))
    changes = {name: cast(white, chosen.left) for name, white in LAMPS.items()}
    changes |= {f"{stop:+.1f} EV": np.full(3, 2.0**stop) for stop in STOPS}
    stayed = []
    for name, gains in changes.items():
        stayed.append(
            [
                (now == old).mean()
                for now, old in zip(_names(predictor, lit(pixels, gains)), before, strict=True)
            ]
        )
        print(f"{name:<16}" + "".join(f"{share:>12.3f}" for share in stayed[-1]))
    print(f"{'mean':<16}" + "".join(f"{share:>12.3f}" for share in np.mean(stayed, axis=0)))


def cast(white: tuple[float, float], left: float) -> np.ndarray:
    """How much more red, green and blue a lamp gives than daylight, at the same lightness; `left` from 0 to 1."""
    lamp, day = (TO_LINEAR_RGB @ np.array([x, 1.0, z]) for x, z in (white, SRGB_WHITE))
    gains = np.maximum(lamp / day, 0.05) ** left
    result: np.ndarray = gains / (gains @ np.array([0.2126, 0.7152, 0.0722]))
    return result


def lit(pixels: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """uint8 sRGB pixels with the light of each channel multiplied; what is too bright is clipped, as in a camera."""
    table = np.arange(256) / 255
    linear = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4)
    result = np.empty_like(pixels)
    for channel, gain in enumerate(gains):
        light = np.clip(linear * gain, 0, 1)
        encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        result[..., channel] = np.rint(255 * encoded).astype(np.uint8)[pixels[..., channel]]
    return result


def _names(predictor: Predictor, pixels: np.ndarray) -> list[np.ndarray]:
    """Every head's answers."""
    answers = decode(predictor.scores(pixels), predictor.release.classes, review_precision=0.97)
    heads = predictor.release.classes.heads
    return [np.array([answer.answers()[head].name for answer in answers]) for head in heads]


if __name__ == "__main__":
    main()
