"""Reports to look at, of nights that never were; as a program it photographs each of them in a browser.

    python -m tests.batch.reporting.sample_reports FOLDER

writes the pages below FOLDER/<kind>/data/reports and, where Chromium is installed (`apt-get install chromium`),
pictures of them at three widths in both themes.
"""

import argparse
import io
import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from batch.demo.drawings import COLOURS as PAINTS
from batch.demo.drawings import draw_garment
from batch.records import csv_files
from batch.records.ledger import Ledger, Row, Run
from batch.reporting import report, summary
from batch.settings import BatchSettings
from settings import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = (390, 1024, 1600)
THEMES = ("light", "dark")
KINDS = ("good", "some-failed", "failed", "empty", "many", "period", "index")

MAIN_OF = {
    "t-shirt": "upperwear", "shirt": "upperwear", "longsleeve": "upperwear", "outwear": "upperwear",
    "dress": "dress", "pants": "bottomwear", "shorts": "bottomwear", "skirt": "bottomwear",
    "shoes": "footwear", "hat": "headwear",
}  # fmt: skip
SUBS = list(MAIN_OF)
COLOURS = list(PAINTS)
TONIGHT = datetime(2026, 11, 21, 2, 0, 4)


def make(folder: Path, kind: str) -> Path:
    """Fill a data folder below `folder` and write the page of this kind; returns it."""
    settings = load(
        BatchSettings, data_dir=folder / "data", log_dir=folder / "logs", model_dir=folder, api_url=()
    )
    settings.make_folders()
    chance = random.Random(kind)
    with Ledger(settings.ledger_path) as ledger:
        missed = {3, 9, 10} if kind == "period" else {17}
        for number in range(40, 0, -1):
            if number not in missed:
                _past(settings, ledger, number, chance, kind)
        if kind == "period":
            found = report.of_days(settings, ledger, 30, TONIGHT.astimezone() + timedelta(hours=6))
            return report.write(settings, ledger, found)
        run = _tonight(settings, ledger, kind, chance)
        page = report.write(settings, ledger, report.of_run(settings, ledger, run))
        return settings.reports / report.INDEX if kind == "index" else page


def _past(settings: BatchSettings, ledger: Ledger, number: int, chance: random.Random, kind: str) -> None:
    began = TONIGHT - timedelta(days=number)
    run = _start(settings, ledger, began)
    rows = [_row(run, f"order-{n % 9 + 800}/{number}-{n}.jpg", chance) for n in range(chance.randint(20, 50))]
    rows += [
        Row(f"{number}-{n}.pdf", error="The file is no photo that can be read.", moved_to=f"failed/{number}-{n}.pdf",
            run_id=run.run_id, processed_at=run.started_at)
        for n in range(number % 3 == 0)
    ]  # fmt: skip
    if number > 8:  # decided since
        rows = [row for row in rows if row.status != "review"]
    run.exit_code = 3 if number % 3 == 0 else 0
    if number == 12:
        rows, run.exit_code = [], 1
        run.message = "Stopped: the model server did not get ready within 120 s"
    _end(settings, ledger, run, rows)
    if kind == "period" and number < 4:
        run.summary["drift"] = [
            f"Photos are darker than usual since Wed 18 Nov (mean {100 - number} instead of 140 of 255): another "
            "camera, another light?"
        ]
        ledger.end_run(run)
    if number < 4:
        report.write(settings, ledger, report.of_run(settings, ledger, run))


def _tonight(settings: BatchSettings, ledger: Ledger, kind: str, chance: random.Random) -> Run:
    run = _start(settings, ledger, TONIGHT)
    if kind == "empty":
        run.exit_code = 0
        _end(settings, ledger, run, [])
        return run
    if kind == "failed":
        for number in range(120):
            (settings.incoming / f"{number}.jpg").write_bytes(b"photo")
        run.exit_code = 1
        run.message = "Stopped: the model server did not get ready within 120 s. Its last words:\nMemoryError"
        _end(settings, ledger, run, [])
        return run
    wanted = 400 if kind == "many" else 58
    rows = [
        _row(
            run,
            f"order-{n % 7 + 810}/IMG_{4000 + n}.jpg" if n % 5 else f"IMG_{4000 + n}.jpg",
            chance,
            doubtful=n < wanted,
        )
        for n in range(wanted + 430)
    ]
    if kind != "good":
        rows += [
            Row(f"order-812/broken-{n}.jpg", error="Incomplete upload; send it again", run_id=run.run_id,
                moved_to=f"failed/order-812/broken-{n}.jpg", processed_at=run.started_at)
            for n in range(14 if kind == "some-failed" else 4)
        ]  # fmt: skip
    run.exit_code = 0 if kind == "good" else 3
    if kind == "some-failed":
        run.summary["drift"] = [
            "More photos of the category “shoes” than usual since Thu 19 Nov (31 % instead of 9 %)."
        ]
    run.counts["too_young"] = 12
    _end(settings, ledger, run, rows)
    return run


def _start(settings: BatchSettings, ledger: Ledger, began: datetime) -> Run:
    moment = began.astimezone(UTC)
    run = Run(
        moment.strftime("%Y%m%dT%H%M%SZ"),
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        model_version="2026-11-25-1",
        settings={"DATA_DIR": str(settings.data_dir), "AUDIT_SHARE": "0.01", "SETTLE_SECONDS": "10.0"},
    )
    ledger.start_run(run)
    return run


def _end(settings: BatchSettings, ledger: Ledger, run: Run, rows: list[Row]) -> None:
    for row in rows:
        row.filed = True
        if row.status in ("review", "failed"):
            place = settings.data_dir / row.moved_to
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(_drawing(row.sub_category) if row.status == "review" else b"")
    ledger.record(rows)
    seen = summary.sum_up(rows)
    run.counts = {"swept": seen.swept, **seen.statuses, **run.counts}
    run.seconds = len(rows) / 17
    ended = datetime.fromisoformat(run.started_at) + timedelta(seconds=30 + run.seconds)
    run.finished_at = ended.strftime("%Y-%m-%dT%H:%M:%SZ")
    run.summary |= seen.to_json() if rows else {}
    ledger.end_run(run)
    if rows:
        csv_files.export_run(ledger, settings.data_dir / "predictions", run.run_id)


def _row(run: Run, name: str, chance: random.Random, *, doubtful: bool | None = None) -> Row:
    first, second = chance.sample(SUBS, 2)
    sure = chance.betavariate(9, 1.1) if doubtful is None else chance.uniform(0.4, 0.74) if doubtful else 0.96
    probabilities = {first: round(sure, 4), second: round((1 - sure) * 0.8, 4)}
    doubtful = sure < 0.75
    return Row(
        name,
        main_category=MAIN_OF[first],
        main_category_probability=round(min(1.0, sure + 0.04), 4),
        sub_category=first,
        sub_category_probability=round(sure, 4),
        background_quality=chance.choice(("acceptable", "acceptable", "unacceptable")),
        background_quality_probability=0.9,
        colour=chance.choice(("red", "blue", "black", "white", "multi")),
        colour_probability=0.8,
        needs_review=doubtful,
        review_reason=f"category uncertain ({100 * sure:.0f} %)" if doubtful else "audit" if chance.random() < 0.01 else "",
        status="review" if doubtful else "processed",
        moved_to=f"review/{name}" if doubtful else f"processed/{MAIN_OF[first]}/{first}/{name}",
        run_id=run.run_id,
        processed_at=run.started_at,
        model_version=run.model_version,
        order=name.partition("/")[0] if "/" in name else "",
        probabilities=json.dumps({"sub": probabilities}),
        size=int(chance.lognormvariate(13, 0.4)),
        measures=json.dumps(
            {"seconds": round(chance.random() / 9, 3), "brightness": chance.gauss(150, 30), "contrast": chance.gauss(60, 9)}
        ),
    )  # fmt: skip


@cache
def _drawing(sub: str) -> bytes:
    number = SUBS.index(sub)
    content = io.BytesIO()
    background = ("acceptable", "unacceptable")[number % 2]
    draw_garment(sub, COLOURS[number], background, seed=number, size=(480, 640)).save(
        content, "JPEG", quality=85
    )
    return content.getvalue()


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, started for one use; needs `playwright` and a Chromium of the system's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield chromium
        finally:
            chromium.close()


def main() -> None:
    """Write all kinds of pages, and photograph them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    chosen = parser.parse_args()
    pages = {kind: make(chosen.folder.absolute() / kind, kind) for kind in chosen.kinds}
    for kind, page in pages.items():
        print(f"{kind}: {page} ({page.stat().st_size / 1e6:.1f} MB)")
    if not CHROMIUM:
        print("No pictures: Chromium is not installed (apt-get install chromium).")
        return
    with browser() as chromium:
        for kind, page in pages.items():
            for width in WIDTHS:
                for theme in THEMES:
                    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
                    tab.goto(page.as_uri())
                    tab.screenshot(path=chosen.folder / f"{kind}-{width}-{theme}.png", full_page=True)
                    tab.close()
            tab = chromium.new_page()
            tab.goto(page.as_uri())
            tab.pdf(path=chosen.folder / f"{kind}.pdf", format="A4", prefer_css_page_size=True)
            tab.close()


if __name__ == "__main__":
    main()
