"""How long a page and a decision take with a full ledger, and what the night pays for it.

    python -m benchmarks.decisions                 1,000,000 rows, 100,000 of them waiting
    python -m benchmarks.decisions --inserts       only what the night writes: photos/s and bytes a row

Pages are asked for at their beginning and at the last of the first 20,000 pages that there is; decisions move real
files, from a folder with as many files beside them as `--beside` says. The figures are milliseconds: median, 95th
percentile, slowest.
"""

import argparse
import hashlib
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from batch.decisions import audit, desk, leases, listing, queue, story
from batch.decisions.listing import Selection
from batch.decisions.queue import Filter, Page, Sort
from batch.files.data_folder import adopt
from batch.records.ledger import Ledger, Row, Run
from batch.records.verdict import Verdict, verdict_of
from batch.settings import BatchSettings
from settings import load

SUBS = {
    "dress": "onepiece", "hat": "headwear", "longsleeve": "upperwear", "outwear": "upperwear", "pants": "bottomwear",
    "shirt": "upperwear", "shoes": "footwear", "shorts": "bottomwear", "skirt": "bottomwear", "t-shirt": "upperwear",
}  # fmt: skip
RUNS, ORDERS, PAGE, FAR = 100, 2000, 24, 20_000

REASONS = (
    "sub category unsure (0.41 < 0.91)",
    "main category unsure (0.60 < 0.85), sub category unsure (0.41 < 0.91)",
    "two kinds equally likely (shirt 41 % or t-shirt 40 %)",
    "may show no clothing (62 %)",
    "unlike the photos it learned from",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument(
        "--beside", type=int, default=1000, help="files in the folder that photos are decided out of"
    )
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--inserts", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as scratch:
        data = Path(scratch)
        if chosen.inserts:
            inserts(data, 20_000)
            return
        settings = load(BatchSettings, data_dir=data, log_dir=data / "logs", model_dir=data / "releases")
        started = time.perf_counter()
        with Ledger(settings.ledger_path) as ledger:
            adopt(settings, ledger)
        fill(settings.ledger_path, chosen.rows)
        print(f"{chosen.rows:,} rows in {time.perf_counter() - started:.0f} s, "
              f"{settings.ledger_path.stat().st_size / chosen.rows:.0f} bytes a row", flush=True)  # fmt: skip
        with Ledger(settings.ledger_path) as ledger:
            for name, ask in pages(ledger):
                _say(name, [_timed(ask) for _ in range(chosen.repeats)])
            photos(settings, ledger, chosen.decisions, chosen.beside)
            decisions(settings, ledger, chosen.decisions)


def fill(path: Path, number: int) -> None:
    """Rows as nights leave them: every tenth waits, every hundredth is of the audit, some are failed."""
    db = sqlite3.connect(path)
    db.create_function("sub_of", 1, lambda n: _sub(n), deterministic=True)
    db.create_function("main_of", 1, lambda n: SUBS[_sub(n)], deterministic=True)
    db.create_function("reason", 1, lambda n: REASONS[n // 10 % len(REASONS)], deterministic=True)
    db.create_function("digest", 1, lambda n: hashlib.sha256(str(n).encode()).hexdigest(), deterministic=True)
    columns: dict[str, object] = {
        name: value for name, value in vars(Row("")).items() if name in _columns(db)
    }
    made = {
        "file_name": "'order ' || (n % :orders) || '/IMG_' || n || '.jpg'",
        "order": "'order ' || (n % :orders)",
        "main_category": "main_of(n)",
        "sub_category": "sub_of(n)",
        "sub_category_probability": "(n * 7907 % 10000) / 10000.0",
        "main_category_probability": "0.9",
        "background_quality": "'acceptable'",
        "colour": "'red'",
        "needs_review": "n % 10 = 0",
        "status": "CASE WHEN n % 10 = 0 THEN 'review' WHEN n % 1000 = 1 THEN 'failed' ELSE 'processed' END",
        "review_reason": "CASE WHEN n % 10 = 0 THEN reason(n) WHEN n % 100 = 7 THEN 'audit' ELSE '' END",
        "moved_to": "CASE WHEN n % 10 = 0 THEN 'review' WHEN n % 1000 = 1 THEN 'failed'"
        " ELSE 'processed/' || main_of(n) || '/' || sub_of(n) END || '/order ' || (n % :orders) || '/IMG_' || n || '.jpg'",
        "sha256": "digest(n)",
        "run_id": "printf('202611%02dT%06dZ', 1 + n * :runs / :number / 10, 20000 + n * :runs / :number % 10)",
        "processed_at": "'2026-11-01T02:00:00Z'",
        "model_version": "'2026-11-25-1'",
        "probabilities": ":probabilities",
        "measures": '\'{"seconds":0.0123,"brightness":123.4,"contrast":56.7}\'',
        "source": "CAST('order ' || (n % :orders) || '/IMG_' || n || '.jpg' AS BLOB)",
        "filed": "1",
    }
    values = {f"d_{name}": value for name, value in columns.items() if name not in made}
    names = [*made, *(name for name in columns if name not in made)]
    expressions = [*made.values(), *(f":d_{name}" for name in columns if name not in made)]
    given = {"number": number, "orders": ORDERS, "runs": RUNS, "probabilities": _probabilities(), **values}
    with db:
        db.execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :number)"
            f" INSERT INTO photos ({', '.join(json.dumps(name) for name in names)})"
            f" SELECT {', '.join(expressions)} FROM numbers",
            given,
        )
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def pages(ledger: Ledger) -> Iterator[tuple[str, Callable[[], object]]]:
    """What pages ask for: a name, and a call that is to be timed."""
    (last_run,) = ledger.read("SELECT max(run_id) FROM photos")[0]
    found = queue.counts(ledger)
    order, kind = next(iter(found.orders)), next(iter(found.doubts))
    filters = {
        "all": Filter(),
        "run": Filter(run=last_run),
        "order": Filter(order=order),
        "category": Filter(main="upperwear", sub="t-shirt"),
        "doubt": Filter(doubt=kind),
        "unsure": Filter(below=0.01),
        "run, category, doubt": Filter(run=last_run, main="upperwear", sub="t-shirt", doubt=kind),
        "nothing fits": Filter(order="no such order", doubt="no such doubt"),
    }
    yield "counters", lambda: queue.counts(ledger)
    for sort in Sort:
        for name, chosen in filters.items():
            yield f"waiting: {name}, {sort}", _page(queue.waiting, ledger, chosen, sort, "")
            if key := _far(ledger, queue.waiting, chosen, sort):
                yield f"waiting: {name}, {sort}, far", _page(queue.waiting, ledger, chosen, sort, key)
    selections = {
        "a run": Selection(Filter(run=last_run)),
        "a run's failed": Selection(Filter(run=last_run), status="failed"),
        "a run's category": Selection(Filter(run=last_run, main="upperwear", sub="t-shirt")),
        "a run's audit": Selection(Filter(run=last_run), audit=True),
        "a run's order": Selection(Filter(run=last_run, order=order)),
        "all failed": Selection(status="failed"),
        "all decided": Selection(decided=True),
        "an order": Selection(Filter(order=order)),
        "everything": Selection(),
    }
    for name, selection in selections.items():
        for sort in listing.sorts(selection):
            yield f"photos: {name}, {sort}", _page(listing.photos, ledger, selection, sort, "")
            if key := _far(ledger, listing.photos, selection, sort):
                yield f"photos: {name}, {sort}, far", _page(listing.photos, ledger, selection, sort, key)
    for text in (
        "IMG_12",
        "order 17/IMG_",
        "order 17",
        hashlib.sha256(b"4711").hexdigest()[:12],
        "no such photo",
    ):
        yield f"search: {text}", partial(listing.search, ledger, text)
    yield "a photo's story", lambda: story.of_photo(ledger, random.randrange(1, 1000))
    yield "photos for the audit", lambda: audit.take(ledger, "tab", by="ada", limit=10)
    yield "photos for review, leased", lambda: leases.take(ledger, "tab", Filter(), Sort.DOUBTFUL, limit=10)


def _page(
    ask: Callable[..., Page], ledger: Ledger, chosen: object, sort: Sort, after: str
) -> Callable[[], Page]:
    return lambda: ask(ledger, chosen, sort, after=after, limit=PAGE)


def _far(ledger: Ledger, ask: Callable[..., Page], chosen: object, sort: Sort) -> str:
    """The key of the last full page, at most of the 20,000th; found in large steps."""
    after, left = "", PAGE * FAR
    while left > 0:
        page = ask(ledger, chosen, sort, after=after, limit=min(left, 20_000))
        if not page.after:
            return after
        after, left = page.after, left - 20_000
    return after


def photos(settings: BatchSettings, ledger: Ledger, number: int, beside: int) -> None:
    """Real files for some of those that wait, and others that lie beside them."""
    folder = settings.data_dir / "review" / "a full folder"
    folder.mkdir(parents=True)
    for n in range(beside):
        (folder / f"beside {n}.jpg").touch()
    with ledger.transaction() as db:
        for n, (photo_id,) in enumerate(
            db.execute("SELECT id FROM waiting ORDER BY id LIMIT ?", (number,)).fetchall()
        ):
            content = b"\xff\xd8\xff" + os.urandom(200_000)
            place = f"review/a full folder/{n}.jpg"
            (settings.data_dir / place).write_bytes(content)
            db.execute(
                "UPDATE photos SET moved_to = ?, sha256 = ?, size = ?, source = ? WHERE id = ?",
                (
                    place,
                    hashlib.sha256(content).hexdigest(),
                    len(content),
                    f"a full folder/{n}.jpg".encode(),
                    photo_id,
                ),
            )


def decisions(settings: BatchSettings, ledger: Ledger, number: int) -> None:
    """Decide on them, take half of that back, and accept the rest by pages of a grid."""
    rows = list(ledger.rows("SELECT * FROM photos WHERE moved_to GLOB 'review/a full folder/*'"))
    third = len(rows) // 3
    taken, receipts = [], []
    for row in rows[:third]:
        verdict = verdict_of(row) if random.random() < 0.8 else Verdict(main="footwear", sub="shoes")
        started = time.perf_counter()
        receipts.append(desk.decide(settings, ledger, row.id or 0, verdict, by="ada").receipt)
        taken.append(time.perf_counter() - started)
    _say("a decision", taken)
    _say(
        "taking one back",
        [_timed(partial(desk.undo, settings, ledger, r, by="ada")) for r in receipts[::-1]],
    )
    grids = [rows[first : first + PAGE] for first in range(third, len(rows) - PAGE, PAGE)]
    _say(
        f"a grid of {PAGE}",
        [
            _timed(
                partial(
                    desk.decide_all,
                    settings,
                    ledger,
                    [(row.id or 0, verdict_of(row)) for row in grid],
                    by="ada",
                )
            )
            for grid in grids
        ],
    )


def inserts(data: Path, number: int) -> None:
    """What a night writes: 64 photos at a time, recorded and then marked as filed."""
    chance = random.Random(1)
    with Ledger(data / "ledger.sqlite3") as ledger:
        ledger.start_run(Run("20261125T020000Z", "2026-11-25T02:00:00Z"))
        seconds, filed = 0.0, list[int]()
        for first in range(0, number, 64):
            rows = [_row(n, chance) for n in range(first, first + 64)]
            started = time.perf_counter()
            ledger.record(rows, filed=filed)
            seconds += time.perf_counter() - started
            filed = [row.id or 0 for row in rows]
        ledger.record([], filed=filed)
    size = (data / "ledger.sqlite3").stat().st_size
    print(f"{number / seconds:.0f} rows/s, {size / number:.0f} bytes a row")


def _row(n: int, chance: random.Random) -> Row:
    sub = chance.choice(list(SUBS))
    doubt, name = n % 10 == 0, f"order {n // 50}/IMG_{n}.jpg"
    return Row(
        file_name=name, order=f"order {n // 50}", source=name.encode(), size=2_000_000 + n, mtime_ns=n,
        main_category=SUBS[sub], sub_category=sub, main_category_probability=0.95, sub_category_probability=0.9,
        background_quality="acceptable", background_quality_probability=0.8, colour="red", colour_probability=0.7,
        needs_review=doubt, review_reason=REASONS[n // 10 % 5] if doubt else "audit" if n % 100 == 7 else "",
        status="review" if doubt else "processed",
        moved_to=f"review/{name}" if doubt else f"processed/{SUBS[sub]}/{sub}/{name}",
        sha256=hashlib.sha256(str(n).encode()).hexdigest(), run_id="20261125T020000Z",
        processed_at="2026-11-25T02:00:00Z", model_version="2026-11-25-1", probabilities=_probabilities(),
        measures='{"seconds":0.0123,"brightness":123.4,"contrast":56.7}',
    )  # fmt: skip


def _probabilities() -> str:
    heads = {
        "main": sorted(set(SUBS.values())),
        "sub": list(SUBS),
        "background": ["acceptable", "unacceptable"],
    }
    heads["colour"] = [f"colour {n}" for n in range(13)]
    known = {head: dict.fromkeys(names, 0.012345) for head, names in heads.items()}
    return json.dumps(known, separators=(",", ":"))


def _sub(n: int) -> str:
    return list(SUBS)[(n // 10 * 7 + n) % len(SUBS)]


def _columns(db: sqlite3.Connection) -> set[str]:
    return {str(column[1]) for column in db.execute("PRAGMA table_info(photos)")}


def _timed(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def _say(name: str, seconds: list[float]) -> None:
    taken = sorted(1000 * value for value in seconds)
    p95 = taken[min(len(taken) - 1, int(0.95 * len(taken)))]
    print(f"{name:<52} {statistics.median(taken):8.1f} {p95:8.1f} {taken[-1]:8.1f}", flush=True)


if __name__ == "__main__":
    main()
