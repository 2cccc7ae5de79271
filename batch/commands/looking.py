"""Commands that show how things are, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batch.commands.group import COUNT, OF_LOOK, OF_LOOK_AT_RUN, commands, look, tell, with_settings
from batch.exits import Exit
from batch.logs import lines_of_run, log
from logformat import printable

if TYPE_CHECKING:
    from batch.settings import BatchSettings

RUN = click.argument("run", metavar="RUN", help="A run's id, or `last`.")


@commands.command(exit_codes=OF_LOOK)
@click.option("--last", type=COUNT, default=30, show_default=True, metavar="N", help="Number of runs.")
@click.option("--json", is_flag=True, help="Everything known of each run, as JSON.")
@with_settings
def history(settings: BatchSettings, last: int, json: bool) -> int:
    """What the nights did, one line a run.

    The share for review is that of the photos that the model answered.
    """
    from batch.reporting.history import as_json, as_table

    with look(settings) as ledger:
        runs = ledger.runs()[-last:]
    tell(as_json(runs) if json else as_table(runs))
    return 0


@commands.command(exit_codes=OF_LOOK_AT_RUN)
@RUN
@click.option("--json", is_flag=True, help="As JSON.")
@with_settings
def show(settings: BatchSettings, run: str, json: bool) -> int:
    """One run in full.

    Example:

      python -m batch show last
    """
    from batch.reporting.history import as_json, find_run, in_full

    with look(settings) as ledger:
        found = find_run(ledger, run)
        tell(as_json([found]) if json else in_full(ledger, found))
    return 0


@commands.command(exit_codes=OF_LOOK_AT_RUN)
@RUN
@with_settings
def logs(settings: BatchSettings, run: str) -> int:
    """What the logs hold of one run, the night's and its server's.

    Example:

      python -m batch logs last
    """
    from batch.reporting.history import find_run

    with look(settings) as ledger:
        run_id = find_run(ledger, run).run_id
    lines = lines_of_run(settings.log_dir, run_id)
    tell(printable("\n".join(lines)) or f"The logs in {settings.log_dir} hold nothing of {run_id} any more.")
    return 0


@commands.command(
    exit_codes={
        **OF_LOOK_AT_RUN,
        0: "written or printed",
        1: "the ledger cannot be read, or the report not be written",
    },
    at_most_one_of=("json", "csv"),
)
@click.argument("run", default="last", metavar="[RUN]", help="A run's id (default: the last one).")
@click.option("--days", type=COUNT, metavar="N", help="The last N days together, today included.")
@click.option("--json", is_flag=True, help="Print it as JSON.")
@click.option("--csv", is_flag=True, help="Print the volume of each day as CSV.")
@with_settings
def report(settings: BatchSettings, run: str, days: int | None, json: bool, csv: bool) -> int:
    """What the last run, or the last days, saw: one HTML file in data/reports.

    Each run that swept something writes its own; this makes it again, or one over a period. Examples:

      python -m batch report --days 30
      python -m batch report --days 90 --csv > volume.csv
    """
    from batch.reporting.history import find_run
    from batch.reporting.report import as_json, daily_csv, of_days, of_run, write

    with look(settings) as ledger:
        found = of_days(settings, ledger, days) if days else of_run(settings, ledger, find_run(ledger, run))
        if json:
            tell(as_json(found))
        elif csv:
            tell(daily_csv(found), end="")
        else:
            tell(write(settings, ledger, found))
    return 0


@commands.command(
    exit_codes={0: "all is well", 1: "a warning", 2: "something that cannot wait, or a wrong setting"}
)
@click.option("--json", is_flag=True, help="As JSON.")
@with_settings
def health(settings: BatchSettings, json: bool) -> int:
    """Health check, one finding per line: for people, cron and Nagios.

    Worst first. Changes nothing. Example:

      python -m batch health || mail -s 'Nightsort' you@example.org
    """
    from batch.reporting.health import as_json, as_text, findings, worst

    found = findings(settings)
    tell(as_json(found) if json else as_text(found))
    return worst(found)


@commands.command(exit_codes={0: "all settings are fine", 2: "something is wrong with them"})
def config() -> int:
    """Every setting, its value, where it comes from, what is wrong with it.

    Secrets are masked.
    """
    from batch.config import check

    return check()


@commands.command(
    exit_codes={
        0: "sent",
        1: "an address could not be told",
        2: "NOTIFY_URLS is not set, or a setting is wrong",
    }
)
@with_settings
def notify(settings: BatchSettings) -> int:
    """Send a test message to NOTIFY_URLS.

    After a night, messages go out by themselves (NOTIFY_WHEN).
    """
    from batch.reporting.notify import send

    if not settings.notify_urls:
        log.error("NOTIFY_URLS is not set: there is no one to notify.")
        return Exit.USAGE
    if not send(settings.notify_urls, "Nightsort: a test", "If you read this, NOTIFY_URLS is right."):
        return Exit.FAILED
    log.info("Sent to %d addresses.", len(settings.notify_urls))
    return 0
