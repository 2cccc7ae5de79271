"""Where the time of a night goes: processor time a photo of each part, alone on one core.

    python -m benchmarks.parts

Every part works on the same photos, with the program's own functions. What the parts do not cover (threads that
wait for each other, the kernel's part of HTTP) is what is missing to the whole in `python -m benchmarks.night`.
"""

import argparse
import functools
import hashlib
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from api import create_app
from api.engine import Engine
from api_answers import Answers, Predicted, Prediction, read
from api_settings import ApiSettings
from batch.files import filing, reading
from batch.files.companions import Taken
from batch.files.scan import Found, Scan
from batch.night import sweep
from batch.records import csv_files
from batch.records.ledger import Ledger, Row
from batch.server.client import _Form
from benchmarks import inputs
from model.serving.answers import decode
from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import current
from settings import ROOT, load

AT_A_TIME = sweep.PHOTOS_PER_REQUEST


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10, help=f"requests of {AT_A_TIME} photos")
    parser.add_argument("--phone", action="store_true", help="12-megapixel photos instead of 533-pixel ones")
    chosen = parser.parse_args()
    number = chosen.requests * AT_A_TIME
    photos = list(islice(inputs.photos(phone=chosen.phone), number))
    with tempfile.TemporaryDirectory() as scratch:
        found = {**_of_the_server(photos), **_of_the_batch(photos, Path(scratch))}
    whole = sum(found.values())
    print(
        f"{number} photos, {'12 megapixels' if chosen.phone else '533 pixels'}; ms of processor time a photo"
    )
    for name, milliseconds in found.items():
        print(f"  {name:46}{milliseconds:8.3f}{milliseconds / whole:8.1%}")
    print(f"  {'together':46}{whole:8.3f}")


def _of_the_server(photos: list[bytes]) -> dict[str, float]:
    predictor = Predictor(current(ROOT / "model" / "releases"), threads=1)
    pixels = np.stack([read_photo(photo, max_megapixels=100) for photo in photos])
    scores = predictor.scores(pixels[:AT_A_TIME])
    answers = partial(decode, scores, predictor.release.classes, review_precision=0.97)
    each = {
        "decode, reduce, convert": _each(lambda photo: read_photo(photo, max_megapixels=100), photos),
        "network": _ms(lambda: predictor.scores(pixels)) / len(photos),
        "answers": _ms(answers) / AT_A_TIME,
    }
    post = _server(photos)
    with (
        patch("api.engine.plan_photo", lambda *_: SimpleNamespace(memory=0)),
        patch("api.engine.pixels_of", lambda _: pixels[0]),
        patch.object(Predictor, "scores", lambda *_: scores),
    ):
        # what the route does besides, answers included
        each["server: forms, JSON, counting"] = max(_ms(post) / AT_A_TIME - each["answers"], 0.0)
    return each


def _server(photos: list[bytes]) -> Callable[[], Any]:
    """A request of the night to the app, without a connection."""
    settings = load(ApiSettings)
    engine = Engine(settings)
    engine.load()
    client = create_app(settings, engine).test_client()
    body = b"".join(_Form(photos[:AT_A_TIME]))
    return partial(client.post, "/predict/batch", data=body, content_type=_Form.CONTENT_TYPE)


def _of_the_batch(photos: list[bytes], scratch: Path) -> dict[str, float]:
    answer = _server(photos)().data
    predictions = [
        result.prediction for result in read(Answers, answer).results if isinstance(result, Predicted)
    ]
    incoming, data = scratch / "incoming", scratch
    incoming.mkdir()
    for index, photo in enumerate(photos):
        (incoming / f"{index:06}.jpg").write_bytes(photo)
    found = list(Scan(incoming, 0))
    rows = [_row(one, predictions[i % AT_A_TIME]) for i, one in enumerate(found)]
    with Ledger(scratch / "ledger.sqlite3") as ledger:
        requests = [rows[i : i + AT_A_TIME] for i in range(0, len(rows), AT_A_TIME)]
        return {
            "scan": _ms(lambda: list(Scan(incoming, 0))) / len(found),
            "read, checksum": _each(lambda one: _read(incoming, one), found),
            "client: forms, JSON": _ms(lambda: _talk(photos[:AT_A_TIME], answer)) / AT_A_TIME,
            "rows": _each(lambda one: _row(one, predictions[0]), found),
            "ledger": _each(ledger.record, requests) / AT_A_TIME,
            "file moves": _ms(lambda: _move(rows, incoming, data, ledger), repeat=1) / len(rows),
            "CSV": _ms(lambda: csv_files.write_csv(iter(rows), scratch / "a.csv")) / len(rows),
        }


def _read(incoming: Path, found: Found) -> str:
    content = reading.read_unchanged(str(incoming / found.name), found)
    assert content is not None
    return hashlib.sha256(content).hexdigest()


def _row(found: Found, prediction: Prediction) -> Row:
    row = Row(
        file_name=found.name,
        source=found.name.encode(),
        size=found.size,
        mtime_ns=found.mtime_ns,
        companions=found.companions,
        sha256=f"{hash(found.name):064x}",
        run_id="benchmark",
    )
    sweep.fill_in(row, prediction, 0)
    row.moved_to = f"processed/{row.file_name}"
    return row


def _talk(photos: list[bytes], answer: bytes) -> None:
    """What the client does beside waiting."""
    deque(_Form(photos), maxlen=0)
    read(Answers, answer)


def _move(rows: list[Row], incoming: Path, data: Path, ledger: Ledger) -> None:
    taken = functools.cache(Taken)
    for row in rows:
        row.moved_to = filing.choose_name(data, row, (), taken)
        filing.file_photo(row, incoming, data, ledger)
    filing.sync_folders({incoming, *(path for path in data.rglob("*") if path.is_dir())})


def _each(do: Callable[[Any], object], things: list[Any]) -> float:
    """Milliseconds of processor time that one thing takes."""
    return _ms(lambda: [do(thing) for thing in things], repeat=1) / len(things)


def _ms(do: Callable[[], object], repeat: int = 3) -> float:
    """The least milliseconds of processor time of some runs."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        do()
        times.append(1000 * (time.process_time() - started))
    return min(times)


if __name__ == "__main__":
    main()
