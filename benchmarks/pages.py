"""How long each page takes on the server with a full ledger: 1,000,000 rows, 100,000 of them waiting.

    python -m benchmarks.pages
    python -m benchmarks.pages --rows 100000

Lists are asked for at their beginning and at the last of the first 20,000 pages that there is. The figures are
milliseconds: median, 95th percentile, slowest.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from batch.decisions import listing, queue
from batch.decisions.listing import Selection
from batch.decisions.queue import Filter, Sort
from batch.files.data_folder import adopt
from batch.pages import create_app
from batch.records.ledger import Ledger, Run
from batch.settings import BatchSettings
from benchmarks.decisions import _far, _say, _timed, fill
from settings import load

TAB = "tab-of-a-benchmark"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as scratch:
        settings = load(
            BatchSettings, data_dir=Path(scratch), log_dir=Path(scratch) / "logs", ledger=None, pages_url=None
        )
        with Ledger(settings.ledger_path) as ledger:
            adopt(settings, ledger)
        fill(settings.ledger_path, chosen.rows)
        client = create_app(settings).test_client()
        ask = partial(client.get, headers={"Host": f"{settings.pages_host}:{settings.pages_port}"})
        with Ledger(settings.ledger_path) as ledger:
            addresses = list(_addresses(ledger))
        for name, address in addresses:
            reply: Any = ask(address)
            assert reply.status_code == 200, (name, reply.status_code)
            _say(name, [_timed(partial(ask, address)) for _ in range(chosen.repeats)])


def _addresses(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """What is asked for: a name, and its address."""
    (run_id,) = ledger.read("SELECT max(run_id) FROM photos")[0]
    ledger.start_run(Run(run_id, "2026-11-10T02:00:00Z", "2026-11-10T03:00:00Z", 0, counts={"swept": 10_000}))
    order = ledger.read("SELECT \"order\" FROM photos WHERE status = 'review' LIMIT 1")[0][0]
    by_time = _far(ledger, listing.photos, Selection(), Sort.NEWEST)
    waiting = _far(ledger, queue.waiting, Filter(), Sort.DOUBTFUL)
    yield "last night", "/"
    yield "review, one by one", "/review"
    yield "review, many at once", "/review/grid"
    yield "review, of one order", f"/review?{urlencode({'order': order})}"
    yield "audit", "/review/audit"
    yield "the next photos", f"/review/photos?tab={TAB}"
    yield "the next photos, far down", f"/review/photos?{urlencode({'tab': TAB, 'after': waiting})}"
    yield "the next grid", f"/review/alike?tab={TAB}"
    yield "the next of the audit", f"/review/unseen?tab={TAB}"
    yield "runs", "/runs"
    yield "a run", f"/runs/{run_id}"
    yield "a run, least sure first", f"/runs/{run_id}?sort=doubtful"
    yield "a run, one category", f"/runs/{run_id}?sub=pants&status=processed"
    yield "all photos, page 20,000", f"/runs/all?{urlencode({'after': by_time})}"
    yield "a photo", "/photos/77"
    yield "find a name", "/find?find=IMG_777"
    yield "find an order", f"/find?{urlencode({'find': order})}"
    yield "find nothing", "/find?find=zzzz"
    yield "failed", "/failed"


if __name__ == "__main__":
    main()
