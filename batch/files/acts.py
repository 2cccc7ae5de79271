"""Doing what is written down to be done to filed photos: putting them back, archiving, deleting, moving decided ones.

An act stands in the ledger before anything moves, with the name of who does it; whatever dies in between, the next
night, command or decision finishes it.
"""

import functools
import os
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from batch.files import filing, movers
from batch.files.companions import Folder, Taken
from batch.logs import log
from batch.records.ledger import Act, Ledger, Row


class CannotActError(Exception):
    """An act cannot be done; the message says why."""


def finish_dead(
    data_dir: Path, ledger: Ledger, *, photo_id: int | None = None, runs_locked: bool = True
) -> int:
    """Finish what others had begun when they died; returns how many photos that were.

    Of one photo, if named. Without the run's lock (`runs_locked` false), what a version without movers planned is left
    to the next night.
    """
    acts = [act for act in ledger.unfinished_acts() if photo_id in (None, act.photo_id)]
    finished = 0
    for owner, _ in groupby(sorted(acts, key=lambda act: act.owner), key=lambda act: act.owner):
        if not owner and not runs_locked:
            continue
        with movers.in_place_of(ledger.path.parent, owner) as is_dead:
            if is_dead:  # what it had not done until now: somebody else may have been quicker
                theirs = [act for act in ledger.unfinished_acts() if act.owner == owner]
                finished += perform(data_dir, ledger, theirs, again=True) if theirs else 0
    return finished


def dead(ledger: Ledger) -> list[Act]:
    """The acts that are planned, and that nobody is at work on any more."""
    found = []
    for act in ledger.unfinished_acts():
        if not movers.is_alive(ledger.path.parent, act.owner):
            found.append(act)
    return found


def perform(data_dir: Path, ledger: Ledger, acts: Iterable[Act], *, again: bool = False) -> int:
    """Do what is written down; what cannot be done is forgotten, with a word. Returns how many were done.

    With `again` each may be half done already.
    """
    done = []
    look, taken = functools.cache(Folder), functools.cache(Taken)
    for act in acts:
        try:
            carry_out(data_dir, ledger, act, companions_of(data_dir, ledger, act, look), taken, again=again)
            done.append(act)
            continue
        except CannotActError as error:
            problem = str(error)
        except OSError as error:
            problem = error.strerror or str(error)
        log.warning("%s was left as it is: %s.", act.source, problem)
        ledger.give_up(act)
    complete(data_dir, ledger, done)
    return len(done)


def carry_out(
    data_dir: Path,
    ledger: Ledger,
    act: Act,
    companions: list[str],
    taken: filing.Look | None = None,
    *,
    again: bool = False,
) -> None:
    """Move or delete one photo; `complete` notes that it is done. With `again` it may be half done already.

    Raises:
        CannotActError: it is not there any more, or what lies there is not the row's photo.
        OSError: it cannot be moved or deleted.
    """
    row = _row_of(ledger, act)
    source, target = data_dir / act.source, data_dir / act.target
    if again and act.target:
        filing.clear_up(source, target, row.mtime_ns, row.size)
    if not os.path.lexists(source):
        if again and act.target and filing.has_bytes_of(target, row):
            filing.finish_companions(source, target)
        elif not (again and act.action == "delete"):
            raise CannotActError("it is not there any more")
        return
    if not filing.has_bytes_of(source, row):
        raise CannotActError("another file, or an edited version, is there")
    if act.action == "delete":
        _delete(source, companions)
        return
    while True:
        try:
            filing.move_photo(source, data_dir / act.target, row.sha256, companions)
            return
        except FileExistsError:  # somebody has put a file there since: take another name
            act.target = filing.free_place(data_dir, act.target, (), source.name, companions, taken)
            ledger.send_elsewhere(act)


def complete(data_dir: Path, ledger: Ledger, done: Iterable[Act]) -> None:
    """Bring to disk what was carried out, and note that it is done."""
    done = list(done)
    if not done:
        return
    places = {data_dir / place for act in done for place in (act.source, act.target) if place}
    filing.sync_folders({path.parent for path in places})
    ledger.finish(done)
    for act in done:
        _remove_empty_folders((data_dir / act.source).parent, data_dir)


def companions_of(
    data_dir: Path, ledger: Ledger, act: Act, look: Callable[[Path], Folder] = Folder
) -> list[str]:
    """The names of a photo's companions; not those with a row of their own, as older versions gave to some."""
    folder, _, name = act.source.rpartition("/")
    found = {f"{folder}/{companion}": companion for companion in look(data_dir / folder).companions_of(name)}
    with_rows = ledger.known_places(filing.readable(place) for place in found)
    return [companion for place, companion in found.items() if filing.readable(place) not in with_rows]


def _row_of(ledger: Ledger, act: Act) -> Row:
    row = ledger.row(act.photo_id)
    assert row is not None  # rows of filed photos are never deleted
    return row


def _delete(photo: Path, companions: list[str]) -> None:
    for companion in companions:  # first: without their photo nobody knows whose they are
        photo.with_name(companion).unlink(missing_ok=True)
    photo.unlink(missing_ok=True)


def _remove_empty_folders(folder: Path, data_dir: Path) -> None:
    """Remove the sub-folder (an order number, say) that a photo was the last one in."""
    while folder.parent not in (data_dir, folder) and folder.is_relative_to(data_dir):
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone already
            return
        folder = folder.parent
