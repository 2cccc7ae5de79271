"""How fast the lab's `extract` is, beside the plain way of using rembg, on the same photos in the same minutes.

    python -m benchmarks.extraction photos --count 16

Prints photos a second of both, in turns, and where a photo's processor time goes.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.lab.numbers.backgrounds import background_numbers
from model.lab.numbers.extraction import extract, save_background
from model.lab.photos.files import SIDE, find_photos, open_photo
from model.lab.photos.masks import MODELS, item_mask, open_session
from model.lab.photos.parallel import cores
from model.lab.photos.store import link


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder with photos, sub-folders included")
    parser.add_argument("--count", type=int, default=16, help="photos to measure on (default: %(default)s)")
    parser.add_argument("--model", default=MODELS[0], help="rembg model (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=cores(), help="processes (default: %(default)s)")
    options = parser.parse_args()
    print_speed(options.photos, options.model, options.workers, options.count)


def print_speed(photos: Path, model: str, workers: int, count: int) -> None:
    """Print photos a second of `extract` and of the plain way, in turns, and where a photo's time goes."""
    chosen = spread(find_photos(photos), count)
    open_session(model, threads=1)  # the first import of rembg compiles for a minute: not part of either way
    ours, plain = [], []
    for turn in (1, 2):
        ours.append(timed(lambda: extract_some(photos, chosen, model, workers)))
        plain.append(timed(lambda: plain_way(photos, chosen, model)))
        print(
            f"turn {turn}: extract {len(chosen) / ours[-1]:.2f} photos a second ({workers} processes), "
            f"plain rembg {len(chosen) / plain[-1]:.2f} (one photo after the other, all cores)",
            flush=True,
        )
    print(f"extract is {sum(plain) / sum(ours):.2f} times as fast.")
    for what, seconds in step_costs(photos, chosen[:12], model).items():
        print(f"  {what:44} {1000 * seconds:7.1f} ms of processor time a photo")


def spread(files: list[str], count: int) -> list[str]:
    """Return `count` of the files, evenly spread."""
    return [files[place] for place in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def extract_some(photos: Path, files: list[str], model: str, workers: int) -> None:
    """Extract the files into a scratch folder: start of the workers and everything written included."""
    with tempfile.TemporaryDirectory() as scratch:
        for file in files:
            link(photos / file, Path(scratch) / "photos" / file)
        extract(Path(scratch) / "photos", Path(scratch) / "out", model, workers)


def plain_way(photos: Path, files: list[str], model: str) -> None:
    """Do the same as rembg's documentation shows it: `remove` at full size, Pillow's PNG, NumPy's compressed NPZ."""
    rembg = importlib.import_module("rembg")
    session = rembg.new_session(model)
    masks = []
    with tempfile.TemporaryDirectory() as scratch:
        for file in files:
            with Image.open(photos / file) as image:
                cutout = rembg.remove(image, session=session, post_process_mask=True)
                pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE)))
            mask = np.asarray(cutout.resize((SIDE, SIDE)).getchannel("A"))
            Image.fromarray(np.dstack([pixels, 255 - mask])).save(Path(scratch) / "background.png")
            background_numbers(pixels, mask)
            masks.append(mask)
        np.savez_compressed(Path(scratch) / "masks.npz", *masks)


def step_costs(photos: Path, files: list[str], model: str) -> dict[str, float]:
    """Return the processor time of each step of ours for one photo on one core, and of what is avoided."""
    session = open_session(model, threads=1)
    post_process = importlib.import_module("rembg.bg").post_process
    totals: dict[str, float] = {}

    def step(what: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.process_time()
        result = work(*arguments)
        totals[what] = totals.get(what, 0.0) + (time.process_time() - started) / len(files)
        return result

    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "background.png"
        for file in files:
            pixels = step("read at 512 × 512", open_photo, photos / file)
            mask = step("mask: rembg's network, pre- and postprocessing", item_mask, session, pixels)
            step("write the background (run-length PNG)", save_background, target, pixels, mask)
            step("statistics of the background", background_numbers, pixels, mask)
            step(
                "avoided: Pillow's default PNG", Image.fromarray(np.dstack([pixels, 255 - mask])).save, target
            )
            with Image.open(photos / file) as image:
                full_mask = np.asarray(Image.fromarray(mask).resize(image.size))
            step("avoided: rembg's smoothing at full size", post_process, full_mask)
    return totals


if __name__ == "__main__":
    main()
