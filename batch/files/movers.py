"""Who moves photos: each has a name, and a lock of the operating system that ends when its process does.

    with moving(ledger.path.parent) as owner:
        ledger.plan([Act(..., owner=owner)])

What somebody planned and has not done is finished by others only once that lock is free: so pages, a night and commands
can move photos beside each other, and whatever dies leaves nothing half done for ever.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from batch.lock import Lock, LockHeldError, refuse_if_locked

FOLDER = ".nightsort-movers"
"""Beside the ledger, on a local disk."""


@contextlib.contextmanager
def moving(folder: Path) -> Iterator[str]:
    """A new mover's name, that counts as alive until the end of this."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / FOLDER / secrets.token_hex(8)
        with contextlib.suppress(LockHeldError):  # somebody who tidies up was quicker
            lock = Lock(path, patience=0, signed=False)
            if _is_still_there(lock, path):
                break
            lock.release()
    with _until_the_end(lock):
        yield path.name


@contextlib.contextmanager
def in_place_of(folder: Path, owner: str) -> Iterator[bool]:
    """Whether a mover is dead; while this lasts nobody else takes its place."""
    if not owner:  # planned by a version that had no movers, for one who holds the run's lock
        yield True
        return
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        lock = Lock(folder / FOLDER / Path(owner).name, patience=0, signed=False)
    except LockHeldError:
        yield False
        return
    with _until_the_end(lock):
        yield True


def is_alive(folder: Path, owner: str) -> bool:
    """Whether a mover is at work. Changes nothing."""
    if not owner:
        return False
    try:
        refuse_if_locked(folder / FOLDER / Path(owner).name)
    except LockHeldError:
        return True
    return False


def tidy(folder: Path) -> None:
    """Remove what dead movers left."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(folder / FOLDER):
            with in_place_of(folder, entry):
                pass


@contextlib.contextmanager
def _until_the_end(lock: Lock) -> Iterator[None]:
    """Hold a lock, and remove its file: first, so that nobody can lock one that is about to go."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file
            lock.path.unlink()
        lock.release()
        if os.name == "nt":
            with contextlib.suppress(OSError):
                lock.path.unlink()


def _is_still_there(lock: Lock, path: Path) -> bool:
    """Whether the file that was locked is the one that others will find."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except OSError:
        return False
