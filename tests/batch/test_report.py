"""The report of a night: what it says, that it says no more than is true, and that no file name breaks it."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batch import health, history, logs, report, summary
from batch.ledger import Ledger, Row
from tests.api.conftest import picture
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo


def page_of(night: Night) -> str:
    (path,) = (night.settings.data_dir / "reports").glob("*.html")
    return path.read_text("utf-8")


def a_night(night: Night) -> str:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", sub="shoes"))
    night.drop("doubt.jpg", photo("c", doubt=True))
    night.drop("broken.jpg", photo("d", broken=True))
    night.drop("again.jpg", photo("a"))
    night.run()
    return page_of(night)


def test_a_night_tells_its_totals_categories_failures_and_settings(night: Night) -> None:
    page = a_night(night)
    tiles = re.findall(r'<div class="tile[^"]*"><b>([\d.,]+)</b>', page)
    assert tiles[:5] == ["5", "2", "1", "1", "1"]
    for words in ("shoes", "t-shirt", "broken.jpg", "The photo is damaged.", "doubt.jpg", "fake-1",
                  "ERROR_BUDGET", "sub category unsure (0.50 &lt; 0.83)"):  # fmt: skip
        assert words in page


def test_the_page_needs_nothing_else(night: Night) -> None:
    page = a_night(night)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert "url(" not in page


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag in self.open:  # HTML lets a `p` or `td` end by itself
            while self.open.pop() != tag:
                pass


def test_a_file_name_cannot_become_a_part_of_the_page(night: Night) -> None:
    evil = '"><script>alert(1)<img src=x onerror=alert(1)>.jpg'
    night.drop(evil, photo("a", broken=True))
    night.drop("2" + evil, photo("b", doubt=True))
    night.run()
    tags = Tags(page_of(night))
    assert "script" not in tags.seen
    assert "img" not in tags.seen  # the fake photo has no picture, so the page has none
    assert tags.open == []


def test_doubtful_photos_are_shown_in_small(night: Night, tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    Image.new("RGBA", (3000, 1500), (200, 20, 20, 128)).save(path)
    address = report.thumbnail(path)
    assert address.startswith("data:image/jpeg;base64,")
    assert len(address) < 10_000
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(picture()[:40])
    assert report.thumbnail(broken) == report.thumbnail(tmp_path / "gone.jpg") == ""


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.tiff", "a.heic", "a.avif"])
def test_every_format_that_is_sorted_can_be_shown(tmp_path: Path, name: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    Image.new("RGB", (320, 200), (200, 20, 20)).save(tmp_path / name)
    small = Image.open(io.BytesIO(base64.b64decode(report.thumbnail(tmp_path / name).partition(",")[2])))
    assert small.size == (176, 110)
    red, green, _ = np.asarray(small.convert("RGB"), float).mean((0, 1))
    assert red > 150
    assert green < 60


def test_photos_that_people_have_taken_are_not_shown(night: Night) -> None:
    night.drop("taken.jpg", photo("a", doubt=True))
    night.drop("there.jpg", photo("b", doubt=True))
    night.run()
    (night.settings.data_dir / "review" / "taken.jpg").unlink()
    with Ledger(night.settings.ledger_path) as ledger:
        page = report.as_html(night.settings, report.of_days(ledger, 1))
    captions = re.findall(r"<figcaption>.*?<bdi>(.*?)</bdi>", page, re.DOTALL)
    assert captions == ["there.jpg"]


def test_what_goes_wrong_with_a_report_fails_no_night(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(report, "as_html", fail)
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert "The report failed: by zero." in caplog.text
    assert len(night.csv()) == 1


def test_a_night_that_swept_nothing_has_no_report(night: Night) -> None:
    night.run()
    assert not (night.settings.data_dir / "reports").exists()


def test_a_stopped_night_says_why(night: Night, sidecar: FakeSidecar) -> None:
    sidecar.soundness["sound"] = False
    for number in range(60):
        night.drop(f"{number}.jpg", photo(str(number), broken=True))
    assert night.run() == 1
    page = page_of(night)
    assert "NOT DONE" in page
    assert "ERROR_BUDGET" in page


def test_a_period_adds_its_nights_up_as_page_json_and_csv(night: Night) -> None:
    a_night(night)
    night.drop("new.jpg", photo("new"))
    night.run()
    with Ledger(night.settings.ledger_path) as ledger:
        found = report.of_days(ledger, 7)
    assert report.write(night.settings, found).name == "last-7-days.html"
    content = json.loads(report.as_json(found))
    assert len(content["runs"]) == 2
    assert content["seen"]["statuses"] == {"processed": 3, "review": 1, "failed": 1, "duplicate": 1}
    assert content["review_share"] == 0.25
    (line,) = csv.DictReader(io.StringIO(report.daily_csv(found)))
    assert (line["swept"], line["review"], line["duplicates"]) == ("6", "1", "1")


def test_summaries_add_up_to_the_summary_of_all() -> None:
    rows = [
        Row(file_name=str(n), status="processed", main_category="m", sub_category="ab"[n % 2], size=n,
            sub_category_probability=n / 10, review_reason="audit" if n > 7 else "", background_quality="acceptable",
            measures=json.dumps({"seconds": n, "brightness": 20 * n, "contrast": n}))
        for n in range(10)
    ]  # fmt: skip
    parts = summary.add_up([summary.sum_up(rows[:4]), summary.Summary(), summary.sum_up(rows[4:])])
    assert parts == summary.sum_up(rows)
    assert summary.from_json(json.loads(json.dumps(parts.to_json()))).subs == {"a": 5, "b": 5}
    assert [name for name, _ in parts.slowest[:3]] == ["9", "8", "7"]


@pytest.mark.parametrize("size", [0, 1, 10**12])
def test_any_size_has_a_bin(size: int) -> None:
    row = Row(file_name="a", status="processed", size=size, sub_category_probability=1.0)
    assert sum(summary.sum_up([row]).sizes) == 1


def test_the_settings_in_a_report_hold_no_secret(make_night: Callable[..., Night]) -> None:
    night = make_night(
        api_token="secret-1", ping_url="https://hc.example/secret-2", notify_urls="json://u:secret-3@h"
    )
    night.drop("a.jpg", photo("a"))
    from batch.run import told

    assert "secret" not in json.dumps(told(night.settings))


@pytest.mark.parametrize("is_there", [True, False])
def test_the_password_of_the_servers_address_is_written_nowhere(
    make_night: Callable[..., Night],
    sidecar: FakeSidecar,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_there: bool,
) -> None:
    monkeypatch.setattr(logs.log, "handlers", [])
    night = make_night(api_url=sidecar.url.replace("//", "//me:hush%2F@"), metrics_file=tmp_path / "n.prom")
    if not is_there:
        sidecar.health = {"status": "broken", "model_version": "", "detail": "it is broken"}
    logs.set_up(night.settings.log_dir)
    night.drop("a.jpg", photo("a"))
    assert night.run() == (0 if is_there else 1)
    found = health.findings(night.settings)
    print(health.as_text(found), health.as_json(found))
    with Ledger(night.settings.ledger_path) as ledger:
        (run,) = ledger.runs()
        assert run.settings["API_URL"].startswith("http://…@127.0.0.1:")
        print(
            history.in_full(ledger, run), history.as_json([run]), report.as_json(report.of_run(ledger, run))
        )
    assert "hush" not in "".join(capsys.readouterr())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hush" not in path.read_bytes(), path
