"""The commands of `python -m batch`, in the order of its help; each is a thin layer on one call of the library.

A command gets the settings and what was typed, and returns the exit code.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

from batch import config, logs
from batch.demo import demo
from batch.exits import Exit
from batch.files import by_hand
from batch.files.data_folder import StrangeFolderError, adopt, open_ledger
from batch.files.filing import readable
from batch.lock import LockHeldError, refuse_if_at_work, run_lock
from batch.logs import log
from batch.night import run
from batch.records import backup, csv_files
from batch.records.ledger import STATUSES, Ledger, LedgerError
from batch.reporting import health, history, notify, report
from batch.settings import ArchiveFolderError, BatchSettings, check_archive_folder
from batch.upkeep import doctor, install, schedule, withdraw
from logformat import printable

MOST = 36_500
"""The largest number of days, hours or runs that can be asked for: a hundred years of nights."""

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser
Codes = dict[int | str, str]


@dataclass(frozen=True)
class Command:
    """One command: its name, what `--help` says of it, its options, and what it does."""

    name: str
    line: str
    text: str
    do: Callable[[BatchSettings, Arguments], int]
    codes: Codes
    """Its exit codes, and what each says."""
    options: Callable[[Parser], None] = lambda _: None


def do_run(settings: BatchSettings, given: Arguments) -> int:
    """One night with a server of its own."""
    return _night(settings, given)


def do_sweep(settings: BatchSettings, given: Arguments) -> int:
    """One night with somebody else's server."""
    if not settings.api_url:
        log.error("API_URL is not set: `sweep` uses a model server that already runs; `run` starts its own.")
        return Exit.USAGE
    return _night(settings, given)


def _night(settings: BatchSettings, given: Arguments) -> int:
    return run.night(settings, wait=given.wait, if_missed=given.if_missed, somebody_waits=_is_at_a_terminal())


def _is_at_a_terminal() -> bool:
    """Whether a person has started this and looks on; a clock (cron, systemd, `schedule`) has no terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def do_export(settings: BatchSettings, given: Arguments) -> int:
    """The CSVs from the ledger."""
    return run.export_all(settings, given.xlsx)


def do_doctor(settings: BatchSettings, given: Arguments) -> int:
    """Ledger, CSV and folders against each other."""
    if not given.fix and not given.adopt:
        refuse_if_at_work(settings.ledger_path.parent)
        return 0 if doctor.doctor(settings, fix=False) else Exit.FAILED
    with run_lock(settings.ledger_path.parent):
        if given.adopt:
            with Ledger(settings.ledger_path) as ledger:
                adopt(settings, ledger)
            log.info("%s is the data folder of %s from now on.", settings.data_dir, settings.ledger_path)
        return 0 if doctor.doctor(settings, fix=given.fix) else Exit.FAILED


def do_demo(settings: BatchSettings, _: Arguments) -> int:
    """Drawn photos."""
    return demo.demo(settings)


def do_history(settings: BatchSettings, given: Arguments) -> int:
    """One line a run."""
    with _look(settings) as ledger:
        runs = ledger.runs()[-given.last :]
    _print(history.as_json(runs) if given.json else history.as_table(runs))
    return 0


def do_show(settings: BatchSettings, given: Arguments) -> int:
    """One run in full."""
    with _look(settings) as ledger:
        found = history.find_run(ledger, given.run)
        _print(history.as_json([found]) if given.json else history.in_full(ledger, found))
    return 0


def do_logs(settings: BatchSettings, given: Arguments) -> int:
    """What the logs hold of one run."""
    with _look(settings) as ledger:
        run_id = history.find_run(ledger, given.run).run_id
    lines = logs.lines_of_run(settings.log_dir, run_id)
    _print(
        printable("\n".join(lines)) or f"The logs in {settings.log_dir} hold nothing of {run_id} any more."
    )
    return 0


def do_report(settings: BatchSettings, given: Arguments) -> int:
    """The report of a run or of the last days."""
    with _look(settings) as ledger:
        if given.days:
            found = report.of_days(settings, ledger, given.days)
        else:
            found = report.of_run(settings, ledger, history.find_run(ledger, given.run))
        if given.json:
            _print(report.as_json(found))
        elif given.csv:
            _print(report.daily_csv(found), end="")
        else:
            _print(report.write(settings, ledger, found))
    return 0


def do_health(settings: BatchSettings, given: Arguments) -> int:
    """Findings, and an exit code as Nagios has it."""
    found = health.findings(settings)
    _print(health.as_json(found) if given.json else health.as_text(found))
    return health.worst(found)


def do_schedule(settings: BatchSettings, given: Arguments) -> int:
    """A clock for machines without one."""
    return schedule.keep(settings, given.at or settings.night_at, given.every)


def do_install(settings: BatchSettings, given: Arguments) -> int:
    """The night on a schedule of the system, or off it."""
    plan = install.KINDS[given.kind](settings, remove=given.remove)
    if not given.yes:
        _print(
            f"{plan}\n\nNothing was done; --yes does it{' (as root)' if install.needs_root(plan) else ''}."
        )
        return 0
    install.carry_out(plan)
    log.info("%s the schedule (%s).", "Removed" if given.remove else "Installed", given.kind)
    return 0


def do_config(_: BatchSettings, __: Arguments) -> int:
    """Every setting."""
    return config.check()


def do_notify(settings: BatchSettings, _: Arguments) -> int:
    """A message to see whether messages arrive."""
    if not settings.notify_urls:
        log.error("NOTIFY_URLS is not set: there is no one to notify.")
        return Exit.USAGE
    if not notify.send(settings, "Nightsort: a test", "If you read this, NOTIFY_URLS is right."):
        return Exit.FAILED
    log.info("Sent to %d addresses.", len(settings.notify_urls))
    return 0


def do_backup(settings: BatchSettings, given: Arguments) -> int:
    """A copy of the ledger."""
    log.info("Copied the ledger to %s.", backup.back_up(settings, given.target))
    return 0


def do_requeue(settings: BatchSettings, given: Arguments) -> int:
    """Photos back into `incoming`."""
    if not (
        given.failed or given.run or given.photo or given.order or given.release or given.below is not None
    ):
        log.error(
            "Say which photos: --failed, --run RUN, --photo NAME, --order ORDER, --release VERSION or --below P."
        )
        return Exit.USAGE
    if given.dry_run:
        with _rehearsal(settings) as ledger:
            count = len(_choice(ledger, given).found(ledger))
        _print(f"{count} photos would be put back. Nothing was done.")
        return 0
    with _at_work(settings) as ledger:
        count = withdraw.requeue(settings, ledger, _choice(ledger, given))
    log.info("Put %d photos back into %s; the next run sorts them again.", count, settings.incoming)
    return 0


def _choice(ledger: Ledger, given: Arguments) -> withdraw.Choice:
    run_id = history.find_run(ledger, given.run).run_id if given.run else ""
    return withdraw.Choice(given.failed, run_id, given.photo, given.order, given.release, given.below)


def do_prune(settings: BatchSettings, given: Arguments) -> int:
    """Old photos out of the filing folders."""
    if given.archive:
        check_archive_folder(settings, given.archive)
    statuses = given.status or ["processed", "duplicate"]
    what = "deleted" if given.delete else f"moved below {given.archive}"
    if not given.yes:
        with _rehearsal(settings) as ledger:
            count = sum(1 for _ in withdraw.old_photos(ledger, given.days, statuses))
        _print(f"{count} photos would be {what}. Nothing was done; --yes does it.")
        return 0
    with _at_work(settings) as ledger:
        rows = withdraw.old_photos(ledger, given.days, statuses)
        if given.delete:
            count = withdraw.delete(settings, ledger, rows)
        else:
            count = withdraw.archive(settings, ledger, rows, settings.data_dir / given.archive)
    log.info("%d photos were %s; their rows stay.", count, what)
    return 0


@contextlib.contextmanager
def _at_work(settings: BatchSettings) -> Iterator[Ledger]:
    """The ledger, for commands that move filed photos; its CSVs follow when they are done."""
    with run_lock(settings.ledger_path.parent), open_ledger(settings) as ledger:
        withdraw.finish(settings, ledger)
        by_hand.follow(settings, ledger)
        yield ledger
        csv_files.update_all(ledger, settings.csv_path, settings.predictions)


@contextlib.contextmanager
def _rehearsal(settings: BatchSettings) -> Iterator[Ledger]:
    """A copy of the ledger that knows what people moved, for commands that only say what they would do."""
    refuse_if_at_work(settings.ledger_path.parent)
    with Ledger(settings.ledger_path, scratch=True) as ledger:
        by_hand.follow(settings, ledger)
        yield ledger


def _print(text: object, end: str = "\n") -> None:
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


def _look(settings: BatchSettings) -> Ledger:
    """The ledger, for commands that only show."""
    return Ledger(settings.ledger_path, look=True)


def _night_options(parser: Parser) -> None:
    parser.add_argument(
        "--wait",
        action="store_true",
        help="also sort photos that were just added, once they have not changed for SETTLE_SECONDS; at a terminal "
        "this is so by itself when there is nothing else to sort",
    )
    parser.add_argument(
        "--if-missed",
        action="store_true",
        help="do nothing if a run has begun since a night was last due (NIGHT_AT): for start-up",
    )


def _export_options(parser: Parser) -> None:
    parser.add_argument(
        "--xlsx",
        default="",
        metavar="RUN",
        help="also write the workbook of this run (its id, `last`, or `all`)",
    )


def _doctor_options(parser: Parser) -> None:
    parser.add_argument("--fix", action="store_true", help="repair what is safe to repair")
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="take this DATA_DIR as the ledger's own, after the photos were moved to another disk on purpose",
    )


def _history_options(parser: Parser) -> None:
    parser.add_argument("--last", type=_positive, default=30, metavar="N", help="number of runs (default 30)")
    parser.add_argument("--json", action="store_true", help="everything known of each run, as JSON")


def _run_argument(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, or `last`")


def _target_argument(parser: Parser) -> None:
    parser.add_argument("target", type=Path, metavar="FILE", help="the copy, or the folder to put it in")


def _show_options(parser: Parser) -> None:
    _run_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _report_options(parser: Parser) -> None:
    parser.add_argument(
        "run", nargs="?", default="last", metavar="RUN", help="a run's id (default: the last one)"
    )
    parser.add_argument(
        "--days", type=_positive, metavar="N", help="the last N days together, today included"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument("--csv", action="store_true", help="print the volume of each day as CSV")


def _json_option(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _schedule_options(parser: Parser) -> None:
    parser.add_argument("--at", type=_time_of_day, metavar="HH:MM", help="when (default: NIGHT_AT)")
    parser.add_argument(
        "--every", type=_span, metavar="15m", help="also during the day, at this interval (15m, 2h)"
    )


def _install_options(parser: Parser) -> None:
    kind = parser.add_mutually_exclusive_group(required=True)
    for name, words in (
        ("cron", "a line in your crontab"),
        ("systemd", "a timer and a hardened service (as root)"),
        ("task-scheduler", "a task of Windows' Task Scheduler"),
    ):
        kind.add_argument(f"--{name}", dest="kind", action="store_const", const=name, help=words)
    parser.add_argument("--remove", action="store_true", help="take it off again")
    parser.add_argument("--yes", action="store_true", help="do it; without, only show what would be done")


def _requeue_options(parser: Parser) -> None:
    parser.add_argument("--failed", action="store_true", help="photos that failed")
    parser.add_argument("--run", default="", metavar="RUN", help="photos of one run (its id, or `last`)")
    parser.add_argument(
        "--photo", type=readable, default="", metavar="NAME", help="one photo: its file_name or moved_to"
    )
    parser.add_argument(
        "--order", type=readable, default="", metavar="ORDER", help="photos of one order: its sub-folder"
    )
    parser.add_argument(
        "--release", type=readable, default="", metavar="VERSION", help="what this release decided"
    )
    parser.add_argument("--below", type=_probability, metavar="P", help="sub-category less sure than this")
    parser.add_argument("--dry-run", action="store_true", help="only say how many")


def _prune_options(parser: Parser) -> None:
    parser.add_argument(
        "--days", type=_positive, required=True, metavar="N", help="photos decided more than N days ago"
    )
    parser.add_argument(
        "--status",
        action="append",
        choices=STATUSES,
        help="only these (repeatable; default: processed and duplicate)",
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--archive",
        type=Path,
        nargs="?",
        const=Path("archive"),
        metavar="FOLDER",
        help="move them below this folder, by month (default: archive in DATA_DIR)",
    )
    how.add_argument("--delete", action="store_true", help="delete them")
    parser.add_argument("--yes", action="store_true", help="do it; without, only say how many")


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST}")
    return int(text)


def _time_of_day(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of day, 00:00 to 23:59") from None


def _span(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in ("m", "h") or not 1 <= int(number) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no span like 15m or 2h")
    return timedelta(**{{"m": "minutes", "h": "hours"}[unit]: int(number)})


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no probability, 0 to 1")
    return value


WRONG_USAGE: Codes = {2: "wrong usage or setting"}
AT_WORK: Codes = {75: "another run is at work on this folder"}

OF_NIGHT: Codes = {
    0: "everything sorted, or nothing to do",
    3: "sorted, but some photos failed",
    1: "the run could not do its work; the message says why",
    **WRONG_USAGE,
    **AT_WORK,
    "130, 143": "interrupted",
}
OF_LOOK: Codes = {0: "shown", 1: "the ledger or a folder cannot be read", **WRONG_USAGE}
OF_LOOK_AT_RUN: Codes = {**OF_LOOK, 2: "wrong usage or setting, or there is no such run"}

COMMANDS = (
    Command(
        "run",
        "one night: start the model server, sort, stop it (what full_batch.sh does)",
        "Recovers what an earlier run left unfinished, starts the model server on a free local port (or uses the one\n"
        "at API_URL), sorts every photo in incoming, writes the CSVs, and stops the server it started.",
        do_run,
        OF_NIGHT,
        _night_options,
    ),
    Command(
        "sweep",
        "the same with a model server that already runs at API_URL",
        "Like `run`, but never starts a server. Example:\n\n"
        "  python -m api --port 5000 &\n  API_URL=http://127.0.0.1:5000 python -m batch sweep",
        do_sweep,
        OF_NIGHT,
        _night_options,
    ),
    Command(
        "export",
        "rebuild predictions.csv from the ledger",
        "The ledger is the truth, the CSVs are exports of it. Use this when predictions.csv was lost, edited,\n"
        "or open in a spreadsheet while a night wanted to write it. Example:\n\n  python -m batch export --xlsx last",
        do_export,
        {
            0: "written",
            1: "could not be written",
            2: "wrong usage or setting, or there is no such run",
            **AT_WORK,
        },
        _export_options,
    ),
    Command(
        "doctor",
        "compare ledger, CSV and folders, explain every difference",
        "Photos that people moved out or edited are counted, and are not differences.",
        do_doctor,
        {
            0: "nothing is wrong, or all of it is repaired",
            1: "there are differences, or it could not be done",
            **WRONG_USAGE,
            **AT_WORK,
        },
        _doctor_options,
    ),
    Command(
        "demo",
        "draw some product photos, sort them in data/demo, show the table",
        "For someone without photos at hand. data/demo is made again each time; your own photos are not touched.",
        do_demo,
        {
            0: "sorted; two of the files are broken on purpose and fail",
            3: "sorted, but others failed, too",
            1: "the demo could not do its work; the message says why",
            **WRONG_USAGE,
            75: "another demo is at work",
            "130, 143": "interrupted",
        },
    ),
    Command(
        "history",
        "what the nights did, one line a run",
        "The share for review is that of the photos that the model answered.",
        do_history,
        OF_LOOK,
        _history_options,
    ),
    Command(
        "show",
        "one run in full",
        "Example: python -m batch show last",
        do_show,
        OF_LOOK_AT_RUN,
        _show_options,
    ),
    Command(
        "report",
        "what the last run, or the last days, saw: one HTML file in data/reports",
        "Each run that swept something writes its own; this makes it again, or one over a period. Examples:\n\n"
        "  python -m batch report --days 30\n  python -m batch report --days 90 --csv > volume.csv",
        do_report,
        {
            **OF_LOOK_AT_RUN,
            0: "written or printed",
            1: "the ledger cannot be read, or the report not be written",
        },
        _report_options,
    ),
    Command(
        "health",
        "health check, one finding per line: for people, cron and Nagios",
        "Worst first. Changes nothing. Example:\n\n"
        "  python -m batch health || mail -s 'Nightsort' you@example.org",
        do_health,
        {0: "all is well", 1: "a warning", 2: "something that cannot wait, or a wrong setting"},
        _json_option,
    ),
    Command(
        "schedule",
        "run a night at this time of each day, until ended: for machines without cron",
        "A night that fails is a line in the log and nothing else; one that was missed is caught up once. Example:\n\n"
        "  python -m batch schedule --at 02:00 --every 15m",
        do_schedule,
        {0: "ended by Ctrl-C or SIGTERM", 1: "the ledger cannot be read", **WRONG_USAGE},
        _schedule_options,
    ),
    Command(
        "install",
        "put the night on the system's schedule (NIGHT_AT), or take it off",
        "Shows what it would do; --yes does it. Examples:\n\n"
        "  python -m batch install --cron --yes\n"
        "  sudo .venv/bin/python -m batch install --systemd --yes\n"
        "  python -m batch install --cron --remove --yes",
        do_install,
        {0: "shown, or done", 1: "the schedule could not be changed", **WRONG_USAGE},
        _install_options,
    ),
    Command(
        "config",
        "every setting, its value, where it comes from, what is wrong with it",
        "Secrets are masked.",
        do_config,
        {0: "all settings are fine", 2: "something is wrong with them"},
    ),
    Command(
        "notify",
        "send a test message to NOTIFY_URLS",
        "After a night, messages go out by themselves (NOTIFY_WHEN).",
        do_notify,
        {0: "sent", 1: "an address could not be told", 2: "NOTIFY_URLS is not set, or a setting is wrong"},
    ),
    Command(
        "logs",
        "what the logs hold of one run, the night's and its server's",
        "Example: python -m batch logs last",
        do_logs,
        OF_LOOK_AT_RUN,
        _run_argument,
    ),
    Command(
        "backup",
        "copy the ledger, whole even while a night is at work",
        "The photos lie in plain folders and may be copied by any program; the ledger is a database and needs this.\n"
        "docs/operations.md says how to restore. Example:\n\n  python -m batch backup /mnt/backup/",
        do_backup,
        {0: "copied", 1: "not copied", **WRONG_USAGE},
        _target_argument,
    ),
    Command(
        "requeue",
        "put photos back into incoming, to be sorted again",
        "Filters combine (AND). The old rows leave the CSVs; the ledger keeps them. The duplicates of a photo go back\n"
        "with it. Examples:\n\n"
        "  python -m batch requeue --failed\n"
        "  python -m batch requeue --release 2026-11-21 --below 0.6\n"
        '  python -m batch requeue --photo "order 7/a.jpg"\n'
        '  python -m batch requeue --order "order 7"',
        do_requeue,
        {
            0: "put back",
            1: "nothing fits, or it could not be done",
            2: "wrong usage or setting, or there is no such run",
            **AT_WORK,
        },
        _requeue_options,
    ),
    Command(
        "prune",
        "archive or delete old photos",
        "The rows stay in predictions.csv: `moved_to` says where an archived photo lies now, and is empty for a\n"
        "deleted one. Examples:\n\n"
        "  python -m batch prune --days 90 --archive /mnt/archive --yes\n"
        "  python -m batch prune --days 365 --status failed --delete --yes",
        do_prune,
        {0: "done", 1: "it could not be done", **WRONG_USAGE, **AT_WORK},
        _prune_options,
    ),
)


def perform(command: Command, settings: BatchSettings, given: Arguments) -> int:
    """Do a command; what goes wrong becomes one sentence and an exit code."""
    try:
        return command.do(settings, given)
    except LockHeldError as error:
        log.error("Not done: %s. Try again when it has ended.", error)
        return Exit.LOCKED
    except (history.NoSuchRunError, ArchiveFolderError) as error:
        log.error("%s", error)
        return Exit.USAGE
    except withdraw.NothingFitsError as error:
        log.error("%s", error)
    except (LedgerError, StrangeFolderError, csv_files.ExportError, install.InstallError) as error:
        log.error("Not done: %s", error)
    except BrokenPipeError:
        raise
    except OSError as error:
        log.error("Not done: %s (%s).", error.strerror, error.filename)
    return Exit.FAILED
