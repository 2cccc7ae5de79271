"""extract: masks, backgrounds alone, and their colours as numbers, for every photo in a folder.

Each photo is read at 512 × 512 (the whole frame, squashed), rembg finds the item, and three things are
kept: the mask (all of them in one masks.npz, with masks.csv saying which is whose), the background alone as
an RGBA picture with the item transparent, and one row of statistics in backgrounds.csv. Stop it whenever
you like: the same command goes on where it stopped, and does only what is new when photos were added.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from model.lab.numbers.backgrounds import background_numbers
from model.lab.photos.files import SIDE, find_photos, open_photo, refusal
from model.lab.photos.masks import is_item, item_mask, open_session
from model.lab.photos.parallel import in_parallel
from model.lab.photos.samples import mask_path
from model.lab.photos.store import Row, Store, Writer, background_path, file_key, open_store, write_csv
from model.serving.preprocess import PhotoError

if TYPE_CHECKING:
    from model.lab.photos.arrays import Mask, Pixels


RUN_LENGTH: Final = 3
"""zlib's strategy Z_RLE."""


class Extracted(NamedTuple):
    """One photo's results: its mask and its background's numbers, or the reason why there are none."""

    file: str
    mask: Mask | None
    numbers: dict[str, float]
    reason: str


def extract(photos: Path, out: Path, model: str, workers: int) -> tuple[int, list[tuple[str, str]]]:
    """Extract all photos that `out` does not hold yet.

    Returns how many were done, and the refused ones with a reason each (also written to refused.csv).
    """
    writer = Writer(out, model)
    # half done is then a fair sample
    files = sorted(set(find_photos(photos)) - writer.done(), key=file_key)
    if not files:
        writer.finish()
        return 0, []
    # fetches the network's file, and imports rembg for all forked workers
    open_session(model, threads=1)
    refused: list[tuple[str, str]] = []
    with writer:
        for result in in_parallel(
            partial(extract_one, photos, out),
            files,
            workers=min(workers, len(files)),
            what="extract",
            prepare=open_worker,
            prepared_with=(model,),
        ):
            if result.mask is None:
                refused.append((result.file, result.reason))
            else:
                writer.add(result.file, result.mask, result.numbers)
    writer.finish()
    write_csv(out / "refused.csv", pd.DataFrame(sorted(refused), columns=["file", "reason"]))
    return len(files) - len(refused), sorted(refused)


def recount(photos: Path, out: Path, workers: int) -> None:
    """Compute backgrounds.csv again from the photos and the masks that `out` holds."""
    files = Store(out).files
    work = partial(recount_one, photos, out)
    rows = list(in_parallel(work, files, workers=workers, what="recount"))
    rows.sort(key=lambda row: str(row["file"]))
    write_csv(out / "backgrounds.csv", pd.DataFrame(rows))


_session: Any = None


def open_worker(model: str) -> None:
    """Prepare a worker process: its own session with one thread.

    One thread in each of several processes beats several threads in one: the network's many small layers
    need not wait for one another, and all the rest (decoding, colours, PNG) is parallel too.
    """
    global _session
    _session = open_session(model, threads=1)


def extract_one(photos: Path, out: Path, file: str) -> Extracted:
    """Do one photo; its background picture is on disk when this returns."""
    try:
        pixels = open_photo(photos / file)
    except (PhotoError, OSError) as error:
        return Extracted(file, None, {}, refusal(error))
    mask = item_mask(_session, pixels)
    save_background(out / background_path(file), pixels, mask)
    return Extracted(file, mask, background_numbers(pixels, mask), "")


def recount_one(photos: Path, out: Path, file: str) -> Row:
    """Compute one photo's row again."""
    return {"file": file, **background_numbers(open_photo(photos / file), open_store(out).mask(file))}


def save_background(path: Path, pixels: Pixels, mask: Mask) -> None:
    """Write the background alone as an RGBA PNG: opacity 255 - mask, no colour at all where the item surely
    is.

    Run-length deflate (zlib's Z_RLE) at level 1 takes a third of the time of Pillow's default for files 16
    % larger.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    opacity = np.where(is_item(mask), 0, 255 - mask).astype(np.uint8)
    picture = np.dstack([np.where(opacity[..., None] > 0, pixels, 0), opacity])
    Image.fromarray(picture).save(path, "PNG", compress_level=1, compress_type=RUN_LENGTH)


def extract_samples(folder: Path, out: Path) -> Store:
    """Write what `extract` would write for drawn photos, with their true masks in place of rembg's."""
    writer = Writer(out, "drawn")
    for file in pd.read_csv(folder / "labels.csv")["file"]:
        pixels = open_photo(folder / file)
        with Image.open(mask_path(folder, file)) as image:
            mask: Mask = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        save_background(out / background_path(file), pixels, mask)
        writer.add(file, mask, background_numbers(pixels, mask))
    return writer.finish()
