"""measure: image quality of every photo, for the whole frame and for its background alone.

Writes OUT/features/quality.csv, one row per photo: brightness, contrast, sharpness, colourfulness, saturation, noise,
clipping in the shadows and in the lights, entropy and blockiness; the background's own carry the prefix
`background_`. Run `extract` first: the masks come from there. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse

from model.lab.commands.options import add_out, add_photos, add_workers
from model.lab.numbers.features import sets_of, write_tables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_photos(parser)
    add_out(parser, "the folder that `extract` wrote to")
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Write the table."""
    write_tables(options.photos, options.out, sets_of("measure"), options.workers)
    return 0
