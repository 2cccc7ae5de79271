"""extract: masks, backgrounds alone, and their colours as numbers, for every photo in a folder.

Each photo is read at 512 × 512 (the whole frame, squashed), rembg finds the item, and three things are
kept: the mask (all of them in one masks.npz, with masks.csv saying which is whose), the background alone as
an RGBA picture with the item transparent, and one row of statistics in backgrounds.csv. Stop it whenever
you like: the same command goes on where it stopped, and does only what is new when photos were added.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from logformat import entry
from model.lab.commands.options import add_mask_model, add_out, add_workers
from model.lab.numbers.extraction import extract, recount


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photos", type=Path, help="folder with photos, sub-folders included")
    add_out(parser, "folder to write to")
    add_mask_model(parser)
    add_workers(parser)
    parser.add_argument(
        "--recount", action="store_true", help="compute only the numbers again, from the masks that are there"
    )


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 3 when some photos could not be used."""
    if options.recount:
        recount(options.photos, options.out, options.workers)
        return 0
    started = time.monotonic()
    done, refused = extract(options.photos, options.out, options.model, options.workers)
    seconds = time.monotonic() - started
    speed = f"{done / seconds:.1f} a second" if done else "nothing was left to do"
    print(
        f"{done} photos extracted into {options.out} in {seconds:.0f} s ({speed}), {len(refused)} could not be used."
    )
    for file, reason in refused[:10]:
        print(entry(f"  {file}: {reason}"))
    return 3 if refused else 0
