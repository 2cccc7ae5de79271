"""Going through `incoming`: which files are a night's work, which are left alone, which are too young."""

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from itertools import islice
from pathlib import Path

LEFT_ALONE = ("thumbs.db", "desktop.ini", "*.part", "*.filepart", "*.crdownload")
"""Names that are nobody's photo or not complete yet; so is whatever begins with a dot. Compared in lower case."""

COMPANIONS = (".aae", ".xmp", ".mov")
"""What phones and editors lay beside a photo: edits, metadata, the film of a live photo."""

PHOTOS = (".jpg", ".jpeg", ".heic", ".heif", ".png", ".dng", ".tif", ".tiff", ".webp", ".avif")
"""Extensions that make a file the photo of a companion with the same stem."""

SORTED_AT_ONCE = 20_000
"""Entries of a folder that are put in order together: usual nights run by name (a photo before its copy), and a
folder of a million needs no list of them all."""


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of `incoming` that is this night's work."""

    name: str
    """The path below `incoming`, as the operating system gives it (`os.fsencode` gives its bytes)."""
    size: int
    mtime_ns: int
    ctime_ns: int
    regular: bool
    """False for links, pipes, devices and sockets: never opened."""


@dataclass
class Scan:
    """One pass through `incoming`; iterating finds the work, the counters tell of the rest."""

    incoming: Path
    settle_seconds: float
    ignore: tuple[str, ...] = ()
    seen: dict[str, tuple[tuple[int, int, int], float]] = field(default_factory=dict)
    """Files that have changed lately although they look old, as they were when first seen so, and when that was.

    Give the same one to the passes of a run.
    """
    young: int = 0
    """Files of an upload that goes on, or has just ended: for the next night."""
    restless: int = 0
    """Old files that have changed lately (`cp -p`, rsync and Samba keep times): worth another look soon."""
    left_alone: int = 0
    folders: list[str] = field(default_factory=list)
    """Sub-folders that nothing has changed in for a while, parents first: to be removed once they are empty."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Sub-folders that cannot be read, and why."""

    def __iter__(self) -> Iterator[Found]:
        """Walk the tree; entries come as the folders are read, so a million of them need no list.

        Raises:
            OSError: `incoming` itself cannot be read.
        """
        self.young = self.restless = self.left_alone = 0
        self._left_alone = re.compile("|".join(translate(p.lower()) for p in LEFT_ALONE + self.ignore))
        self.folders, self.unreadable = [], {}
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone since the folder was read: not ours any more
                    continue
                if self._is_left_alone(entry.name):
                    self.left_alone += 1
                elif stat.S_ISDIR(facts.st_mode):
                    waiting.append(name)
                    if not self._is_young(facts):
                        self.folders.append(name)
                elif is_companion(entry.path):
                    self.left_alone += 1
                elif self._is_settled(name, entry.path, facts):
                    yield Found(
                        name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, stat.S_ISREG(facts.st_mode)
                    )

    def _entries(self, folder: str) -> "Iterator[os.DirEntry[str]]":
        try:
            with os.scandir(self.incoming / folder) as entries:
                while some := list(islice(entries, SORTED_AT_ONCE)):
                    yield from sorted(some, key=lambda entry: os.path.splitext(entry.name))
        except OSError as error:
            if not folder:
                raise
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):  # taken away meanwhile: fine
                self.unreadable[folder] = error.strerror or str(error)

    def _is_settled(self, name: str, path: str, facts: os.stat_result) -> bool:
        """Whether a photo is complete, and its companions are; counts it where it belongs if not."""
        if not self.settle_seconds:
            return True
        group = [(name, facts)]
        for companion in companions_of(path):
            with contextlib.suppress(FileNotFoundError):
                group.append((str(companion), companion.lstat()))
        restless = [name for name, facts in group if self._is_restless(name, facts)]  # looks at each
        if any(self._is_young(facts) for _, facts in group):
            self.young += 1
        elif restless:
            self.restless += 1
        else:
            return True
        return False

    def _is_left_alone(self, name: str) -> bool:
        return name.startswith(".") or self._left_alone.match(name.lower()) is not None

    def _is_young(self, facts: os.stat_result) -> bool:
        return (
            0 <= time.time() - facts.st_mtime < self.settle_seconds
        )  # the future is a wrong clock, no upload

    def _is_restless(self, name: str, facts: os.stat_result) -> bool:
        """Whether a file has changed lately, whatever its mtime says, and has not held still since it was seen."""
        if os.name != "posix" or time.time() - facts.st_ctime >= self.settle_seconds:
            return False
        state = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        now = (
            time.monotonic()
        )  # ctime may lie in the future: a clock that was set back, a server's that is fast
        before, since = self.seen.setdefault(name, (state, now))
        if before != state:
            self.seen[name] = (state, now)
            return True
        return now - since < self.settle_seconds


def is_left_alone(name: str, ignore: tuple[str, ...] = ()) -> bool:
    """Whether a file or folder of this name is nobody's photo."""
    lower = name.lower()
    return name.startswith(".") or any(fnmatchcase(lower, pattern.lower()) for pattern in LEFT_ALONE + ignore)


def is_companion(path: str | Path) -> bool:
    """Whether a file belongs to a photo that lies beside it (`IMG_1.aae`, `IMG_1.jpg.xmp` to `IMG_1.jpg`)."""
    stem, extension = os.path.splitext(path)  # Path's suffix knows no name that begins with a dot
    if extension.lower() not in COMPANIONS:
        return False
    if os.path.splitext(stem)[1].lower() in PHOTOS and os.path.lexists(stem):
        return True
    return any(os.path.lexists(stem + photo) for photo in (*PHOTOS, *map(str.upper, PHOTOS)))


def companions_of(path: str | os.PathLike[str]) -> list[Path]:
    """The companions that lie beside a photo."""
    stem, extension = os.path.splitext(path)  # Path's suffix knows no name that begins with a dot
    if extension.lower() in COMPANIONS:
        return []
    kinds = (*COMPANIONS, f"{extension}.xmp")
    found: dict[tuple[int, int], Path] = {}
    for name in (
        *(stem + kind for kind in kinds),
        *(stem + kind.upper() for kind in COMPANIONS),
        f"{stem}{extension}.XMP",
    ):
        if not os.access(name, os.F_OK):  # nearly always: cheaper than an exception
            continue
        try:
            facts = os.lstat(name)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode):  # on a file system that ignores case both spellings are one file
            found.setdefault((facts.st_dev, facts.st_ino), Path(name))
    return list(found.values())
