"""How every package reads its settings: from the environment and `.env`, once, typed, with clear errors.

Each package declares its own small class (`batch/settings.py`, `api/settings.py`); this module holds what
they share. The environment beats `.env`; relative paths count from the project's root.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from dotenv import dotenv_values
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


@dataclass(frozen=True)
class Explained:
    """One setting as it is found: its value (a secret is masked), where that comes from, what is wrong with it."""

    name: str
    value: str
    source: str
    problem: str = ""


SECRETS = ("API_TOKEN", "PING_URL", "NOTIFY_URLS")

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


def explain(kind: type[Settings]) -> list[Explained]:
    """Every setting of a package, right or wrong, in the order of its class."""
    env_file = kind.model_config.get("env_file")
    try:
        in_file = dotenv_values(str(env_file)) if env_file else {}
    except UnicodeDecodeError:
        return [Explained(".env", "", str(env_file), "it is not UTF-8 text; save it as UTF-8")]
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    try:
        values = kind().model_dump(mode="json")
    except ValidationError as error:
        problems = {str((*problem["loc"], "")[0]).upper(): _sentence(problem) for problem in error.errors()}
    found = [_explained(name.upper(), values.get(name), in_file, problems) for name in kind.model_fields]
    general = [Explained("all together", "", "", problems[""])] if "" in problems else []
    return found + general


def _explained(name: str, value: Any, in_file: dict[str, str | None], problems: dict[str, str]) -> Explained:
    given = os.environ.get(name) or in_file.get(name) or ""
    source = "environment" if os.environ.get(name) else ".env" if in_file.get(name) else "default"
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(given if value is None else value)
    if name in SECRETS and shown:
        shown = "(set)"
    return Explained(name, re.sub(r"//[^/@]*@", "//…@", shown), source, problems.get(name, ""))


def _sentence(problem: Any) -> str:
    name = str(problem["loc"][0]).upper() if problem["loc"] else "The settings"
    value = "" if name in SECRETS or not problem["loc"] else f"={problem['input']!s}"
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{name}{value}: {reason[:1].lower() + reason[1:]} (see .env.example)."
