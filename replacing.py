"""Replacing a file as a whole: whoever reads meanwhile sees the old one or the new one, and a crash loses neither.

Kept by hand on purpose: a few lines, which the night and the model share.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what is to replace `path` once it is complete, and on the disk for good.

    What could not be completed is removed, and so is what a crash left: a full disk needs the room. One process at a time
    may replace a file.

    >>> with replacing(Path("page.html")) as new:  # doctest: +SKIP
    ...     new.write_text("<p>whole</p>")

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        yield new
        with new.open("rb+") as written:
            os.fsync(written.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
