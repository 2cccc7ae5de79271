"""UTF-8 whatever the locale says: a name on the disk is bytes, and UTF-8 mode gives back the same bytes.

Standard library only: `batch.environment` uses it before the environment with our packages exists.
"""

import io
import os
import sys


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
