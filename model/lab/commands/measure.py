"""`python -m model lab measure`."""

from __future__ import annotations

from pathlib import Path

from model.lab.commands.group import DONE, OUT, PHOTOS, WORKERS, lab


@lab.command(exit_codes=DONE)
@PHOTOS
@OUT
@WORKERS
def measure(photos: Path, out: Path, workers: int) -> None:
    """Image quality of every photo, for the whole frame and for its background alone.

    Run `extract` first: the masks come from there. Writes
    OUT/features/quality.csv, one row per photo: brightness, contrast, sharpness, colourfulness, saturation, noise, clipping
    in the shadows and in the lights, entropy and blockiness; the background's own carry the prefix `background_`. Stopped,
    it goes on where it was.
    """
    from model.lab.numbers.features import sets_of, write_tables

    write_tables(photos, out, sets_of("measure"), workers)
