"""A whole sweep (scan, HTTP, predict, ledger, filing, CSV) against the machine's limit and the plain design.

python -m benchmarks.night                    10,000 small photos, 3 rounds
python -m benchmarks.night --phone            12-megapixel photos
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from api.engine import usable_cores
from batch.records import csv_files
from batch.records.ledger import Ledger
from benchmarks import inputs, plain, table
from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import current
from settings import ROOT

AT_A_TIME = 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, help="photos a sweep (10,000 small ones, 600 of a phone)")
    parser.add_argument("--plain-photos", type=int, help="photos for the plain design (a tenth)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phone", action="store_true", help="12-megapixel photos instead of 533-pixel ones")
    chosen = parser.parse_args()
    number = chosen.photos or (600 if chosen.phone else 10_000)
    figures: dict[str, list[float]] = {"limit (decode + network)": [], "nightsort": [], "plain design": []}
    other: dict[str, list[float]] = {"start and stop": []}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as scratch:
        photos = Path(scratch) / "photos"
        inputs.fill(photos, number, phone=chosen.phone)
        some = Path(scratch) / "some"
        inputs.fill(some, chosen.plain_photos or number // 10, phone=chosen.phone)
        for round_ in range(chosen.rounds):
            print(f"round {round_ + 1} of {chosen.rounds} ...", flush=True)
            figures["limit (decode + network)"].append(limit(photos))
            rate, around = nightsort(photos, Path(scratch) / "night")
            figures["nightsort"].append(rate)
            other["start and stop"].append(around)
            work = Path(scratch) / "plain"
            shutil.copytree(some, work / "incoming")
            figures["plain design"].append(plain.sweep(work / "incoming", work / "processed"))
            shutil.rmtree(work)
    kind = "12-megapixel" if chosen.phone else "533-pixel"
    table.show(
        f"{number} {kind} photos, {usable_cores()} cores", figures, unit="photos/s", base="plain design"
    )
    table.show("the same against the limit", figures, unit="photos/s", base="limit (decode + network)")
    table.show("seconds around the sweep", other, unit="s", base="start and stop", lower_is_better=True)


def limit(folder: Path) -> float:
    """Photos per second of decoding and the network alone, on all cores, with nothing else to do."""
    predictor = Predictor(current(ROOT / "model" / "releases"), threads=1)

    def work(names: list[Path]) -> int:
        pixels = [read_photo(name.read_bytes(), max_megapixels=100) for name in names]
        return len(predictor.predict(np.stack(pixels)))

    started = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as threads:
        number = sum(threads.map(work, _chunks(folder.iterdir())))
    return number / (time.perf_counter() - started)


def nightsort(photos: Path, data: Path) -> tuple[float, float]:
    """Photos per second of a whole sweep, and the seconds that starting and stopping take around it."""
    shutil.copytree(photos, data / "incoming", copy_function=os.link)
    environment = os.environ | {"DATA_DIR": str(data), "LOG_DIR": str(data / "logs"), "SETTLE_SECONDS": "0"}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "batch", "run"],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    whole = time.perf_counter() - started
    with Ledger(data / "ledger.sqlite3") as ledger:
        run = ledger.runs()[-1]
        seconds = run.seconds + _csv_seconds(ledger, data, run.run_id)
    shutil.rmtree(data)
    return run.counts["swept"] / seconds, whole - seconds


def _csv_seconds(ledger: Ledger, data: Path, run_id: str) -> float:
    """What both CSVs take: the run's own time ends with the last commit, and these are written after it."""
    started = time.perf_counter()
    csv_files.rebuild_csv(ledger, data / "predictions.csv")
    csv_files.export_run(ledger, data / "predictions", run_id)
    return time.perf_counter() - started


def _chunks(paths: Iterator[Path]) -> Iterator[list[Path]]:
    while some := list(islice(paths, AT_A_TIME)):
        yield some


if __name__ == "__main__":
    main()
