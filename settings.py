"""How every package reads its settings: from the environment and `.env`, once, typed, with clear errors.

Each package declares its own small class (`batch/settings.py`; `api_settings.py` stands beside the packages, because
the night checks the settings of the server that it starts); this module holds what they share. The environment beats
`.env`; relative paths count from the project's root.
"""

import difflib
import logging
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, HttpUrl, Secret, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from utf8 import why_no_text

ROOT = Path(__file__).resolve().parent

# it complains of the same line each time the file is read; `batch.config` says it once, in our words
logging.getLogger("dotenv").setLevel(logging.ERROR)


class SettingError(Exception):
    """A setting has a value that cannot be used; the message names it and says what is allowed."""


def _as_path(value: object) -> object:
    """Before pydantic does it, which would put other characters in the place of bytes that are not UTF-8."""
    return Path(value) if isinstance(value, str) else value


def _from_root(path: Path) -> Path:
    try:
        return ROOT / path.expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home folder {path.parts[0]}") from None


def _is_sendable(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+( +[!-~]+)*", token.get_secret_value()):
        raise ValueError(
            "it goes into a header of HTTP, so only ASCII letters, digits and punctuation are allowed"
        )
    return token


ProjectPath = Annotated[Path, BeforeValidator(_as_path), AfterValidator(_from_root)]
"""A path setting; a relative one counts from the project's root, whatever the working directory."""

Token = Annotated[SecretStr, AfterValidator(_is_sendable)]
"""What is sent as `Authorization: Bearer`."""


class Address(Secret[HttpUrl]):
    """The address of a server; wherever it is shown or written, it goes without user and password.

    >>> str(Address(HttpUrl("http://me:secret@host:5000")))
    'http://…@host:5000/'
    """

    def _display(self) -> str:
        return without_secrets(str(self.get_secret_value()))


class Settings(BaseSettings):
    """Base of every package's settings: field `data_dir` is the setting `DATA_DIR`."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        env_file_encoding="utf-8-sig",  # Windows' editors write a mark before the first name
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


OTHERS = ("PYTHON", "TZ", "PATH", "OMP_NUM_THREADS", "PUID", "PGID")
"""Names that may stand in `.env` for other programs."""

SECRETS = ("API_TOKEN", "PING_URL", "NOTIFY_URLS")
"""Settings that are never shown. API_URL is, without passwords."""

S = TypeVar("S", bound=Settings)


def load(kind: Callable[..., S], **overrides: Any) -> S:
    """Read the settings of one package.

    >>> from api_settings import ApiSettings
    >>> load(ApiSettings, api_port=8000).api_port
    8000

    Raises:
        SettingError: one sentence for every wrong setting, naming it, its value and what is allowed.
    """
    if isinstance(kind, type) and (problem := env_file_problem(kind)):
        raise SettingError(f"{problem}.")
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise SettingError("\n".join(_sentence(problem) for problem in error.errors())) from None


def explain(kind: type[Settings]) -> list[Explained]:
    """Every setting of a package, right or wrong, in the order of its class."""
    if problem := env_file_problem(kind):
        return [Explained(".env", "", "", f"{problem}.")]
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    try:
        values = kind().model_dump(mode="json")
    except ValidationError as error:
        problems = {str((*problem["loc"], "")[0]).upper(): _sentence(problem) for problem in error.errors()}
    in_file = _values_in_file(kind)
    found = [_explained(name.upper(), values.get(name), in_file, problems) for name in kind.model_fields]
    general = [Explained("all together", "", "", problems[""])] if "" in problems else []
    return found + general


def mistakes_in_file(kind: type[Settings], known: Collection[str]) -> Iterator[str]:
    """Lines of the `.env` that a package reads which set nothing: a name that is mistyped, or no value.

    `known` are the settings of all packages, which share the file; when it is empty, no name is called wrong.
    """
    path = env_file(kind)
    if path is None or not path.is_file() or env_file_problem(kind):
        return
    with path.open(encoding="utf-8-sig") as file:
        for line in parse_stream(file):
            if line.error:
                # without its text, which may be a secret
                yield f"Line {line.original.line} of .env cannot be read; write NAME=value."
            elif line.key and known and line.key.upper() not in known and line.key not in OTHERS:
                alike = difflib.get_close_matches(line.key.upper(), known, 1)
                yield f"{line.key} in .env is no setting{f'; is {alike[0]} meant?' if alike else '.'}"
            elif line.key and line.value is None:
                yield f"{line.key} in .env has no value; write {line.key}=value."


def documented() -> set[str]:
    """The names of all packages' settings, by `.env.example`; none where that is missing."""
    path = ROOT / ".env.example"
    return {name.upper() for name in dotenv_values(path, encoding="utf-8")} if path.is_file() else set()


def addresses_in(text: str) -> list[str]:
    """The addresses in a list; a comma in a password parts nothing.

    >>> addresses_in("http://a:5000, http://me:x,y@b:5000,")
    ['http://a:5000', 'http://me:x,y@b:5000']
    """
    parts = re.split(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)", text.strip().rstrip(","))
    return [part.strip() for part in parts if part.strip()]


def without_secrets(address: str) -> str:
    """An address, right or wrong, without what may be a user and a password: all that stands before its last `@`."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", r"\1…@", address, flags=re.DOTALL)


def env_file(kind: type[Settings]) -> Path | None:
    """The `.env` that a package reads; None when it reads none."""
    path = kind.model_config.get("env_file")
    return Path(str(path)) if path else None


def env_file_problem(kind: type[Settings]) -> str:
    """Why the settings in `.env` cannot be read; nothing when they can, or when there is no such file."""
    path = env_file(kind)
    return why_no_text(path) if path else ""


def _values_in_file(kind: type[Settings]) -> dict[str, str]:
    """Setting → its value in `.env`, where a name may be written in lower case too."""
    path = env_file(kind)
    found = dotenv_values(path, encoding="utf-8-sig") if path and path.is_file() else {}
    return {name.upper(): value for name, value in found.items() if value}


def _explained(name: str, value: Any, in_file: dict[str, str], problems: dict[str, str]) -> Explained:
    in_environment = {key.upper(): text for key, text in os.environ.items()}.get(name)
    given = in_environment or in_file.get(name, "")
    source = "environment" if in_environment else ".env" if given else "default"
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(given if value is None else value)
    return Explained(name, _masked(name, shown), source, problems.get(name, ""))


def _sentence(problem: Any) -> str:
    name = str(problem["loc"][0]).upper() if problem["loc"] else "The settings"
    given = _masked(name, str(problem["input"])) if problem["loc"] and name not in SECRETS else ""
    reason = problem["msg"].removeprefix("Value error, ")
    if reason[1:2].islower():  # not an abbreviation
        reason = reason[0].lower() + reason[1:]
    return f"{name}{f'={given}' if given else ''}: {reason} (see .env.example)."


def _masked(name: str, value: str) -> str:
    if name in SECRETS:
        return "(set)" if value else ""
    return ", ".join(map(without_secrets, addresses_in(value))) if name == "API_URL" else value
