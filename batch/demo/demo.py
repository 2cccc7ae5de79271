"""The demo: draws product photos, sorts them in a scratch folder, shows what came out."""

import shutil
from pathlib import Path

from batch.columns import columns
from batch.demo.drawings import Drawing, draw_demo_photos
from batch.exits import Exit
from batch.lock import LOCK_NAME, LockHeldError, run_lock
from batch.logs import log
from batch.night import run
from batch.records.ledger import Ledger, Row
from batch.settings import BatchSettings
from this_python import SCRIPT

MARK = ".nightsort-demo"
"""Tells a folder that the demo made, and may empty, from any other."""


def demo(settings: BatchSettings) -> int:
    """Draw, sort, show; returns the night's exit code, or 0 when only those failed that are broken on purpose."""
    folder = settings.data_dir / "demo"
    try:
        with run_lock(folder):
            if not _make_empty(folder):
                log.error("%s holds files that the demo did not make; move them away first.", folder)
                return Exit.FAILED
            log.info("Drawing photos into %s ...", folder / "incoming")
            drawings = draw_demo_photos(folder / "incoming")
            scratch = settings.model_copy(
                update={
                    "data_dir": folder,
                    "ledger": None,
                    "settle_seconds": 0.0,
                    "ignore": (),
                    # nobody is told of a demo
                    "ping_url": None,
                    "notify_urls": (),
                    "metrics_file": None,
                }
            )
            code = run.sort(scratch)
    except LockHeldError as error:
        log.error("Not started: %s.", error)
        return Exit.LOCKED
    with Ledger(scratch.ledger_path, look=True) as ledger:
        rows = list(ledger.filed_rows())
    if rows:
        for line in ["", *table(rows).splitlines(), score(rows, drawings)]:
            log.info("%s", line)
    broken = {drawing.file_name for drawing in drawings if not drawing.sub}
    failed = {row.file_name for row in rows if row.status == "failed"}
    if code == Exit.FAILED_PHOTOS and failed <= broken:
        log.info(
            "The failed files (%d) are broken on purpose, to show what becomes of damaged photos and of other files.",
            len(failed),
        )
        code = Exit.ALL_SWEPT
    if rows:
        log.info(
            "Look into %s: the sorted photos, and predictions.csv. Now drop your own photos into %s and start %s",
            folder,
            settings.incoming,
            SCRIPT,
        )
    return code


def table(rows: list[Row]) -> str:
    """The rows as people read them: a line a photo."""
    header = ("photo", "category", "sure", "background", "colour", "what happened")
    lines = [header, *(_line(row) for row in sorted(rows, key=lambda row: row.file_name))]
    rule = tuple("-" * max(map(len, column)) for column in zip(*lines, strict=True))
    return "\n".join(columns([header, rule, *lines[1:]]))


def score(rows: list[Row], drawings: list[Drawing]) -> str:
    """How many of the drawn garments were recognised."""
    drawn = {drawing.file_name: drawing for drawing in drawings if drawing.sub}
    known = [row for row in rows if row.file_name in drawn and row.sub_category]
    right = {
        "sub-category": sum(row.sub_category == drawn[row.file_name].sub for row in known),
        "background": sum(row.background_quality == drawn[row.file_name].background for row in known),
        "colour": sum(row.colour == drawn[row.file_name].colour for row in known),
    }
    return f"Of {len(known)} drawn garments right: " + ", ".join(
        f"{head} {number}" for head, number in right.items()
    )


def _line(row: Row) -> tuple[str, ...]:
    happened = {
        "processed": row.moved_to.rpartition("/")[0] + "/",
        "review": f"review/ ({row.review_reason})",
        "failed": f"failed/ ({row.error})",
        "duplicate": f"duplicates/ (same as {row.duplicate_of})",
    }[row.status]
    if not row.sub_category:
        return row.file_name, "-", "-", "-", "-", happened
    return (
        row.file_name,
        f"{row.main_category}/{row.sub_category}",
        f"{row.sub_category_probability:.2f}",
        row.background_quality,
        row.colour,
        happened,
    )


def _make_empty(folder: Path) -> bool:
    """Remove what an earlier demo left; False (and nothing removed) when the folder is not the demo's."""
    found = [entry for entry in folder.iterdir() if entry.name != LOCK_NAME]
    if found and not (folder / MARK).exists():
        return False
    for entry in found:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()
    (folder / MARK).touch()
    return True
