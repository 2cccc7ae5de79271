"""Commands that make photos and their labels fit to learn from."""

from __future__ import annotations

from pathlib import Path

import click

from logformat import entry
from model.commands.group import CODES, PATH, ThereType, commands, need, release_of
from model.user_errors import need_folder


def shares(text: str) -> tuple[float, ...]:
    """Three numbers that say how photos are shared out, as shares of 1."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != 3 or min(found) < 0 or not 0 < found[0] < float("inf"):
        raise click.BadParameter(f"{text!r} are no three shares, such as 70,15,15.")
    return tuple(share / sum(found) for share in found)


@commands.command(exit_codes=CODES)
@click.argument(
    "raw",
    type=PATH,
    help="A folder with <main category>/<sub-category>/*.jpg, or with a CSV (file,label), or with a catalogue's "
    "styles.csv and its images; or such a CSV.",
)
@click.option("--to", type=PATH, required=True, help="The data folder: a new or empty one.")
@click.option(
    "--shares", type=shares, default="70,15,15", show_default=True, help="Of train, validation and test."
)
def prepare(raw: Path, to: Path, shares: tuple[float, ...]) -> None:
    """Make a data folder of raw photos: train, validation and test, with nothing of the one in the other.

    Every part has the classes' shares of the whole; near-duplicates and photos of one group are in one part. The same
    command goes on after an interruption. Example:

      python -m model prepare raw --to data
    """
    from model.training.prepare import PARTS
    from model.training.prepare import prepare as make

    prepared = make(raw, to, shares=shares)
    table = prepared.table()
    width = max(len(sub) for sub in table)
    print(f"{'':<{width}}{''.join(f'{part:>12}' for part in PARTS)}")
    for sub, counts in table.items():
        print(entry(f"{sub:<{width}}{''.join(f'{count:>12}' for count in counts)}"))
    print(
        f"{sum(map(sum, table.values()))} photos, {prepared.near} of them nearly the same as another one (kept together); "
        f"{len(prepared.left_out)} left out ({to / 'left_out.csv'} says why)."
    )
    print(f"Next: .venv/bin/python -m model train --data {to}")


@commands.command("audit-labels", exit_codes=CODES)
@click.argument("folder", type=ThereType(need_folder, "the photos"), help="Photos as for `train`.")
@click.option(
    "--release", help="Version or release folder whose features are used (default: the one in use)."
)
@click.option(
    "--out", type=PATH, default=Path("runs/labels"), show_default=True, help="Table and page go here."
)
def audit_labels(folder: Path, release: str | None, out: Path) -> None:
    """Find the labels that are likeliest wrong, by what the other photos say of each.

    Writes suspects.csv and index.html, the likeliest first. Nothing is changed. Example:

      python -m model audit-labels data
    """
    need("cleanlab", "sklearn")
    from model.training import data
    from model.training.suspects import features_of, suspects, write_pages

    photos = data.load(folder)
    found = suspects(photos, features_of(release_of(release), photos))
    for path in write_pages(found, photos, folder, out):
        print(path)
    print(f"{len(found)} labels of {len(photos)} photos may be wrong; the likeliest come first.")
