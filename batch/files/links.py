"""Hard links: files of several names. Moving one of them changes the ctime of all, which is no change of the others."""

import contextlib
import os
from collections.abc import Iterable, Iterator

Inode = tuple[int, int]
"""Device and inode: the same for all names of a file."""


class Links:
    """The ctimes that our own moves gave to files with several names."""

    def __init__(self) -> None:
        self._ours: dict[Inode, list[int]] = {}
        """The ctime before our first move, and after each."""

    def ctime_ns(self, facts: os.stat_result) -> int:
        """A file's ctime as it was before we moved other names of it; as it is where somebody has changed it since."""
        ours = self._ours.get((facts.st_dev, facts.st_ino)) if self._ours else None
        return ours[0] if ours and ours[-1] == facts.st_ctime_ns else facts.st_ctime_ns

    def is_now(self, inode: Inode, ctime_ns: int | None) -> int | None:
        """What a ctime has become by our own moves since it was looked at."""
        ours = self._ours.get(inode, [])
        return ours[-1] if ctime_ns in ours else ctime_ns

    @contextlib.contextmanager
    def moving(self, paths: Iterable[str]) -> Iterator[None]:
        """Learn what a move that is made here does to those of the files that have other names.

        Where it fails, nothing is learned. Where it changes more than the ctime, somebody else did.
        """
        handles: list[int] = []
        try:
            handles += _opened(paths)
            before = [os.fstat(handle) for handle in handles]
            yield
            for handle, was in zip(handles, before, strict=True):
                self._learn(was, os.fstat(handle))
        finally:
            for handle in handles:
                os.close(handle)

    def _learn(self, was: os.stat_result, is_now: os.stat_result) -> None:
        if (was.st_size, was.st_mtime_ns) != (is_now.st_size, is_now.st_mtime_ns):
            return
        ours = self._ours.setdefault((was.st_dev, was.st_ino), [was.st_ctime_ns])
        if ours[-1] != was.st_ctime_ns:
            ours[:] = [was.st_ctime_ns]
        ours.append(is_now.st_ctime_ns)


def inode_of(facts: os.stat_result) -> Inode | None:
    """Device and inode of a plain file that has other names; Windows has no ctime that a move would change."""
    return (facts.st_dev, facts.st_ino) if facts.st_nlink > 1 and os.name == "posix" else None


def _opened(paths: Iterable[str]) -> Iterator[int]:
    """Handles of those of the files that have other names: they lead to the file wherever it is moved."""
    for path in paths:
        # the move will say what is wrong with it
        with contextlib.suppress(OSError):
            if inode_of(os.lstat(path)):
                yield os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
