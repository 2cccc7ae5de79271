"""What people read in the morning: one HTML file a run (or a period), complete in itself, and the same as data."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from batch.exits import Exit, is_good
from batch.records import moments
from batch.records.ledger import STATUSES, Ledger, Row, Run
from batch.reporting import audit, charts, history, morning, nights, summary, waiting
from batch.reporting.audit import Audit
from batch.reporting.morning import Task
from batch.reporting.summary import Summary
from batch.settings import BatchSettings
from batch.upkeep import schedule
from logformat import printable
from replacing import replacing

NIGHTS = 30
"""So many nights before are what is usual."""

OPEN, PICTURES = 24, 200
"""Photos for review that are seen at once, and that have a picture; the rest have a link: a page stays mailable."""

REVIEW_OF_PERIOD = 400
"""The most photos for review in a report over a period: those that the model is least sure of."""

FAILED_OPEN, FAILED = 10, 500
"""Failed photos that are seen at once, and that are named at all; the CSV has all."""

LISTED = 400
"""The index goes back so many days; older reports lie beside it."""

THUMBNAIL = 320
"""The longest side of a thumbnail, in pixels."""

LATEST, INDEX = "latest.html", "index.html"


Sentences = Callable[[Run], list[str]]


@dataclass
class Report:
    """All that a report says; the template only lays it out."""

    title: str
    name: str
    """The file's name, without `.html`."""
    outcome: str
    mood: str
    """How it went: `good`, `some` (done, but not for every photo), `bad`."""
    sentence: str
    when: str
    seen: Summary
    counts: dict[str, int]
    seconds: float
    usual: Summary
    """The nights before, added up."""
    usual_nights: int
    nights: list[tuple[date, Summary | None]]
    """Each night of the last ones, this one included, oldest first; None for one that did not come."""
    runs: list[Run]
    troubles: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    review: list[Row] = field(default_factory=list)
    """The photos that still wait, by order, the least sure first."""
    failed: list[Row] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    audit: Audit | None = None
    """What people said so far of the sample that they check."""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def is_period(self) -> bool:
        """Whether it is about some days, not about one run."""
        return self.name != self.runs[0].run_id if self.runs else True


def of_run(settings: BatchSettings, ledger: Ledger, run: Run) -> Report:
    """The report of one run."""
    remembered = ledger.runs(since=moments.days_before(run.started_at, history.REMEMBERED))
    every = nights.by_night(
        (one for one in remembered if one.started_at <= run.started_at), settings.night_at
    )
    tonight = schedule.night_of(run.started_at, settings.night_at)
    before = [seen for night, seen in every if night < tonight][-NIGHTS:]
    seen = summary.from_json(run.summary)
    review = _waiting(
        settings, ledger.matching("run_id = ? AND status = 'review' AND decision = ''", run.run_id)
    )
    failed = list(ledger.matching("run_id = ? AND status = 'failed'", run.run_id))
    all_waiting, _ = waiting.for_review(ledger, settings.data_dir)
    newest = ledger.last_run()
    incoming = waiting.in_incoming(settings) if newest and newest.run_id == run.run_id else None
    return Report(
        title=nights.title(run),
        name=run.run_id,
        outcome=_outcome(run),
        mood=_mood(run),
        sentence=morning.sentence(seen, run.counts.get("too_young", 0), is_done=is_good(run.exit_code)),
        when=f"Began {moments.shown(run.started_at)}, took {history.took(run)}",
        seen=seen,
        counts=run.counts,
        seconds=run.seconds,
        usual=summary.add_up(before),
        usual_nights=len(before),
        nights=nights.with_gaps(every, tonight - timedelta(days=NIGHTS - 1), tonight),
        runs=[run],
        troubles=[text for text in (run.message, morning.safe(run, incoming)) if text],
        tasks=_tasks(seen, review, failed, all_waiting, run.counts),
        review=review,
        failed=failed,
        drift=list(run.summary.get("drift", [])),
        audit=audit.current(ledger),
        settings=history.settings_used(run.settings),
    )


def _tasks(
    seen: Summary, review: list[Row], failed: list[Row], all_waiting: int, counts: dict[str, int]
) -> list[Task]:
    return list(
        morning.tasks(
            review=len(review),
            earlier=all_waiting - len(review),
            failed=len(failed),
            audit=seen.reasons.get("audit", 0),
            counts=counts,
        )
    )


def of_days(settings: BatchSettings, ledger: Ledger, days: int, now: datetime | None = None) -> Report:
    """The report of the last days, today included."""
    now = now or datetime.now().astimezone()
    last = schedule.night_of(moments.text_of(now), settings.night_at)
    first = last - timedelta(days=days - 1)
    since = moments.text_of(datetime.combine(first, settings.night_at).astimezone() - schedule.EARLY)
    remembered = ledger.runs(since=moments.days_before(since, history.REMEMBERED))
    runs = [run for run in remembered if since <= run.started_at <= moments.text_of(now)]
    every = nights.by_night(remembered, settings.night_at)
    before = [seen for night, seen in every if night < first][-NIGHTS:]
    # tonight's is no gap before it is due, nor while it may still be starting
    due = schedule.last_due(settings.night_at, now - schedule.LATE).date()
    within = nights.with_gaps(every, first, max(due, *(night for night, _ in every), first))
    seen = summary.add_up(seen for _, seen in within if seen)
    missed = [night for night, seen in within if seen is None]
    bad = [run for run in runs if not is_good(run.exit_code)]
    some = [run for run in runs if run.exit_code == Exit.FAILED_PHOTOS]
    review = _waiting(
        settings, ledger.matching("status = 'review' AND decision = '' AND processed_at >= ?", since)
    )
    failed = list(ledger.matching("status = 'failed' AND processed_at >= ?", since))
    all_waiting, _ = waiting.for_review(ledger, settings.data_dir)
    ran = morning.counted(len(runs), "run")
    return Report(
        title=nights.span(first, last),
        name=f"last-{days}-days",
        outcome=f"{ran}, {len(bad)} not done" if bad else f"{ran}, all done",
        mood="bad" if bad else "some" if some or missed else "good",
        sentence=morning.sentence(seen),
        when=ran,
        seen=seen,
        counts=_add_counts(runs),
        seconds=sum(run.seconds for run in runs),
        usual=summary.add_up(before),
        usual_nights=len(before),
        nights=within,
        runs=runs,
        troubles=[*_missed(missed), *_merged(settings, bad, lambda run: [run.message or "Unfinished"])],
        tasks=_tasks(seen, review, failed, all_waiting, {}),
        review=review,
        failed=failed,
        drift=_merged(settings, runs, lambda run: run.summary.get("drift", [])),
        audit=audit.current(ledger),
        settings=history.settings_used(runs[-1].settings) if runs else {},
    )


def write(settings: BatchSettings, ledger: Ledger, report: Report) -> Path:
    """Write the report as HTML below `reports`; returns the file.

    A run's report is made known to the one before it. The newest one is `latest.html`, too, and `index.html` lists
    them all.

    Raises:
        OSError: it cannot be written.
    """
    folder = settings.reports
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.name}.html"
    page = as_html(settings, report)
    _replace(path, page)
    if not report.is_period:
        older, newer = _neighbours(folder, report.name)
        if older:
            _tell(folder / older, path.name)
        if not newer:
            _replace(folder / LATEST, page)
    _replace(folder / INDEX, _index(settings, ledger))
    return path


def as_html(settings: BatchSettings, report: Report) -> str:
    """The report as one page that needs nothing else."""
    names = [nights.dates([night]) for night, _ in report.nights]
    older, newer = _neighbours(settings.reports, report.name)
    shown = _least_sure(report.review, REVIEW_OF_PERIOD) if report.is_period else report.review
    photos = [
        _Photo.of(row, settings, listed=number >= PICTURES, dated=report.is_period)
        for number, row in enumerate(shown)
    ]
    page: str = _template("report.html").render(
        report=report,
        seen=report.seen,
        usual=report.usual,
        rate=report.seen.swept / report.seconds if report.seconds else 0.0,
        categories=_categories(report),
        volume=charts.stacked(
            [
                (name, seen.statuses if seen else None)
                for name, (_, seen) in zip(names, report.nights, strict=True)
            ],
            ("processed", "review", "duplicate", "failed"),
        ),
        shares=charts.lines(
            names,
            {
                "confidence": [_of(seen, "mean_confidence") for _, seen in report.nights],
                "review": [_of(seen, "review_share") for _, seen in report.nights],
            },
        ),
        each_night=list(zip(names, (seen for _, seen in report.nights), strict=True)),
        has_volume=any(seen and seen.swept for _, seen in report.nights),
        has_shares=any(seen and seen.predicted for _, seen in report.nights),
        confidence=charts.histogram(
            report.seen.confidence, report.usual.confidence, "unsure", "sure", "How sure the model is"
        ),
        brightness=charts.histogram(
            report.seen.brightness, report.usual.brightness, "dark", "bright", "How bright the photos are"
        ),
        bins=_bins(report),
        review=_by_order(photos[:OPEN]),
        more_review=_by_order(photos[OPEN:]),
        more=max(0, len(photos) - OPEN),
        without_picture=max(0, len(photos) - PICTURES),
        not_shown=len(report.review) - len(shown),
        failed=report.failed[:FAILED_OPEN],
        more_failed=report.failed[FAILED_OPEN:FAILED],
        failed_not_named=max(0, len(report.failed) - FAILED),
        audited=audit.statement(report.audit) if report.audit else "",
        links=_links(settings, report),
        older=older,
        newer=newer,
        latest=LATEST,
        index=INDEX,
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        csv_path=settings.csv_path,
        local=moments.shown,
    )
    return page


def as_json(report: Report) -> str:
    """The report as data, without pictures."""
    photo = ("file_name", "moved_to", "sub_category", "sub_category_probability", "review_reason", "error")
    content: dict[str, Any] = {
        "title": report.title,
        "outcome": report.outcome,
        "message": "; ".join(report.troubles),
        "to_do": [task.text for task in report.tasks],
        "runs": [run.run_id for run in report.runs],
        "missed": [night.isoformat() for night, seen in report.nights if seen is None],
        "counts": report.counts,
        "seconds": round(report.seconds, 3),
        "review_share": round(report.seen.review_share, 4),
        "mean_confidence": round(report.seen.mean_confidence, 4),
        "usual_review_share": round(report.usual.review_share, 4),
        "seen": report.seen.to_json(),
        "drift": report.drift,
        "audit": asdict(report.audit) if report.audit else None,
        "doubtful": [{name: getattr(row, name) for name in photo} for row in report.review],
        "failed": [{name: getattr(row, name) for name in photo} for row in report.failed],
        "settings": report.settings,
    }
    return printable(json.dumps(content, indent=2, ensure_ascii=False))


def daily_csv(report: Report) -> str:
    """The volume of each day: a line a night that had a run, for a spreadsheet."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["date", "swept", "processed", "review", "failed", "duplicates", "review_share", "mean_confidence"]
    )
    for night, seen in report.nights:
        if seen is None:
            continue
        counts = [seen.statuses.get(name, 0) for name in STATUSES]
        shares = [f"{seen.review_share:.4f}", f"{seen.mean_confidence:.4f}"] if seen.predicted else ["", ""]
        writer.writerow([night.isoformat(), seen.swept, *counts, *shares])
    return text.getvalue()


def is_wanted(settings: BatchSettings, ledger: Ledger, run: Run) -> bool:
    """Whether a run writes its report: not when it only looked once more, by day, and found nothing."""
    if run.counts.get("swept") or run.exit_code != 0:
        return True
    tonight = schedule.night_of(run.started_at, settings.night_at)
    others = ledger.runs(since=moments.days_before(run.started_at, 2))
    return not any(
        other.run_id != run.run_id and schedule.night_of(other.started_at, settings.night_at) == tonight
        for other in others
    )


def guess(row: Row) -> str:
    """The two likeliest answers in words.

    >>> guess(Row("a.jpg", sub_category="outwear", sub_category_probability=0.464,
    ...           probabilities='{"sub": {"outwear": 0.464, "longsleeve": 0.312, "dress": 0.2}}'))
    'outwear 46 %, or longsleeve 31 %?'
    """
    if not row.sub_category:
        return "no answer"
    sure = row.sub_category_probability
    first = f"{row.sub_category} {_percent(sure)}" if sure is not None else row.sub_category
    others: dict[str, float] = json.loads(row.probabilities or "{}").get("sub", {})
    name, second = max(
        ((name, value) for name, value in others.items() if name != row.sub_category),
        key=lambda answer: answer[1],
        default=("", 0.0),
    )
    return f"{first}, or {name} {_percent(second)}?" if second >= 0.005 else f"{first}?"


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


@dataclass(frozen=True)
class _Photo:
    """A photo for review, as the page shows it."""

    name: str
    order: str
    guess: str
    reason: str
    href: str
    picture: Markup
    listed: bool
    """Whether it is only a name in a list."""
    night: str

    @classmethod
    def of(cls, row: Row, settings: BatchSettings, *, listed: bool, dated: bool) -> "_Photo":
        return cls(
            name=row.file_name,
            order=row.order,
            guess=guess(row),
            reason=row.review_reason,
            href=_address(row.moved_to),
            picture=Markup("") if listed else thumbnail(settings.data_dir / row.moved_to),
            listed=listed,
            night=moments.shown(row.processed_at) if dated else "",
        )


def _address(place: str) -> str:
    """The link from a page in `reports` to what lies at this place below `DATA_DIR`."""
    return "../" + quote(place)


def _by_order(photos: list[_Photo]) -> list[tuple[str, list[_Photo]]]:
    return [(order, list(group)) for order, group in groupby(photos, key=lambda photo: photo.order)]


def _waiting(settings: BatchSettings, rows: Iterator[Row]) -> list[Row]:
    """Those that still lie in `review`, by order, the least sure first."""
    there = (
        row
        for row in rows
        if row.moved_to.startswith(f"{waiting.REVIEW}/") and (settings.data_dir / row.moved_to).is_file()
    )
    return sorted(there, key=lambda row: (row.order, row.sub_category_probability or 0))


def _least_sure(rows: list[Row], most: int) -> list[Row]:
    """So many of the rows, in the order that they have."""
    chosen = sorted(range(len(rows)), key=lambda number: rows[number].sub_category_probability or 0)[:most]
    return [rows[number] for number in sorted(chosen)]


def _of(seen: Summary | None, name: str) -> float | None:
    return float(getattr(seen, name)) if seen and seen.predicted else None


def _outcome(run: Run) -> str:
    return history.OUTCOMES.get(run.exit_code, f"exit code {run.exit_code}")


def _mood(run: Run) -> str:
    return {0: "good", 3: "some"}.get(-1 if run.exit_code is None else run.exit_code, "bad")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _missed(missed: list[date]) -> list[str]:
    if not missed:
        return []
    words = "1 night was missed" if len(missed) == 1 else f"{len(missed)} nights were missed"
    return [f"{words}: {nights.dates(missed)}."]


def _merged(settings: BatchSettings, runs: Iterable[Run], sentences: Sentences) -> list[str]:
    """What runs say, each once although its numbers differ: in its last form, with the nights that it was said in."""
    last: dict[str, str] = {}
    said: dict[str, set[date]] = {}
    for run in runs:
        for sentence in sentences(run):
            kind = _without_numbers(sentence)
            last.pop(kind, None)  # so that the newest comes last
            last[kind] = sentence
            said.setdefault(kind, set()).add(schedule.night_of(run.started_at, settings.night_at))
    return [f"{nights.dates(said[kind])}: {sentence}" for kind, sentence in last.items()]


def _without_numbers(sentence: str) -> str:
    return re.sub(r"\d[\d.,:]*", "…", re.sub(r" \([^)]*\)| since \w+ \d+ \w+", "", sentence))


def _links(settings: BatchSettings, report: Report) -> list[tuple[str, str]]:
    """Where people go on from the page, as far as it is there: the pages, the folders, the CSV."""
    csv = f"predictions/{report.name}.csv"
    pages = [("review in the browser", str(settings.pages_url))] if settings.pages_url else []
    places = [
        ("photos to decide", "review"),
        ("unreadable files", "failed"),
        ("filed photos", "processed"),
        ("duplicates", "duplicates"),
    ]
    found = pages + [
        (words, _address(f"{place}/")) for words, place in places if (settings.data_dir / place).is_dir()
    ]
    if not report.is_period and (settings.data_dir / csv).is_file():
        found.append(("this run as CSV", _address(csv)))
    if settings.csv_path.is_file():
        found.append(("all rows as CSV", _address(settings.csv_path.name)))
    return found


def _neighbours(folder: Path, name: str) -> tuple[str, str]:
    """The reports of the runs just before and after this one, as there are; a run's id is when it began."""
    names = sorted(path.stem for path in folder.glob("[0-9]*T*Z*.html"))
    return (
        next((f"{other}.html" for other in reversed(names) if other < name), ""),
        next((f"{other}.html" for other in names if other > name), ""),
    )


NEXT = re.compile("<!--next-->.*?<!--/next-->", re.DOTALL)


def _tell(older: Path, newer: str) -> None:
    """Let the page before link to this one; pages from before there were such links stay as they are."""
    try:
        page = older.read_text("utf-8")
    except UnicodeDecodeError:  # somebody has saved it otherwise: it is theirs now
        return
    link = f'<!--next--><a href="{newer}" rel="next">the run after ›</a><!--/next-->'
    changed = NEXT.sub(lambda _: link, page, count=1)
    if changed != page:
        _replace(older, changed)


def _replace(path: Path, page: str) -> None:
    """Write a page; who reads it meanwhile sees the old one or the new one, never a part."""
    with replacing(path) as new:
        new.write_text(page, "utf-8", errors="backslashreplace")


def _index(settings: BatchSettings, ledger: Ledger) -> str:
    """The page that lists the reports, newest first."""
    runs = ledger.runs(since=moments.days_before(moments.now(), LISTED))
    listed = [
        {
            "name": f"{run.run_id}.html",
            "title": nights.title(run).removeprefix("Night of "),
            "outcome": _outcome(run),
            "mood": _mood(run),
            "seen": summary.from_json(run.summary),
        }
        for run in reversed(runs)
        if (settings.reports / f"{run.run_id}.html").exists()
    ]
    periods = sorted(settings.reports.glob("last-*-days.html"), key=lambda path: int(path.stem.split("-")[1]))
    page: str = _template(INDEX).render(
        listed=listed, periods=[path.name for path in periods], latest=LATEST, days=LISTED
    )
    return page


def _bins(report: Report) -> dict[str, list[tuple[str, float, float | None]]]:
    """The histograms as tables: from where to where, the share here, the usual one."""
    found = {}
    for name, step, unit in (("confidence", 100 / summary.CONFIDENCE_BINS, " %"), ("brightness", 8, "")):
        here, usual = getattr(report.seen, name), getattr(report.usual, name)
        total, usual_total = sum(here) or 1, sum(usual)
        found[name] = [
            (
                f"{step * number:.0f} to {step * (number + 1):.0f}{unit}",
                here[number] / total,
                usual[number] / usual_total if usual_total else None,
            )
            for number in range(len(here))
            if here[number] or usual[number]
        ]
    return found


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
            "acceptable": report.seen.backgrounds.get(sub, {}).get("acceptable", 0)
            / (sum(report.seen.backgrounds.get(sub, {}).values()) or 1),
            "has_background": sub in report.seen.backgrounds,
        }
        for sub, count in report.seen.subs.items()
    ]


def _unbroken(text: str) -> str:
    """Numbers that keep their percent sign on the same line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _codes(text: str) -> Markup:
    """A sentence with the commands in it (between backticks) set as such."""
    parts = re.split("`([^`]*)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _template(name: str) -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: _unbroken(_percent(share))
    environment.filters["unbroken"] = _unbroken
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["codes"] = _codes
    return environment.get_template(name)
