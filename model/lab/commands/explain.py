"""explain: the lab's judgement for one photo, drawn.

    explain photo.jpg --out runs/lab --picture judgement.png

Writes a picture: the photo, its mask, the background alone, the background's colours on the a*b* plane with the regions
of white and cream, the item's main colours, and what every judge says about the photo: the models that `train` saved
and the network's heads.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from model.lab.commands.options import add_mask_model, add_out, add_releases
from model.lab.judging.judges import find_judges, tasks
from model.lab.pages.judgement import drawing, look_at, verdicts
from replacing import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photo", type=Path, help="the photo")
    add_out(parser)
    parser.add_argument("--picture", type=Path, help="the PNG to write (default: OUT/explained/PHOTO.png)")
    parser.add_argument("--mask", type=Path, help="a mask of your own (white = item), in place of rembg's")
    add_mask_model(parser)
    add_releases(parser)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    view = look_at(options.photo, options.mask, options.model)
    names = sorted({*tasks(options.out), "background", "colour"})
    judges = [judge for task in names for judge in find_judges(options.out, task, options.releases)]
    told = verdicts(view, judges)
    target = options.picture or options.out / "explained" / f"{options.photo.stem}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as scratch:
        drawing(view, told).savefig(scratch, format="png", dpi=80)
    print("\n".join([*told, str(target)]))
    return 0
