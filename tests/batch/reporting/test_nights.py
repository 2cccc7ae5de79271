"""Which run is of which night, which nights did not come, and what they are called."""

import time as clock
from collections.abc import Iterator
from datetime import date, time

import pytest

from batch.records.ledger import Run
from batch.reporting import nights
from batch.upkeep import schedule


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


def run_at(local: str, **summary: object) -> Run:
    from datetime import UTC, datetime

    moment = datetime.fromisoformat(local).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Run(moment, moment, exit_code=0, summary=summary)


@pytest.mark.parametrize(
    ("night_at", "began", "night"),
    [
        ("02:00", "2026-11-21T02:00:04", 21),
        ("02:00", "2026-11-21T01:59:59", 21),  # cron's clock is a little before ours
        ("02:00", "2026-11-21T01:10:00", 21),  # a cron line that says 01:10
        ("02:00", "2026-11-21T14:00:00", 21),  # by hand, until the next one is due
        ("23:30", "2026-11-20T23:30:01", 20),
        ("23:30", "2026-11-21T00:20:00", 20),  # the machine was busy
        ("23:30", "2026-11-21T14:00:00", 20),
    ],
)
def test_a_run_belongs_to_the_night_that_was_due_last(night_at: str, began: str, night: int) -> None:
    at = time.fromisoformat(night_at)
    assert schedule.night_of(run_at(began).started_at, at) == date(2026, 11, night)


def test_a_night_that_came_late_leaves_no_gap_and_one_that_did_not_come_leaves_one() -> None:
    runs = [run_at("2026-11-18T23:30"), run_at("2026-11-20T00:20"), run_at("2026-11-21T23:31")]
    found = nights.by_night(runs, time(23, 30))
    filled = nights.with_gaps(found, date(2026, 11, 1), date(2026, 11, 21))
    assert [(night.day, seen is None) for night, seen in filled] == [
        (18, False), (19, False), (20, True), (21, False),
    ]  # fmt: skip


def test_before_the_first_run_there_was_no_night_to_miss() -> None:
    assert nights.with_gaps([], date(2026, 11, 1), date(2026, 11, 21)) == []


@pytest.mark.parametrize(
    ("began", "title"),
    [
        ("2026-11-21T02:00", "Night of Fri 20 to Sat 21 November 2026"),
        ("2026-11-20T23:30", "Night of Fri 20 to Sat 21 November 2026"),
        ("2026-12-01T02:00", "Night of Mon 30 November to Tue 1 December 2026"),
        ("2027-01-01T02:00", "Night of Thu 31 December 2026 to Fri 1 January 2027"),
        ("2026-11-21T14:05", "Sat 21 November 2026, 14:05"),
    ],
)
def test_a_night_has_the_names_of_both_its_days(began: str, title: str) -> None:
    assert nights.title(run_at(began)) == title


def test_the_last_word_on_a_night_counts_and_old_runs_can_be_read() -> None:
    runs = [
        run_at("2026-11-18T02:00", unusual=True, unusual_since="2026-11-18"),  # of an older version
        run_at("2026-11-19T02:00", unusual=True, unusual_measures=["sizes"]),
        run_at("2026-11-20T02:00", unusual=True, unusual_measures=["sizes"]),
        run_at("2026-11-20T09:00", unusual=False, unusual_measures=[]),
        run_at("2026-11-20T10:00"),  # swept nothing, so it did not look
    ]
    found = nights.unusual(runs, time(2))
    assert found == {date(2026, 11, 18): None, date(2026, 11, 19): ["sizes"]}


def test_many_dates_are_told_as_people_tell_them() -> None:
    days = [date(2026, 11, day) for day in (17, 18, 19, 21)]
    assert nights.dates(days) == "Tue 17 Nov to Thu 19 Nov, Sat 21 Nov"
    assert nights.dates(date(2026, month, 1) for month in range(1, 12)).endswith("and 3 more")
