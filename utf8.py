"""UTF-8 whatever the locale says: a name on the disk is bytes, and UTF-8 mode gives back the same bytes.

Standard library only: `batch.environment` uses it before the environment with our packages exists.
"""

import io
import os
import sys
from pathlib import Path


def use_utf8() -> None:
    """Go on in Python's UTF-8 mode where the locale would read names as something else; the first thing a program does.

    All that is started from here is in UTF-8 mode as well. What the terminal cannot show is written as an escape,
    so that no output ends in an error. `-X utf8=0` is obeyed.
    """
    if sys.getfilesystemencoding() != "utf-8" and "utf8" not in sys._xoptions:
        os.environ["PYTHONUTF8"] = "1"
        # the same process and the same arguments; the option, because -E and -I would hide the variable
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # it is None where there is nothing to write to
            stream.reconfigure(errors="backslashreplace")


def why_no_text(path: Path) -> str:
    """Why a text file of somebody's cannot be read; nothing when it can, or when there is no such file."""
    try:
        if not os.path.lexists(path):
            return ""
        if not path.is_file():
            return f"{path} is no file, so no setting can be read from it"
        content = path.read_bytes().decode()
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return f"{path} is not UTF-8 text; save it as UTF-8"
    if "\0" in content:  # as editors write it that save as UTF-16, or what a disk has made of a file
        line = content[: content.index("\0")].count("\n") + 1
        return f"{path} is not UTF-8 text (line {line} has a NUL character); save it as UTF-8"
    return ""
