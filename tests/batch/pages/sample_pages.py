"""A data folder to look at: nights that never were, drawn photos that wait, were filed for the audit, or failed.

python -m tests.batch.pages.sample_pages FOLDER            # photographs of every page, where Chromium is installed
"""

import argparse
import hashlib
import io
import json
import logging
import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from PIL import Image
from werkzeug.serving import make_server

from batch.demo.drawings import draw_garment
from batch.files.data_folder import claim
from batch.pages import create_app
from batch.records.ledger import Ledger, Row, Run
from batch.reporting import summary
from batch.settings import BatchSettings
from settings import load
from tests.batch.reporting.sample_reports import CHROMIUM, COLOURS, MAIN_OF, SUBS, THEMES, WIDTHS, browser

NIGHTS = 40
MISSED = (5, 17)
TRICKY = "order 7/<b>bold</b> & \u202egnp.jpg"
"""A name that is markup and turns the direction of writing."""


@dataclass
class Sample:
    """A data folder, and what its photos really show."""

    settings: BatchSettings
    truth: dict[int, str] = field(default_factory=dict)
    """The sub-category of each photo that waits or is audited, by the id of its row."""


def make(
    folder: Path,
    *,
    photos: int = 30,
    wrong: float = 0.2,
    audited: int = 5,
    failed: int = 3,
    drawings: int = 1,
    **overrides: object,
) -> Sample:
    """Fill a data folder: `photos` wait, and of these so many are not what the model says; `drawings` of each kind."""
    values = {
        "data_dir": folder / "data",
        "log_dir": folder / "logs",
        "pages_secrets": folder / "secrets.json",
    }
    settings = load(BatchSettings, **{**values, **overrides})
    settings.make_folders()
    sample = Sample(settings)
    chance = random.Random(photos)
    with Ledger(settings.ledger_path) as ledger:
        claim(settings, ledger)
        now = datetime.now(UTC).replace(hour=2, minute=0, second=4, microsecond=0)
        for number in range(NIGHTS, 0, -1):
            if number not in MISSED:
                _past(ledger, now - timedelta(days=number), number, chance)
        rows = [_waiting(settings, number, wrong, chance, drawings) for number in range(photos)]
        rows += [_audited(settings, number, chance) for number in range(audited)]
        broken = [_failed(settings, number) for number in range(failed)]
        _end(ledger, _start(ledger, now), [row for row, _ in rows] + broken, exit_code=3 if broken else 0)
        for row, shown in rows:
            assert row.id is not None
            sample.truth[row.id] = shown
    return sample


@contextmanager
def served(settings: BatchSettings) -> Iterator[str]:
    """The pages of a data folder at an address of this machine."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", settings.pages_port, create_app(settings), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _past(ledger: Ledger, began: datetime, number: int, chance: random.Random) -> None:
    run = _start(ledger, began)
    if number == 12:
        run.message = "Stopped: the model server did not get ready within 120 s"
        _end(ledger, run, [], exit_code=1)
        return
    run.counts = {"swept": chance.randint(120, 480)}
    run.summary = {"statuses": {"processed": run.counts["swept"]}}
    run.exit_code = 3 if number % 9 == 0 else 0
    run.finished_at = run.started_at
    ledger.end_run(run)


def _start(ledger: Ledger, began: datetime) -> Run:
    run = Run(
        began.strftime("%Y%m%dT%H%M%SZ"), began.strftime("%Y-%m-%dT%H:%M:%SZ"), model_version="2026-11-25-1"
    )
    run.settings = {"AUDIT_SHARE": "0.01", "REVIEW_PRECISION": "0.97"}
    ledger.start_run(run)
    return run


def _end(ledger: Ledger, run: Run, rows: list[Row], *, exit_code: int) -> None:
    for row in rows:
        row.run_id, row.processed_at, row.model_version = run.run_id, run.started_at, run.model_version
    ledger.record(rows)
    seen = summary.sum_up(rows)
    run.counts = {"swept": seen.swept, **seen.statuses}
    run.seconds, run.exit_code = 12.0, exit_code
    run.finished_at = run.started_at
    run.summary = seen.to_json() if rows else {}
    if rows:
        run.summary["drift"] = [
            "Photos are darker than usual since Monday (mean 96 instead of 140 of 255): another light?"
        ]
    ledger.end_run(run)


def _waiting(
    settings: BatchSettings, number: int, wrong: float, chance: random.Random, drawings: int
) -> tuple[Row, str]:
    shown = SUBS[number % len(SUBS)]
    others = [sub for sub in SUBS if sub != shown]
    said, second, third = shown, *chance.sample(others, 2)
    if chance.random() < wrong:  # mostly among the likeliest three
        said, second = (second, shown) if chance.random() < 0.8 else (second, third)
        third = next(sub for sub in others if sub not in (said, second))
    sure = chance.uniform(0.4, 0.74)
    name = TRICKY if number == 3 else f"order {number % 4 + 810}/IMG_{4000 + number}.jpg"
    row = _row(
        settings,
        name,
        f"review/{name}",
        shown,
        number,
        said,
        {said: sure, second: 0.2, third: 0.06},
        drawings,
    )
    row.status, row.needs_review = "review", True
    row.review_reason = f"category uncertain ({100 * sure:.0f} %)"
    return row, shown


def _audited(settings: BatchSettings, number: int, chance: random.Random) -> tuple[Row, str]:
    shown, name = SUBS[(3 * number) % len(SUBS)], f"order 900/sure-{number}.jpg"
    place = f"processed/{MAIN_OF[shown]}/{shown}/{name}"
    row = _row(settings, name, place, shown, 1000 + number, shown, {shown: chance.uniform(0.95, 0.999)})
    row.status, row.review_reason = "processed", "audit"
    return row, shown


def _failed(settings: BatchSettings, number: int) -> Row:
    name = f"order 812/broken-{number}.jpg"
    row = Row(
        name, source=name.encode(), order="order 812", status="failed", moved_to=f"failed/{name}", filed=True
    )
    row.error = "Incomplete upload; send it again" if number else "The file is no photo that can be read."
    _put(settings, row, drawn("hat")[: 2000 + number] if number else b"no photo")
    return row


def _row(
    settings: BatchSettings,
    name: str,
    place: str,
    shown: str,
    number: int,
    said: str,
    likely: dict[str, float],
    drawings: int = 1,
) -> Row:
    colour = COLOURS[SUBS.index(shown)]
    row = Row(
        name,
        main_category=MAIN_OF[said],
        main_category_probability=round(min(1.0, likely[said] + 0.04), 4),
        sub_category=said,
        sub_category_probability=round(likely[said], 4),
        background_quality=("acceptable", "unacceptable")[number % 2],
        background_quality_probability=0.9,
        colour=colour,
        colour_probability=0.8,
        moved_to=place,
        source=name.encode(),
        order=name.partition("/")[0],
        probabilities=json.dumps(
            {
                "sub": likely,
                "background": {"acceptable": 0.1, "unacceptable": 0.9}
                if number % 2
                else {"acceptable": 0.9, "unacceptable": 0.1},
                "colour": {
                    colour: 0.8,
                    **dict(zip((one for one in COLOURS if one != colour), (0.1, 0.05), strict=False)),
                },
            }
        ),
        filed=True,
    )
    comment = f"photo {number}".encode()
    content = drawn(shown, number // len(SUBS) % drawings)
    _put(
        settings,
        row,
        content[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + content[2:],
    )
    return row


def _put(settings: BatchSettings, row: Row, content: bytes) -> None:
    path = settings.data_dir / row.moved_to
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    found = path.stat()
    row.sha256, row.size, row.mtime_ns = hashlib.sha256(content).hexdigest(), found.st_size, found.st_mtime_ns


@cache
def drawn(sub: str, variant: int = 0) -> bytes:
    """A drawn garment of this kind, as a JPEG."""
    number, content = SUBS.index(sub) + 3 * variant, io.BytesIO()
    background = ("acceptable", "unacceptable")[number % 2]
    colour = COLOURS[number % len(COLOURS)]
    draw_garment(sub, colour, background, seed=number, size=(480, 640)).save(content, "JPEG", quality=85)
    return content.getvalue()


PAGES = {
    "last-night": "/",
    "one-by-one": "/review",
    "grid": "/review/grid",
    "audit": "/review/audit",
    "runs": "/runs",
    "run": "/runs/last",
    "photo": "/photos/{photo}",
    "find": "/find?find=order+810",
    "failed": "/failed",
}


DOCS = {"last-night": "last-night", "one-by-one": "one-by-one", "many-at-once": "grid", "audit": "audit"}
"""The pictures of docs/review.md."""


def main() -> None:
    """Photograph every page at three widths, in both themes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", nargs="*", default=PAGES)
    parser.add_argument("--docs", action="store_true")
    chosen = parser.parse_args()
    if not CHROMIUM:
        print("No pictures: Chromium is not installed (apt-get install chromium).")
        return
    with (
        tempfile.TemporaryDirectory() as scratch,
        served((sample := make(Path(scratch), photos=240, drawings=6, pages_port=8123)).settings) as address,
        browser() as chromium,
    ):
        if chosen.docs:
            for name, page in DOCS.items():
                tab = chromium.new_page(viewport={"width": 1180, "height": 760}, color_scheme="light")
                tab.goto(address + PAGES[page], wait_until="networkidle")
                if page == "grid":
                    for key in "25":
                        tab.keyboard.press(key)
                with Image.open(io.BytesIO(tab.screenshot())) as taken:
                    small = taken.convert("RGB").resize((826, 532), Image.Resampling.LANCZOS)
                small.quantize(96, dither=Image.Dither.NONE).save(
                    chosen.folder / f"{name}.png", optimize=True
                )
                tab.close()
            return
        for name in chosen.pages:
            for width in WIDTHS:
                for theme in THEMES:
                    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
                    tab.goto(address + PAGES[name].format(photo=min(sample.truth)), wait_until="networkidle")
                    tab.screenshot(path=chosen.folder / f"{name}-{width}-{theme}.png", full_page=True)
                    tab.close()


if __name__ == "__main__":
    main()
