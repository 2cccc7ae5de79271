"""Last night, the nights before it as a calendar, and the list of all runs."""

import shutil
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request

import in_use
from batch.decisions import exports, listing, queue
from batch.decisions.listing import Selection
from batch.decisions.queue import Filter, Sort
from batch.exits import Exit, is_good
from batch.lock import is_at_work
from batch.pages.shared import audit_left, ledger, settings
from batch.records import moments
from batch.records.ledger import Ledger, Row, Run
from batch.reporting import history, morning, nights, summary
from batch.reporting.summary import Summary
from batch.settings import BatchSettings
from batch.upkeep import schedule
from logformat import printable
from this_python import VERSION

blueprint = Blueprint("night", __name__)

WEEKS = 9
"""In the calendar."""

FAILED = 8
"""Failed photos that are named on the first page; the page of all of them is a link away."""

RUNS = 50
"""On one page."""


@dataclass(frozen=True)
class Day:
    """One square of the calendar: a night, by the day on which it was due."""

    day: date
    kind: str
    """How it went: `good`, `some`, `bad`; `missed`; nothing for a day without a night to come."""
    words: str
    run_id: str = ""
    photos: int = 0


@dataclass
class LastNight:
    """What the first page says of the last night."""

    run: Run
    title: str
    outcome: str
    mood: str
    sentence: str
    took: str
    seen: Summary
    troubles: list[str]
    drift: list[str]
    failed: list[Row] = field(default_factory=list)
    """The rows of photos that failed in it and still lie in `failed`; not more than are shown."""


@blueprint.get("/")
def last() -> str:
    """What came, what waits, what failed, what is unusual."""
    now = datetime.now().astimezone()
    book = ledger()
    runs = book.runs(since=moments.days_before(moments.text_of(now), 7 * WEEKS + 7))
    newest = book.last_run()
    at_work = newest is not None and newest.exit_code is None and is_at_work(settings().ledger_path.parent)
    shown = _worth_showing(runs) or newest
    return render_template(
        "last_night.html",
        here="night",
        night=_last_night(book, shown) if shown else None,
        at_work=newest if at_work else None,
        weeks=calendar(runs, settings(), now),
        machine=_machine(settings()),
        oldest=queue.counts(book).oldest,
        audit_left=audit_left(),
        csv=exports.state(book),
    )


@blueprint.get("/runs")
def runs() -> str:
    """All runs, newest first."""
    before = request.args.get("before", "")
    found = ledger().runs_before(before, RUNS + 1)
    return render_template(
        "runs.html",
        here="runs",
        runs=[_line(run) for run in found[:RUNS]],
        older=found[RUNS - 1].started_at if len(found) > RUNS else "",
        is_first=not before,
    )


def calendar(runs: list[Run], settings: BatchSettings, now: datetime) -> list[list[Day]]:
    """The last weeks, each from Monday to Sunday; a night that did not come is there, too."""
    today = schedule.night_of(moments.text_of(now), settings.night_at)
    due = schedule.last_due(settings.night_at, now - schedule.LATE).date()
    monday = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    by_night: dict[date, list[Run]] = {}
    for run in runs:
        by_night.setdefault(schedule.night_of(run.started_at, settings.night_at), []).append(run)
    first = min(by_night, default=today)
    days = [
        _day(monday + timedelta(days=number), by_night, first=first, due=due, today=today)
        for number in range(7 * WEEKS)
    ]
    weeks = [days[start : start + 7] for start in range(0, len(days), 7)]
    return [
        week for week in weeks if any(day.run_id for day in week) or week is weeks[-1] or week[-1].day > first
    ]


def _day(day: date, by_night: dict[date, list[Run]], *, first: date, due: date, today: date) -> Day:
    name = f"{day:%a} {day.day} {day:%b}"
    if day in by_night:
        ran = by_night[day]
        photos = sum(run.counts.get("swept", 0) for run in ran)
        worst = max(ran, key=lambda run: ("good", "some", "bad").index(mood(run)))
        words = f"{name}: {history.OUTCOMES.get(worst.exit_code, '')}, {morning.counted(photos, 'photo')}"
        busiest = max(ran, key=lambda run: run.counts.get("swept", 0))
        return Day(day, mood(worst), words, (worst if mood(worst) != "good" else busiest).run_id, photos)
    if first < day <= due:
        return Day(day, "missed", f"{name}: no run")
    return Day(day, "none" if day <= today else "", name)


def mood(run: Run) -> str:
    """How a run went: `good`, `some` (done, but not for every photo), `bad`; one that is at work is good so far."""
    if run.exit_code in (None, 0):
        return "good"
    return "some" if run.exit_code == Exit.FAILED_PHOTOS else "bad"


def _worth_showing(runs: list[Run]) -> Run | None:
    """The newest run that sorted something or went wrong, and has ended; by day others may have found nothing."""
    ended = [run for run in runs if run.exit_code is not None]
    return next(
        (run for run in reversed(ended) if run.counts.get("swept") or run.exit_code != 0),
        ended[-1] if ended else None,
    )


def _last_night(book: Ledger, run: Run) -> LastNight:
    seen = summary.from_json(run.summary)
    return LastNight(
        run=run,
        title=nights.title(run),
        outcome=history.OUTCOMES.get(run.exit_code, f"exit code {run.exit_code}"),
        mood=mood(run),
        sentence=morning.sentence(seen, run.counts.get("too_young", 0), is_done=is_good(run.exit_code)),
        took=history.took(run),
        seen=seen,
        troubles=[printable(text) for text in (run.message, morning.safe(run, None)) if text],
        drift=list(run.summary.get("drift", [])),
        failed=_failed_of(book, run.run_id) if seen.statuses.get("failed") else [],
    )


def _failed_of(book: Ledger, run_id: str) -> list[Row]:
    selection = Selection(chosen=Filter(run=run_id), status="failed")
    return [row for row in listing.photos(book, selection, Sort.OLDEST, limit=FAILED).photos if row.moved_to]


def _line(run: Run) -> dict[str, Any]:
    seen = summary.from_json(run.summary)
    return {
        "run": run,
        "title": nights.title(run).removeprefix("Night of "),
        "outcome": history.OUTCOMES.get(run.exit_code, f"exit code {run.exit_code}"),
        "mood": mood(run),
        "took": history.took(run),
        "seen": seen,
    }


def _machine(settings: BatchSettings) -> list[tuple[str, str]]:
    """What the foot of the page says of this machine."""
    found = [("Version", f"Nightsort {VERSION}")]
    if not settings.api_url:
        try:
            found.append(("Release", in_use.version(settings.model_dir)))
        except in_use.InUseError as error:
            found.append(("Release", printable(str(error))))
    try:
        usage = shutil.disk_usage(settings.data_dir)
        found.append(("Disk", f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.0f} GB"))
    except OSError as error:
        found.append(("Disk", f"cannot be read ({error.strerror})"))
    return found
