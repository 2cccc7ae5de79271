"""Which releases have been in use, one after the other: IN_USE names the one that is, PROMOTIONS logs every change.

use(model_dir, "2026-11-21", "2026-11-25", "promote")
before(model_dir, "2026-11-25")[-1]
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import in_use
from in_use import CURRENT, IN_USE, PROMOTIONS, InUseError
from replacing import replacing

PREVIOUS: Final = "PREVIOUS"
"""What older versions kept instead of PROMOTIONS: the one release to return to."""


def take_over(model_dir: Path) -> None:
    """Keep what an older version left: it wrote into CURRENT, which is now the shipped default's, and into PREVIOUS.

    The shipped CURRENT has a second line, a comment, which the older version's had not. Raises OSError.
    """
    chosen = "" if is_shipped(model_dir / CURRENT) else named(model_dir / CURRENT)
    if chosen and (model_dir / chosen).is_dir() and not (model_dir / IN_USE).exists():
        _name(model_dir / IN_USE, chosen)
    if (model_dir / PREVIOUS).is_file():
        previous, used = named(model_dir / PREVIOUS), named(model_dir / IN_USE) or named(model_dir / CURRENT)
        if previous and not (model_dir / PROMOTIONS).exists():
            _log(model_dir, previous if used else "", used or previous, "an older version")
        (model_dir / PREVIOUS).unlink()


def is_shipped(path: Path) -> bool:
    """Whether CURRENT is as the program ships it, or cannot be read: nothing to take over."""
    try:
        return path.read_bytes().partition(b"\n")[2].startswith(b"#")
    except OSError:
        return True


def named(path: Path) -> str:
    """The release that a file names; "" where it is missing or damaged, and says nothing that could be kept."""
    try:
        return in_use.first_line(path) or ""
    except InUseError:
        return ""


def use(model_dir: Path, earlier: str, version: str, command: str) -> None:
    """Put a release to use, and log it. A log without its last line still leads back, so the log comes second."""
    _name(model_dir / IN_USE, version)
    _log(model_dir, earlier, version, command)


def _log(model_dir: Path, earlier: str, version: str, command: str) -> None:
    """Append to PROMOTIONS when (UTC), from what, to what, and by which command."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with (model_dir / PROMOTIONS).open("a", encoding="utf-8", newline="") as file:
        file.write("\t".join((now, earlier, version, command)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def before(model_dir: Path, used: str) -> list[str]:
    """The releases to return to, the last one last: what was in use before, without what was rolled back since.

    Raises InUseError.
    """
    try:
        text = (model_dir / PROMOTIONS).read_text("utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InUseError(
            f"{model_dir / PROMOTIONS} cannot be read, so nobody knows which release was used before ({error}): `python "
            "-m model promote VERSION` chooses one."
        ) from error
    way: list[str] = []
    for line in text.splitlines():
        _, earlier, version, command, *_ = *line.split("\t"), "", "", ""
        if not in_use.is_name(version):
            # a crash cut this line short
            continue
        if earlier and way[-1:] != [earlier]:
            way.append(earlier)
        if command == "rollback":
            way = way[: len(way) - way[::-1].index(version)] if version in way else [version]
        elif way[-1:] != [version]:
            way.append(version)
    return way[:-1] if way[-1:] == [used] else way


def _name(path: Path, version: str) -> None:
    with replacing(path) as new:
        new.write_text(version + "\n", encoding="utf-8")
