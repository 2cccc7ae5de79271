"""Going through `incoming`: which files are a night's work, which are left alone, which are too young."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

from batch.files import filing
from batch.files.companions import Folder, is_kind, is_raw, sort_key
from batch.files.emptied import Emptied
from batch.files.left_alone import is_left_alone
from batch.files.links import Inode, Links, inode_of

OURS = ".nightsort"
"""Begins the names of what we leave in folders ourselves: nobody has to be told of it."""

PLACEHOLDERS = (".keep", ".gitkeep")
"""Files that only keep their folder there: nor of these. `data/incoming` comes with one."""

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
    companions: tuple[str, ...] = ()
    """The names of the files beside it that go with it."""
    inode: Inode | None = None
    """Of a file that has other names, too (hard links)."""


@dataclass
class Memory:
    """What the passes of a run tell each other; `folders` is for one who moves what is found."""

    seen: dict[str, tuple[tuple[int, int, int], float]] = field(default_factory=dict)
    """Files that have changed lately although they look old, as they were when first seen so, and when that was."""
    links: Links = field(default_factory=Links)
    folders: Emptied | None = None


@dataclass
class Scan:
    """One pass through `incoming`; iterating finds the work, the counters tell of the rest."""

    incoming: Path
    settle_seconds: float
    ignore: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)
    young: int = 0
    """Files of an upload that goes on, or has just ended: for the next night."""
    restless: int = 0
    """Old files that have changed lately (`cp -p`, rsync and Samba keep times): worth another look soon."""
    left_alone: int = 0
    """Files, and folders with all that is in them, that are nobody's photo and no photo's companion."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Files and sub-folders that cannot be looked at, and why."""

    def __iter__(self) -> Iterator[Found]:
        """Walk the tree; entries come as the folders are read, so a million of them need no list.

        Raises:
            OSError: `incoming` itself cannot be read.
        """
        self.young = self.restless = self.left_alone = 0
        self.unreadable = {}
        waiting = [""]
        while waiting:
            parent = waiting.pop()
            self._looked_at, self._looked_at_monotonic = time.time(), time.monotonic()
            folder = Folder(self.incoming / parent)
            for entry in self._entries(parent):
                name = f"{parent}/{entry.name}" if parent else entry.name
                if is_left_alone(entry.name, self.ignore):
                    self.left_alone += not entry.name.startswith(OURS) and entry.name not in PLACEHOLDERS
                elif (facts := self._facts(entry, name)) is None:
                    continue
                elif stat.S_ISDIR(facts.st_mode):
                    waiting.append(name)
                    if self.memory.folders:
                        self.memory.folders.look(name, facts.st_mtime_ns)
                elif is_kind(entry.name) and self._goes_with_another(entry.name, folder):
                    continue
                elif (found := self._work(name, facts, folder)) is not None:
                    yield found

    def _facts(self, entry: "os.DirEntry[str]", name: str) -> os.stat_result | None:
        """What the system knows of an entry; None for one that cannot be looked at, or is gone: not ours any more."""
        try:
            return entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unreadable[name] = error.strerror or str(error)
            return None

    def _goes_with_another(self, name: str, folder: Folder) -> bool:
        """Whether a file is a photo's companion, or would be one: left alone where there is no photo."""
        photo = folder.photo_of(name)
        if photo is None and is_raw(name):
            return False
        if photo is None or is_left_alone(photo, self.ignore):
            self.left_alone += 1
        return True

    def _entries(self, folder: str) -> "Iterator[os.DirEntry[str]]":
        try:
            with os.scandir(self.incoming / folder) as entries:
                while some := list(islice(entries, SORTED_AT_ONCE)):
                    yield from sorted(some, key=lambda entry: sort_key(entry.name))
        except OSError as error:
            if not folder:
                raise
            # what was taken away meanwhile needs no word
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self.unreadable[folder] = error.strerror or str(error)

    def _work(self, name: str, facts: os.stat_result, folder: Folder) -> Found | None:
        """A photo that is complete, as its companions are; counted where it belongs if not."""
        parent, _, own_name = name.rpartition("/")
        companions: dict[str, os.stat_result] = {}
        for companion in folder.companions_of(own_name):
            if is_left_alone(companion, self.ignore):
                continue
            path = f"{parent}/{companion}" if parent else companion
            try:
                companions[path] = os.lstat(os.path.join(self.incoming, path))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.unreadable[name] = f"its companion {companion}: {error.strerror}"
                return None
        if not self._is_settled({name: facts, **companions}):
            return None
        return Found(
            name,
            facts.st_size,
            facts.st_mtime_ns,
            facts.st_ctime_ns,
            stat.S_ISREG(facts.st_mode),
            tuple(os.path.basename(path) for path in companions),
            inode_of(facts),
        )

    def _is_settled(self, group: dict[str, os.stat_result]) -> bool:
        """Whether a photo and its companions are complete."""
        if not self.settle_seconds:
            return True
        # a list, since each of them has to be looked at
        restless = [name for name, facts in group.items() if self._is_restless(name, facts)]
        if any(self._is_young(facts) for facts in group.values()):
            self.young += 1
        elif restless:
            self.restless += 1
        else:
            return True
        return False

    def _is_young(self, facts: os.stat_result) -> bool:
        """Whether a file was young when its folder was looked at.

        What came into the folder since then may be its companion, and nobody has seen that. The future is a wrong
        clock, no upload.
        """
        return self._looked_at - facts.st_mtime < self.settle_seconds and facts.st_mtime <= time.time()

    def _is_restless(self, name: str, facts: os.stat_result) -> bool:
        """Whether a file has changed lately, whatever its mtime says, and has not held still since it was seen."""
        ctime_ns = self.memory.links.ctime_ns(facts)
        if os.name != "posix" or self._looked_at - ctime_ns / 1e9 >= self.settle_seconds:
            return False
        state = (facts.st_size, facts.st_mtime_ns, ctime_ns)
        # ctime may lie in the future: a clock that was set back, a server's that is fast
        now = time.monotonic()
        before, since = self.memory.seen.setdefault(name, (state, now))
        if before != state:
            self.memory.seen[name] = (state, now)
            return True
        return self._looked_at_monotonic - since < self.settle_seconds


def complaints(unreadable: dict[str, str]) -> Iterator[str]:
    """What cannot be looked at, in sentences: one for all the entries of a folder that fail alike."""

    def kind(item: tuple[str, str]) -> tuple[str, str]:
        return os.path.dirname(item[0]), item[1]

    for (_, why), items in groupby(sorted(unreadable.items(), key=kind), kind):
        first, *more = (name for name, _ in items)
        others = f" and {len(more)} more in its folder" if more else ""
        yield f"{filing.readable(first)}{others} cannot be looked at: {why}"
