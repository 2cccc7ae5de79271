"""The options that several commands share, each described once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from model.lab import RELEASES
from model.lab.judging.tasks import SENDER
from model.lab.photos.masks import MODELS
from model.lab.photos.parallel import cores

OUT: Final = Path("runs/lab")
HELD_OUT: Final = "validation/"


def at_least(least: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """Return a reader of numbers from `least` on, for argparse."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not least <= number < float("inf"):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {least:g} on")
        return number

    return read


def names(text: str) -> list[str]:
    """Return the names in a text that commas join."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_photos(parser: argparse.ArgumentParser) -> None:
    """Declare the folder with the photos."""
    parser.add_argument("photos", type=Path, help="the folder with photos that `extract` was given")


def add_out(parser: argparse.ArgumentParser, meaning: str = "the lab's folder") -> None:
    """Declare the lab's folder."""
    parser.add_argument("--out", type=Path, default=OUT, help=f"{meaning} (default: %(default)s)")


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Declare how many processes work."""
    parser.add_argument(
        "--workers",
        type=at_least(1),
        default=cores(),
        help="processes (default: one a core, here %(default)s)",
    )


def add_mask_model(parser: argparse.ArgumentParser, option: str = "--model") -> None:
    """Declare which of rembg's networks makes the masks."""
    parser.add_argument(
        option, default=MODELS[0], help=f"rembg model (default: %(default)s; others: {', '.join(MODELS[1:])})"
    )


def add_releases(parser: argparse.ArgumentParser) -> None:
    """Declare where the network is."""
    parser.add_argument(
        "--releases",
        type=Path,
        default=RELEASES,
        help="the network's releases, or `none` (default: %(default)s)",
    )


def add_task_options(parser: argparse.ArgumentParser, *, labels_required: bool = True) -> None:
    """Declare what says which photos and labels are meant."""
    parser.add_argument(
        "--labels", type=Path, required=labels_required, help="CSV with a column `file` and one per task"
    )
    parser.add_argument(
        "--group",
        default=SENDER,
        help="column of photos to keep together, or none (default: %(default)s)",
    )
    parser.add_argument(
        "--held-out",
        default=HELD_OUT,
        help="beginning of the paths that training leaves out (default: %(default)s)",
    )
