"""`recipe.toml`: how a run, and the release that was made of it, came about, so that it can be trained again.

    write(Path("runs/first"), record_of(Recipe(), plan.fingerprints(), "python -m model train --data photos"))
    fields_of(Path("runs/first/recipe.toml"))          # {"epochs": 22, ...}: what `train --recipe` takes

It holds the whole recipe, fingerprints of what was learned from, the commands without paths of this machine, and the
version and commit of the program.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import tomli_w

from model.training.recipe import Recipe
from model.user_errors import UserError
from replacing import replacing
from this_python import VERSION

FILE: Final = "recipe.toml"

_SHAPE: Final[dict[str, type]] = {"commands": list, "recipe": dict, "data": dict}

_PROGRAM: Final = Path(__file__).parents[2]


def record_of(recipe: Recipe, data: Mapping[str, Any], command: str = "") -> dict[str, Any]:
    """What the file holds. data: fingerprints by content (see `origin`); command: what was typed, if anything was."""
    commit = _commit()
    return {
        "version": VERSION,
        **({"commit": commit} if commit else {}),
        "commands": [command] if command else [],
        "recipe": asdict(recipe),
        "data": dict(data),
    }


def with_command(record: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The record with one more command; where nothing was kept there is nothing to add to."""
    return {**record, "commands": [*record.get("commands", []), command]} if record else {}


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the file, whole or not at all, where there is anything to write."""
    if record:
        with replacing(folder / FILE) as new:
            new.write_bytes(tomli_w.dumps(record).encode())


def read(path: Path) -> dict[str, Any]:
    """The file's content. Raises UserError."""
    try:
        content = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise UserError(f"{path} is no recipe: it is not TOML ({error}).") from error
    for key, kind in _SHAPE.items():
        if not isinstance(content.get(key, kind()), kind):
            raise UserError(f"{path} is no recipe: `{key}` is not what it is in the {FILE} of a run.")
    return content


def read_if_there(folder: Path) -> dict[str, Any]:
    """The content of a folder's file; empty where there is none, as in what earlier versions made. Raises UserError."""
    path = folder / FILE
    return read(path) if path.is_file() else {}


def fields_of(path: Path) -> dict[str, int | float]:
    """The fields of the recipe that a file names. Raises UserError for what no recipe has."""
    found: dict[str, int | float] = read(path).get("recipe", {})
    if not found:
        raise UserError(
            f"{path} holds no recipe: a table [recipe] is meant, such as the one in a run's {FILE}."
        )
    defaults = {each.name: each.default for each in fields(Recipe)}
    if unknown := sorted(found.keys() - defaults.keys()):
        raise UserError(
            f"{path} names fields that no recipe has now: {', '.join(unknown)}. `python -m model train --help` lists those "
            "that there are."
        )
    for name, value in found.items():
        whole = isinstance(defaults[name], int)
        if type(value) is not int and (whole or type(value) is not float):
            raise UserError(f"{path}: {name} is {value!r}; a {'whole ' if whole else ''}number is meant.")
    return found


def _commit() -> str:
    """The commit that the program is of, with `-dirty` where its files are other ones; nothing where git does not know."""
    git = shutil.which("git")
    # a repository around the program's folder is somebody else's
    if git is None or not (_PROGRAM / ".git").exists():
        return ""
    command = [git, "-C", str(_PROGRAM), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
