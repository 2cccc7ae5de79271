"""What the person at the keyboard can put right, and the one place where it becomes a sentence and exit code 2.

    class ClassesError(UserError): ...

    sys.exit(ended("python -m model", lambda: train(options)))

Everything else that goes wrong is a fault of the program, and shows its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from logformat import entry
from settings import SettingError

INSTALL: Final = ".venv/bin/python -m pip install -r requirements.txt"

WRONG_USE: Final = 2
INTERRUPTED: Final = 130


class UserError(Exception):
    """Something that the person at the keyboard can put right; the text says what is wrong and what to do."""


def ended(program: str, command: Callable[[], int | None]) -> int:
    """Run a command; returns its exit code (None is 0), or 2 with a sentence for what its user can put right.

    program: what the sentence begins with, such as `python -m model`.
    """
    try:
        return command() or 0
    except UserError as error:
        said = str(error)
    except SettingError as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    except ModuleNotFoundError as error:
        if _is_ours(error.name or ""):
            raise
        said = f"this command needs {error.name}: {INSTALL}"
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    except KeyboardInterrupt:
        print(f"{program}: interrupted. The same command goes on where it was.", file=sys.stderr)
        return INTERRUPTED
    print(entry(f"{program}: {said}"), file=sys.stderr)
    return WRONG_USE


def need_file(path: Path, what: str) -> Path:
    """The path, if there is a file. Raises UserError: `what` says what is looked for, such as `the weights`."""
    if not path.is_file():
        wrong = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {wrong}: name the file that holds {what}.")
    return path


def need_folder(path: Path, what: str) -> Path:
    """The path, if there is a folder. Raises UserError."""
    if not path.is_dir():
        wrong = "is no folder" if path.exists() else "does not exist"
        raise UserError(f"{path} {wrong}: name the folder that holds {what}.")
    return path


def _is_ours(module: str) -> bool:
    """Whether a module that is missing belongs to this program: then it is a fault of ours."""
    first = module.partition(".")[0]
    here = Path(__file__).parent.parent
    return (here / first).is_dir() or (here / f"{first}.py").is_file()
