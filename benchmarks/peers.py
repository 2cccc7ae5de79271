"""The same release behind other model servers, each with a client that feeds it well.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r requirements-serve.txt -r benchmarks/requirements.txt
    .venv-peers/bin/python -m benchmarks.peers

Every server decodes with `read_photo` and answers with `Predictor`, in as many worker processes as there are
cores, gathering single photos into batches of 16 where it can. 32 clients send one photo at a time, as those
servers' documentation shows; Nightsort is asked as its night asks, 64 photos a request. What is timed is the
answers alone: no ledger, no files.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import requests

from api.engine import usable_cores
from batch.sidecar import Sidecar
from benchmarks import inputs, night, table
from benchmarks.answerer import PORT
from settings import ROOT

CLIENTS = 32
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
            assert all(answer.prediction for answer in answers)
        return len(photos) / (time.perf_counter() - started)


def _peer(command: list[str], photos: list[bytes]) -> float:
    """Photos per second of the server that this command starts."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
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
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


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
