"""Who may sign in, and the key that sessions are signed with: one small file that only its owner can read.

    add(settings, "Anna", Role.LEAD, "a long password")
    Keeper(settings).users()                     # {"Anna": User(...)}

As long as nobody has been added there is no file: the pages need none on this machine alone.
"""

import json
import os
import re
import secrets
import stat
import sys
import threading
import unicodedata
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from batch.decisions import forget as everywhere
from batch.exits import Exit, NotDoneError
from batch.files.data_folder import open_ledger
from batch.lock import Lock
from batch.settings import BatchSettings
from replacing import replacing

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1000
LONGEST_NAME = 40


class SecretsError(NotDoneError):
    """The file with users and the session key cannot be used; the message says why and what to do."""


class UserError(NotDoneError):
    """A user cannot be added, found or removed; the message says why."""

    code = Exit.USAGE


class Role(StrEnum):
    """What a person may do: reviewers decide, the lead also starts what concerns many photos."""

    REVIEWER = "reviewer"
    LEAD = "lead"


@dataclass(frozen=True)
class User:
    """One person who may sign in."""

    name: str
    role: Role
    password: str
    """Its argon2 hash."""

    @property
    def stamp(self) -> str:
        """What a session holds of the password: whoever gets a new one has to sign in again everywhere."""
        return self.password[-16:]


@dataclass(frozen=True)
class Secrets:
    """What the file holds."""

    key: str = ""
    users: dict[str, User] = field(default_factory=dict)


class Keeper:
    """The file as the pages see it: read again whenever it has changed."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._secrets = Secrets()

    def now(self) -> Secrets:
        """What the file holds.

        Raises:
            SecretsError: it cannot be used.
        """
        with self._lock:
            try:
                found = self._settings.pages_secrets.stat()
                seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            except FileNotFoundError:
                seen = (0, 0, 0)
            except OSError as error:
                raise SecretsError(_unreadable(self._settings.pages_secrets, error)) from error
            if seen != self._seen:
                self._secrets = read(self._settings)
                self._seen = seen
            return self._secrets


def read(settings: BatchSettings) -> Secrets:
    """The users and the key; nobody where there is no file.

    Raises:
        SecretsError: the file lies among the photos, can be read by others, or is damaged.
    """
    path = settings.pages_secrets
    _check_place(settings)
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
                raise SecretsError(f"{path} can be read by others: chmod 600 {path}, then start again")
            content = json.load(file)
        users = [User(**{**user, "role": Role(user["role"])}) for user in content["users"]]
        return Secrets(str(content["key"]), {user.name: user for user in users})
    except FileNotFoundError:
        return Secrets()
    except OSError as error:
        raise SecretsError(_unreadable(path, error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SecretsError(
            f"{path} is damaged; put a back-up in its place, or remove it and add the users again"
        ) from error


def add(settings: BatchSettings, name: str, role: Role, password: str) -> bool:
    """Let somebody sign in, or give them another password and role; returns whether they are new.

    Raises:
        UserError: the name or the password cannot be used.
        SecretsError: the file cannot.
    """
    name = tidy(name)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UserError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters")
    with _changing(settings):
        before = read(settings)
        existing = _find(before, name)
        name = existing.name if existing else name
        user = User(name, role, PasswordHasher().hash(password))
        key = before.key or secrets.token_hex(32)
        _write(settings, replace(before, key=key, users={**before.users, name: user}))
    return existing is None


def delete(settings: BatchSettings, name: str) -> User:
    """Let somebody sign in no more; what they decided keeps their name. Returns who it was.

    Raises:
        UserError: there is no such user.
        SecretsError: the file cannot be used.
    """
    with _changing(settings):
        before = read(settings)
        user = _find(before, tidy(name))
        if user is None:
            # without the name: what is said here is logged
            raise UserError("there is no such user: `python -m batch users list` names those that there are")
        kept = {other: one for other, one in before.users.items() if other != user.name}
        _write(settings, replace(before, users=kept))
    return user


def forget(settings: BatchSettings, name: str) -> str:
    """Let a number stand wherever a person's name did, and let them sign in no more. Returns what stands there.

    Raises:
        SecretsError: the file cannot be used.
        LedgerError, ExportError: the ledger or the CSV cannot be written.
    """
    user = _find(read(settings), tidy(name))
    if user:
        delete(settings, user.name)
    with open_ledger(settings) as ledger:
        return everywhere.forget(settings, ledger, user.name if user else name)


def tidy(name: str) -> str:
    """A name as it is kept: one spelling of each letter, single blanks.

    Raises:
        UserError: it is empty, too long, or holds what cannot be shown.
    """
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFC", name)).strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise UserError(f"a name has 1 to {LONGEST_NAME} letters that can be shown")
    if re.fullmatch(r"person \d+", name, re.IGNORECASE):
        raise UserError(f"{name!r} stands for somebody who was forgotten; take another name")
    return name


_ONE_AT_A_TIME = threading.Lock()
"""A check takes 64 MB and much of a core: many at once would be an attack in itself."""


def check_password(known: Secrets, name: str, password: str) -> User | None:
    """The user with this name and password; an unknown name takes as long as a wrong password."""
    try:
        user = _find(known, tidy(name))
    except UserError:
        user = None
    hashed = user.password if user else _nobody()
    with _ONE_AT_A_TIME:
        try:
            PasswordHasher().verify(hashed, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
    return user


@cache
def _nobody() -> str:
    return PasswordHasher().hash(secrets.token_hex())


def _find(known: Secrets, name: str) -> User | None:
    return next((user for user in known.users.values() if user.name.casefold() == name.casefold()), None)


def _check_place(settings: BatchSettings) -> None:
    path = settings.pages_secrets
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(settings.data_dir)):
        raise SecretsError(
            f"PAGES_SECRETS={path} lies in DATA_DIR, which many people can read and copy; set another place"
        )


def _changing(settings: BatchSettings) -> Lock:
    """One who changes the file at a time."""
    _check_place(settings)
    path = settings.pages_secrets
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Lock(path.with_name(f".{path.name}.lock"), wait=True)
    except OSError as error:
        raise SecretsError(_unreadable(path, error)) from error


def _write(settings: BatchSettings, content: Secrets) -> None:
    path = settings.pages_secrets
    text = json.dumps(
        {"key": content.key, "users": [asdict(user) for user in content.users.values()]},
        indent=1,
        ensure_ascii=False,
    )
    try:
        with replacing(path) as new:
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(number, "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise SecretsError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"PAGES_SECRETS={path} cannot be read or written ({error.strerror})"
