"""`python -m model lab colour`."""

from __future__ import annotations

from pathlib import Path

from model.lab.commands.group import DONE, OUT, PHOTOS, WORKERS, lab


@lab.command(exit_codes=DONE)
@PHOTOS
@OUT
@WORKERS
def colour(photos: Path, out: Path, workers: int) -> None:
    """The colours of every photo as numbers, for the whole frame and for the item alone.

    Run `extract` first: the masks come from there. Writes five tables below
    OUT/features/: colour-frame.csv and colour-item.csv with the 18 colour features (mean and standard deviation of each
    channel in RGB, HSV and CIELAB), palette.csv with the item's main colours and the light they were seen in, grain.csv
    with what the network's first layer sees of the item and around it, and picture.csv with the background alone, 32 × 32
    pixels small. Stopped, it goes on where it was.
    """
    from model.lab.numbers.features import sets_of, write_tables

    write_tables(photos, out, sets_of("colour"), workers)
