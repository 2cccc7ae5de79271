"""Reading a photo: opened without following anything, whole, and only while it is the file that was found."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from batch.checksum import digest
from batch.files.scan import Found
from photo_formats import BEGINNING, RAW_EXTENSIONS, format_of


@dataclass(frozen=True)
class Read:
    """What was read of a file."""

    sha256: str = ""
    photo: bytes | None = None
    """Its bytes, unless there is an error."""
    format: str = ""
    """The one that it begins like; nothing for what is no photo, or none that is supported."""
    error: str = ""
    """Why nobody needs to be asked about it."""


def read(incoming: Path, found: Found, max_image_mb: float) -> Read | None:
    """A file below `incoming`, or None when it is not there any more, or not as it was found.

    Raises:
        OSError: it cannot be read.
        MemoryError: it is too large for this machine.
    """
    if not found.regular:
        return Read(error="This is no file but a link or a device; it was not opened.")
    if found.size == 0:
        return Read(hashlib.sha256().hexdigest(), error="The file is empty.")
    path = os.path.join(incoming, found.name)
    try:
        if found.size > max_image_mb * 1024 * 1024:
            error = f"The file is larger than MAX_IMAGE_MB ({max_image_mb:g} MB)."
            return Read(digest(Path(path)), error=error)
        photo = read_unchanged(path, found)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if photo is None:
        return None
    is_raw = found.name.lower().endswith(RAW_EXTENSIONS)
    return Read(hashlib.sha256(photo).hexdigest(), photo, "" if is_raw else format_of(photo[:BEGINNING]))


def read_unchanged(path: str, found: Found) -> bytes | None:
    """The file's bytes, or None when it is not the file that was found any more."""
    # what was a file a moment ago may be a link or a pipe now: follow nothing, wait for nothing
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    # a descriptor, not a path
    with open(os.open(path, flags), "rb", buffering=0) as file:
        if not _is_as_found(file.fileno(), found):
            return None
        content = file.read(found.size + 1)
        while content and len(content) <= found.size and (more := file.read(found.size + 1 - len(content))):
            content += more
        return content if len(content) == found.size and _is_as_found(file.fileno(), found) else None


def _is_as_found(handle: int, found: Found) -> bool:
    facts = os.fstat(handle)
    return stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) == (
        found.size,
        found.mtime_ns,
        found.ctime_ns,
    )
