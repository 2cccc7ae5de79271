"""`python -m model lab extract`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from logformat import entry
from model.lab.commands.group import DONE_WITHOUT_SOME, PATH, WORKERS, lab, mask_model, out


@lab.command(exit_codes=DONE_WITHOUT_SOME)
@click.argument("photos", type=PATH, help="A folder with photos, sub-folders included.")
@out("Folder to write to.")
@mask_model("--model")
@WORKERS
@click.option(
    "--recount", is_flag=True, help="Compute only the numbers again, from the masks that are there."
)
def extract(photos: Path, out: Path, mask_model: str, workers: int, recount: bool) -> int:
    """Masks, backgrounds alone, and their colours as numbers, for every photo in a folder.

    Each photo is read at 512 × 512 (the whole frame, squashed), rembg
    finds the item, and three things are kept: the mask (all of them in one masks.npz, with masks.csv saying which is
    whose), the background alone as an RGBA picture with the item transparent, and one row of statistics in
    backgrounds.csv. Stop it whenever you like: the same command goes on where it stopped, and does only what is new when
    photos were added.
    """
    from model.lab.numbers import extraction

    if recount:
        extraction.recount(photos, out, workers)
        return 0
    started = time.monotonic()
    done, refused = extraction.extract(photos, out, mask_model, workers)
    seconds = time.monotonic() - started
    speed = f"{done / seconds:.1f} a second" if done else "nothing was left to do"
    print(
        f"{done} photos extracted into {out} in {seconds:.0f} s ({speed}), {len(refused)} could not be used."
    )
    for file, reason in refused[:10]:
        print(entry(f"  {file}: {reason}"))
    return 3 if refused else 0
