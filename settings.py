"""How every package reads its settings: from the environment and `.env`, once, typed, with clear errors.

Each package declares its own small class (`batch/settings.py`, `api/settings.py`); this module holds what
they share. The environment beats `.env`; relative paths count from the project's root.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent

ProjectPath = Annotated[Path, AfterValidator(lambda path: ROOT / path.expanduser())]
"""A path setting; a relative one counts from the project's root, whatever the working directory."""


class SettingError(Exception):
    """A setting has a value that cannot be used; the message names it and says what is allowed."""


class Settings(BaseSettings):
    """Base of every package's settings: field `data_dir` is the setting `DATA_DIR`."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )


S = TypeVar("S", bound=Settings)


def load(kind: Callable[..., S], **overrides: Any) -> S:
    """Read the settings of one package.

    >>> from api.settings import ApiSettings
    >>> load(ApiSettings, api_port=8000).api_port
    8000

    Raises:
        SettingError: one sentence for every wrong setting, naming it, its value and what is allowed.
    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise SettingError("\n".join(_sentence(problem) for problem in error.errors())) from None
    except UnicodeDecodeError:
        raise SettingError(f"{ROOT / '.env'} is not UTF-8 text; save it as UTF-8.") from None


def _sentence(problem: Any) -> str:
    name = str(problem["loc"][0]).upper() if problem["loc"] else "The settings"
    value = "" if "token" in name.lower() else f"={problem['input']!s}"
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{name}{value}: {reason[:1].lower() + reason[1:]} (see .env.example)."
