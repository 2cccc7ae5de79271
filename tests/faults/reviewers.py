"""Reviewers beside a night, and killed while they decide: nothing is lost, and no photo is decided twice.

    python -m tests.faults.reviewers --reviewers 8 --photos 2000 --night 10000 --kills 100

Each reviewer is a process that takes photos from the queue, decides on them, takes some decisions back and walks away
from others. Meanwhile a night sorts more photos, and reviewers are killed, at the boundaries of what a decision does or at
random moments, each at once replaced by another one. What each was told to have done is written down by itself; at the
end all of it has to be true. Exits with 1 when something is not.
"""

import argparse
import contextlib
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batch.decisions import desk, leases, queue
from batch.decisions.desk import AlreadyDecidedError, BusyError, GoneError
from batch.night import run, sweep
from batch.records.ledger import Ledger
from batch.records.verdict import Verdict, verdict_of
from batch.settings import BatchSettings
from batch.upkeep import withdraw
from tests.fake_sidecar import MAIN_OF, photo
from tests.faults import kills
from tests.faults.dying import DESK_STEPS, Moment, die_at
from tests.faults.promises import Dropped, broken_promises, checksum

LEASE_SECONDS = 1.0
"""Short, so that photos that a dead reviewer looked at come back within the campaign."""

STALLED_SECONDS = 120
"""A campaign in which nothing happens for so long has lost something."""

BETWEEN: tuple[str, Moment] = ("move a decided photo", "before")

SHARE_AT_STEPS = 0.7
"""How many of the kills come at a step's boundary; the others come at random moments."""


@dataclass
class Figures:
    """What the campaign did and found."""

    kills: Counter[str] = field(default_factory=Counter)
    decided: int = 0
    undone: int = 0
    late: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return (
            f"{self.decided} decisions ({self.undone} taken back, {self.late} too late), {self.kills.total()} kills "
            f"({kinds}); problems {len(self.problems)}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.reviewers", description=__doc__)
    parser.add_argument("--reviewers", type=int, default=8)
    parser.add_argument("--photos", type=int, default=2000, help="that wait when they begin")
    parser.add_argument("--night", type=int, default=0, help="photos of a night beside them")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument(
        "--between",
        action="store_true",
        help="all kills after a decision is written down and before its photo moves",
    )
    parser.add_argument(
        "--requeue", action="store_true", help="put some back meanwhile, once the night is over"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with kills._fake_sidecar() as url, tempfile.TemporaryDirectory() as scratch:
        figures = campaign(Path(scratch), url, given)
    print(figures)
    for problem in figures.problems[:20]:
        print(problem)
    return 1 if figures.problems else 0


def campaign(folder: Path, url: str, given: argparse.Namespace) -> Figures:
    """Fill a data folder, let them decide, and look at what is left."""
    chance = random.Random(given.seed)
    settings = kills._settings(folder, url)
    settings.make_folders()
    dropped = Dropped()
    for number in range(given.photos):
        _drop(settings, f"wait {number}.jpg", photo(f"wait {number}", sub=_sub(chance), doubt=True), dropped)
    assert kills._wait(kills._forked(folder, lambda: run.night(settings))) == 0
    for number in range(given.night):
        doubt = chance.random() < 0.1
        _drop(
            settings, f"night {number}.jpg", photo(f"night {number}", sub=_sub(chance), doubt=doubt), dropped
        )
    figures = Figures()
    _let_them_decide(folder, settings, given, chance, figures)
    dropped.csv_may_lag = True
    code = kills._wait(kills._forked(folder, lambda: run.night(settings)))
    if code:
        figures.problems.append(
            f"the last night ended with {code}: {(folder / 'night.log').read_text()[-2000:]}"
        )
    figures.problems += broken_promises(settings.data_dir, dropped, at_rest=True)
    figures.problems += _untrue(settings, folder, figures)
    return figures


def _drop(settings: BatchSettings, name: str, content: bytes, dropped: Dropped) -> None:
    (settings.incoming / name).write_bytes(content)
    dropped.photos[checksum(content)] += 1


def _moment(chance: random.Random) -> Moment:
    return chance.choice(("before", "after"))


def _sub(chance: random.Random) -> str:
    return chance.choice(list(MAIN_OF))


def _let_them_decide(
    folder: Path, settings: BatchSettings, given: argparse.Namespace, chance: random.Random, figures: Figures
) -> None:
    """Reviewers until nothing waits any more; a night and a command beside them."""
    night = kills._forked(folder, lambda: _night(settings)) if given.night else 0
    alive: dict[int, str] = {}
    """How each will have died, if it does."""
    born, is_over = 0, not night

    def start() -> None:
        nonlocal born
        name = f"person {born % given.reviewers}"
        at_step = figures.kills.total() < given.kills and (given.between or chance.random() < SHARE_AT_STEPS)
        step = (chance.choice(list(DESK_STEPS)), _moment(chance)) if at_step else None
        if step and given.between:
            step = BETWEEN
        count, seed = 1 + int(chance.expovariate(1 / 6)), chance.random()
        journal = folder / f"journal-{born}"
        child = kills._forked(folder, lambda: _review(settings, journal, name, seed, step, count))
        alive[child] = f"{step[1]} “{step[0]}”" if step else "at a random moment"
        born += 1

    progress, stalled = (-1, -1), time.monotonic()
    while True:
        while len(alive) < given.reviewers:
            start()
        if figures.kills.total() < given.kills and not given.between and chance.random() < 1 - SHARE_AT_STEPS:
            time.sleep(chance.uniform(0.05, 0.4))
            victim = chance.choice(list(alive))
            alive[victim] = "at a random moment"
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        time.sleep(0.05)
        for child, code in _ended(alive):
            how = alive.pop(child)
            if code == -signal.SIGKILL:
                figures.kills[how] += 1
            elif code:
                figures.problems.append(
                    f"a reviewer ended with {code}: {(folder / 'night.log').read_text()[-2000:]}"
                )
                return
        if night and not is_over and os.waitpid(night, os.WNOHANG)[0]:
            is_over = True
            if given.requeue:
                assert kills._wait(kills._forked(folder, lambda: _put_some_back(settings))) == 0
        with Ledger(settings.ledger_path, look=True) as ledger:
            left, decided = queue.counts(ledger).total, len(ledger.acts("action = 'decide'"))
        if (left, decided) != progress:
            progress, stalled = (left, decided), time.monotonic()
        elif time.monotonic() - stalled > STALLED_SECONDS:
            figures.problems.append(f"nothing happens any more, and {left} photos wait")
            break
        if is_over and not left and figures.kills.total() >= given.kills:
            break
        if is_over and not left:  # too few photos for so many kills: those decided wait again
            _let_them_wait_again(settings)
    for child in alive:
        os.kill(child, signal.SIGTERM)
        kills._wait(child)


def _ended(alive: dict[int, str]) -> list[tuple[int, int]]:
    found = []
    for child in alive:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            found.append((child, os.waitstatus_to_exitcode(status)))
    return found


def _night(settings: BatchSettings) -> int:
    sweep.PHOTOS_PER_REQUEST = 16  # more writers' turns
    return run.night(settings)


def _put_some_back(settings: BatchSettings) -> int:
    with Ledger(settings.ledger_path) as ledger:
        withdraw.AT_ONCE = 10
        numbers = [row.id for row in ledger.matching("decision = '' AND id % 7 = 3")]
        withdraw._do(settings, ledger, iter([
            withdraw._plan("requeue", row, f"incoming/{row.file_name}")
            for row in ledger.matching(f"id IN ({', '.join(map(str, numbers)) or 0})")
        ]))  # fmt: skip
    return 0


def _let_them_wait_again(settings: BatchSettings) -> None:
    """Take every decision back, each by who made it."""
    with Ledger(settings.ledger_path) as ledger:
        for act in ledger.acts("action = 'decide' AND NOT undone"):
            with contextlib.suppress(BusyError, AlreadyDecidedError, GoneError):
                desk.undo(settings, ledger, str(act.id), by=act.person)


def _review(
    settings: BatchSettings,
    journal: Path,
    name: str,
    seed: float,
    step: tuple[str, Moment] | None,
    count: int,
) -> int:
    """One reviewer's work, until it is ended; a line for each thing that it was told to be done."""
    leases.SECONDS = LEASE_SECONDS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    chance = random.Random(seed)
    with journal.open("a", buffering=1) as told, Ledger(settings.ledger_path) as ledger:
        desk.recover(settings, ledger)
        if step:
            die_at(step[0], step[1], count)
        while True:
            page = leases.take(ledger, secrets.token_hex(4), queue.Filter(), queue.Sort.DOUBTFUL, limit=3)
            if not page.photos:
                time.sleep(0.05)
            for row in page.photos:
                if chance.random() < 0.03:  # walks away
                    break
                if chance.random() < 0.05 and (receipt := desk.newest(ledger, name)):
                    with contextlib.suppress(AlreadyDecidedError, GoneError, desk.CannotDecideError):
                        desk.undo(settings, ledger, receipt, by=name)
                        told.write(f"undone {receipt}\n")
                try:
                    done = desk.decide(
                        settings, ledger, row.id or 0, _verdict(verdict_of(row), chance), by=name
                    )
                    told.write(f"decided {done.receipt}\n")
                except AlreadyDecidedError:
                    told.write("late 0\n")
                except (BusyError, GoneError) as error:
                    told.write(f"not {error}\n")


def _verdict(models: Verdict, chance: random.Random) -> Verdict:
    if chance.random() < 0.8:
        return models
    if chance.random() < 0.2:
        return Verdict(no_clothing=True)
    if chance.random() < 0.2:
        return Verdict(cannot_tell=True)
    sub = _sub(chance)
    return Verdict(main=MAIN_OF[sub], sub=sub)


def _untrue(settings: BatchSettings, folder: Path, figures: Figures) -> Iterator[str]:
    """What reviewers were told, and is not so."""
    told = Counter[tuple[str, str]]()
    for journal in folder.glob("journal-*"):
        for line in journal.read_text().splitlines():
            what, _, receipt = line.partition(" ")
            told[what, receipt] += 1
    figures.decided = sum(n for (what, _), n in told.items() if what == "decided")
    figures.undone = sum(n for (what, _), n in told.items() if what == "undone")
    figures.late = sum(n for (what, _), n in told.items() if what == "late")
    with Ledger(settings.ledger_path) as ledger:
        acts = {str(act.id): act for act in ledger.acts("action IN ('decide', 'undo')")}
        rows = {row.id: row for row in ledger.all_rows()}
        for what, receipt in told:
            if what == "decided" and receipt not in acts:
                yield f"DECISION LOST: {receipt}"
            if what == "undone" and not acts[receipt].undone:
                yield f"UNDONE DECISION COUNTS: {receipt}"
        standing = Counter(act.photo_id for act in acts.values() if act.action == "decide" and not act.undone)
        yield from (f"DECIDED TWICE: photo {number}" for number, count in standing.items() if count > 1)
        for act in acts.values():
            if act.action == "decide" and not act.undone:
                row = rows[act.photo_id]
                if any(
                    getattr(row, name) != value
                    for name, value in act.became.items()
                    if name != "duplicate_of"
                ):
                    yield f"ROW IS NOT AS DECIDED: {row.file_name}"
        yield from (f"PLAN LEFT: {act.source}" for act in ledger.unfinished_acts())
        if ledger.queue_is_wrong():
            yield "THE QUEUE IS NOT WHAT THE ROWS SAY"
        for row in rows.values():
            if row.decision and not row.superseded and standing[row.id or 0] != 1:
                yield f"DECIDED BY NOBODY: {row.file_name}"
    movers = settings.ledger_path.parent / ".nightsort-movers"
    yield from (f"LOCK LEFT: {path.name}" for path in movers.iterdir())


if __name__ == "__main__":
    sys.exit(main())
