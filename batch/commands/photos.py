"""Commands that move photos which are filed already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch.commands.group import AT_WORK, COUNT, WRONG_USAGE, commands, tell, with_settings
from batch.lock import refuse_if_at_work, run_lock
from batch.logs import log
from batch.records.ledger import STATUSES
from command_line import Number

if TYPE_CHECKING:
    from batch.records.ledger import Ledger
    from batch.settings import BatchSettings


def _name(text: str) -> str:
    """A name as rows hold it."""
    from batch.files.filing import readable

    return readable(text)


@commands.command(
    exit_codes={
        0: "put back",
        1: "nothing fits, or it could not be done",
        2: "wrong usage or setting, or there is no such run",
        **AT_WORK,
    }
)
@click.option("--failed", is_flag=True, help="Photos that failed.")
@click.option("--run", default="", metavar="RUN", help="Photos of one run (its id, or `last`).")
@click.option("--photo", type=_name, default="", metavar="NAME", help="One photo: its file_name or moved_to.")
@click.option("--order", type=_name, default="", metavar="ORDER", help="Photos of one order: its sub-folder.")
@click.option("--release", type=_name, default="", metavar="VERSION", help="What this release decided.")
@click.option("--below", type=Number(0, 1), metavar="P", help="Sub-category less sure than this.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@with_settings
def requeue(settings: BatchSettings, /, run: str, dry_run: bool, **filters: Any) -> int:
    """Put photos back into incoming, to be sorted again.

    Filters combine (AND). The old rows leave the CSVs; the ledger keeps them. The duplicates of a photo go back with
    it. Examples:

      python -m batch requeue --failed
      python -m batch requeue --release 2026-11-21 --below 0.6
      python -m batch requeue --photo "order 7/a.jpg"
      python -m batch requeue --order "order 7"
    """
    from batch.reporting.history import find_run
    from batch.upkeep import withdraw

    if not run and filters["below"] is None and not any(filters.values()):
        raise click.UsageError(
            "Say which photos: --failed, --run RUN, --photo NAME, --order ORDER, --release VERSION or --below P."
        )

    def choice(ledger: Ledger) -> withdraw.Choice:
        return withdraw.Choice(run=find_run(ledger, run).run_id if run else "", **filters)

    if dry_run:
        with _rehearsal(settings) as ledger:
            count = len(choice(ledger).found(ledger))
        tell(f"{count} photos would be put back. Nothing was done.")
        return 0
    with _at_work(settings) as ledger:
        count = withdraw.requeue(settings, ledger, choice(ledger))
    log.info("Put %d photos back into %s; the next run sorts them again.", count, settings.incoming)
    return 0


@commands.command(
    exit_codes={0: "done", 1: "it could not be done", **WRONG_USAGE, **AT_WORK},
    one_of=("archive", "delete"),
)
@click.option("--days", type=COUNT, required=True, metavar="N", help="Photos decided more than N days ago.")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    multiple=True,
    default=["processed", "duplicate"],
    help="Only these (repeatable; default: processed and duplicate).",
)
@click.option(
    "--archive",
    type=click.Path(path_type=Path),
    is_flag=False,
    flag_value="archive",
    metavar="[FOLDER]",
    help="Move them below this folder, by month (default: archive in DATA_DIR).",
)
@click.option("--delete", is_flag=True, help="Delete them.")
@click.option("--yes", is_flag=True, help="Do it; without, only say how many.")
@with_settings
def prune(
    settings: BatchSettings,
    days: int,
    status: Sequence[str],
    archive: Path | None,
    delete: bool,
    yes: bool,
) -> int:
    """Archive or delete old photos: --archive or --delete.

    The rows stay in predictions.csv: `moved_to` says where an archived photo lies now, and is empty for a deleted one.
    Examples:

      python -m batch prune --days 90 --archive /mnt/archive --yes
      python -m batch prune --days 365 --status failed --delete --yes
    """
    from batch.settings import check_archive_folder
    from batch.upkeep import withdraw

    if archive:
        check_archive_folder(settings, archive)
    what = "deleted" if delete else f"moved below {archive}"
    if not yes:
        with _rehearsal(settings) as ledger:
            count = sum(1 for _ in withdraw.old_photos(ledger, days, status))
        tell(f"{count} photos would be {what}. Nothing was done; --yes does it.")
        return 0
    with _at_work(settings) as ledger:
        rows = withdraw.old_photos(ledger, days, status)
        if archive:
            count = withdraw.archive(settings, ledger, rows, settings.data_dir / archive)
        else:
            count = withdraw.delete(settings, ledger, rows)
    log.info("%d photos were %s; their rows stay.", count, what)
    return 0


@commands.command(
    exit_codes={
        0: "written",
        1: "there is nothing to write, or it could not be done",
        **WRONG_USAGE,
        **AT_WORK,
    }
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, resolve_path=True),
    required=True,
    metavar="DIR",
    help="A new or empty folder, or one of an earlier call.",
)
@with_settings
def corrections(settings: BatchSettings, to: Path) -> int:
    """Copy the photos that people decided on into a folder to learn from.

    By category, with a labels.csv; the next call brings the folder up to date. The ledger is only read. Example:

      python -m batch corrections --to corrections
      python -m model calibrate mine-1 --from corrections
    """
    from batch.upkeep.corrections import write

    with _rehearsal(settings) as ledger:
        written = write(settings, ledger, to)
    tell(f"{to} holds {written}.")
    return 0


@contextlib.contextmanager
def _at_work(settings: BatchSettings) -> Iterator[Ledger]:
    """The ledger, for commands that move filed photos; its CSVs follow when they are done."""
    from batch.files import by_hand
    from batch.files.data_folder import open_ledger
    from batch.records import csv_files
    from batch.upkeep import withdraw

    with run_lock(settings.ledger_path.parent), open_ledger(settings) as ledger:
        withdraw.finish(settings, ledger)
        by_hand.follow(settings, ledger)
        yield ledger
        csv_files.update_all(ledger, settings.csv_path, settings.predictions)


@contextlib.contextmanager
def _rehearsal(settings: BatchSettings) -> Iterator[Ledger]:
    """A copy of the ledger that knows what people moved, for commands that only say what they would do."""
    from batch.files import by_hand
    from batch.records.ledger import Ledger

    refuse_if_at_work(settings.ledger_path.parent)
    with Ledger(settings.ledger_path, scratch=True) as ledger:
        by_hand.follow(settings, ledger)
        yield ledger
