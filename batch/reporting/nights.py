"""The nights: which run belongs to which, which ones did not come, what people call them."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from batch.records import moments
from batch.records.ledger import Run
from batch.reporting import summary
from batch.reporting.summary import Summary
from batch.upkeep import schedule

BY_DAY = (time(6), time(18))
"""A run that begins between these is no night's: somebody started it by hand, or a clock that runs all day."""


def by_night(runs: Iterable[Run], night_at: time) -> list[tuple[date, Summary]]:
    """What was seen in each night that had a run, by the date on which it was due; oldest first."""
    found: dict[date, list[Summary]] = {}
    for run in runs:
        seen = found.setdefault(schedule.night_of(run.started_at, night_at), [])
        if run.summary:
            seen.append(summary.from_json(run.summary))
    return [(night, summary.add_up(seen)) for night, seen in sorted(found.items())]


def with_gaps(
    nights: Iterable[tuple[date, Summary]], first: date, last: date
) -> list[tuple[date, Summary | None]]:
    """Every night from the first to the last one, with None for those that did not come.

    Before the very first run there were no nights to come.
    """
    seen = dict(nights)
    if not seen:
        return []
    start = max(first, min(seen))
    dates = (start + timedelta(days=number) for number in range((last - start).days + 1))
    return [(night, seen.get(night)) for night in dates]


def unusual(runs: Iterable[Run], night_at: time) -> dict[date, list[str] | None]:
    """The nights that were called unusual, and by which measures; None where the run did not keep that.

    Of several runs in a night the last one that looked counts: it saw the whole night.
    """
    found: dict[date, list[str] | None] = {}
    for run in runs:
        if "unusual" not in run.summary:
            continue
        night = schedule.night_of(run.started_at, night_at)
        if run.summary["unusual"]:
            found[night] = run.summary.get("unusual_measures")
        else:
            found.pop(night, None)
    return found


def title(run: Run) -> str:
    """What people call a run: a night has the names of both its days.

    >>> title(Run("20261121T020000Z", "2026-11-21T02:00:00Z"))
    'Night of Fri 20 to Sat 21 November 2026'
    """
    began = moments.local(run.started_at)
    if BY_DAY[0] <= began.time() < BY_DAY[1]:
        return f"{_day(began)} {began:%B %Y, %H:%M}"
    evening = began if began.hour >= BY_DAY[1].hour else began - timedelta(days=1)
    return f"Night of {span(evening.date(), (evening + timedelta(days=1)).date())}"


def span(first: date, last: date) -> str:
    """Two days, each with its month or year only where they differ.

    >>> span(date(2026, 11, 20), date(2026, 11, 21)), span(date(2026, 12, 31), date(2027, 1, 1))
    ('Fri 20 to Sat 21 November 2026', 'Thu 31 December 2026 to Fri 1 January 2027')
    """
    if first == last:
        return f"{_day(first)} {first:%B %Y}"
    month = f" {first:%B}" if (first.year, first.month) != (last.year, last.month) else ""
    year = f" {first.year}" if first.year != last.year else ""
    return f"{_day(first)}{month}{year} to {_day(last)} {last:%B %Y}"


def dates(nights: Iterable[date]) -> str:
    """Nights in a sentence, an unbroken row of them as one; as many as people read.

    >>> dates([date(2026, 11, 17), date(2026, 11, 18), date(2026, 11, 20)])
    'Tue 17 Nov to Wed 18 Nov, Fri 20 Nov'
    """
    rows: list[list[date]] = []
    for night in sorted(nights):
        if rows and night - rows[-1][-1] == timedelta(days=1):
            rows[-1].append(night)
        else:
            rows.append([night])
    words = [f"{_short(row[0])} to {_short(row[-1])}" if row[1:] else _short(row[0]) for row in rows]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def _day(day: date | datetime) -> str:
    return f"{day:%a} {day.day}"


def _short(day: date) -> str:
    return f"{_day(day)} {day:%b}"
