"""Whether it stays as fast and as small when there is much of everything.

    python -m benchmarks.scale                 100,000 small photos waiting, 1,000,000 rows in the ledger

The photos are of 64 × 64 pixels, so that the plumbing counts more than the decoder.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from PIL import Image

from batch.files.data_folder import adopt
from batch.records.ledger import Ledger, Row, Run
from batch.settings import BatchSettings
from settings import ROOT, load

ROWS_AT_ONCE = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=1_000, help="photos and rows of the small night")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as scratch:
        print(
            f"{'waiting':>9} {'in the ledger':>13} {'photos/s':>9} {'nothing to do':>13} {'MB batch':>9} {'MB sidecar':>10}"
        )
        for photos, rows in (
            (chosen.few, chosen.few),
            (chosen.few, chosen.rows),
            (chosen.photos, chosen.rows),
        ):
            data = Path(scratch) / f"{photos}-{rows}"
            _fill_ledger(data, rows)
            night(data, 1)  # writes the CSV of the rows that were there
            rate, batch, sidecar = night(data, photos)
            idle = _idle(data)
            print(f"{photos:9,} {rows:13,} {rate:9.0f} {idle:11.1f} s {batch:>9} {sidecar:>10}", flush=True)
            shutil.rmtree(data)


def night(data: Path, photos: int) -> tuple[float, str, str]:
    """A night on so many photos: photos per second, and the memory of batch and sidecar, early and late."""
    _fill_incoming(data / "incoming", photos)
    process = subprocess.Popen(_COMMAND, cwd=ROOT, env=_environment(data), stdout=subprocess.DEVNULL)
    memory = _Memory(process.pid)
    process.wait()
    with Ledger(data / "ledger.sqlite3") as ledger:
        run = ledger.runs()[-1]
    assert run.counts["swept"] == photos, run
    return run.counts["swept"] / run.seconds, memory.of("batch"), memory.of("sidecar")


class _Memory:
    """The proportional set size of the night's processes, every second."""

    def __init__(self, pid: int) -> None:
        self._found: dict[str, list[float]] = {"batch": [], "sidecar": []}
        self._pid = pid
        threading.Thread(target=self._watch, daemon=True).start()

    def of(self, name: str) -> str:
        """What it was after a tenth of the time, and at most later."""
        values = self._found[name]
        return f"{values[len(values) // 10]:.0f}-{max(values[len(values) // 10 :]):.0f}" if values else "-"

    def _watch(self) -> None:
        try:
            batch = psutil.Process(self._pid)
            while True:
                children = batch.children(recursive=True)
                self._found["batch"].append(_pss([batch]))
                if len(children) > 1:
                    self._found["sidecar"].append(_pss(children))
                time.sleep(1)
        except psutil.Error:  # the night is over
            return


def _pss(processes: list[psutil.Process]) -> float:
    return float(sum(process.memory_full_info().pss for process in processes)) / 2**20


def _idle(data: Path) -> float:
    started = time.perf_counter()
    subprocess.run(_COMMAND, cwd=ROOT, env=_environment(data), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _fill_incoming(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    stamp = time.time_ns().to_bytes(8, "big")
    for index in range(number):
        (folder / f"{index:07}.jpg").write_bytes(file.getvalue() + stamp + index.to_bytes(4, "big"))


def _fill_ledger(data: Path, number: int) -> None:
    data.mkdir()
    with Ledger(data / "ledger.sqlite3") as ledger:
        adopt(load(BatchSettings, data_dir=data, log_dir=data / "logs"), ledger)
        ledger.start_run(Run("earlier", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", 0))
        for first in range(0, number, ROWS_AT_ONCE):
            ledger.record(_row(index) for index in range(first, min(first + ROWS_AT_ONCE, number)))


def _row(index: int) -> Row:
    checksum = f"{index * 0x9E3779B97F4A7C15 % 2**256:064x}"
    return Row(
        file_name=f"{index}.jpg", main_category="upperwear", main_category_probability=0.99,
        sub_category="t-shirt", sub_category_probability=0.9, status="processed",
        moved_to=f"processed/upperwear/t-shirt/{index}.jpg", sha256=checksum, run_id="earlier", filed=True,
    )  # fmt: skip


def _environment(data: Path) -> dict[str, str]:
    return os.environ | {"DATA_DIR": str(data), "LOG_DIR": str(data / "logs"), "SETTLE_SECONDS": "0"}


_COMMAND = [sys.executable, "-m", "batch", "run"]


if __name__ == "__main__":
    main()
