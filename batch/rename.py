"""Renaming without ever replacing a file, in one step where the system can."""

import ctypes
import errno
import os
import sys
from collections.abc import Callable

AT_FDCWD = -100
RENAME_NOREPLACE = 1
"""From Linux' <fcntl.h> and <linux/fs.h>; see renameat2(2)."""


StrPath = str | os.PathLike[str]


def rename_new(source: StrPath, target: StrPath) -> None:
    """Rename `source` to `target`, which must not exist.

    Where the file system cannot do that in one step, the name is reserved with an empty file first and the
    source renamed over it; a crash in between leaves that empty file.

    Raises:
        FileExistsError: there is something at `target`; nothing was changed.
        OSError: as `os.rename` does, `EXDEV` between two file systems.
    """
    if sys.platform == "win32":
        os.rename(source, target)  # fails there when the target exists
        return
    if _renameat2 is not None:
        if _renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise OSError(number, os.strerror(number), os.fspath(source), None, os.fspath(target))
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(source, target)
    except BaseException:
        os.unlink(target)
        raise


def _load() -> "Callable[..., int] | None":
    """Linux' renameat2 (glibc 2.28, musl 1.2.4), or None."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function


_renameat2 = _load()
