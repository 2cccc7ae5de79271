"""Commands that choose which release the night uses."""

from __future__ import annotations

import click

import in_use
from model.commands.group import CODES, commands, model_dir, name


@commands.command("list", exit_codes=CODES)
def list_releases() -> None:
    """Show the releases, their scores, and which one is in use."""
    from model.serving import releases
    from model.serving.classes import HEADS
    from model.serving.releases import ReleaseError

    folder = model_dir()
    versions = releases.versions(folder)
    if not versions:
        print(f"There are no releases in {folder}.")
    used, problem = "", ""
    try:
        used = releases.version_in_use(folder)
    except ReleaseError as error:
        problem = str(error)
    for version in versions:
        try:
            scores = releases.load(in_use.folder(folder, version)).metrics.get("scores", {})
            told = ", ".join(
                f"{h} {scores[h]['score']:.3f}" for h in HEADS if scores.get(h, {}).get("photos")
            )
        except ReleaseError as error:
            told = str(error)
        print(f"{'*' if version == used else ' '} {version}  {told}")
    if used and used not in versions:
        problem = f"{used} is in use, and is not there: `python -m model promote VERSION` chooses another."
    if problem:
        raise ReleaseError(problem)


@commands.command(exit_codes=CODES)
@click.argument("version", type=name, metavar="VERSION", help="The release; `list` shows which there are.")
@click.option("--new-classes", is_flag=True, help="The classes are meant to change.")
@click.option("--worse", is_flag=True, help="It may be worse than the one in use.")
@click.option("--uncompared", is_flag=True, help="Too few photos to compare by are enough.")
def promote(version: str, new_classes: bool, worse: bool, uncompared: bool) -> None:
    """Put a release to use.

    It is compared with the one in use on photos that neither has learned from, and refused where it is surely worse, or
    where fewer than 200 photos can say so.
    """
    from model.releasing import promotion

    release = promotion.promote(
        model_dir(), version, new_classes=new_classes, worse=worse, uncompared=uncompared, tell=print
    )
    print(f"{release.version} is in use from the next start of the sidecar on.")


@commands.command(exit_codes=CODES)
def rollback() -> None:
    """Return to the release used before."""
    from model.releasing import promotion

    release = promotion.rollback(model_dir(), tell=print)
    print(f"{release.version} is in use again from the next start of the sidecar on.")
