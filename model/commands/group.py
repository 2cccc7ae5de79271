"""What the commands of the model share: the group, the folder of the releases, kinds of arguments."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from pydantic import Field

import in_use
from command_line import ExitCodes, Group
from model.user_errors import INSTALL, UserError
from settings import ProjectPath, Settings, load
from this_python import VERSION

if TYPE_CHECKING:
    from model.serving.releases import Release

CODES: ExitCodes = {
    0: "done",
    2: "something that you can put right; the message says what",
    130: "interrupted",
}


class ModelSettings(Settings):
    """The one setting of this command line, shared with the sidecar."""

    model_dir: ProjectPath = Field(Path("model/releases"), validate_default=True)


@click.group(cls=Group, epilog="A first training: python -m model train --data photos")
@click.version_option(VERSION, message="Nightsort %(version)s")
def commands() -> None:
    """Train a model on your own photos, see how good it is, and choose which one the night uses."""


class PathType(click.Path):
    """A path that was given; an empty text is none, and Path would take it for the folder one is in."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, whether it is there or not."""
        if not str(value) or "\0" in str(value):
            self.fail("A path is missing.", param, ctx)
        return Path(str(value))


PATH = PathType()


class ThereType(PathType):
    """A path where something has to be before anything is begun that takes minutes.

    need: `need_file` or `need_folder`; what: what is looked for, such as `the photos`.
    """

    def __init__(self, need: Callable[[Path, str], Path], what: str) -> None:
        super().__init__()
        self.need, self.what = need, what

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises UserError."""
        path = super().convert(value, param, ctx)
        return self.need(path, f"{self.what} ({param.opts[0]})" if param else self.what)


def name(text: str) -> str:
    """A release's name, which is that of a folder."""
    if not re.fullmatch(r"\w[\w.+-]{0,99}", text):
        raise click.BadParameter(f"{text!r} is no name: letters, digits and . - _ + are meant.")
    return text


def model_dir() -> Path:
    """The folder of the releases. Raises SettingError."""
    return load(ModelSettings).model_dir


def release_of(named: str | None) -> Release:
    """The release of this version or folder; the one in use without a name. Raises ReleaseError."""
    from model.serving import releases

    if named is None:
        return releases.current(model_dir())
    return releases.load(
        Path(named) if "/" in named or Path(named).is_dir() else in_use.folder(model_dir(), named)
    )


def entered() -> str:
    """The command that is being done, as it was typed, but for the folders that its paths are in."""
    context = click.get_current_context()
    words = ["python -m model", context.info_name or ""]
    for param in context.command.params:
        if not param.name or context.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        option = [param.opts[0]] if isinstance(param, click.Option) else []
        if isinstance(param, click.Option) and param.is_flag:
            words += option
            continue
        value = context.params[param.name]
        for one in value if param.multiple or param.nargs != 1 else [value]:
            words += [*option, shlex.quote(one.resolve().name if isinstance(one, Path) else str(one))]
    return " ".join(words)


def need(*packages: str) -> None:
    """Look for packages before anything is begun that takes minutes. Raises UserError with what to install."""
    missing = [one for one in packages if importlib.util.find_spec(one) is None]
    if missing:
        raise UserError(f"This command needs {', '.join(missing)}: {INSTALL}")


def need_torch() -> None:
    """What everything needs that learns, exports or scores. Raises UserError."""
    need("torch", "torchvision", "onnx", "sklearn")
