"""What a photo is known by: the SHA-256 of its bytes."""

import hashlib
import stat
from pathlib import Path


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex, without reading it into memory at once; `""` for what is no plain file."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
