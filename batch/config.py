"""Every setting, its value, where that comes from, and what is wrong with it."""

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from batch.settings import BatchSettings
from settings import ROOT, Explained, SettingError, explain, load

OTHERS = ("PYTHON", "TZ", "PATH", "OMP_NUM_THREADS")
"""Names that may stand in `.env` for other programs."""


def check() -> int:
    """Print the settings; returns 0, or 2 when something is wrong."""
    found = settings()
    problems = [setting.problem for setting in found if setting.problem] + list(
        surroundings({setting.name for setting in found})
    )
    print(as_table(found))
    for problem in problems:
        print(f"WRONG: {problem}")
    print("Something is wrong with the settings." if problems else "All settings are fine.")
    return 2 if problems else 0


def settings() -> list[Explained]:
    """The settings of the night and of its server, each once."""
    ours = explain(BatchSettings)
    known = {setting.name for setting in ours}
    return ours + [setting for setting in _of_server() if setting.name not in known]


def surroundings(known: set[str]) -> Iterator[str]:
    """What is wrong around the settings: names that mean nothing, folders that cannot be written, services unknown."""
    yield from _unknown_names(known)
    try:
        loaded = load(BatchSettings)
    except SettingError:
        return  # said already
    folders = {"DATA_DIR": loaded.data_dir, "LOG_DIR": loaded.log_dir, "LEDGER": loaded.ledger_path.parent}
    if loaded.metrics_file:
        folders["METRICS_FILE"] = loaded.metrics_file.parent
    for name, folder in folders.items():
        there = _existing(folder)
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
        f"{setting.name.ljust(names)}  {setting.value.ljust(values)}  {setting.source}" for setting in found
    )


def _of_server() -> list[Explained]:
    """What the server says of its settings; the night knows nothing of them but that."""
    asked = subprocess.run(
        [sys.executable, "-m", "api", "--settings"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        return [Explained(**setting) for setting in json.loads(asked.stdout)]
    except (ValueError, TypeError):
        return [Explained("python -m api", "", "", f"it does not start: {asked.stderr.strip()[-300:]}")]


def _unknown_names(known: set[str]) -> Iterator[str]:
    env_file = BatchSettings.model_config.get("env_file")
    if not env_file or not Path(str(env_file)).exists():
        return
    try:
        names = dotenv_values(str(env_file))
    except UnicodeDecodeError:
        return  # said already
    for name in names:
        if name not in known and name not in OTHERS:
            alike = difflib.get_close_matches(name.upper(), known, 1)
            yield f"{name} in .env is no setting{f'; is {alike[0]} meant?' if alike else '.'}"


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
