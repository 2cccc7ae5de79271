"""`python -m model lab explain`."""

from __future__ import annotations

from pathlib import Path

import click

from model.lab.commands.group import DONE, OUT, PATH, RELEASES_OPTION, lab, mask_model


@lab.command(exit_codes=DONE)
@click.argument("photo", type=PATH, help="The photo.")
@OUT
@click.option("--picture", type=PATH, help="The PNG to write (default: OUT/explained/PHOTO.png).")
@click.option("--mask", type=PATH, help="A mask of your own (white = item), in place of rembg's.")
@mask_model("--model")
@RELEASES_OPTION
def explain(
    photo: Path, out: Path, picture: Path | None, mask: Path | None, mask_model: str, releases: Path
) -> None:
    """One photo's judgement, drawn.

      python -m model lab explain photo.jpg --out runs/lab --picture judgement.png

    Writes a picture: the photo, its mask, the background alone, the background's colours on the a*b* plane with the
    regions of white and cream, the item's main colours, and what every judge says about the photo: the models that
    `train` saved and the network's heads.
    """
    from model.lab.judging.judges import all_judges
    from model.lab.pages.judgement import drawing, look_at, verdicts
    from replacing import replacing

    view = look_at(photo, mask, mask_model)
    told = verdicts(view, [judge for _, judge in all_judges(out, releases)])
    target = picture or out / "explained" / f"{photo.stem}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as scratch:
        drawing(view, told).savefig(scratch, format="png", dpi=80)
    print("\n".join([*told, str(target)]))
