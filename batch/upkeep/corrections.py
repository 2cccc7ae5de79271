"""What people decided, as a folder of photos to learn from: `python -m model train --data A --data DIR` reads it as it is.

    corrections.write(settings, ledger, Path("corrections"))

Photos are copied to <main category>/<sub-category>/, each named by its checksum, and `labels.csv` says what people said of
them. Its column `weight` is one divided by the chance that a photo was looked at: 1 for those that went to review, as many
as each stands for in the fair sample that is audited, and 0 for errors among the sure ones that somebody happened to
notice: these teach, but set no thresholds. The folder is written anew each time, and keeps the copies that it has.
"""

import csv
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batch.checksum import digest
from batch.exits import NotDoneError
from batch.files import filing
from batch.records.cells import cell
from batch.records.ledger import Decision, Ledger, Row
from batch.records.verdict import NO_CLOTHING, as_the_model_had_it, is_of_audit
from batch.settings import BatchSettings, check_archive_folder
from replacing import replacing

TABLE = "labels.csv"
MARK = ".nightsort-corrections"
"""The file that tells a folder of ours from any other."""

COPYING = ".copying"
"""Ends the name of a copy that is not complete yet."""

COLUMNS = ("file", "main", "sub", "background", "colour", "sender", "weight", "run", "release")
NONE = "none"
"""What stands for both categories of a photo without clothing in a table to learn from."""

UNKNOWN = "?"
BACKGROUNDS = {"acceptable": "1", "unacceptable": "0"}


class CorrectionsError(NotDoneError):
    """The folder cannot be written, or there is nothing to write; the message says why."""


@dataclass
class Written:
    """What was written, and what was left out."""

    photos: int = 0
    weighted: int = 0
    """Of them, those that thresholds can be set by."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Photos that were left out, by why."""

    def __str__(self) -> str:
        photos = "1 photo" if self.photos == 1 else f"{self.photos:,} photos"
        told = f"{photos}, {self.weighted} of them to set thresholds by"
        if self.left_out:
            told += f"; left out: {', '.join(f'{count} {why}' for why, count in self.left_out.most_common())}"
        return told


def write(settings: BatchSettings, ledger: Ledger, folder: Path) -> Written:
    """Copy the photos that people decided on into a folder of their own, and describe them; the ledger is only read.

    What a call that died has copied is kept, and so is what was copied before.

    Raises:
        CorrectionsError: the folder holds other things, or nobody has decided on a photo yet.
        ArchiveFolderError: the folder is one of the night's.
        OSError: something cannot be written.
    """
    check_archive_folder(settings, folder)
    _refuse_other_things(folder)
    done, lines, kept = Written(), [], set()
    weights = _weights(ledger)
    for row in _newest_of_each(ledger):
        if row.decision == Decision.CANNOT_TELL:
            done.left_out["of which nobody can tell"] += 1
            continue
        try:
            place = _place(row)
        except filing.FilingError:
            done.left_out["whose category cannot be a folder's name"] += 1
            continue
        if not _copy(settings.data_dir / row.moved_to, folder / place, row):
            done.left_out["that are not where they were, or were changed"] += 1
            continue
        kept.add(place)
        weight = weights.get(row.id or 0, 1.0 if _was_reviewed(row) else 0.0)
        done.photos += 1
        done.weighted += weight > 0
        lines.append([place, *_labels(row), cell(row.order), f"{weight:g}", row.run_id, row.model_version])
    if not lines:
        raise CorrectionsError(
            f"nobody has decided on a photo yet, so there is nothing to learn from{_why(done)}"
        )
    with replacing(folder / TABLE) as new, new.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
    for path in _copies(folder):  # decided otherwise since, or taken back
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink()
    return done


def _refuse_other_things(folder: Path) -> None:
    """Make the folder, with our mark in it; refuse one in which anything else lies."""
    if folder.exists() and not folder.is_dir():
        raise CorrectionsError(f"{folder} is no folder; name another one")
    is_ours = (folder / MARK).is_file()
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink() and is_ours:
            continue
        if not is_ours or not (path.name in (MARK, TABLE, f".{TABLE}.new") or _is_copy(path)):
            raise CorrectionsError(f"{folder} holds other things ({path.name}); name a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _copies(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if _is_copy(path)]


def _is_copy(path: Path) -> bool:
    name = path.name.removesuffix(COPYING)
    return re.fullmatch(r"[0-9a-f]{64}(\.[a-z0-9]{1,5})?", name) is not None and path.is_file()


def _newest_of_each(ledger: Ledger) -> Iterator[Row]:
    """The rows that people decided on, one for each photo: what was said of its bytes last."""
    newest: dict[str, Row] = {}
    for row in ledger.matching("decision != ''"):
        other = newest.get(row.sha256)
        if other is None or other.decided_at <= row.decided_at:
            newest[row.sha256] = row
    yield from sorted(newest.values(), key=lambda row: row.id or 0)


def _weights(ledger: Ledger) -> dict[int, float]:
    """Row → for how many photos it stands, of the sample that people check: as far as it is answered without a gap.

    An audited photo that was moved by hand before its turn is there because it was wrong: it has no weight yet.
    """
    found = {}
    for release, promise in ledger.promises():
        for number, decision, _ in ledger.sample(release, promise):
            if not decision:
                break
            found[number] = 0.0
    shares = {run.run_id: _share(run.settings) for run in ledger.runs()} if found else {}
    for row in ledger.matching("decision != '' AND instr(review_reason, 'audit')"):
        number = row.id or 0
        share = shares.get(row.run_id, 0.0)
        found[number] = 1 / share if number in found and share else 0.0
    return found


def _share(told: dict[str, str]) -> float:
    """The share of sure photos that a run marked for people to check (AUDIT_SHARE)."""
    return float(told.get("AUDIT_SHARE", 0))


def _was_reviewed(row: Row) -> bool:
    """Whether the model itself had sent the photo to a person."""
    return as_the_model_had_it(row).status == "review"


def _labels(row: Row) -> Iterable[str]:
    """Main, sub, background and colour, as a table to learn from has them."""
    if row.decision == Decision.NO_CLOTHING:
        return NONE, NONE, UNKNOWN, UNKNOWN
    if not row.decided_by or is_of_audit(row):
        # a move by hand, or a look without the model's answers, says nothing of these two
        return row.main_category, row.sub_category, UNKNOWN, UNKNOWN
    background = BACKGROUNDS.get(row.background_quality, UNKNOWN)
    return row.main_category, row.sub_category, background, row.colour or UNKNOWN


def _place(row: Row) -> str:
    """Where a photo goes, below the folder; its own name stays out of it, which may be anything."""
    extension = os.path.splitext(row.file_name)[1].lower()
    name = row.sha256 + (extension if re.fullmatch(r"\.[a-z0-9]{1,5}", extension) else "")
    if row.decision == Decision.NO_CLOTHING:
        return f"{NO_CLOTHING}/{name}"
    return f"{filing.component(row.main_category)}/{filing.component(row.sub_category)}/{name}"


def _copy(source: Path, target: Path, row: Row) -> bool:
    """Copy a photo unless that was done before; False when its bytes are not there any more."""
    if target.is_file() and digest(target) == row.sha256:
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + COPYING)
    try:
        with source.open("rb") as original, part.open("wb") as copy:
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        part.unlink(missing_ok=True)
        return False
    with part.open("rb") as copy:
        is_it = hashlib.file_digest(copy, "sha256").hexdigest() == row.sha256
    if is_it:
        part.replace(target)
    else:
        part.unlink()
    return is_it


def _why(done: Written) -> str:
    return (
        f" ({', '.join(f'{count} {why}' for why, count in done.left_out.items())})" if done.left_out else ""
    )
