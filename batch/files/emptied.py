"""The sub-folders of `incoming` that a night takes the last photo from: those it removes, and no other.

An empty folder may be one that a station uploads into. So a folder stays that this night has taken nothing from, that
somebody has changed lately, that another disk is mounted on, or that holds anything (a `.keep`, say).
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from batch.files import filing


class Emptied:
    """What this night has taken from folders, and when others changed them last."""

    def __init__(self, incoming: Path, settle_seconds: float) -> None:
        self._incoming = incoming
        self._settle_ns = int(settle_seconds * 1e9)
        self._changed: dict[str, int] = {}
        """When somebody else has changed a folder last, as far as could be seen."""
        self._ours: dict[str, int] = {}
        """The time that our own last move gave to a folder."""
        self._taken_from: set[str] = set()

    def look(self, folder: str, mtime_ns: int) -> None:
        """Note a folder's time, as the scan finds it."""
        if self._ours.get(folder) != mtime_ns:
            self._changed[folder] = mtime_ns

    def took_from(self, folders: Iterable[str]) -> None:
        """Note that photos were taken from these folders (relative to `incoming`) just now."""
        for folder in set(folders):
            self._note(folder)
            self.took_before(folder)

    def took_before(self, folder: str) -> None:
        """Note that photos were taken from a folder by a night that could not remove it."""
        while folder and folder not in self._taken_from:
            self._taken_from.add(folder)
            folder = os.path.dirname(folder)

    def remove(self) -> bool:
        """Remove the folders that are empty now, the deepest first, so that a parent may be next.

        True when an empty one had to stay because somebody has changed it lately.
        """
        young = False
        for folder in sorted(self._taken_from, key=lambda name: -name.count("/")):
            if self._is_young(folder):
                young = young or _is_empty(self._incoming / folder)
            elif filing.remove_empty(self._incoming / folder):
                self._note(os.path.dirname(folder))
        return young

    def _note(self, folder: str) -> None:
        with contextlib.suppress(OSError):
            self._ours[folder] = (self._incoming / folder).lstat().st_mtime_ns

    def _is_young(self, folder: str) -> bool:
        if folder not in self._changed:
            # not seen in this night
            return True
        age = time.time_ns() - self._changed[folder]
        # the future is a wrong clock
        return 0 <= age < self._settle_ns


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False
