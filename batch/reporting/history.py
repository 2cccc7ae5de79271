"""What the nights did: one line a run, or one run in full."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from batch.columns import columns
from batch.exits import Exit, NotDoneError
from batch.records import moments
from batch.records.ledger import Ledger, Run
from batch.reporting import summary
from logformat import entry, printable
from settings import addresses_in

OUTCOMES: dict[int | None, str] = {
    Exit.ALL_SWEPT: "done",
    Exit.FAILED: "NOT DONE",
    Exit.USAGE: "wrong setting",
    Exit.FAILED_PHOTOS: "done, some failed",
    Exit.LOCKED: "locked out",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "interrupted",
    None: "unfinished",
}


REMEMBERED = 120
"""Days that are looked back on to know what is usual: some thirty, or sixty, nights with photos are among them."""


class NoSuchRunError(NotDoneError):
    """There is no such run; the message says which there are."""

    code = Exit.USAGE


def find_run(ledger: Ledger, run_id: str) -> Run:
    """The run with this id, or for `last` the one that started last, whatever became of it.

    Raises:
        NoSuchRunError: there is none.
    """
    newest = ledger.last_run()
    if newest is None:
        raise NoSuchRunError("no night has run yet, so there is nothing to show.")
    if run_id in ("last", newest.run_id):
        return newest
    for run in ledger.runs():
        if run.run_id == run_id:
            return run
    raise NoSuchRunError(
        f"there is no run {run_id}. The last one is {newest.run_id}. `python -m batch history` lists them."
    )


def as_table(runs: list[Run]) -> str:
    """One line a run, the newest last.

    The share for review is that of the predicted photos.
    """
    header = (
        "run", "started", "took", "outcome", "swept", "processed", "review", "failed", "duplicates", "release",
    )  # fmt: skip
    lines = [header, *(_line(run) for run in runs)]
    numbers = {"took", "swept", "processed", "review", "failed", "duplicates"}
    right = [place for place, name in enumerate(header) if name in numbers]
    return "\n".join(entry(line) for line in columns(lines, right))


def as_json(runs: list[Run]) -> str:
    """The same, whole, for programs."""
    whole = [asdict(run) | {"settings": settings_used(run.settings)} for run in runs]
    return printable(json.dumps(whole, indent=2, ensure_ascii=False))


def in_full(ledger: Ledger, run: Run) -> str:
    """One run: when, how it went, what it saw, which photos failed, what became of it since."""
    seen = summary.from_json(run.summary)
    parts = [
        f"Run {run.run_id}: {OUTCOMES.get(run.exit_code, str(run.exit_code))}",
        f"  started {moments.shown(run.started_at)}, ended {moments.shown(run.finished_at) or '-'}, "
        f"{run.seconds:.1f} s of sorting, release {run.model_version or '-'}",
    ]
    if run.message:
        parts.append(f"  {run.message}")
    parts.append("  " + ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in run.counts.items()))
    parts += _block("Categories", seen.subs)
    parts += _block("Why a person decides", seen.reasons)
    parts += _block("Other doubts", seen.doubts)
    parts += _block("Failures", seen.errors)
    failed = [
        f"{row.file_name}: {row.error}"
        for row in ledger.filed_rows(run_id=run.run_id)
        if row.status == "failed"
    ]
    if failed:
        parts += ["", "Failed photos", *(f"  {line}" for line in failed[:50])]
        if len(failed) > 50:
            parts.append(f"  and {len(failed) - 50} more; predictions/{run.run_id}.csv has all")
    words = {
        "requeue": "put back into incoming",
        "archive": "archived",
        "delete": "deleted",
        "decide": "decided by people",
        "by hand": "moved by hand",
    }
    parts += _block("Since then", {words[name]: n for name, n in ledger.acts_on_run(run.run_id).items()})
    parts += _block("Settings", settings_used(run.settings))
    return "\n".join(map(entry, parts))


NEEDED = {
    "PING_FAILED_PHOTOS": "PING_URL",
    "NOTIFY_WHEN": "NOTIFY_URLS",
}
"""Settings that mean nothing without another one."""


def settings_used(settings: Mapping[str, str]) -> dict[str, str]:
    """Of the settings that a run was told, those that it had a use for.

    >>> settings_used({"NOTIFY_WHEN": "always", "API_URL": "http://gpu:5000", "MODEL_DIR": "model/releases"})
    {'API_URL': 'http://gpu:5000'}
    """
    unused = {name for name, needed in NEEDED.items() if needed not in settings}
    if "API_URL" in settings:  # that server has a release of its own
        unused.add("MODEL_DIR")
    addresses = addresses_in(settings.get("API_URL", ""))
    if addresses and all("@" in address for address in addresses):
        unused.add("API_TOKEN")  # user and password are sent in its place
    return {name: value for name, value in settings.items() if name not in unused}


def took(run: Run) -> str:
    """How long a run was at work, from its start to its end: `4 s`, `3 min`, `2 h 05`."""
    if not run.finished_at:
        return "-"
    seconds = int((moments.local(run.finished_at) - moments.local(run.started_at)).total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02}"


def _line(run: Run) -> tuple[str, ...]:
    seen = summary.from_json(run.summary)
    review = f"{run.counts.get('review', 0)}"
    if seen.predicted:
        review += f" ({seen.review_share:.0%})"
    return (
        run.run_id,
        moments.shown(run.started_at),
        took(run),
        OUTCOMES.get(run.exit_code, str(run.exit_code)),
        str(run.counts.get("swept", 0)),
        str(run.counts.get("processed", 0)),
        review,
        str(run.counts.get("failed", 0)),
        str(run.counts.get("duplicate", 0)),
        run.model_version or "-",
    )


def _block(title: str, counts: dict[str, int] | dict[str, str]) -> list[str]:
    if not counts:
        return []
    width = max(map(len, counts))
    return ["", title, *(f"  {name.ljust(width)}  {value}" for name, value in counts.items())]
