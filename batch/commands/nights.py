"""Commands that sort photos, and those that have them sorted each night."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, TypeVar

import click

from batch.commands.group import AT_WORK, MOST, WRONG_USAGE, commands, tell, with_settings
from batch.exits import Exit
from batch.logs import log
from command_line import ExitCodes

if TYPE_CHECKING:
    from batch.settings import BatchSettings

OF_NIGHT: ExitCodes = {
    0: "everything sorted, or nothing to do",
    3: "sorted, but some photos failed",
    1: "the run could not do its work; the message says why",
    **WRONG_USAGE,
    **AT_WORK,
    "130, 143": "interrupted",
}

Command = TypeVar("Command", bound=Callable[..., object])


def night_options(command: Command) -> Command:
    """What `run` and `sweep` can be told."""
    wait = click.option(
        "--wait",
        is_flag=True,
        help="Also sort photos that were just added, once they have not changed for SETTLE_SECONDS; at a terminal "
        "this is so by itself when there is nothing else to sort.",
    )
    if_missed = click.option(
        "--if-missed",
        is_flag=True,
        help="Do nothing if a run has begun since a night was last due (NIGHT_AT): for start-up.",
    )
    return wait(if_missed(command))


@commands.command(exit_codes=OF_NIGHT)
@night_options
@with_settings
def run(settings: BatchSettings, wait: bool, if_missed: bool) -> int:
    """One night: start the model server, sort, stop it (what full_batch.sh does).

    Recovers what an earlier run left unfinished, starts the model server on a free local port (or uses the one at
    API_URL), sorts every photo in incoming, writes the CSVs, and stops the server it started.
    """
    return _night(settings, wait, if_missed)


@commands.command(exit_codes=OF_NIGHT)
@night_options
@with_settings
def sweep(settings: BatchSettings, wait: bool, if_missed: bool) -> int:
    """The same with a model server that already runs at API_URL.

    Like `run`, but never starts a server. Example:

      python -m api --port 5000 &
      API_URL=http://127.0.0.1:5000 python -m batch sweep
    """
    if not settings.api_url:
        log.error("API_URL is not set: `sweep` uses a model server that already runs; `run` starts its own.")
        return Exit.USAGE
    return _night(settings, wait, if_missed)


def _night(settings: BatchSettings, wait: bool, if_missed: bool) -> int:
    from batch.night.run import night

    return night(settings, wait=wait, if_missed=if_missed, somebody_waits=_is_at_a_terminal())


def _is_at_a_terminal() -> bool:
    """Whether a person has started this and looks on; a clock (cron, systemd, `schedule`) has no terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


@commands.command(
    exit_codes={
        0: "sorted; two of the files are broken on purpose and fail",
        3: "sorted, but others failed, too",
        1: "the demo could not do its work; the message says why",
        **WRONG_USAGE,
        75: "another demo is at work",
        "130, 143": "interrupted",
    }
)
@with_settings
def demo(settings: BatchSettings) -> int:
    """Draw some product photos, sort them in data/demo, show the table.

    For someone without photos at hand. data/demo is made again each time; your own photos are not touched.
    """
    from batch.demo.demo import demo

    return demo(settings)


def _time_of_day(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time of day, 00:00 to 23:59.") from None


def _span(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in ("m", "h") or not 1 <= int(number) <= MOST:
        raise click.BadParameter(f"{text!r} is no span like 15m or 2h.")
    return timedelta(**{{"m": "minutes", "h": "hours"}[unit]: int(number)})


@commands.command(exit_codes={0: "ended by Ctrl-C or SIGTERM", 1: "the ledger cannot be read", **WRONG_USAGE})
@click.option("--at", type=_time_of_day, metavar="HH:MM", help="When (default: NIGHT_AT).")
@click.option("--every", type=_span, metavar="15m", help="Also during the day, at this interval (15m, 2h).")
@with_settings
def schedule(settings: BatchSettings, at: time | None, every: timedelta | None) -> int:
    """Run a night at this time of each day, until ended: for machines without cron.

    A night that fails is a line in the log and nothing else; one that was missed is caught up once. Example:

      python -m batch schedule --at 02:00 --every 15m
    """
    from batch.upkeep.schedule import keep

    return keep(settings, at or settings.night_at, every)


@commands.command(
    exit_codes={0: "shown, or done", 1: "the schedule could not be changed", **WRONG_USAGE},
    one_of=("cron", "systemd", "task_scheduler", "pages"),
)
@click.option("--cron", is_flag=True, help="A line in your crontab.")
@click.option("--systemd", is_flag=True, help="A timer and a hardened service (as root).")
@click.option("--task-scheduler", is_flag=True, help="A task of Windows' Task Scheduler.")
@click.option(
    "--pages",
    is_flag=True,
    help="The pages, kept running: a service of systemd (as root), or a task of Windows.",
)
@click.option("--remove", is_flag=True, help="Take it off again.")
@click.option("--yes", is_flag=True, help="Do it; without, only show what would be done.")
@with_settings
def install(settings: BatchSettings, /, *, remove: bool, yes: bool, **kinds: bool) -> int:
    """Put the night on the system's schedule (NIGHT_AT), or keep the pages running; or take them off.

    Shows what it would do; --yes does it. Examples:

      python -m batch install --cron --yes
      sudo .venv/bin/python -m batch install --pages --yes
      sudo .venv/bin/python -m batch install --systemd --yes
      python -m batch install --cron --remove --yes
    """
    from batch.upkeep.install import KINDS, carry_out, needs_root

    kind = next(name.replace("_", "-") for name, is_chosen in kinds.items() if is_chosen)
    plan = KINDS[kind](settings, remove=remove)
    if not yes:
        tell(f"{plan}\n\nNothing was done; --yes does it{' (as root)' if needs_root(plan) else ''}.")
        return 0
    carry_out(plan)
    what = "pages" if kind == "pages" else f"schedule ({kind})"
    log.info("%s the %s.", "Removed" if remove else "Installed", what)
    return 0
