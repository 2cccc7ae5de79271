"""Commands that say how good a release is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from model.commands.group import CODES, PATH, commands, need_torch, release_of
from model.user_errors import UserError

if TYPE_CHECKING:
    import numpy as np

PART = click.option("--part", help="Part to score (default: test, else validation, if there).")


@commands.command(exit_codes=CODES)
@click.argument(
    "folder",
    type=PATH,
    nargs=-1,
    required=True,
    help="Photos as <folder>/<sub>/*.jpg, with labels.csv if there is one, or with a table that describes them.",
)
@click.option("--release", help="Version or release folder (default: the one in use).")
@PART
@click.option(
    "--out", type=PATH, default=Path("runs/evaluation"), show_default=True, help="Pictures go here."
)
@click.option("--review-precision", type=float, default=0.97, show_default=True, help="Promised precision.")
@click.option(
    "--robustness",
    "is_robust",
    is_flag=True,
    help="Also with noise, blur, compression, darkness, low resolution and a part covered.",
)
@click.option("--denoise", is_flag=True, help="With --robustness: a median filter before the network looks.")
def evaluate(
    folder: Sequence[Path],
    release: str | None,
    part: str | None,
    out: Path,
    review_precision: float,
    is_robust: bool,
    denoise: bool,
) -> None:
    """Score a release on a folder of photos."""
    need_torch()
    from model.releasing.evaluate import as_text, in_words, judge, review
    from model.releasing.evaluate import evaluate as score
    from model.releasing.kinds import as_table as kinds_as_table
    from model.releasing.kinds import by_kind
    from model.releasing.onnx_network import scores_of
    from model.releasing.pages import write_pages
    from model.training import data
    from model.training.test_photos import photos_to_score

    judged = release_of(release)
    photos = photos_to_score(folder, part, judged.classes)
    scores = scores_of(judged.network, data.serving_pixels(photos))
    probable, sure = judge(scores, judged.classes, review_precision, judged.familiar)
    report = score(probable, photos, judged.classes)
    print(as_text(report))
    filed = review(probable, sure, photos, judged.classes, review_precision)
    print(f"\n{in_words(filed)}")
    print("\n" + kinds_as_table(by_kind(probable, photos, judged.classes, sure)))
    for path in write_pages(report, probable, photos, judged.classes, out):
        print(path)
    if is_robust or denoise:
        from model.releasing.robustness import as_table, robustness, write_page

        def look(pixels: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
            found = scores_of(judged.network, pixels)
            return judge(found, judged.classes, review_precision, judged.familiar)

        lines = robustness(look, photos, denoise=denoise)
        print("\n" + as_table(lines))
        for path in write_page(lines, out):
            print(path)


@commands.command(exit_codes=CODES)
@click.argument("first", help="Version or release folder.")
@click.argument("second", help="Version or release folder.")
@click.argument("folder", type=PATH, nargs=-1, required=True, help="Photos as for `evaluate`.")
@PART
def compare(first: str, second: str, folder: Sequence[Path], part: str | None) -> None:
    """Compare two releases on the same photos."""
    need_torch()
    from model.releasing.evaluate import compare as both
    from model.releasing.onnx_network import scores_of
    from model.training import data
    from model.training.test_photos import photos_to_score

    one, other = release_of(first), release_of(second)
    if dict(one.classes.main_of) != dict(other.classes.main_of):
        raise UserError(
            f"{one.version} and {other.version} tell different classes apart: nothing to compare."
        )
    photos = photos_to_score(folder, part, one.classes)
    pixels = data.serving_pixels(photos)
    again = photos_to_score(folder, part, other.classes)
    table = both(scores_of(one.network, pixels), scores_of(other.network, pixels), photos, again)
    print(f"{'head':<12}{'photos':>7}{'first':>8}{'second':>8}  {'gain, 95 % interval':<22}{'McNemar p':>10}")
    for head, row in table.items():
        print(
            f"{head:<12}{row['photos']:>7.0f}{row['first']:>8.3f}{row['second']:>8.3f}  "
            f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}      {row['p']:>10.3f}"
        )
