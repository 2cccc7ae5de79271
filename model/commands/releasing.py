"""Commands that make a release: of a run, or of another release and your own photos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from model.commands.group import (
    CODES,
    PATH,
    ThereType,
    commands,
    entered,
    model_dir,
    name,
    need,
    need_torch,
    release_of,
)
from model.user_errors import UserError, need_folder


@commands.command("export", exit_codes=CODES)
@click.argument(
    "run",
    type=PATH,
    help="The run to release; or a release: its network stays bit for bit, only its numbers are set anew by --held-out.",
)
@click.argument("version", type=name, metavar="VERSION", help="Name of the release, such as 2026-11-21.")
@click.option(
    "--data",
    "folders",
    type=ThereType(need_folder, "the photos"),
    multiple=True,
    help="Data folders, if not those that the run was made of.",
)
@click.option(
    "--part", help="Part to measure on (default: test, else validation; without one, the held-out photos)."
)
@click.option(
    "--held-out", type=PATH, help="held_out.npz of the run that set senders aside (default: this run's own)."
)
@click.option(
    "--golden",
    type=PATH,
    help="Pictures with known answers, named <sub>-<colour>-<background>.jpg, which the release must get right "
    "(default: the drawn ones in model/golden, or, for other categories, some held-out photos).",
)
@click.option("--float", "quantised", flag_value=False, default=True, help="Do not quantise.")
@click.option(
    "--note", "notes", multiple=True, help="A line for the card, below what it was made from; repeatable."
)
def export_release(
    run: Path,
    version: str,
    folders: Sequence[Path],
    part: str | None,
    held_out: Path | None,
    golden: Path | None,
    quantised: bool,
    notes: Sequence[str],
) -> None:
    """Make a release of a run."""
    need_torch()
    from model.releasing import export
    from model.releasing.promotion import command
    from model.training import data
    from model.training.held_out_scores import load_held_out, of_held_out
    from model.training.recipe_file import with_command
    from model.training.run import load_run, with_notes
    from model.training.test_photos import test_photos

    finished = with_notes(load_run(run), notes)
    finished = replace(finished, record=with_command(finished.record, entered()))
    folders = folders or [Path(folder) for folder in finished.data]
    if not folders:
        raise UserError(f"{run} does not say which photos it was made of: name their folder with --data.")
    scores = load_held_out(held_out or run / "held_out.npz", finished.classes)
    each = -(-export.CALIBRATION_PHOTOS // len(folders))
    calibration = data.load_all(folders, classes=finished.classes, most=each)
    test, judged = test_photos(folders, part, finished.classes), None
    if test is None and scores.sha256 is not None:
        test, of_these = of_held_out(scores, data.load_all(folders, classes=finished.classes))
        judged = of_these if finished.learned and set(test.sha256) <= finished.learned else None
    release = export.export(
        finished,
        scores,
        calibration,
        calibration if test is None else test,
        golden=golden,
        out=model_dir(),
        version=version,
        judged=judged,
        quantised=quantised,
    )
    if caution := export.nothing_filed(release):
        print(caution, file=sys.stderr)
    print(
        f"Release {release.version} is in {release.folder}; its card.md says how good it is. Next: "
        f".venv/bin/{command(model_dir(), release)}"
    )


@commands.command(exit_codes=CODES)
@click.argument("version", type=name, metavar="VERSION", help="Name of the new release, such as mine-1.")
@click.option(
    "--from",
    "photos",
    type=PATH,
    required=True,
    help="Your photos as <folder>/<sub>/*.jpg; a column `weight` in labels.csv says how many photos each stands for.",
)
@click.option("--release", help="Version or release folder of the parent (default: the one in use).")
def calibrate(version: str, photos: Path, release: str | None) -> None:
    """Set a release's thresholds by your own photos, as a new release; the network stays as it is."""
    need("scipy")
    from model.releasing.own import adapt

    made = adapt(release_of(release), photos, out=model_dir(), version=version)
    print(
        f"Release {made.version} is in {made.folder}. `python -m model promote {made.version}` puts it to use."
    )
