"""One photo to `/predict`, and 64 clients at once.

    python -m benchmarks.latency

The load comes from one thread a client over kept-alive connections, in a process of its own; it shares the
cores with the server, so its own cost counts against the server.
"""

import argparse
import http.client
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from batch.server.sidecar import Sidecar
from benchmarks import inputs, table
from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import current
from settings import ROOT

CLIENTS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=300, help="photos one after the other")
    parser.add_argument("--load", type=int, default=2000, help="photos sent by 64 clients together")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    single: dict[str, list[float]] = {"decode + network": [], "/predict": []}
    many: dict[str, list[float]] = {"/predict/batch": [], "64 clients of /predict": []}
    slowest: dict[str, list[float]] = {"median": [], "p99": []}
    photos = list(islice(inputs.photos(), max(chosen.photos, chosen.load)))
    predictor = Predictor(current(ROOT / "model" / "releases"), threads=1)
    with tempfile.TemporaryDirectory() as scratch, Sidecar(log_dir=Path(scratch)) as sidecar:
        host = sidecar.client.url.removeprefix("http://")
        for _ in range(chosen.rounds):
            some = photos[: chosen.photos]
            single["decode + network"].append(_median_ms(partial(_alone, predictor), some))
            single["/predict"].append(_median_ms(partial(_post, http.client.HTTPConnection(host)), some))
            started = time.perf_counter()
            with ThreadPoolExecutor(4) as threads:
                list(
                    threads.map(
                        sidecar.client.predict, [photos[i : i + 64] for i in range(0, chosen.load, 64)]
                    )
                )
            many["/predict/batch"].append(chosen.load / (time.perf_counter() - started))
            times, seconds = _crowd(host, photos[: chosen.load])
            many["64 clients of /predict"].append(chosen.load / seconds)
            slowest["median"].append(1000 * statistics.median(times))
            slowest["p99"].append(1000 * float(np.percentile(times, 99)))
    table.show(
        "one photo after the other", single, unit="ms, medians", base="decode + network", lower_is_better=True
    )
    table.show("64 clients at once", many, unit="photos/s", base="/predict/batch")
    table.show("what each of the 64 waits", slowest, unit="ms", base="median", lower_is_better=True)


def _alone(predictor: Predictor, photo: bytes) -> None:
    predictor.predict(read_photo(photo, max_megapixels=100)[None])


def _median_ms(do: Callable[[bytes], None], photos: list[bytes]) -> float:
    times = []
    for photo in photos:
        started = time.perf_counter()
        do(photo)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def _post(connection: http.client.HTTPConnection, photo: bytes) -> None:
    connection.request("POST", "/predict", photo, {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(f"the sidecar answered {response.status}")


def _crowd(host: str, photos: list[bytes]) -> tuple[list[float], float]:
    """64 clients in another process send the photos; returns each answer's seconds, and all of them together."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_all_clients, (host, photos))


def _all_clients(host: str, photos: list[bytes]) -> tuple[list[float], float]:
    def client(mine: list[bytes]) -> list[float]:
        connection, times = http.client.HTTPConnection(host), []
        for photo in mine:
            started = time.perf_counter()
            _post(connection, photo)
            times.append(time.perf_counter() - started)
        return times

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        times = [
            one for all_ in threads.map(client, [photos[i::CLIENTS] for i in range(CLIENTS)]) for one in all_
        ]
    return times, time.perf_counter() - started


if __name__ == "__main__":
    main()
