"""Photos that cannot be read or moved: which folder refuses, what people can do about it, what is worth a try.

A photo whose target refuses stays, and all others are tried. A folder of `incoming` that lets none of its photos go
is asked less and less often, so that a thousand photos in it cost no thousand predictions, and every night anew.
"""

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batch.files import filing
from batch.files.scan import Found
from batch.records.ledger import Row

IN_A_ROW = 10
"""So many photos of one folder that cannot be moved, and none in between that can, are no accident."""

MOST_SKIPPED = 64
"""Then one is skipped before the next is tried, then two, four … and never more than these."""

_TARGETS_OWN = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "ENOTDIR", "ENAMETOOLONG", "ELOOP", "EMLINK")
    if hasattr(errno, name)
}
"""Errors that only the place a photo goes to has."""

_ADVICE = {
    errno.EACCES: "give the night's user the right to write there",
    errno.EPERM: "give the night's user the right to write there",
    errno.EROFS: "make that disk writable",
    errno.ENOSPC: "make room on that disk",
    errno.ENOTDIR: "move the file away that is where a folder should be",
    errno.ENAMETOOLONG: "shorten the names",
    errno.EBUSY: "close the program that uses them",
}
if hasattr(errno, "EDQUOT"):
    _ADVICE[errno.EDQUOT] = "raise the quota of the night's user"

_SHARING_VIOLATION = 32
"""What Windows says of a file that another program has open."""


@dataclass(frozen=True)
class Refusal:
    """Why a photo stays in `incoming`: which folder refuses, in what words, and what to do."""

    words: str
    """`could not be moved out of incoming/order 7 (Permission denied): …`; goes behind a number of photos."""
    by_source: bool
    """The photo, or the folder it lies in, cannot be moved from; its target takes others."""


class Refusals:
    """What refuses to be moved in one night."""

    def __init__(self, incoming: Path, data_dir: Path) -> None:
        self._incoming = incoming
        self._data_dir = data_dir
        self._full: set[int] = set()
        """Devices that take nothing more."""
        self._sources: dict[str, _Source] = {}
        """Folders below `incoming` whose latest photo could not be moved."""

    def note(self, row: Row, error: OSError | filing.FilingError) -> Refusal:
        """Find out who refused, and remember it. A `FilingError` has the system's error as its cause."""
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            cause = OSError(errno.EIO, str(error))
        if self._is_targets(row, cause):
            # a single mount may be read-only, and its disk writable elsewhere
            if cause.errno in filing.FULL_DISK and cause.errno != errno.EROFS:
                with contextlib.suppress(OSError):
                    self._full.add(_nearest(self._target(row)).stat().st_dev)
            return Refusal(f"could not be moved to {self._named_target(row, cause)} {_why(cause)}", False)
        folder = os.path.dirname(os.fsdecode(row.source))
        words = f"could not be moved out of {_in_incoming(folder)} {_why(cause)}"
        self._sources.setdefault(folder, _Source()).refused(words)
        return Refusal(words, True)

    def moved(self, folder: str) -> None:
        """A photo of this folder below `incoming` could be moved: it lets photos go."""
        self._sources.pop(folder, None)

    def skips(self, found: Found) -> bool:
        """Whether a photo is not worth a try, since its folder has let none go for long."""
        source = self._sources.get(os.path.dirname(found.name))
        return source is not None and source.skips(found)

    def start_pass(self) -> None:
        """Forget what was skipped: `incoming` is gone through again."""
        for source in self._sources.values():
            source.skipped, source.last = 0, None

    def last_skipped(self) -> Iterator[Found]:
        """Of each folder the last photo that was skipped: the one behind all those that cannot be moved."""
        for source in list(self._sources.values()):
            if source.last:
                last, source.last = source.last, None
                source.skipped -= 1
                yield last

    def skipped(self) -> Counter[str]:
        """How many photos were skipped, by why."""
        count: Counter[str] = Counter()
        for source in self._sources.values():
            count[source.words] += source.skipped
        return +count

    def nothing_can_be_filed(self) -> bool:
        """Whether no filing folder takes a photo any more: the disk that all lie on is full, or not ours."""
        return not any(self._takes(self._data_dir / folder) for folder in filing.FOLDERS)

    def _is_targets(self, row: Row, error: OSError) -> bool:
        source = os.path.join(self._incoming, os.fsdecode(row.source))
        if error.filename is not None and error.filename2 is None and os.fsdecode(error.filename) == source:
            # looking at it, reading it, or removing it once it was copied
            return False
        return error.errno in _TARGETS_OWN or not self._takes(self._target(row))

    def _takes(self, folder: Path) -> bool:
        """Whether a file may be put into this folder, or into the one that it has to be made in."""
        there = _nearest(folder)
        try:
            return (
                there.is_dir()
                and os.access(there, os.W_OK | os.X_OK, effective_ids=_AS_WHO_WE_ARE)
                and there.stat().st_dev not in self._full
            )
        except OSError:
            return False

    def _named_target(self, row: Row, error: OSError) -> str:
        """What people have to see to: the disk that is full, else the folder that is closed or in the way."""
        if error.errno in filing.FULL_DISK:
            return row.moved_to.partition("/")[0]
        target = self._target(row)
        if error.errno in (errno.EACCES, errno.EPERM, errno.ENOTDIR):
            target = _nearest(target)
        if target.is_relative_to(self._data_dir) and target != self._data_dir:
            target = target.relative_to(self._data_dir)
        return filing.readable(str(target))

    def _target(self, row: Row) -> Path:
        return self._data_dir / os.path.dirname(row.moved_to)


@dataclass
class _Source:
    """A folder below `incoming` whose latest photo could not be moved."""

    words: str = ""
    in_a_row: int = 0
    gap: int = 0
    """How many are skipped before one is tried."""
    to_skip: int = 0
    """Of these, how many are left."""
    skipped: int = 0
    last: Found | None = None
    """The last one that was skipped."""

    def refused(self, words: str) -> None:
        self.words = words
        self.in_a_row += 1
        if self.in_a_row >= IN_A_ROW:
            self.gap = min(2 * self.gap or 1, MOST_SKIPPED)

    def skips(self, found: Found) -> bool:
        if not self.to_skip:
            self.to_skip = self.gap
            return False
        self.to_skip -= 1
        self.skipped += 1
        self.last = found
        return True


_AS_WHO_WE_ARE = os.access in os.supports_effective_ids


def words_of_unread(folder: str, why: str) -> str:
    """Why photos of a folder below `incoming` stay that cannot be read, and what to do; goes behind their number."""
    is_closed = why in (os.strerror(errno.EACCES), os.strerror(errno.EPERM))
    advice = ": give the night's user the right to read there" if is_closed else ""
    return f"could not be read in {_in_incoming(folder)} ({why}){advice}"


def in_words(error: OSError) -> str:
    """What the system says."""
    return error.strerror or str(error)


def _in_incoming(folder: str) -> str:
    return f"incoming/{filing.readable(folder)}" if folder else "incoming"


def _why(error: OSError) -> str:
    """What the system says and what to do about it, as the end of a sentence."""
    in_use = getattr(error, "winerror", None) == _SHARING_VIOLATION
    advice = _ADVICE[errno.EBUSY] if in_use else _ADVICE.get(error.errno or 0)
    return f"({in_words(error)})" + (f": {advice}" if advice else "")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
