"""The group that the lab's commands belong to, and the options that several share, each described once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from command_line import ExitCodes, Group, Whole
from model.lab import RELEASES, SENDER

DONE: Final[ExitCodes] = {
    0: "done",
    2: "something that you can put right; the message says what",
    130: "interrupted",
}
DONE_WITHOUT_SOME: Final[ExitCodes] = {0: DONE[0], 3: "done, but some photos could not be used", **DONE}

Command = TypeVar("Command", bound=Callable[..., object])


@click.group(
    cls=Group,
    epilog="A usual order: extract, measure, colour, then train, compare, report. `COMMAND --help` teaches each; "
    "docs/lab.md has the rules and the results.",
)
def lab() -> None:
    """The background and colour lab."""


PATH = click.Path(path_type=Path)


def names(text: str) -> list[str]:
    """Return the names in a text that commas join."""
    return [name.strip() for name in text.split(",") if name.strip()]


def out(meaning: str) -> Callable[[Command], Command]:
    """The lab's folder."""
    return click.option("--out", type=PATH, default=Path("runs/lab"), show_default=True, help=meaning)


OUT = out("The folder that `extract` wrote to.")

PHOTOS = click.argument("photos", type=PATH, help="The folder with photos that `extract` was given.")

MODEL_NAMES = click.argument(
    "models",
    nargs=-1,
    required=True,
    metavar="MODEL...",
    help="A folder that `train` wrote, the folder of a release, or `network` for the one in use; or several, for "
    "different tasks.",
)


def _cores() -> int:
    from model.lab.photos.parallel import cores

    return cores()


WORKERS = click.option("--workers", type=Whole(1), default=_cores, help="Processes (default: one a core).")

RELEASES_OPTION = click.option(
    "--releases", type=PATH, default=RELEASES, show_default=True, help="The network's releases, or `none`."
)

GROUP = click.option(
    "--group", default=SENDER, show_default=True, help="Column of photos to keep together, or none."
)

HELD_OUT = click.option(
    "--held-out",
    default="validation/",
    show_default=True,
    help="Beginning of the paths that training leaves out.",
)


def labels(*, required: bool = True) -> Callable[[Command], Command]:
    """The table of labels."""
    return click.option(
        "--labels", type=PATH, required=required, help="CSV with a column `file` and one per task."
    )


class Listing(click.Option):
    """An option whose help lists what may be given; it is looked up when it is shown, as what knows it loads slowly."""

    def __init__(self, *arguments: Any, listed: Callable[[], str], **others: Any) -> None:
        super().__init__(*arguments, **others)
        self.listed = listed

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """What it is, then what there is."""
        record = super().get_help_record(ctx)
        return record and (record[0], f"{record[1]} {self.listed()}.")


def _mask_models() -> Sequence[str]:
    from model.lab.photos.masks import MODELS

    return MODELS


def mask_model(option: str) -> Callable[[Command], Command]:
    """Which of rembg's networks makes the masks."""
    return click.option(
        option,
        "mask_model",
        cls=Listing,
        listed=lambda: ", ".join(_mask_models()),
        default=lambda: _mask_models()[0],
        help="rembg's model (default: the first). There are:",
    )
