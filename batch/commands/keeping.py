"""Commands that keep the records whole: ledger, CSVs, back-ups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batch.commands.group import AT_WORK, WRONG_USAGE, commands, with_settings
from batch.exits import Exit
from batch.lock import refuse_if_at_work, run_lock
from batch.logs import log

if TYPE_CHECKING:
    from batch.settings import BatchSettings


@commands.command(
    exit_codes={
        0: "written",
        1: "could not be written",
        2: "wrong usage or setting, or there is no such run",
        **AT_WORK,
    }
)
@click.option(
    "--xlsx",
    default="",
    metavar="RUN",
    help="Also write the workbook of this run (its id, `last`, or `all`).",
)
@with_settings
def export(settings: BatchSettings, xlsx: str) -> int:
    """Rebuild predictions.csv from the ledger.

    The ledger is the truth, the CSVs are exports of it. Use this when predictions.csv was lost, edited, or open in a
    spreadsheet while a night wanted to write it. Example:

      python -m batch export --xlsx last
    """
    from batch.night.run import export_all

    return export_all(settings, xlsx)


@commands.command(
    exit_codes={
        0: "nothing is wrong, or all of it is repaired",
        1: "there are differences, or it could not be done",
        **WRONG_USAGE,
        **AT_WORK,
    }
)
@click.option("--fix", is_flag=True, help="Repair what is safe to repair.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Take this DATA_DIR as the ledger's own, after the photos were moved to another disk on purpose.",
)
@with_settings
def doctor(settings: BatchSettings, fix: bool, adopt: bool) -> int:
    """Compare ledger, CSV and folders, explain every difference.

    Photos that people moved out or edited are counted, and are not differences.
    """
    from batch.files import data_folder
    from batch.records.ledger import Ledger
    from batch.upkeep.doctor import doctor

    if not fix and not adopt:
        refuse_if_at_work(settings.ledger_path.parent)
        return 0 if doctor(settings, fix=False) else Exit.FAILED
    with run_lock(settings.ledger_path.parent):
        if adopt:
            with Ledger(settings.ledger_path) as ledger:
                data_folder.adopt(settings, ledger)
            log.info("%s is the data folder of %s from now on.", settings.data_dir, settings.ledger_path)
        return 0 if doctor(settings, fix=fix) else Exit.FAILED


@commands.command(exit_codes={0: "copied", 1: "not copied", **WRONG_USAGE})
@click.argument(
    "target", type=click.Path(path_type=Path), metavar="FILE", help="The copy, or the folder to put it in."
)
@with_settings
def backup(settings: BatchSettings, target: Path) -> int:
    """Copy the ledger, whole even while a night is at work.

    Replaces nothing but an earlier copy. The photos lie in plain folders and may be copied by any program; the ledger is a
    database and needs this. docs/operations.md says how to restore. Example:

      python -m batch backup /mnt/backup/
    """
    from batch.records.backup import back_up

    log.info("Copied the ledger to %s.", back_up(settings.ledger_path, target))
    return 0
