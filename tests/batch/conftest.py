"""What the tests of the night share: a fake sidecar, a data folder, a way to run a night in it."""

import csv
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch.__main__ import main
from batch.night import run
from batch.records.ledger import Ledger, Row
from batch.settings import BatchSettings
from settings import load
from tests.fake_sidecar import FakeSidecar

SETTINGS = set(BatchSettings.model_fields) | {"model_dir", "api_host", "api_port", "max_image_megapixels"}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(BatchSettings.model_config, "env_file", None)


@pytest.fixture
def sidecar() -> Iterator[FakeSidecar]:
    with FakeSidecar() as fake:
        yield fake


@dataclass
class Night:
    """A data folder and the nights that are run on it."""

    settings: BatchSettings

    @property
    def incoming(self) -> Path:
        return self.settings.incoming

    def drop(self, name: str | bytes, content: bytes) -> Path:
        path = self.incoming / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, *, wait: bool = False) -> int:
        return run.night(self.settings, wait=wait)

    def rows(self) -> list[Row]:
        with Ledger(self.settings.ledger_path) as ledger:
            return list(ledger.filed_rows())

    def csv(self) -> list[dict[str, str]]:
        with self.settings.csv_path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def files(self) -> dict[str, bytes]:
        """Every filed photo, by its path below the data folder."""
        found = {}
        for folder in ("processed", "review", "failed", "duplicates"):
            for path in (self.settings.data_dir / folder).rglob("*"):
                if path.is_file() and not path.is_symlink():
                    found[str(path.relative_to(self.settings.data_dir))] = path.read_bytes()
        return found

    def waiting(self) -> list[str]:
        return sorted(str(path.relative_to(self.incoming)) for path in self.incoming.rglob("*"))


@pytest.fixture
def make_night(tmp_path: Path, sidecar: FakeSidecar) -> Callable[..., Night]:
    def make(**overrides: object) -> Night:
        values = {
            "data_dir": tmp_path / "data",
            "log_dir": tmp_path / "logs",
            "model_dir": tmp_path / "releases",
            "api_url": sidecar.url,
            "settle_seconds": 0,
            "audit_share": 0,
        }
        night = Night(load(BatchSettings, **{**values, **overrides}))
        night.settings.make_folders()
        return night

    return make


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return make_night()


Do = Callable[..., int]
Examine = Callable[..., tuple[int, str]]


@pytest.fixture
def do(night: Night, monkeypatch: pytest.MonkeyPatch) -> Do:
    """A command as it is typed, on the night's data folder; gives its exit code."""
    monkeypatch.setenv("DATA_DIR", str(night.settings.data_dir))
    monkeypatch.setenv("LOG_DIR", str(night.settings.log_dir))
    return lambda *arguments: main(list(arguments))


@pytest.fixture
def examine(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """The doctor: gives its exit code and what it says."""
    monkeypatch.setattr(logging.getLogger("nightsort"), "propagate", True)
    caplog.set_level(logging.INFO, "nightsort")

    def doctor(night: Night, *, fix: bool = False) -> tuple[int, str]:
        caplog.clear()
        code = main(["doctor", *(["--fix"] if fix else [])], night.settings)
        return code, caplog.text

    return doctor


@pytest.fixture(scope="session")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a German locale from before UTF-8."""
    name, folder = "de_DE.ISO-8859-1", tmp_path_factory.mktemp("locales")
    variables = {"LOCPATH": str(folder), "LC_ALL": name}
    if shutil.which("localedef"):
        command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / name)]
        subprocess.run(command, capture_output=True, check=False)
    code = "import sys; sys.exit(sys.getfilesystemencoding() != 'iso8859-1')"
    if subprocess.run([sys.executable, "-E", "-c", code], env=variables, check=False).returncode:
        pytest.skip("this machine can make no Latin-1 locale (on Debian: apt install locales)")
    return variables
