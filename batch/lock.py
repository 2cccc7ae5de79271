"""One run at a time: a lock per data folder that the operating system holds, and frees whatever happens.

Standard library only: `batch.environment` takes the lock before the environment with our packages exists.
"""

import contextlib
import os
import re
import sys
import time
from pathlib import Path
from typing import BinaryIO

LOCK_NAME = ".nightsort.lock"
HANDED_OVER = "NIGHTSORT_LOCK_FD"

LOOKER_SECONDS = 0.5
"""Who only looks whether somebody is at work holds the lock for an instant; that must not keep a night from starting."""


class LockHeldError(Exception):
    """Another process holds the lock."""


class Lock:
    """A lock on a file, held until `release` or the process's end; no child process inherits it.

    >>> with Lock(Path("/tmp/example.lock")):
    ...     pass  # alone here
    """

    def __init__(
        self, path: Path, *, wait: bool = False, patience: float = LOOKER_SECONDS, signed: bool = True
    ) -> None:
        """Take the lock; one that is held is asked for again for so many seconds, with `wait` for ever.

        `signed`: the file says who holds it, for the message that others get.

        Raises:
            LockHeldError: another process holds it (only with `wait=False`).
            OSError: the file cannot be made, or cannot be locked on this file system.
        """
        self.path = path
        self._file = _handed_over(path) or path.open("a+b")
        until = time.monotonic() + patience
        while True:
            try:
                _lock(self._file, wait=wait)
                break
            except (BlockingIOError, PermissionError):  # as POSIX and as Windows say it
                if time.monotonic() >= until:
                    holder = _read_holder(self._file)
                    self._file.close()
                    raise LockHeldError(f"another run{holder} is at work on {path.parent}") from None
                time.sleep(LOOKER_SECONDS / 10)
        if signed:
            self._write_holder()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Free the lock; the file stays, so that nobody locks a file that another just removed."""
        self._file.close()

    def fileno(self) -> int:
        """The number of the open file, as the operating system knows it."""
        return self._file.fileno()

    def _write_holder(self) -> None:
        """Say who holds the lock; only for the message above, so a full disk does not matter."""
        with contextlib.suppress(OSError):
            self._file.truncate(0)
            os.write(self._file.fileno(), str(os.getpid()).encode())

    def hand_over(self) -> dict[str, str]:
        """Let the program that this process is about to become (`os.exec…`) keep the lock.

        Returns what its environment needs to find it.
        """
        os.set_inheritable(self._file.fileno(), True)
        return {HANDED_OVER: str(self._file.fileno())}


def run_lock(folder: Path) -> Lock:
    """The lock of one run: beside the ledger, on a local disk (a share may be missing, or know no locks).

    Raises:
        LockHeldError: another run is at work there.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Lock(folder / LOCK_NAME)


def refuse_if_at_work(folder: Path) -> None:
    """For who only looks: nothing is written, and nobody is kept from starting.

    Raises:
        LockHeldError: a run is at work there.
        OSError: the lock cannot be read.
    """
    refuse_if_locked(folder / LOCK_NAME)


def is_at_work(folder: Path) -> bool:
    """Whether a run is at work there.

    Raises:
        OSError: the lock cannot be read.
    """
    try:
        refuse_if_at_work(folder)
    except LockHeldError:
        return True
    return False


def refuse_if_locked(path: Path) -> None:
    """As `refuse_if_at_work` for any lock's file; one that is missing, or a folder, is nobody's.

    Raises:
        LockHeldError: somebody holds it.
        OSError: it cannot be read.
    """
    with contextlib.suppress(FileNotFoundError, IsADirectoryError), path.open("rb") as file:
        try:
            _lock(file, wait=False, shared=True)
        except (BlockingIOError, PermissionError):
            raise LockHeldError(f"another run{_read_holder(file)} is at work on {path.parent}") from None


def _handed_over(path: Path) -> BinaryIO | None:
    """The lock that the program before this one in the same process took, if it is on the same file."""
    number = os.environ.pop(HANDED_OVER, "")
    if not re.fullmatch("[0-9]{1,9}", number):
        return None
    with contextlib.suppress(OSError):  # the number of a file that is not open, or not ours: take a new one
        os.set_inheritable(int(number), False)
        if os.path.samestat(os.fstat(int(number)), path.stat()):
            return os.fdopen(int(number), "a+b")
        os.close(int(number))
    return None


if sys.platform == "win32":
    import msvcrt

    _BYTE = 1 << 30  # a byte far behind the text: Windows forbids reading a locked one

    def _lock(file: BinaryIO, *, wait: bool, shared: bool = False) -> None:  # noqa: ARG001 - it knows no shared one
        while True:
            file.seek(_BYTE)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return
            except OSError:
                if not wait:
                    raise
                time.sleep(0.2)
else:
    import fcntl

    def _lock(file: BinaryIO, *, wait: bool, shared: bool = False) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)


def _read_holder(file: BinaryIO) -> str:
    file.seek(0)
    pid = file.read(20).decode("ascii", "replace")
    return f" (process {pid})" if re.fullmatch("[0-9]+", pid) else ""
