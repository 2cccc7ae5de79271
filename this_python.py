"""What is said when the Python that was started cannot run the program. Any Python 3 can read this file.

A package's `__main__` imports it before anything that an old Python, or one without our packages, would stumble over.
"""

import os
import sys
import typing

VERSION = "0.2.0"
"""Of the program; CHANGELOG.md says what it brings."""

SCRIPT, PYTHON = (
    ("full_batch.bat", ".venv\\Scripts\\python")
    if os.name == "nt"
    else ("./full_batch.sh", ".venv/bin/python")
)
HERE = os.path.dirname(os.path.abspath(__file__))

if sys.version_info < (3, 11):  # noqa: UP036 - whoever types `python3 -m batch` may have any
    sys.exit(f"Nightsort needs Python 3.11 or newer, and {sys.executable} is older. {SCRIPT} looks for one.")


def end_without(error: ImportError, package: str) -> "typing.NoReturn":
    """End with a sentence because a package that we need cannot be imported; a fault of our own is raised again."""
    name = (error.name or "this_python").split(".")[0]
    if any(os.path.exists(os.path.join(HERE, name + ending)) for ending in ("", ".py")):
        raise error
    sys.exit(
        f"{sys.executable} lacks what this program needs ({error}). Use its own Python: {PYTHON} -m {package} ... "
        f"({SCRIPT} makes it once)."
    )
