"""colour: the colours of every photo as numbers, for the whole frame and for the item alone.

Writes five tables below OUT/features/: colour-frame.csv and colour-item.csv with the 18 colour features (mean and
standard deviation of each channel in RGB, HSV and CIELAB), palette.csv with the item's main colours and the light they
were seen in, grain.csv with what the network's first layer sees of the item and around it, and picture.csv with the
background alone, 32 × 32 pixels small. Run `extract` first: the masks come from there. Stopped, it goes on where it
was.
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
    """Write the tables."""
    write_tables(options.photos, options.out, sets_of("colour"), options.workers)
    return 0
