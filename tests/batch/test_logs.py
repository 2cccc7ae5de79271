"""Log lines: who said what when, for which run, in a form that programs can read."""

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from prometheus_client.parser import text_string_to_metric_families

import logformat
from batch import logs
from batch.__main__ import main
from batch.server.sidecar import Sidecar
from settings import ROOT
from tests import small_release
from tests.api.conftest import picture
from tests.batch.conftest import Night
from tests.fake_sidecar import photo


@pytest.fixture(autouse=True)
def _no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logformat, "run_id", "-")
    monkeypatch.setattr(logs.log, "handlers", [])


def run_id_of(night: Night) -> str:
    (path,) = (night.settings.data_dir / "predictions").glob("*.csv")
    return path.stem


def test_every_line_of_a_night_carries_its_run(night: Night) -> None:
    logs.set_up(night.settings.log_dir)
    night.drop("a.jpg", photo("a"))
    night.run()
    text = (night.settings.log_dir / "nightsort.log").read_text("utf-8")
    assert text
    assert all(f" {run_id_of(night)} " in line for line in text.splitlines())


def test_as_json_every_line_is_one_object_whatever_it_says(tmp_path: Path) -> None:
    logs.set_up(tmp_path, "json")
    logs.log.warning('two\nlines and "quotes" and \udce9')
    try:
        raise ValueError("why")
    except ValueError:
        logs.log.exception("broken")
    one, two = ((tmp_path / "nightsort.log").read_text("utf-8")).splitlines()
    assert json.loads(one)["message"].startswith('two\nlines and "quotes"')
    assert json.loads(one)["level"] == "WARNING"
    assert "ValueError: why" in json.loads(two)["exception"]


FORGED = "a.jpg\n2026-11-21 02:00:00,000 INFO R1 Done. 1 file:"
STEERING = "\r \x00 \x07 \x08 \t \x1b[2J \x7f \x85 \x9b31m \u061c \u200e \u2028 \u2029 \u202e \u2066 \udce9"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_name_forges_a_line_or_steers_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    logs.set_up(tmp_path, log_format)
    logs.log.warning("%s cannot be read", FORGED)
    logs.log.warning(STEERING)
    try:
        raise ValueError(f"{FORGED}{STEERING}")
    except ValueError:
        logs.log.exception("broken")
    terminal, file = capsys.readouterr().out, (tmp_path / "nightsort.log").read_bytes().decode("utf-8")
    for text in (terminal, file):
        assert all(character == "\n" or character.isprintable() for character in text)
        assert not re.search(r"^2026-11-21", text, re.MULTILINE)
    assert "\\u001b[2J" in terminal
    assert "\\u001b[2J" in file
    if log_format == "json":
        lines = [json.loads(line)["message"] for line in file.splitlines()]
        assert lines == [f"{FORGED} cannot be read", STEERING, "broken"]
    else:
        assert [line[:4] == "    " for line in file.splitlines()[:3]] == [False, True, False]


def test_names_in_any_script_stay_as_they_are(tmp_path: Path) -> None:
    names = "Größe 衬衫 قميص חולצה \u0643\u200c\u0645 \N{MAN}\u200d\N{WOMAN} \N{T-SHIRT}\ufe0f é\u0301"
    logs.set_up(tmp_path)
    logs.log.info("%s", names)
    assert names in (tmp_path / "nightsort.log").read_text("utf-8")


def test_the_logs_of_a_run_are_not_taken_in_by_a_forged_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logformat, "run_id", "R2")
    logs.set_up(tmp_path)
    logs.log.info("%s", FORGED)
    assert logs.lines_of_run(tmp_path, "R1") == []
    assert len(logs.lines_of_run(tmp_path, "R2")) == 2


def test_a_night_with_a_forging_name_tells_it_in_the_log_and_in_every_command_on_lines_of_its_own(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data_dir", "log_dir"):
        monkeypatch.setenv(name.upper(), str(getattr(night.settings, name)))
    monkeypatch.setenv("API_URL", str(night.settings.api_url[0]))
    monkeypatch.setenv("SETTLE_SECONDS", "0")
    name = "a\x1b[31m\nDone. 99 files.jpg"
    night.drop(name, photo("a", broken=True))
    assert main(["run"]) == 3
    for command in (["show", "last"], ["history"], ["health"], ["logs", "last"], ["show", "last", "--json"]):
        main(command)
    said = capsys.readouterr().out + (night.settings.log_dir / "nightsort.log").read_text("utf-8")
    assert "\x1b" not in said
    assert not re.search("^Done. 99 files", said, re.MULTILINE)
    (row,) = night.rows()
    assert row.file_name == name  # the ledger keeps it exact


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_logs_of_one_run_are_found_in_both_files_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    monkeypatch.setattr(logformat, "run_id", "R1")
    logs.set_up(tmp_path, log_format)
    logs.log.info("first\n  and its second line")
    time.sleep(0.005)  # times are told to the millisecond
    other = logging.FileHandler(tmp_path / "sidecar.log")
    other.setFormatter(logformat.formatter(log_format))
    record = logging.makeLogRecord({"msg": "the server's", "levelname": "INFO"})
    other.emit(record)
    monkeypatch.setattr(logformat, "run_id", "R2")
    logs.log.info("of another run")
    monkeypatch.setattr(logformat, "run_id", "R1")
    time.sleep(0.005)
    logs.log.info("last")
    (tmp_path / "nightsort.log").rename(tmp_path / "nightsort.log.1")
    found = "\n".join(logs.lines_of_run(tmp_path, "R1"))
    assert "of another run" not in found
    places = [found.index(words) for words in ("first", "second line", "the server's", "last")]
    assert places == sorted(places)


def test_the_server_says_its_run_on_every_line_and_nothing_of_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_release.make(tmp_path / "releases")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "releases"))
    monkeypatch.setenv("LOG_FORMAT", "json")
    with Sidecar(log_dir=tmp_path, run_id="R7") as sidecar:
        assert sidecar._process is not None
        import psutil

        psutil.Process(sidecar._process.pid).children()[0].kill()  # gunicorn itself complains of that
        sidecar.make_ready()
        sidecar.client.predict([picture(), b"SECRET-CONTENT"])
    lines = [json.loads(line) for line in (tmp_path / "sidecar.log").read_text("utf-8").splitlines()]
    assert {line["run"] for line in lines} == {"R7"}
    assert any("Ready" in line["message"] for line in lines)
    assert any(line["level"] == "ERROR" for line in lines)
    assert "SECRET-CONTENT" not in str(lines)


def test_the_command_prints_the_logs_of_the_last_run(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(night.settings.data_dir))
    monkeypatch.setenv("LOG_DIR", str(night.settings.log_dir))
    monkeypatch.setenv("API_URL", str(night.settings.api_url[0]))
    monkeypatch.setenv("SETTLE_SECONDS", "0")
    night.drop("a.jpg", photo("a"))
    assert main(["run"]) == 0
    capsys.readouterr()
    assert main(["logs", "last"]) == 0
    assert "Done. 1 file:" in capsys.readouterr().out


def test_a_night_leaves_its_numbers_for_prometheus(
    make_night: "object", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night: Night = make_night(metrics_file=tmp_path / "prom" / "nightsort.prom")  # type: ignore[operator]
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", doubt=True))
    night.drop("c.jpg", photo("c", broken=True))
    assert night.run() == 3
    text = (tmp_path / "prom" / "nightsort.prom").read_text("utf-8")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["nightsort_night_exit_code",] == 3
    assert samples["nightsort_night_photos", "processed"] == samples["nightsort_night_photos", "failed"] == 1
    assert samples["nightsort_night_review_share",] == 0.5
    assert samples["nightsort_night_release", "fake-1"] == 1


def test_lines_of_one_kind_are_counted_once_there_are_many(caplog: pytest.LogCaptureFixture) -> None:
    with logs.first_few():
        for number in range(50):
            logs.log.warning("%s cannot be read: %s.", f"{number}.jpg", "why")
        logs.log.warning("Something else.")
    logs.log.warning("%s cannot be read: %s.", "later.jpg", "why")
    assert caplog.messages[: logs.FEW] == [f"{number}.jpg cannot be read: why." for number in range(logs.FEW)]
    assert caplog.messages[logs.FEW :] == [
        "Something else.",
        "30 more lines like this: 0.jpg cannot be read: why.",
        "later.jpg cannot be read: why.",
    ]


# --- a disk that is full ---------------------------------------------------------------------------------

FULL = Path("/dev/full")


@pytest.fixture
def type_run(night: Night) -> Callable[..., tuple[int, str]]:
    """A night in a process of its own, its output wherever it is wanted; gives its exit code and what stderr got."""

    def run(output: IO[bytes] | int, *, incoming: str = "a.jpg") -> tuple[int, str]:
        night.drop(incoming, photo(incoming))
        settings = {
            "DATA_DIR": str(night.settings.data_dir),
            "LOG_DIR": str(night.settings.log_dir),
            "API_URL": str(night.settings.api_url[0].get_secret_value()),
            "SETTLE_SECONDS": "0",
        }
        done = subprocess.run(
            [sys.executable, "-m", "batch", "run"],
            cwd=ROOT, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stderr.decode()

    return run


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_log_disk_is_told_once_and_stops_no_night(
    night: Night, type_run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (night.settings.log_dir / logs.LOG_NAME).symlink_to(FULL)
    with (tmp_path / "terminal").open("wb") as terminal:
        assert type_run(terminal) == (0, "")
    said = (tmp_path / "terminal").read_text("utf-8")
    assert said.count("cannot be written (No space left on device)") == 1
    assert "Done. 1 file:" in said
    assert len(night.files()) == 1


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_where_the_output_goes_may_be_full_too_and_the_exit_code_is_the_nights(
    night: Night, type_run: Callable[..., tuple[int, str]]
) -> None:
    with FULL.open("wb") as output:
        assert type_run(output) == (0, "")
        assert "Done. 1 file:" in (night.settings.log_dir / logs.LOG_NAME).read_text("utf-8")
        (night.settings.log_dir / logs.LOG_NAME).unlink()
        (night.settings.log_dir / logs.LOG_NAME).symlink_to(FULL)
        assert type_run(output, incoming="b.jpg") == (0, "")
    assert len(night.files()) == 2


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_what_was_asked_for_must_arrive(night: Night, type_run: Callable[..., tuple[int, str]]) -> None:
    """`report --csv > file` on a full disk is no success."""
    settings = {"DATA_DIR": str(night.settings.data_dir), "LOG_DIR": str(night.settings.log_dir)}
    assert type_run(subprocess.DEVNULL) == (0, "")
    with FULL.open("wb") as output:
        for command in ("history", "report --csv", "show last"):
            done = subprocess.run(
                [sys.executable, "-m", "batch", *command.split()],
                cwd=ROOT, env=os.environ | settings, stdout=output, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (1, b""), command
    log = (night.settings.log_dir / logs.LOG_NAME).read_text("utf-8")
    assert "Not done: No space left on device (standard output)." in log


def test_a_fault_in_a_message_of_ours_is_still_told(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(night.settings.log_dir)
    logs.log.info("%d", "no number")
    assert "TypeError" in capsys.readouterr().err
