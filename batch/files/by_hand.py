"""What people moved in the filing folders with a file manager: it is their decision, and the rows follow it.

Nothing is moved or deleted here. A photo is known by its bytes: one that lies where no row has it, and whose row's
own place is empty, was moved.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import in_use
from batch.checksum import digest
from batch.files import filing
from batch.files.companions import is_companion, is_kind, is_raw
from batch.files.left_alone import is_left_alone
from batch.records import moments
from batch.records.ledger import Ledger, Row
from batch.records.verdict import (
    AUDIT,
    NO_CLOTHING,
    Verdict,
    as_the_model_had_it,
    category_of,
    decide,
    is_of_audit,
    keep_models_answer,
)
from batch.settings import BatchSettings

PUT_THERE = "put there by hand"
"""Why a photo waits that somebody moved into `review`."""

CATEGORIES = "categories"
"""The ledger's note of the main category of each sub-category that the model server answers."""

RECENT_NS = 3_000_000_000
"""A folder that has changed within this time may change again without its time telling (FAT counts in 2 s)."""

LOOK_AGAIN = 0
"""The time of a folder that has to be read the next time, too: below it others may be known."""

FILES_AT_ONCE = 1000


@dataclass
class Seen:
    """What lies in the filing folders, beside what lies where its row says."""

    moved: list[tuple[Row, str]] = field(default_factory=list)
    """Rows, and where their photos lie now (relative to `DATA_DIR`)."""
    elsewhere: list[tuple[Row, str]] = field(default_factory=list)
    """The same for places that decide nothing: `failed`, `duplicates`, folders that are no category."""
    unknown: list[str] = field(default_factory=list)
    """Places of files that are nobody's: no row has these bytes, or its own photo is still in its place."""
    leftovers: list[Path] = field(default_factory=list)
    """What a copy that died left behind."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Folders and files that cannot be read, and why."""
    categories: set[tuple[str, str]] = field(default_factory=set)
    """What a folder below `processed` may be; learned with the first file that no row has at its place."""
    times: dict[str, int] = field(default_factory=dict)
    """When each folder had changed last, for the next look; only those whose names are text."""


def follow(settings: BatchSettings, ledger: Ledger, *, whole: bool = False) -> int:
    """Let the rows of photos that people moved follow them; returns how many. For one who holds the run's lock.

    Looks only into folders that have changed since the last time, or with `whole` into all.
    """
    seen = look(settings, ledger, whole=whole)
    now = moments.now()
    followed = 0
    for row, place in seen.moved:
        if ledger.follow(moved_by_hand(row, place, now, seen.categories), row, now):
            followed += 1
        else:  # somebody has decided on it at a page meanwhile: look once more the next time
            seen.times[place.rpartition("/")[0]] = LOOK_AGAIN
    ledger.set_folder_times(seen.times)
    return followed


def look(settings: BatchSettings, ledger: Ledger, *, whole: bool) -> Seen:
    """Compare the filing folders with the rows. Changes nothing."""
    seen = Seen()
    taken: set[int | None] = set()
    for place, path in _strangers(settings, ledger, seen, whole=whole):
        # costs a look at every row: most nights need none
        seen.categories = seen.categories or known_categories(settings, ledger)
        try:
            row = _whose(settings.data_dir, ledger, path, taken)
        except _InItsPlaceError:
            continue
        except OSError as error:
            seen.unreadable[place] = error.strerror or str(error)
            continue
        if row is None:
            seen.unknown.append(place)
            continue
        taken.add(row.id)
        within = _top(place) == _top(row.moved_to) != "processed"  # sorted into another sub-folder
        (seen.moved if within or _status(place, seen.categories) else seen.elsewhere).append((row, place))
    return seen


def place_of(path: Path, data_dir: Path) -> str:
    """A path as the ledger has it: relative to `DATA_DIR`, readable."""
    return filing.readable(path.relative_to(data_dir).as_posix())


def known_categories(settings: BatchSettings, ledger: Ledger) -> set[tuple[str, str]]:
    """Every main and sub-category that a folder below `processed` may be: the model's, and those in the ledger."""
    model = answers_of_model(settings, ledger)
    return ledger.categories() | {(main, sub) for sub, main in model.main_of.items()}


@dataclass(frozen=True)
class Answers:
    """What the model may answer."""

    main_of: dict[str, str]
    """The main category of each sub-category."""
    backgrounds: tuple[str, ...]
    colours: tuple[str, ...]


def answers_of_model(settings: BatchSettings, ledger: Ledger) -> Answers:
    """What the server and the release in use may answer; where neither says so, what the latest photo was told apart by."""
    release = _release(settings.model_dir)
    latest: dict[str, Any] = {}
    for row in ledger.latest(1):
        latest = json.loads(row.probabilities or "{}")
    main_of = {str(sub): str(main) for sub, main in release.get("main_of", {}).items()}
    return Answers(
        main_of | json.loads(ledger.note(CATEGORIES) or "{}"),
        tuple(map(str, release.get("backgrounds") or latest.get("background", ()))),
        tuple(map(str, release.get("colours") or latest.get("colour", ()))),
    )


def _release(model_dir: Path) -> dict[str, Any]:
    """The classes of the release in use, where there is one on this machine."""
    try:
        folder = in_use.folder(model_dir, in_use.version(model_dir))
        content = json.loads((folder / "classes.json").read_text("utf-8"))
    except (in_use.InUseError, OSError, ValueError):
        return {}
    is_sound = isinstance(content, dict) and isinstance(content.get("main_of"), dict)
    return content if is_sound else {}


class _InItsPlaceError(Exception):
    """The file is where a row says, under another spelling of its name."""


def _whose(data_dir: Path, ledger: Ledger, path: Path, taken: set[int | None]) -> Row | None:
    """The row of a file that lies where no row has it; None when it is nobody's: a copy, or never seen.

    Raises:
        _InItsPlaceError: the disk ignores case, or has another Unicode form of the name.
        OSError: the file cannot be read.
    """
    checksum = digest(path)
    rows = [row for row in ledger.current(checksum) if row.id not in taken] if checksum else []
    if any(row.moved_to and _is_same_file(data_dir / row.moved_to, path) for row in rows):
        raise _InItsPlaceError
    homeless = [row for row in rows if not row.moved_to or not os.path.lexists(data_dir / row.moved_to)]
    return min(
        homeless,
        key=lambda row: (not row.moved_to, row.status == "duplicate", row.id or 0),
        default=None,
    )


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def moved_by_hand(row: Row, place: str, now: str, known: set[tuple[str, str]]) -> Row:
    """The row as its photo's new place decides."""
    status = _status(place, known)
    if status == "review" and row.status != "review":
        kept = replace(keep_models_answer(row), moved_to=place)
        waits = replace(as_the_model_had_it(kept), status="review", needs_review=True)
        waits.review_reason = f"{PUT_THERE}, {AUDIT}" if is_of_audit(row) else PUT_THERE
        return waits
    if status == "processed" and says(place) != says_row(row):
        return replace(decide(row, says(place), by="", now=now), moved_to=place)
    return replace(row, moved_to=place)


def says(place: str) -> Verdict:
    """What a place below `processed` says that its photos show: a category, or no clothing."""
    main, sub = category(place)
    return Verdict(no_clothing=True) if main == NO_CLOTHING else Verdict(main=main, sub=sub)


def says_row(row: Row) -> Verdict | None:
    """What the place says that a row's photo should lie at; nothing for photos that belong elsewhere."""
    if row.status != "processed":
        return None
    main, sub = category_of(row)
    return Verdict(main=main, sub=sub) if main else Verdict(no_clothing=True)


def fits(place: str, row: Row) -> bool:
    """Whether a place is one where the row's photo belongs."""
    if row.status == "processed":
        return _top(place) == "processed" and says(place) == says_row(row)
    return _top(place) == ("duplicates" if row.status == "duplicate" else row.status)


def category(place: str) -> tuple[str, str]:
    """Main and sub-category that a place below `processed` says; empty where it says none."""
    _, main, sub, *rest = [*place.split("/"), "", "", ""]
    if main == NO_CLOTHING and sub:
        return main, ""
    return (main, sub) if any(rest) else ("", "")


def _status(place: str, known: set[tuple[str, str]]) -> str:
    """What a place decides: `review`, `processed` for a category's folder, or nothing."""
    if _top(place) == "review":
        return "review"
    if _top(place) != "processed":
        return ""
    return "processed" if category(place) in {*known, (NO_CLOTHING, "")} else ""


def _top(place: str) -> str:
    return place.partition("/")[0]


def _strangers(
    settings: BatchSettings, ledger: Ledger, seen: Seen, *, whole: bool
) -> Iterator[tuple[str, Path]]:
    """Files at places that no row has, and that no command that died was about to leave or to take."""
    busy = {place for act in ledger.unfinished_acts() for place in (act.source, act.target)}
    files = _files(settings, ledger, seen, whole=whole)
    while some := list(islice(files, FILES_AT_ONCE)):
        places = {place_of(path, settings.data_dir): path for path in some}
        known = ledger.known_places(places)
        spelled = {place.casefold(): place for place in known}
        for place, path in places.items():
            if place in known or place in busy or _goes_with_a_photo(path):
                continue
            other = spelled.get(place.casefold())
            if other is None or not _is_same_file(settings.data_dir / other, path):
                yield place, path


def _goes_with_a_photo(path: Path) -> bool:
    """Whether a file is a companion, or would be one: such a file without its photo is nobody's."""
    return is_kind(path.name) and (not is_raw(path.name) or is_companion(path))


def _files(settings: BatchSettings, ledger: Ledger, seen: Seen, *, whole: bool) -> Iterator[Path]:
    """The files of the filing folders that have changed since they were last looked at, or of all."""
    before = {} if whole else ledger.folder_times()
    below: dict[str, list[str]] = {}
    for folder in before:
        below.setdefault(folder.rpartition("/")[0], []).append(folder)
    waiting = [name for name in filing.FOLDERS if (settings.data_dir / name).is_dir()]
    while waiting:
        folder = waiting.pop()
        if filing.readable(folder) == folder:
            seen.times[folder] = LOOK_AGAIN  # until it is known to have been read
        try:
            changed = (settings.data_dir / folder).stat().st_mtime_ns
            if before.get(folder) == changed:
                seen.times[folder] = changed
                waiting += below.get(folder, [])
                continue
            with os.scandir(settings.data_dir / folder) as found:
                entries = list(found)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                seen.unreadable[filing.readable(folder)] = error.strerror or str(error)
            continue
        if time.time_ns() - changed > RECENT_NS and all(filing.readable(e.name) == e.name for e in entries):
            seen.times[folder] = changed
        for entry in entries:
            if entry.name.endswith((filing.COPYING, filing.COPIED)):
                seen.leftovers.append(Path(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                if not is_left_alone(entry.name, settings.ignore):
                    waiting.append(f"{folder}/{entry.name}")
            elif not is_left_alone(entry.name, settings.ignore):
                yield Path(entry.path)
