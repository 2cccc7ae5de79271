"""The same release behind other model servers, each with a client that feeds it well.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r requirements-serve.txt -r benchmarks/requirements.txt
    .venv-peers/bin/python -m benchmarks.peers

Every server decodes with `read_photo` and answers with `Predictor`, in as many worker processes as there are
cores, gathering single photos into batches of 16 where it can. 32 clients send one photo at a time, as those
servers' documentation shows; Nightsort is asked as its night asks, 64 photos a request. What is timed is the
answers alone: no ledger, no files.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import psutil
import requests

from api.engine import usable_cores
from api_answers import Predicted
from batch.server.sidecar import Sidecar
from benchmarks import inputs, night, table
from benchmarks.answerer import PORT
from settings import ROOT

CLIENTS = 32
MARK = "NIGHTSORT_BENCHMARK"
"""The environment variable that tells what a benchmark has started."""
LITSERVE = [sys.executable, "-m", "benchmarks.lit"]
BENTOML = [sys.executable, "-m", "bentoml", "serve", "benchmarks.bento:Service", "--host", "127.0.0.1"]
BENTOML += ["--port", str(PORT)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    figures: dict[str, list[float]] = {
        "limit (decode + network)": [],
        "nightsort": [],
        "LitServe": [],
        "BentoML": [],
    }
    photos = list(islice(inputs.photos(), chosen.photos))
    with tempfile.TemporaryDirectory() as scratch:
        inputs.fill(Path(scratch) / "photos", chosen.photos)
        for round_ in range(chosen.rounds):
            print(f"round {round_ + 1} of {chosen.rounds} ...", flush=True)
            figures["limit (decode + network)"].append(night.limit(Path(scratch) / "photos"))
            figures["nightsort"].append(_nightsort(photos, Path(scratch)))
            figures["LitServe"].append(_peer(LITSERVE, photos))
            figures["BentoML"].append(_peer(BENTOML, photos))
    table.show(
        f"{chosen.photos} photos, {usable_cores()} cores",
        figures,
        unit="photos/s",
        base="limit (decode + network)",
    )
    better = max(("LitServe", "BentoML"), key=lambda name: sum(figures[name]))
    table.show("against the better of the others", figures, unit="photos/s", base=better)


def _nightsort(photos: list[bytes], logs: Path) -> float:
    with Sidecar(log_dir=logs) as sidecar, ThreadPoolExecutor(4) as threads:
        batches = [photos[i : i + 64] for i in range(0, len(photos), 64)]
        started = time.perf_counter()
        for answers in threads.map(sidecar.client.predict, batches):
            assert all(isinstance(result, Predicted) for result in answers.results)
        return len(photos) / (time.perf_counter() - started)


def _peer(command: list[str], photos: list[bytes]) -> float:
    """Photos per second of the server that this command starts."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {MARK: mark})
        try:
            _wait_until_it_answers(photos[0], server)
            with ThreadPoolExecutor(CLIENTS) as threads:
                list(threads.map(_post, photos[: 2 * CLIENTS]))  # every worker is warm
                started = time.perf_counter()
                list(threads.map(_post, photos))
                return len(photos) / (time.perf_counter() - started)
        except TimeoutError as error:
            log.seek(0)
            raise RuntimeError(f"{command} did not start:\n{log.read()[-2000:].decode()}") from error
        finally:
            end_all(mark)
            server.wait()


def end_all(mark: str) -> None:
    """End every process that has this mark, until there is none.

    BentoML's workers are sessions of their own, so they outlive the group of the process that was started, and may
    outlive that process: what they keep is the environment that they were started with.
    """
    while marked := list(_marked(mark)):
        for process in marked:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(marked, timeout=10)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, or is another user's
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                yield process


_local = threading.local()


def _post(photo: bytes) -> None:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    response = _local.session.post(
        f"http://127.0.0.1:{PORT}/predict", files={"photo": ("a.jpg", photo)}, timeout=120
    )
    response.raise_for_status()


def _wait_until_it_answers(photo: bytes, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        try:
            return _post(photo)
        except requests.RequestException:
            if server.poll() is not None:
                break
            time.sleep(0.2)
    raise TimeoutError


if __name__ == "__main__":
    main()
