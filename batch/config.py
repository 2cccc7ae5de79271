"""Every setting, its value, where that comes from, and what is wrong with it."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from dotenv.parser import parse_stream

from api_settings import ApiSettings
from batch.settings import BatchSettings
from logformat import entry
from settings import Explained, SettingError, env_file, env_file_problem, explain, load

OTHERS = ("PYTHON", "TZ", "PATH", "OMP_NUM_THREADS")
"""Names that may stand in `.env` for other programs."""


def check() -> int:
    """Print the settings; returns 0, or 2 when something is wrong."""
    found = settings()
    problems = [setting.problem for setting in found if setting.problem] + list(surroundings())
    print(as_table(found))
    for problem in problems:
        print(entry(f"WRONG: {problem}"))
    print("Something is wrong with the settings." if problems else "All settings are fine.")
    return 2 if problems else 0


def of_night() -> BatchSettings:
    """The settings of a night, when those of the server that it starts are right too.

    Raises:
        SettingError: one sentence for everything that is wrong with either.
    """
    if problems := [setting.problem for setting in settings() if setting.problem]:
        raise SettingError("\n".join(problems))
    return load(BatchSettings)


def settings() -> list[Explained]:
    """The settings of the night and of its server, each once."""
    ours = explain(BatchSettings)
    known = {setting.name for setting in ours}
    return ours + [setting for setting in explain(ApiSettings) if setting.name not in known]


def mistakes() -> Iterator[str]:
    """Lines of `.env` that set nothing: a name that is mistyped, or no value."""
    path = env_file(BatchSettings)
    if path is None or not path.is_file() or env_file_problem(BatchSettings):
        return
    known = {name.upper() for kind in (BatchSettings, ApiSettings) for name in kind.model_fields}
    with path.open(encoding="utf-8-sig") as file:
        for line in parse_stream(file):
            if line.error:
                # without its text, which may be a secret
                yield f"Line {line.original.line} of .env cannot be read; write NAME=value."
            elif line.key and line.key.upper() not in known and line.key not in OTHERS:
                alike = difflib.get_close_matches(line.key.upper(), known, 1)
                yield f"{line.key} in .env is no setting{f'; is {alike[0]} meant?' if alike else '.'}"
            elif line.key and line.value is None:
                yield f"{line.key} in .env has no value; write {line.key}=value."


def surroundings() -> Iterator[str]:
    """What is wrong around the settings: lines that set nothing, folders that cannot be written, services unknown."""
    yield from mistakes()
    try:
        loaded = load(BatchSettings)
    except SettingError:
        return  # said already
    folders = {"DATA_DIR": loaded.data_dir, "LOG_DIR": loaded.log_dir, "LEDGER": loaded.ledger_path.parent}
    if loaded.metrics_file:
        folders["METRICS_FILE"] = loaded.metrics_file.parent
    for name, folder in folders.items():
        try:
            there = _existing(folder)
        except OSError as error:
            yield f"{name}: {error.strerror} ({folder})."
            continue
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield f"{name}: {there} cannot be written to."
    if loaded.notify_urls:
        import apprise  # slow to load, and needed by few

        for number, url in enumerate(loaded.notify_urls, 1):
            if not apprise.Apprise().add(url.get_secret_value()):
                yield f"NOTIFY_URLS: apprise does not understand address {number}."


def as_table(found: list[Explained]) -> str:
    """One line a setting."""
    names = max(len(setting.name) for setting in found)
    values = min(48, max(len(setting.value) for setting in found))
    return "\n".join(
        entry(f"{setting.name.ljust(names)}  {setting.value.ljust(values)}  {setting.source}")
        for setting in found
    )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
