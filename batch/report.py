"""What people read in the morning: one HTML file a run (or a period), complete in itself, and the same as data."""

import base64
import csv
import heapq
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from batch import charts, history, summary
from batch.ledger import Ledger, Row, Run
from batch.settings import BatchSettings
from batch.summary import Summary

NIGHTS = 30
"""So many nights before are what is usual."""

DOUBTFUL, FAILED = 24, 100
"""The most photos that a report shows; the CSV has all."""

THUMBNAIL = 176
"""The longest side of a thumbnail, in pixels."""


@dataclass
class Report:
    """All that a report says; the template only lays it out."""

    title: str
    name: str
    """The file's name, without `.html`."""
    outcome: str
    is_good: bool
    message: str
    seen: Summary
    counts: dict[str, int]
    seconds: float
    usual: Summary
    """The nights before, added up."""
    usual_nights: int
    nights: list[tuple[date, Summary]]
    """Each night of the last ones, this one included, oldest first."""
    runs: list[Run]
    doubtful: list[Row] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)


def of_run(ledger: Ledger, run: Run) -> Report:
    """The report of one run."""
    runs = ledger.runs(since=history.days_before(run.started_at, history.REMEMBERED))
    nights = history.by_night(earlier for earlier in runs if earlier.started_at <= run.started_at)
    seen = summary.from_json(run.summary)
    tonight = history.at(run.started_at).date()
    before = [(night, other) for night, other in nights if night < tonight][-NIGHTS:]
    return Report(
        title=f"Night of {history.at(run.started_at):%A, %d %B %Y}",
        name=run.run_id,
        outcome=history.OUTCOMES.get(run.exit_code, f"exit code {run.exit_code}"),
        is_good=run.exit_code in (0, 3),
        message=run.message,
        seen=seen,
        counts=run.counts,
        seconds=run.seconds,
        usual=summary.add_up(other for _, other in before),
        usual_nights=len(before),
        nights=nights[-NIGHTS:],
        runs=[run],
        doubtful=_least_sure(ledger.matching("run_id = ? AND status = 'review'", run.run_id)),
        failed=list(islice(ledger.matching("run_id = ? AND status = 'failed'", run.run_id), FAILED)),
        drift=list(run.summary.get("drift", [])),
        settings=run.settings,
    )


def of_days(ledger: Ledger, days: int, today: date | None = None) -> Report:
    """The report of the last days, today included."""
    today = today or datetime.now().astimezone().date()
    first = today - timedelta(days=days - 1)
    since = datetime.combine(first, datetime.min.time()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    remembered = ledger.runs(since=history.days_before(since, history.REMEMBERED))
    runs = [run for run in remembered if first <= history.at(run.started_at).date() <= today]
    nights = history.by_night(remembered)
    within = [(night, seen) for night, seen in nights if first <= night <= today]
    before = [(night, seen) for night, seen in nights if night < first][-NIGHTS:]
    bad = [run for run in runs if run.exit_code not in (0, 3)]
    return Report(
        title=f"{first:%d %B} to {today:%d %B %Y}",
        name=f"last-{days}-days",
        outcome=f"{len(runs)} runs, {len(bad)} not done" if bad else f"{len(runs)} runs, all done",
        is_good=not bad,
        message="; ".join(f"{run.run_id}: {run.message}" for run in bad if run.message),
        seen=summary.add_up(seen for _, seen in within),
        counts=_add_counts(runs),
        seconds=sum(run.seconds for run in runs),
        usual=summary.add_up(seen for _, seen in before),
        usual_nights=len(before),
        nights=within,
        runs=runs,
        doubtful=_least_sure(ledger.matching("status = 'review' AND processed_at >= ?", since)),
        failed=list(islice(ledger.matching("status = 'failed' AND processed_at >= ?", since), FAILED)),
        drift=[
            f"{history.local(run.started_at)}: {line}"
            for run in runs
            for line in run.summary.get("drift", [])
        ],
        settings=runs[-1].settings if runs else {},
    )


def write(settings: BatchSettings, report: Report) -> Path:
    """Write the report as HTML below `reports`; returns the file.

    Raises:
        OSError: it cannot be written.
    """
    path = settings.reports / f"{report.name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(as_html(settings, report), "utf-8", errors="backslashreplace")
    new.replace(path)
    return path


def as_html(settings: BatchSettings, report: Report) -> str:
    """The report as one page that needs nothing else."""
    names = [f"{night:%d %b}" for night, _ in report.nights]
    page: str = _page().render(
        report=report,
        seen=report.seen,
        usual=report.usual,
        rate=report.seen.swept / report.seconds if report.seconds else 0.0,
        categories=_categories(report),
        volume=charts.stacked(
            [(name, seen.statuses) for name, (_, seen) in zip(names, report.nights, strict=True)],
            ("processed", "review", "duplicate", "failed"),
        ),
        shares=charts.lines(
            names,
            {
                "confidence": [seen.mean_confidence if seen.predicted else None for _, seen in report.nights],
                "review": [seen.review_share if seen.predicted else None for _, seen in report.nights],
            },
        ),
        confidence=charts.histogram(report.seen.confidence, report.usual.confidence, "unsure", "sure"),
        brightness=charts.histogram(report.seen.brightness, report.usual.brightness, "dark", "bright"),
        thumbnails=[
            (row, thumbnail(settings.data_dir / row.moved_to)) for row in _still_there(report, settings)
        ],
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        csv_path=settings.csv_path,
    )
    return page


def as_json(report: Report) -> str:
    """The report as data, without pictures."""
    photo = ("file_name", "moved_to", "sub_category", "sub_category_probability", "review_reason", "error")
    content: dict[str, Any] = {
        "title": report.title,
        "outcome": report.outcome,
        "message": report.message,
        "runs": [run.run_id for run in report.runs],
        "counts": report.counts,
        "seconds": round(report.seconds, 3),
        "review_share": round(report.seen.review_share, 4),
        "mean_confidence": round(report.seen.mean_confidence, 4),
        "usual_review_share": round(report.usual.review_share, 4),
        "seen": report.seen.to_json(),
        "drift": report.drift,
        "doubtful": [{name: getattr(row, name) for name in photo} for row in report.doubtful[:DOUBTFUL]],
        "failed": [{name: getattr(row, name) for name in photo} for row in report.failed],
        "settings": report.settings,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def daily_csv(report: Report) -> str:
    """The volume of each day: a line a day that had a run, for a spreadsheet."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["date", "swept", "processed", "review", "failed", "duplicates", "review_share", "mean_confidence"]
    )
    for night, seen in report.nights:
        counts = [seen.statuses.get(name, 0) for name in ("processed", "review", "failed", "duplicate")]
        shares = [f"{seen.review_share:.4f}", f"{seen.mean_confidence:.4f}"] if seen.predicted else ["", ""]
        writer.writerow([night.isoformat(), seen.swept, *counts, *shares])
    return text.getvalue()


def thumbnail(path: Path) -> Markup:
    """A small picture as a `data:` address; nothing when the photo is gone or cannot be shown."""
    import decoder  # only when there are thumbnails to be made: the night starts without it

    try:
        small = decoder.read(path.read_bytes(), within=THUMBNAIL, limits=decoder.Limits(megapixels=1000))
    except (OSError, MemoryError, decoder.PhotoError, decoder.CodecError):
        return Markup("")
    content = io.BytesIO()
    small.save(content, "JPEG", quality=72, optimize=True)
    return Markup("data:image/jpeg;base64,") + base64.b64encode(content.getvalue()).decode()


def _least_sure(rows: Iterator[Row]) -> list[Row]:
    """More than are shown: people may have taken some already."""
    return heapq.nsmallest(5 * DOUBTFUL, rows, key=lambda row: row.sub_category_probability or 0)


def _still_there(report: Report, settings: BatchSettings) -> list[Row]:
    there = (row for row in report.doubtful if (settings.data_dir / row.moved_to).is_file())
    return list(islice(there, DOUBTFUL))


def _add_counts(runs: list[Run]) -> dict[str, int]:
    total: dict[str, int] = {}
    for run in runs:
        for name, count in run.counts.items():
            # what waits or is left alone is the same files again the next night
            total[name] = count if name in ("too_young", "left_alone") else total.get(name, 0) + count
    return total


def _categories(report: Report) -> list[dict[str, Any]]:
    """Each sub-category's share, its usual share, and its backgrounds; the most frequent first."""
    main_of = {sub: main for main, subs in report.seen.categories.items() for sub in subs}
    total, usual_total = report.seen.predicted or 1, report.usual.predicted or 1
    usual = report.usual.subs
    widest = max(
        [n / total for n in report.seen.subs.values()] + [n / usual_total for n in usual.values()] + [0.01]
    )
    return [
        {
            "main": main_of[sub],
            "sub": sub,
            "count": count,
            "share": count / total,
            "usual": usual.get(sub, 0) / usual_total,
            "width": count / total / widest,
            "usual_width": usual.get(sub, 0) / usual_total / widest,
            "acceptable": report.seen.backgrounds.get(sub, {}).get("acceptable", 0) / count,
        }
        for sub, count in report.seen.subs.items()
    ]


def _page() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["folder"] = os.path.dirname
    return environment.get_template("report.html")
