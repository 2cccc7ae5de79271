"""`config`: every setting is told, with its source and its faults, and no secret."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from api_settings import ApiSettings
from batch import config, logs
from batch.__main__ import main
from batch.settings import BatchSettings
from settings import ROOT, explain


@pytest.fixture(autouse=True)
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / ".env"
    path.write_text(f"DATA_DIR={tmp_path}/data\nLOG_DIR={tmp_path}/logs\n")
    for kind in (BatchSettings, ApiSettings):
        monkeypatch.setitem(kind.model_config, "env_file", path)
    monkeypatch.setattr(logs.log, "handlers", [])
    return path


def test_every_setting_is_told_with_its_value_and_where_it_comes_from(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ERROR_BUDGET", "0.25")
    assert main(["config"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["DATA_DIR"].endswith(".env")
    assert lines["ERROR_BUDGET"].split()[1:] == ["0.25", "environment"]
    assert lines["SETTLE_SECONDS"].split()[1:] == ["10.0", "default"]
    assert lines["REVIEW_PRECISION"].split()[1:] == ["0.97", "default"]
    assert {name.upper() for name in BatchSettings.model_fields} <= set(lines)
    assert {name.upper() for name in ApiSettings.model_fields} <= set(lines)


def test_everything_that_is_wrong_is_told_at_once(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_text("ERROR_BUDGET=7\nNIGHT_AT=25:00\nDATADIR=/x\nPING_URL=secret-address\n")
    monkeypatch.setenv("API_PORT", "many")
    assert main(["config"]) == 2
    out = capsys.readouterr().out
    assert "ERROR_BUDGET=7" in out
    assert "NIGHT_AT=25:00: it has to be a time of day" in out
    assert "API_PORT=many" in out
    assert "DATADIR in .env is no setting; is DATA_DIR meant?" in out
    assert "PING_URL: it has to begin with http" in out
    assert "secret-address" not in out


def test_every_command_names_all_that_is_wrong_with_the_night_and_with_its_server(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_text("ERROR_BUDGET=7\nREVIEW_PRECISION=2\nMAX_IMAGE_MB=-1\n")
    monkeypatch.setenv("API_PORT", "many")
    for command in ("run", "history"):
        assert main([command]) == 2
        told = capsys.readouterr().err.splitlines()
        assert [line.partition("=")[0] for line in told] == [
            "MAX_IMAGE_MB", "ERROR_BUDGET", "API_PORT", "REVIEW_PRECISION",
        ]  # fmt: skip


def test_every_night_tells_the_lines_that_set_nothing_and_goes_on(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with env_file.open("a") as file:
        file.write(
            "SETLE_SECONDS=99\nREVIEW_PRECISON=0.9\nIGNORE\nAPI_TOKEN hush\nexport TZ=UTC\n# DATADIR=x\n"
        )
        file.write("error_budget=1\nREVIEW_PRECISION=0.9\n")
    mistakes = [
        "SETLE_SECONDS in .env is no setting; is SETTLE_SECONDS meant?",
        "REVIEW_PRECISON in .env is no setting; is REVIEW_PRECISION meant?",
        "IGNORE in .env has no value; write IGNORE=value.",
        "Line 6 of .env cannot be read; write NAME=value.",
    ]
    assert main(["config"]) == 2
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")] == [
        f"WRONG: {mistake}" for mistake in mistakes
    ]
    for _ in range(2):
        assert main(["run"]) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[:4] == mistakes
        assert said[-1].startswith("Done. No photo")
    assert "hush" not in (env_file.parent / "logs" / "nightsort.log").read_text()
    assert main(["history", "--json"]) == 0
    assert "SETLE" not in capsys.readouterr().out


def test_a_setting_in_lower_case_is_one_and_comes_from_where_it_stands(
    env_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with env_file.open("a") as file:
        file.write("settle_seconds=30\n")
    assert main(["config"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("SETTLE_SECONDS")]
    assert line.split() == ["SETTLE_SECONDS", "30.0", ".env"]


def test_a_file_of_settings_that_cannot_be_read_is_told_once_and_stops_every_command(
    env_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_bytes(b"DATA_DIR=/mnt/Gr\xf6\xdfe\n")
    assert main(["run"]) == 2
    assert capsys.readouterr().err == f"{env_file} is not UTF-8 text; save it as UTF-8.\n"
    assert main(["config"]) == 2
    assert capsys.readouterr().out.count("save it as UTF-8") == 1


def test_a_folder_whose_name_no_disk_takes_is_told(
    env_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_text(f"DATA_DIR=/tmp/{300 * 'a'}\nLOG_DIR={env_file.parent}/logs\n")
    assert main(["config"]) == 2
    assert "cannot be written to (File name too long)." in capsys.readouterr().out


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("API_TOKEN", "hush-1")
    monkeypatch.setenv("PING_URL", "https://hc.example/hush-2")
    monkeypatch.setenv("NOTIFY_URLS", "mailto://me:hush-3@example.org, json://u:hush-4@h/")
    monkeypatch.setenv("API_URL", "http://user:hush-5@host:5000")
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert "hush" not in out
    assert "(set)" in out


def test_folders_that_cannot_be_written_and_services_nobody_knows_are_told(
    env_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    env_file.write_text(
        f"DATA_DIR={tmp_path}/file/data\nLOG_DIR={tmp_path}/logs\nNOTIFY_URLS=carrier-pigeon\n"
    )
    assert main(["config"]) == 2
    out = capsys.readouterr().out
    assert f"DATA_DIR: {tmp_path}/file is no folder." in out
    assert "NOTIFY_URLS: apprise does not understand address 1." in out


def _folder(path: Path) -> None:
    path.mkdir(parents=True)


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


def _pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/null")


def _link_into_nowhere(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.parent / "gone" / "further")


@pytest.mark.skipif(os.name != "posix", reason="makes what only POSIX systems have")
@pytest.mark.parametrize("make", [_folder, _pipe, _device])
@pytest.mark.parametrize("name", ["LEDGER", "METRICS_FILE"])
def test_what_is_no_file_is_refused_by_every_command_and_stays_as_it_is(
    name: str,
    make: Callable[[Path], None],
    env_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "place")
    before = (tmp_path / "place").lstat()
    with env_file.open("a") as file:
        file.write(f"{name}={tmp_path}/place\n")
    assert main(["config"]) == 2
    assert f"WRONG: {name}={tmp_path}/place: it is a " in capsys.readouterr().out
    assert main(["run"]) == 2
    assert f"{name}={tmp_path}/place: it is a " in capsys.readouterr().err
    assert (tmp_path / "place").lstat() == before


@pytest.mark.skipif(os.name != "posix", reason="makes what only POSIX systems have")
@pytest.mark.parametrize(
    ("name", "place", "make", "reason"),
    [
        ("DATA_DIR", "data", _file, "data is no folder"),
        ("DATA_DIR", "data", _pipe, "data is no folder"),
        ("DATA_DIR", "data", _link_into_nowhere, "data cannot be written to (No such file or directory)"),
        ("DATA_DIR", "data/incoming", _file, "data/incoming is no folder"),
        ("DATA_DIR", "data/processed", _file, "data/processed is no folder"),
        ("DATA_DIR", "data/reports", _file, "data/reports is no folder"),
        ("DATA_DIR", "data/predictions.csv", _folder, "data/predictions.csv is a folder, no file"),
        ("DATA_DIR", "data/predictions.csv", _pipe, "data/predictions.csv is a pipe or socket, no file"),
        ("LOG_DIR", "logs", _file, "logs is no folder"),
        ("LOG_DIR", "logs/nightsort.log", _folder, "logs/nightsort.log is a folder, no file"),
        ("LOG_DIR", "logs/sidecar.log", _folder, "logs/sidecar.log is a folder, no file"),
        ("LEDGER", "data/ledger.sqlite3", _folder, "data/ledger.sqlite3 is a folder, no file"),
        ("LEDGER", "data/ledger.sqlite3", _device, "data/ledger.sqlite3 is a device, no file"),
        ("LEDGER", "data/ledger.sqlite3", _file, "data/ledger.sqlite3 is damaged"),
        ("LEDGER", "data/ledger.sqlite3", _link_into_nowhere, ""),  # it is made there
    ],
)
def test_a_place_that_cannot_serve_its_purpose_is_told_with_the_reason(
    name: str,
    place: str,
    make: Callable[[Path], None],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / place)
    assert main(["config"]) == (2 if reason else 0)
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == bool(reason)
    assert all(line.startswith(f"WRONG: {name}: ") and f"{tmp_path}/{reason}" in line for line in wrong)


@pytest.mark.parametrize("name", ["LOG_DIR", "MODEL_DIR", "LEDGER", "METRICS_FILE"])
@pytest.mark.parametrize("folder", ["incoming", "processed/shirts", "review"])
def test_what_is_no_photo_is_not_put_among_the_photos(
    name: str, folder: str, env_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "data" / folder / "it"
    env_file.write_text(f"DATA_DIR={tmp_path}/data\nLOG_DIR={tmp_path}/logs\n{name}={place}\n")
    for command in ("config", "run"):
        assert main([command]) == 2
        told = "".join(capsys.readouterr())
        assert f"{name}={place} lies in {folder.partition('/')[0]}, whose files are taken for photos" in told
    assert not place.exists()


@pytest.mark.parametrize("name", ["DATA_DIR", "LOG_DIR", "LEDGER", "METRICS_FILE"])
def test_a_place_that_nobody_can_write_to_is_told(
    name: str, env_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("needs a folder that even root cannot write to")
    with env_file.open("a") as file:
        file.write(f"{name}=/proc/nightsort/it\n")
    assert main(["config"]) == 2
    assert f"WRONG: {name}: /proc cannot be written to (" in capsys.readouterr().out


def test_a_folder_of_models_without_one_is_told_unless_another_server_is_used(
    env_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = env_file.read_text()
    for folder in ("nowhere", ""):
        env_file.write_text(f"{text}MODEL_DIR={tmp_path / folder}\n")
        assert main(["config"]) == 2
        assert f"WRONG: MODEL_DIR: there is no release in {tmp_path / folder}." in capsys.readouterr().out
    env_file.write_text(f"{text}MODEL_DIR={tmp_path}\nAPI_URL=http://127.0.0.1:9\n")
    assert main(["config"]) == 0
    (tmp_path / "shipped" / "r1").mkdir(parents=True)
    (tmp_path / "shipped" / "r1" / "classes.json").touch()
    env_file.write_text(f"{text}MODEL_DIR={tmp_path}\n")
    assert main(["config"]) == 0


def test_another_programs_database_is_no_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "data/ledger.sqlite3")) as database:
        database.execute("CREATE TABLE mine (mine)")
    assert main(["config"]) == 2
    assert "WRONG: LEDGER: " in capsys.readouterr().out


def test_looking_at_the_settings_leaves_nothing_behind(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main(["config"]) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_the_example_names_every_setting_with_its_default() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert set(example) == {
        name.upper() for kind in (BatchSettings, ApiSettings) for name in kind.model_fields
    }
    assert config.settings()
    for kind in (BatchSettings, ApiSettings):
        for setting in explain(kind):
            if setting.source == "default" and example[setting.name]:
                default = setting.value.removeprefix(f"{ROOT}/")
                assert example[setting.name] in (default, default.removesuffix(".0"), default[:5]), (
                    setting.name
                )
