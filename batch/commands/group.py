"""What every command of the night shares: the group that it belongs to, its settings and log, kinds of arguments."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from batch.exits import Exit
from batch.logs import set_up
from command_line import ExitCodes, Group, Whole
from this_python import SCRIPT, VERSION

if TYPE_CHECKING:
    from batch.records.ledger import Ledger
    from batch.settings import BatchSettings

MOST = 36_500
"""The largest number of days, hours or runs that can be asked for: a hundred years of nights."""

COUNT = Whole(1, MOST)

WRONG_USAGE: ExitCodes = {2: "wrong usage or setting"}
AT_WORK: ExitCodes = {75: "another run is at work on this folder"}
OF_LOOK: ExitCodes = {0: "shown", 1: "the ledger or a folder cannot be read", **WRONG_USAGE}
OF_LOOK_AT_RUN: ExitCodes = {**OF_LOOK, 2: "wrong usage or setting, or there is no such run"}

Given = ParamSpec("Given")


@click.group(
    cls=Group,
    epilog=f"""{SCRIPT} takes the same commands. Without one it runs the night, with the options of `run` (--wait,
    --if-missed), or with --demo the demo.

    `COMMAND --help` explains a command and its exit codes. Settings come from the environment and .env; .env.example
    explains them.""",
)
@click.version_option(VERSION, message="Nightsort %(version)s")
def commands() -> None:
    """Sort the photos in data/incoming: one row each in data/predictions.csv, each filed in its folder."""


def with_settings(do: Callable[Concatenate[BatchSettings, Given], int]) -> Callable[Given, int]:
    """Give a command the settings of the night, and the night's log; who calls it with settings has a log as well."""

    @functools.wraps(do)
    def command(*given: Given.args, **options: Given.kwargs) -> int:
        from batch import config
        from settings import SettingError

        if settings := click.get_current_context().obj:
            return do(settings, *given, **options)
        try:
            settings = config.of_night()
            set_up(settings.log_dir, settings.log_format)
        except SettingError as error:
            print(error, file=sys.stderr)
            return Exit.USAGE
        except OSError as error:
            print(f"The log cannot be written: {error}", file=sys.stderr)
            return Exit.FAILED
        return do(settings, *given, **options)

    return command


def tell(text: object, end: str = "\n") -> None:
    """Write what was asked for. Unlike a line of the log, it must arrive.

    Raises:
        OSError: it does not: its disk is full, or nobody reads any more.
    """
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def look(settings: BatchSettings) -> Ledger:
    """The ledger, for commands that only show."""
    from batch.records.ledger import Ledger

    return Ledger(settings.ledger_path, look=True)
