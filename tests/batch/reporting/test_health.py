"""What health finds: each thing that can be wrong with the nights, and nothing when all is well."""

import json
import os
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest

from batch.__main__ import main
from batch.lock import run_lock
from batch.records.ledger import Ledger, Run
from batch.reporting import health
from batch.reporting.health import CRITICAL, OK, WARNING, Finding
from batch.settings import BatchSettings
from batch.upkeep import schedule
from tests import small_release
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo


def sound_release(night: Night) -> None:
    small_release.make(night.settings.model_dir, "r1")


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return make_night()


def finding(night: Night, name: str, now: datetime | None = None) -> Finding:
    (found,) = [one for one in health.findings(night.settings, now) if one.name == name]
    return found


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()


def start_of_last_run(night: Night, moment: str) -> None:
    utc = local(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE runs SET started_at = ? WHERE rowid = (SELECT max(rowid) FROM runs)", (utc,))


def test_after_a_good_night_all_is_well(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    found = health.findings(night.settings)
    assert health.worst(found) == OK, health.as_text(found)
    assert {one.name for one in found} >= {"last night", "outcome", "failed", "review", "incoming", "model"}


def test_before_the_first_night_it_says_so(night: Night) -> None:
    assert finding(night, "last night").level == WARNING


@pytest.mark.parametrize(
    ("started", "now", "level"),
    [
        ("2026-03-10T02:00:05", "2026-03-10T09:00", OK),
        ("2026-03-10T01:30:00", "2026-03-10T09:00", OK),  # begun by hand, a little early
        ("2026-03-09T02:00:05", "2026-03-10T02:30", OK),  # tonight's may still be starting
        ("2026-03-09T02:00:05", "2026-03-10T03:30", WARNING),
        ("2026-03-08T02:00:00", "2026-03-10T09:00", CRITICAL),
    ],
)
def test_a_night_that_did_not_come_is_noticed(night: Night, started: str, now: str, level: int) -> None:
    night.run()
    start_of_last_run(night, started)
    assert finding(night, "last night", local(now)).level == level


def test_two_missed_nights_are_counted(night: Night) -> None:
    night.run()
    start_of_last_run(night, "2026-03-08T02:00:00")
    assert "2 nights were missed" in finding(night, "last night", local("2026-03-10T09:00")).text


def test_a_night_that_could_not_do_its_work_is_critical_and_says_why(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.token = "another"
    night.drop("a.jpg", photo("a"))
    night.run()
    found = finding(night, "outcome")
    assert found.level == CRITICAL
    assert "API_TOKEN" in found.text


def test_a_night_that_died_is_told_from_one_at_work(night: Night) -> None:
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE runs SET exit_code = NULL")
    assert finding(night, "outcome").level == CRITICAL
    with run_lock(night.settings.data_dir):
        assert finding(night, "outcome").level == OK
        tomorrow = datetime.now().astimezone() + timedelta(hours=13)
        assert finding(night, "outcome", tomorrow).level == WARNING


@pytest.mark.parametrize(("broken", "level"), [(2, OK), (5, WARNING), (20, CRITICAL)])
def test_many_failed_photos_are_noticed(night: Night, broken: int, level: int) -> None:
    for number in range(30):
        night.drop(f"{number}.jpg", photo(str(number)))
    for number in range(broken):
        night.drop(f"{number}.txt", f"no photo {number}".encode())
    night.run()
    assert finding(night, "failed").level == level


def test_far_more_photos_for_review_than_usual_are_noticed(night: Night) -> None:
    for number in range(30):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    start_of_last_run(night, (datetime.now() - timedelta(days=10)).isoformat())
    for number in range(30, 60):
        night.drop(f"{number}.jpg", photo(str(number), doubt=number % 2 == 0))
    night.run()
    found = finding(night, "review")
    assert (found.level, found.text) == (WARNING, "50 % for review, usually 0 %")


@pytest.mark.parametrize(("hours", "level"), [(1, OK), (30, WARNING), (60, CRITICAL)])
def test_a_photo_that_nights_pass_over_is_noticed(night: Night, hours: int, level: int) -> None:
    path = night.drop("a.jpg", photo("a"))
    os.utime(path, (0, 0))  # taken long ago, but arrived just now
    now = datetime.now().astimezone() + timedelta(hours=hours)
    assert finding(night, "incoming", now).level == level


def test_a_missing_or_damaged_model_is_critical(
    make_night: Callable[..., Night], tmp_path: os.PathLike[str]
) -> None:
    night = make_night(api_url=(), model_dir=f"{tmp_path}/releases")
    assert finding(night, "model").level == CRITICAL
    sound_release(night)
    assert finding(night, "model").level == OK
    (night.settings.model_dir / "r1" / "model.onnx").write_bytes(b"networK")
    found = finding(night, "model")
    assert found.level == CRITICAL
    assert "model.onnx has changed" in found.text


def test_of_several_servers_one_is_enough_and_each_is_named(
    make_night: Callable[..., Night], sidecar: FakeSidecar
) -> None:
    night = make_night(api_url=f"{sidecar.url},http://me:hush@127.0.0.1:9")
    found = finding(night, "model")
    assert found.level == WARNING
    assert f"release fake-1 at {sidecar.url}" in found.text
    assert "http://127.0.0.1:9" in found.text
    assert "hush" not in found.text
    sidecar.health.update(status="broken", detail="the release is damaged")
    assert finding(night, "model").level == CRITICAL


@pytest.mark.parametrize("file", ["IN_USE", "CURRENT", "r1/SHA256SUMS"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a\0b\n", b"..\n", b"\x1b[31mred\n", b"x" * 300])
def test_a_damaged_name_or_list_of_a_release_is_one_finding(
    make_night: Callable[..., Night], tmp_path: os.PathLike[str], file: str, content: bytes
) -> None:
    night = make_night(api_url=(), model_dir=f"{tmp_path}/releases")
    sound_release(night)
    if file == "CURRENT":
        (night.settings.model_dir / "IN_USE").unlink()
    (night.settings.model_dir / file).write_bytes(content)
    found = finding(night, "model")
    assert found.level == CRITICAL
    assert "damaged" in found.text
    assert "python -m model" in found.text
    assert found.text.isprintable()


def test_health_speaks_of_the_release_that_was_promoted(
    make_night: Callable[..., Night], tmp_path: os.PathLike[str]
) -> None:
    night = make_night(api_url=(), model_dir=f"{tmp_path}/releases")
    sound_release(night)
    (night.settings.model_dir / "CURRENT").write_text("gone\n# What the program ships.\n")
    assert finding(night, "model").text.startswith("release r1,")


def test_a_server_of_somebody_else_is_asked(night: Night, sidecar: FakeSidecar) -> None:
    assert finding(night, "model").level == OK
    sidecar.health = {"status": "broken", "detail": "no release"}
    assert finding(night, "model").level == CRITICAL


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "level"), [(500e9, OK), (50e9, WARNING), (5e9, CRITICAL)])
def test_a_disk_that_will_be_full_soon_is_noticed(
    night: Night, monkeypatch: pytest.MonkeyPatch, free: float, level: int
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    monkeypatch.setattr("batch.reporting.health.shutil.disk_usage", lambda _: Usage(1e12, 1e12 - free, free))
    with Ledger(night.settings.ledger_path) as ledger:
        run = ledger.runs()[-1]
        run.summary["bytes"] = 5_000_000_000  # so far there was one day
        ledger.end_run(run)
    assert finding(night, "days left").level == level


def test_a_ledger_that_cannot_be_read_is_critical(night: Night) -> None:
    night.settings.ledger_path.write_bytes(b"no ledger at all" * 100)
    assert finding(night, "ledger").level == CRITICAL


def test_the_command_answers_as_nagios_and_programs_expect(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(night.settings.data_dir))
    monkeypatch.setenv("LOG_DIR", str(night.settings.log_dir))
    monkeypatch.setenv("API_URL", str(night.settings.api_url[0]))
    assert main(["health"]) == WARNING
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("WARNING last night: no night has run yet")
    assert "| incoming=0" in first
    assert not night.settings.ledger_path.exists()
    night.run()
    capsys.readouterr()
    assert main(["health", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["status"] == "OK"


@pytest.mark.parametrize(
    ("zone", "at", "now", "due"),
    [
        ("Europe/Berlin", "02:00", "2026-06-10T12:00:00+02:00", "2026-06-10T02:00:00+02:00"),
        ("Europe/Berlin", "02:00", "2026-06-10T01:00:00+02:00", "2026-06-09T02:00:00+02:00"),
        # the hour from two to three does not exist, or is there twice
        ("Europe/Berlin", "02:30", "2026-03-29T12:00:00+02:00", "2026-03-29T01:30:00+01:00"),
        ("Europe/Berlin", "02:30", "2026-10-25T12:00:00+01:00", "2026-10-25T02:30:00+02:00"),
        ("America/New_York", "23:30", "2026-07-02T02:00:00+00:00", "2026-06-30T23:30:00-04:00"),
    ],
)
def test_when_a_night_was_due_last(
    monkeypatch: pytest.MonkeyPatch, zone: str, at: str, now: str, due: str
) -> None:
    import time as clock

    monkeypatch.setenv("TZ", zone)
    clock.tzset()
    try:
        found = schedule.last_due(time.fromisoformat(at), datetime.fromisoformat(now).astimezone())
    finally:
        monkeypatch.undo()
        clock.tzset()
    assert found == datetime.fromisoformat(due)


def test_only_a_missed_night_is_caught_up(night: Night) -> None:
    from batch.night import run

    night.drop("a.jpg", photo("a"))
    assert run.night(night.settings, if_missed=True) == 0
    assert night.waiting() == []  # there was none before: missed
    night.drop("b.jpg", photo("b"))
    assert run.night(night.settings, if_missed=True) == 0
    assert night.waiting() == ["b.jpg"]


def test_a_time_of_day_that_is_none_is_a_wrong_setting() -> None:
    from settings import SettingError, load

    with pytest.raises(SettingError, match="NIGHT_AT=25:00"):
        load(BatchSettings, night_at="25:00")


@pytest.mark.parametrize(("nights", "days"), [(1, 100), (4, 100), (30, 100)])
def test_the_days_left_are_counted_by_the_nights_that_there_are(
    night: Night, monkeypatch: pytest.MonkeyPatch, nights: int, days: int
) -> None:
    monkeypatch.setattr("batch.reporting.health.shutil.disk_usage", lambda _: Usage(1e12, 5e11, 5e11))
    now = datetime.now().astimezone()
    with Ledger(night.settings.ledger_path) as ledger:
        for number in range(nights):
            moment = (now - timedelta(days=number)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            seen = {"bytes": 5_000_000_000, "statuses": {"processed": 9}}
            ledger.start_run(Run(moment, moment, moment, 0, summary=seen))
    assert finding(night, "days left").value == days


def test_a_missing_incoming_is_not_an_empty_one(night: Night) -> None:
    assert (finding(night, "incoming").level, finding(night, "incoming").text) == (OK, "empty")
    night.incoming.rmdir()
    found = finding(night, "incoming")
    assert found.level == WARNING
    assert "missing" in found.text


def test_all_that_waits_for_review_is_counted_whatever_night_it_is_of(night: Night) -> None:
    assert finding(night, "to review").text == "nothing waits"
    for name in ("a", "b"):
        night.drop(f"{name}.jpg", photo(name, doubt=True))
        night.run()
    found = finding(night, "to review")
    assert (found.level, found.value) == (OK, 2)
    (night.settings.data_dir / "review" / "a.jpg").rename(night.settings.data_dir / "elsewhere.jpg")
    assert finding(night, "to review").value == 1
