"""Every setting, its value, where that comes from, and what is wrong with it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import in_use
from api_settings import ApiSettings
from batch.files.data_folder import StrangeFolderError
from batch.files.data_folder import check as check_data_folder
from batch.logs import LOG_NAME, SIDECAR_LOG_NAME
from batch.records.ledger import Ledger, LedgerError
from batch.settings import NOT_FOR_ARCHIVES, BatchSettings, kind_of
from logformat import entry
from settings import Explained, SettingError, explain, load, mistakes_in_file


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
    known = {name.upper() for kind in (BatchSettings, ApiSettings) for name in kind.model_fields}
    return mistakes_in_file(BatchSettings, known)


def surroundings() -> Iterator[str]:
    """What is wrong around the settings: lines that set nothing, folders that cannot be written, services unknown."""
    yield from mistakes()
    try:
        loaded = load(BatchSettings)
    except SettingError:
        return  # said already
    yield from places(loaded)
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


def places(loaded: BatchSettings) -> Iterator[str]:
    """Which of the folders and files that are set cannot serve their purpose, and why. Leaves nothing behind."""
    data, logs = loaded.data_dir, loaded.log_dir
    folders = [
        ("DATA_DIR", data),
        *(("DATA_DIR", data / name) for name in NOT_FOR_ARCHIVES if os.path.lexists(data / name)),
        ("LOG_DIR", logs),
    ]
    files = [
        ("DATA_DIR", loaded.csv_path),
        ("LOG_DIR", logs / LOG_NAME),
        ("LOG_DIR", logs / SIDECAR_LOG_NAME),
        ("LEDGER", loaded.ledger_path),
        ("METRICS_FILE", loaded.metrics_file),
    ]
    found = [(name, why_no_folder(path)) for name, path in folders]
    found += [(name, why_no_file(path)) for name, path in files if path]
    problems: dict[str, str] = {}
    for name, why in found:
        if why:
            problems.setdefault(name, why)  # the others follow from it
    if "DATA_DIR" in problems and not loaded.ledger:
        problems.pop("LEDGER", "")  # it lies there
    yield from (f"{name}: {why}." for name, why in problems.items())
    if problems.keys().isdisjoint({"DATA_DIR", "LEDGER"}):
        yield from _of_ledger(loaded)
    there = (any(place.glob("*/classes.json")) for place in in_use.places(loaded.model_dir))
    if not loaded.api_url and not any(there):
        yield f"MODEL_DIR: there is no release in {loaded.model_dir}."


def why_no_folder(path: Path) -> str:
    """Why nothing can be written into a folder, or why it cannot be made; nothing when it can."""
    there = path
    try:
        while not _is_there(there):
            there = there.parent
        with tempfile.TemporaryFile(dir=there):
            return ""
    except NotADirectoryError:
        return f"{there} is no folder"
    except OSError as error:
        return f"{there} cannot be written to ({error.strerror})"


def why_no_file(path: Path) -> str:
    """Why a file cannot be written, or why it cannot be made; nothing when it can."""
    real = Path(os.path.realpath(path))
    try:
        if not _is_there(real):
            return why_no_folder(real.parent)
    except OSError as error:
        return f"{path} cannot be written ({error.strerror})"
    if kind := kind_of(real):
        return f"{path} is {kind}, no file"
    return "" if os.access(real, os.R_OK | os.W_OK) else f"{path} cannot be written (its rights, or its disk)"


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _of_ledger(loaded: BatchSettings) -> Iterator[str]:
    """Whether the ledger is one, and has its photos here."""
    try:
        with Ledger(loaded.ledger_path, look=True) as ledger:
            check_data_folder(loaded, ledger)
    except LedgerError as error:
        yield f"LEDGER: {str(error).rstrip('.')}."
    except StrangeFolderError as error:
        yield f"DATA_DIR: {error}."
    except OSError as error:
        yield f"DATA_DIR: {error.filename} cannot be read ({error.strerror})."
