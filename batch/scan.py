"""Going through `incoming`: which files are a night's work, which are left alone, which are too young."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

LEFT_ALONE = ("thumbs.db", "desktop.ini", "*.part", "*.filepart", "*.crdownload")
"""Names that are nobody's photo or not complete yet; so is whatever begins with a dot. Compared in lower case."""

COMPANIONS = (".aae", ".xmp", ".mov")
"""What phones and editors lay beside a photo: edits, metadata, the film of a live photo."""

PHOTOS = (".jpg", ".jpeg", ".heic", ".heif", ".png", ".dng", ".tif", ".tiff", ".webp", ".avif")
"""Extensions that make a file the photo of a companion with the same stem."""


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of `incoming` that is this night's work."""

    name: str
    """The path below `incoming`, as the operating system gives it (`os.fsencode` gives its bytes)."""
    size: int
    mtime_ns: int
    regular: bool
    """False for links, pipes, devices and sockets: never opened."""


@dataclass
class Scan:
    """One pass through `incoming`; iterating finds the work, the counters tell of the rest."""

    incoming: Path
    settle_seconds: float
    ignore: tuple[str, ...] = ()
    young: int = 0
    left_alone: int = 0
    folders: list[str] = field(default_factory=list)
    """Sub-folders that nothing has changed in for a while, parents first: to be removed once they are empty."""

    def __iter__(self) -> Iterator[Found]:
        """Walk the tree; entries come as the folders are read, so a million of them need no list.

        Raises:
            OSError: `incoming` or a folder in it cannot be read.
        """
        self.young = self.left_alone = 0
        self.folders = []
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            with os.scandir(self.incoming / folder) as entries:
                for entry in entries:
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
                    elif is_companion(self.incoming / name):
                        self.left_alone += 1
                    elif self._is_young(facts):
                        self.young += 1
                    else:
                        yield Found(name, facts.st_size, facts.st_mtime_ns, stat.S_ISREG(facts.st_mode))

    def _is_left_alone(self, name: str) -> bool:
        lower = name.lower()
        return name.startswith(".") or any(
            fnmatchcase(lower, pattern.lower()) for pattern in LEFT_ALONE + self.ignore
        )

    def _is_young(self, facts: os.stat_result) -> bool:
        if not self.settle_seconds:
            return False
        age = time.time() - facts.st_mtime
        return 0 <= age < self.settle_seconds  # a time in the future is a wrong clock, no upload


def is_companion(path: Path) -> bool:
    """Whether a file belongs to a photo that lies beside it (`IMG_1.aae`, `IMG_1.jpg.xmp` to `IMG_1.jpg`)."""
    stem, extension = os.path.splitext(path)  # Path's suffix knows no name that begins with a dot
    if extension.lower() not in COMPANIONS:
        return False
    if os.path.splitext(stem)[1].lower() in PHOTOS and os.path.lexists(stem):
        return True
    return any(os.path.lexists(stem + photo) for photo in (*PHOTOS, *map(str.upper, PHOTOS)))


def companions_of(path: Path) -> list[Path]:
    """The companions that lie beside a photo."""
    stem, extension = os.path.splitext(path)  # Path's suffix knows no name that begins with a dot
    if extension.lower() in COMPANIONS:
        return []
    names = [stem + kind for kind in COMPANIONS] + [f"{path}.xmp"]
    found: dict[tuple[int, int], Path] = {}
    for name in (*names, *(name[: -len(".xmp")] + name[-len(".xmp") :].upper() for name in names)):
        try:
            facts = os.lstat(name)
        except OSError:  # not there, or a name too long to be there
            continue
        if stat.S_ISREG(facts.st_mode):  # on a file system that ignores case both spellings are one file
            found.setdefault((facts.st_dev, facts.st_ino), Path(name))
    return list(found.values())
