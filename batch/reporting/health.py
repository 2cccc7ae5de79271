"""How the nights are: one finding a line, worst first, and an exit code as Nagios plug-ins have it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import in_use
from batch.exits import Exit, is_good
from batch.files.data_folder import StrangeFolderError, check
from batch.files.scan import Scan
from batch.lock import is_at_work
from batch.records import moments
from batch.records.ledger import Ledger, LedgerError, Run
from batch.reporting import audit, history, nights, summary, waiting
from batch.server.client import Client, SidecarError
from batch.settings import BatchSettings
from batch.upkeep import install, schedule
from logformat import entry, printable
from settings import Address

OK, WARNING, CRITICAL = 0, 1, 2
WORDS = ("OK", "WARNING", "CRITICAL")

LONG_NIGHT = timedelta(hours=12)
WAITING_WARNING, WAITING_CRITICAL = timedelta(hours=26), timedelta(hours=50)
"""A photo in `incoming` for longer has been passed over by a night, or by two."""

FAILED_WARNING, FAILED_CRITICAL = 0.05, 0.3
FEW = 5
"""Failed photos below this number are nobody's alarm, whatever their share."""

FULL_WARNING, FULL_CRITICAL = 14.0, 3.0
"""Days until the disk is full."""

LEAST_FREE = 1_000_000_000
GROWTH_DAYS = 14
"""The pace at which the disk fills is that of so many nights, or of those that there were since the first photo."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `value` is its number for machines, where it has one."""

    level: int
    name: str
    text: str
    value: float | None = None

    def __str__(self) -> str:
        return f"{WORDS[self.level]} {self.name}: {self.text}"


def findings(settings: BatchSettings, now: datetime | None = None) -> list[Finding]:
    """Everything that was looked at, the worst first."""
    now = now or datetime.now().astimezone()
    found = [
        *_of_data_folder(settings),
        *_of_disk(settings),
        *_of_incoming(settings, now),
        *_of_model(settings),
    ]
    try:
        with Ledger(settings.ledger_path, look=True) as ledger:
            runs = _runs(ledger, now)
            found += [_of_review(settings, ledger), *_of_audit(ledger)]
    except (LedgerError, OSError) as error:
        found.append(Finding(CRITICAL, "ledger", str(error)))
    else:
        found += [*_of_nights(settings, runs, now), *_of_growth(settings, runs, now)]
    return sorted(found, key=lambda finding: -finding.level)


def as_text(found: list[Finding]) -> str:
    """One line a finding; the first one carries the numbers, as plug-ins of Nagios do."""
    numbers = " ".join(
        f"{finding.name.replace(' ', '_')}={finding.value:g}"
        for finding in found
        if finding.value is not None
    )
    lines = [entry(str(finding)) for finding in found]
    return "\n".join([f"{lines[0]} | {numbers}" if numbers else lines[0], *lines[1:]])


def as_json(found: list[Finding]) -> str:
    """The same for programs."""
    level = worst(found)
    content = {
        "status": WORDS[level],
        "code": level,
        "findings": [{**asdict(finding), "status": WORDS[finding.level]} for finding in found],
    }
    return printable(json.dumps(content, indent=2, ensure_ascii=False))


def worst(found: list[Finding]) -> int:
    """The exit code: 0 all well, 1 a warning, 2 something that cannot wait."""
    return max((finding.level for finding in found), default=OK)


def _runs(ledger: Ledger, now: datetime) -> list[Run]:
    """The runs that matter, oldest first: the last one, and those that say what is usual."""
    last = ledger.last_run()
    return ledger.runs(since=moments.days_before(moments.text_of(now), history.REMEMBERED)) or (
        [last] if last else []
    )


def _of_review(settings: BatchSettings, ledger: Ledger) -> Finding:
    """All photos that wait for a person: people's own business, so never an alarm."""
    count, since = waiting.for_review(ledger, settings.data_dir)
    if not count:
        return Finding(OK, "to review", "nothing waits", 0)
    oldest = moments.local(since)
    photos = "1 photo waits" if count == 1 else f"{count} photos wait"
    return Finding(OK, "to review", f"{photos}, the oldest since {oldest:%a %d %b}", count)


def _of_audit(ledger: Ledger) -> Iterator[Finding]:
    """Whether the photos filed without a person are as right as promised, as far as people have checked."""
    found = audit.current(ledger)
    if found and found.answered:
        level = WARNING if found.is_broken else OK
        yield Finding(level, "audit", audit.statement(found), found.share)


def _of_nights(settings: BatchSettings, runs: list[Run], now: datetime) -> Iterator[Finding]:
    if not runs:
        yield Finding(WARNING, "last night", f"no night has run yet; {_schedule()}")
        return
    last = runs[-1]
    yield _punctuality(settings, last, now)
    yield _outcome(settings, last, now)
    swept = [run for run in runs if summary.from_json(run.summary).swept]
    if swept:
        yield from _quality(settings, swept)
    if last.counts.get("left_behind"):
        count = last.counts["left_behind"]
        yield Finding(
            WARNING, "left behind", f"{count} photos could not be read or moved; `logs last` says why", count
        )


def _punctuality(settings: BatchSettings, last: Run, now: datetime) -> Finding:
    due = schedule.last_due(settings.night_at, now)
    started = moments.local(last.started_at)
    when = f"the last run began {started:%a %d %b %H:%M}"
    begins = due - schedule.EARLY
    if started >= begins or (now < due + schedule.LATE and started >= begins - timedelta(days=1)):
        return Finding(OK, "last night", f"{when}; {_schedule()}")
    missed = 1 + (due - started - timedelta(seconds=1)).days
    level = WARNING if missed == 1 else CRITICAL
    words = "a night was missed" if missed == 1 else f"{missed} nights were missed"
    return Finding(level, "last night", f"{words}: {when}, one was due {due:%a %H:%M}; {_schedule()}")


def _schedule() -> str:
    kinds = install.installed()
    return (
        f"scheduled by {' and '.join(kinds)}"
        if kinds
        else "no schedule is installed here (see `install --help`)"
    )


def _outcome(settings: BatchSettings, last: Run, now: datetime) -> Finding:
    if last.exit_code is None:
        age = now - moments.local(last.started_at)
        if not is_at_work(settings.ledger_path.parent):
            return Finding(CRITICAL, "outcome", "the last run died; the next one finishes what it had begun")
        if age > LONG_NIGHT:
            return Finding(
                WARNING, "outcome", f"a run has been at work for {age.total_seconds() / 3600:.0f} hours"
            )
        return Finding(OK, "outcome", "a run is at work")
    words = history.OUTCOMES.get(last.exit_code, f"exit code {last.exit_code}")
    if is_good(last.exit_code):
        return Finding(
            OK, "outcome", f"{words}, {last.counts.get('swept', 0)} photos in {history.took(last)}"
        )
    level = WARNING if last.exit_code in (Exit.INTERRUPTED, Exit.TERMINATED) else CRITICAL
    return Finding(level, "outcome", f"{words}: {last.message or 'see `logs last`'}")


def _quality(settings: BatchSettings, swept: list[Run]) -> Iterator[Finding]:
    by_night = nights.by_night(swept, settings.night_at)
    seen, before = by_night[-1][1], [night for _, night in by_night[:-1]][-30:]
    failed = seen.statuses.get("failed", 0)
    share = failed / seen.swept
    level = CRITICAL if share > FAILED_CRITICAL else WARNING if share > FAILED_WARNING else OK
    if failed < FEW:
        level = OK
    why = f", most often: {max(seen.errors, key=lambda text: seen.errors[text])}" if seen.errors else ""
    yield Finding(level, "failed", f"{failed} of {seen.swept} photos failed{why}", share)
    usual = summary.add_up(before)
    text = f"{100 * seen.review_share:.0f} % for review"
    if usual.predicted:
        text += f", usually {100 * usual.review_share:.0f} %"
    many = (
        seen.predicted >= 20
        and usual.predicted
        and seen.review_share > max(2 * usual.review_share, usual.review_share + 0.1)
    )
    yield Finding(WARNING if many else OK, "review", text, seen.review_share)
    latest = swept[-1].summary
    if latest.get("unusual"):
        since = latest.get("unusual_since", "")
        streak = since and since < str(by_night[-1][0])
        yield Finding(WARNING if streak else OK, "drift", " ".join(latest.get("drift", [])))
    if latest.get("unlike"):
        yield Finding(WARNING, "unlike training", latest["unlike"])


def _of_data_folder(settings: BatchSettings) -> Iterator[Finding]:
    try:
        with Ledger(settings.ledger_path, look=True) as ledger:
            check(settings, ledger)
    except StrangeFolderError as error:
        yield Finding(CRITICAL, "data folder", str(error))
    except (LedgerError, OSError):
        return  # said elsewhere


def _of_disk(settings: BatchSettings) -> Iterator[Finding]:
    usage = shutil.disk_usage(_existing(settings.data_dir))
    if usage.free < LEAST_FREE:
        yield Finding(CRITICAL, "disk", f"only {usage.free / 1e9:.1f} GB are free", usage.free)


def _of_growth(settings: BatchSettings, runs: list[Run], now: datetime) -> Iterator[Finding]:
    usage = shutil.disk_usage(_existing(settings.data_dir))
    grown = {night: seen.bytes for night, seen in nights.by_night(runs, settings.night_at) if seen.bytes}
    today = schedule.last_due(settings.night_at, now).date()
    first = max(min(grown, default=today), today - timedelta(days=GROWTH_DAYS - 1))
    total = sum(size for night, size in grown.items() if night >= first)
    if not total:
        yield Finding(OK, "days left", f"{usage.free / 1e9:.1f} GB free")
        return
    past = max(1, (today - first).days + 1)
    days = usage.free / (total / past)
    level = CRITICAL if days < FULL_CRITICAL else WARNING if days < FULL_WARNING else OK
    pace = "last night" if past == 1 else f"the last {past} nights"
    text = f"{usage.free / 1e9:.1f} GB free, enough for {days:.0f} days with as many photos as {pace}"
    yield Finding(
        level,
        "days left",
        text if days < 3650 else f"{usage.free / 1e9:.1f} GB free, enough for years",
        round(days),
    )


def _of_incoming(settings: BatchSettings, now: datetime) -> Iterator[Finding]:
    if not settings.incoming.is_dir():
        yield Finding(
            WARNING, "incoming", f"missing: there is no folder {settings.incoming}, so nobody can drop photos"
        )
        return
    count, oldest = 0, now.timestamp()
    try:
        for found in Scan(settings.incoming, settings.settle_seconds, settings.ignore):
            count += 1
            # the time of arrival: a photo keeps the time it was taken when it is copied
            oldest = min(oldest, os.lstat(settings.incoming / found.name).st_ctime)
    except FileNotFoundError:
        pass  # a night is moving them just now
    except OSError as error:
        yield Finding(CRITICAL, "incoming", f"{error.strerror}: {error.filename}")
        return
    age = timedelta(seconds=now.timestamp() - oldest)
    level = CRITICAL if age > WAITING_CRITICAL else WARNING if age > WAITING_WARNING else OK
    text = f"{count} photos wait, the oldest for {age.total_seconds() / 3600:.0f} hours" if count else "empty"
    yield Finding(level, "incoming", text, count)


def _of_model(settings: BatchSettings) -> Iterator[Finding]:
    if settings.api_url:
        yield _of_servers(settings)
        return
    try:
        version = in_use.version(settings.model_dir)
    except in_use.InUseError as error:
        yield Finding(CRITICAL, "model", printable(str(error)))
        return
    if problem := in_use.damage(in_use.folder(settings.model_dir, version)):
        yield Finding(
            CRITICAL,
            "model",
            printable(f"release {version} is damaged: {problem}; `python -m model rollback`"),
        )
    else:
        yield Finding(OK, "model", f"release {version}, every file as it was released")


def _of_servers(settings: BatchSettings) -> Finding:
    """How those at API_URL are, of which the night needs one."""
    found = [_of_server(address, settings) for address in settings.api_url]
    ready = sum(is_ready for is_ready, _ in found)
    level = OK if ready == len(found) else WARNING if ready else CRITICAL
    return Finding(level, "model", "; ".join(text for _, text in found))


def _of_server(address: Address, settings: BatchSettings) -> tuple[bool, str]:
    """Whether it is ready, and how it is."""
    token = settings.api_token.get_secret_value() if settings.api_token else ""
    try:
        health = Client(str(address.get_secret_value()), token).health()
    except SidecarError as error:
        return False, str(error)
    if health.status == "ready":
        return True, printable(f"release {health.model_version} at {address}")
    return False, printable(f"the server at {address} is not ready: {health.detail}")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
