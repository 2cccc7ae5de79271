"""What people should know first and do next: a sentence and a list, the same in the report and in messages."""

from collections.abc import Iterator
from dataclasses import dataclass

from batch.exits import is_good
from batch.records.ledger import Run
from batch.reporting.summary import Summary


@dataclass(frozen=True)
class Task:
    """One thing to do: `text` says what, `folder` (below `DATA_DIR`) where, `section` where the report shows it."""

    text: str
    folder: str = ""
    section: str = ""


def sentence(seen: Summary, too_young: int = 0, *, is_done: bool = True) -> str:
    """What a night, or several, came to; `too_young` photos were not ready yet, `is_done` unless it went wrong.

    >>> sentence(Summary(statuses={"processed": 147, "review": 40, "failed": 4, "duplicate": 1}))
    '192 files: 147 filed, 40 to review (21 %), 4 unreadable, 1 duplicate.'
    """
    if not seen.swept and not is_done:
        return "No photo was sorted."
    if not seen.swept:
        return "No photo was ready to be sorted." if too_young else "No photos lay in incoming."
    count = seen.statuses.get
    parts = [f"{count('processed', 0):,} filed"]
    if seen.predicted:
        parts.append(f"{count('review', 0):,} to review ({100 * seen.review_share:.0f} %)")
    if count("failed"):
        parts.append(f"{count('failed', 0):,} unreadable")
    if count("duplicate"):
        parts.append(counted(count("duplicate", 0), "duplicate"))
    return f"{counted(seen.swept, 'file')}: {', '.join(parts)}."


def tasks(*, review: int, earlier: int, failed: int, audit: int, counts: dict[str, int]) -> Iterator[Task]:
    """What is to be done after a night.

    `review` photos of it wait for a person and `earlier` ones of other nights, `failed` could not be read, `audit`
    were filed and marked to be checked; `counts` are the run's.
    """
    if review:
        yield Task(f"{review:,} to decide", "review", "review")
    if failed:
        yield Task(f"{failed:,} to photograph or send again", "failed", "failed")
    if earlier:
        yield Task(f"{earlier:,} still waiting from {'other' if review else 'earlier'} nights", "review")
    if audit:
        yield Task(f"{audit:,} of the filed ones to check: `audit` in the CSV")
    if counts.get("left_behind"):
        count = counted(counts["left_behind"], "file")
        yield Task(f"{count} could not be read or moved: `python -m batch logs last` says why", "incoming")
    if counts.get("too_young"):
        yield Task(f"{counts['too_young']:,} were just added: the next run sorts them", "incoming")


def safe(run: Run, in_incoming: int | None) -> str:
    """What became of the photos of a night that could not do its work, and what to do.

    `in_incoming` is None when nobody knows any more.
    """
    if is_good(run.exit_code):
        return ""
    if in_incoming is None:
        return "What it did not sort stayed in incoming, and later runs went on with it."
    if not in_incoming:
        return "No photo was left behind: incoming is empty."
    photos = "1 photo is" if in_incoming == 1 else f"{in_incoming:,} photos are"
    return (
        f"{photos} safe in incoming; the next run sorts them. `python -m batch logs last` shows what happened, "
        "`./full_batch.sh` starts a run now."
    )


def counted(count: int, noun: str) -> str:
    """A number and what it counts: `1 photo`, `1,200 photos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
