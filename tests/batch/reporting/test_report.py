"""The report of a night: what it says, that it says no more than is true, and that no file name breaks it."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from batch import logs
from batch.records import moments
from batch.records.ledger import Ledger, Row, Run
from batch.reporting import health, history, report, summary
from tests.api.conftest import picture
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo


def page_of(night: Night) -> str:
    return (night.settings.reports / "latest.html").read_text("utf-8")


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
    tiles = re.findall(r'class="tile[^"]*"[^>]*><b>([\d.,]+)</b>', page)
    assert tiles[:5] == ["5", "2", "1", "1", "1"]
    for words in ("shoes", "t-shirt", "broken.jpg", "The photo is damaged.", "doubt.jpg", "fake-1",
                  "ERROR_BUDGET", "category uncertain (50\N{NO-BREAK SPACE}%)"):  # fmt: skip
        assert words in page


def test_the_page_needs_nothing_else(night: Night) -> None:
    page = a_night(night)
    assert not re.search(r"src=\"(?!data:)", page)
    assert not re.search(r"href=\"(\w+:|//|/)", page)  # all that it links to lies beside it
    assert "<script" not in page
    assert "url(" not in page


def test_the_page_links_to_the_pages_where_they_have_an_address(make_night: Callable[..., Night]) -> None:
    night = make_night(pages_url="https://example.org/photos")
    assert '<a href="https://example.org/photos">review in the browser</a>' in a_night(night)


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
    Image.new("RGB", (640, 400), (200, 20, 20)).save(tmp_path / name)
    small = Image.open(io.BytesIO(base64.b64decode(report.thumbnail(tmp_path / name).partition(",")[2])))
    assert small.size == (320, 200)
    red, green, _ = np.asarray(small.convert("RGB"), float).mean((0, 1))
    assert red > 150
    assert green < 60


def test_photos_that_people_have_taken_are_not_shown(night: Night) -> None:
    night.drop("taken.jpg", photo("a", doubt=True))
    night.drop("there.jpg", photo("b", doubt=True))
    night.run()
    (night.settings.data_dir / "review" / "taken.jpg").unlink()
    with Ledger(night.settings.ledger_path) as ledger:
        page = report.as_html(night.settings, report.of_days(night.settings, ledger, 1))
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


def names_of_runs(night: Night) -> list[str]:
    return [f"{name}.html" for name in sorted(path.stem for path in night.settings.reports.glob("2*.html"))]


def todo(page: str) -> list[str]:
    (content,) = re.findall(r'<ul class="todo">(.*?)</ul>', page, re.DOTALL)
    return [re.sub(r"<.*?>", "", line).strip() for line in re.findall(r"<li.*?</li>", content, re.DOTALL)]


def test_a_night_without_photos_writes_its_report_but_no_look_in_between_does(night: Night) -> None:
    night.run()
    assert "No photos lay in incoming." in page_of(night)
    assert todo(page_of(night)) == ["Nothing to do."]
    night.run()  # `schedule --every 15m` found nothing either
    assert len(names_of_runs(night)) == 1
    night.drop("a.jpg", photo("a"))
    night.run()
    assert len(names_of_runs(night)) == 2


def test_the_first_screen_says_what_to_do(night: Night) -> None:
    night.drop("old.jpg", photo("old", doubt=True))
    night.run()
    night.drop("order-7/b.jpg", photo("b", doubt=True))
    night.drop("c.jpg", photo("c", doubt=True))
    night.drop("broken.jpg", photo("d", broken=True))
    night.run()
    assert todo(page_of(night)) == [
        "2 to decide review/",
        "1 to photograph or send again failed/",
        "1 still waiting from other nights review/",
    ]
    page = page_of(night)
    assert "3 files: 0 filed, 2 to review (100\N{NO-BREAK SPACE}%), 1 unreadable." in page
    order = [page.index(part) for part in ('class="todo"', 'id="failed"', 'id="review"', "<svg")]
    assert order == sorted(order)
    for target in re.findall(r'href="#(\w+)"', page):
        assert f'id="{target}"' in page


def test_what_people_have_taken_does_not_wait_any_more(night: Night) -> None:
    for name in ("a", "b"):
        night.drop(f"{name}.jpg", photo(name, doubt=True))
    night.run()
    (night.settings.data_dir / "review" / "a.jpg").unlink()
    night.drop("c.jpg", photo("c"))
    night.run()
    assert todo(page_of(night)) == ["1 still waiting from earlier nights review/"]


def test_all_photos_for_review_are_there_by_order_and_the_page_can_still_be_mailed(night: Night) -> None:
    image = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (400, 300, 3), np.uint8)
    Image.fromarray(noise).resize((1200, 1600)).save(image, "JPEG")
    rows = []
    for number in range(420):
        name = f"order-{number % 3}/{number}.jpg" if number % 2 else f"{number}.jpg"
        rows.append(
            Row(name, sub_category="dress", sub_category_probability=0.4 + number / 1000, status="review",
                moved_to=f"review/{name}", run_id="20261121T010000Z", order=name.rpartition("/")[0], filed=True,
                processed_at="2026-11-21T01:00:00Z")
        )  # fmt: skip
        path = night.settings.data_dir / "review" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.getvalue())
    run = Run("20261121T010000Z", "2026-11-21T01:00:00Z", exit_code=0, summary=summary.sum_up(rows).to_json())
    with Ledger(night.settings.ledger_path) as ledger:
        ledger.start_run(run)
        ledger.record(rows)
        page = report.write(night.settings, ledger, report.of_run(night.settings, ledger, run)).read_text(
            "utf-8"
        )
    for row in rows:
        assert f'href="../{row.moved_to}"' in page
    before, _, folded = page[page.index('id="review"') :].partition("<details")
    assert before.count("<figure>") == report.OPEN
    assert folded.count("<figure>") == report.PICTURES - report.OPEN
    assert f"The last {420 - report.PICTURES} are names" in page
    assert re.findall(r"<h3>(\S+)", before) == ["No"]
    assert sorted(set(re.findall(r"<h3>(\S+)", folded))) == ["No", "order-0", "order-1", "order-2"]
    assert len(page) < 10_000_000  # of noise, which no picture is worse than


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [
        ({"outwear": 0.464, "longsleeve": 0.312, "dress": 0.2}, "outwear 46 %, or longsleeve 31 %?"),
        ({"longsleeve": 0.5, "outwear": 0.464}, "outwear 46 %, or longsleeve 50 %?"),  # main and sub together
        ({"outwear": 0.464, "dress": 0.001}, "outwear 46 %?"),
        ({}, "outwear 46 %?"),
    ],
)
def test_the_two_likeliest_answers_are_said_in_words(probabilities: dict[str, float], words: str) -> None:
    row = Row("a.jpg", sub_category="outwear", sub_category_probability=0.464)
    row.probabilities = json.dumps({"sub": probabilities}) if probabilities else ""
    assert report.guess(row) == words


def test_a_photo_without_an_answer_can_be_shown() -> None:
    assert report.guess(Row("a.jpg")) == "no answer"
    assert report.guess(Row("a.jpg", sub_category="dress")) == "dress?"


def test_reports_lead_to_each_other_and_to_what_they_tell_of(night: Night) -> None:
    for name in ("a", "b #1?", "c"):
        night.drop(f"{name}.jpg", photo(name, doubt=True))
        night.run()
    first, second, third = names_of_runs(night)
    pages = [(night.settings.reports / name).read_text("utf-8") for name in (first, second, third)]
    assert f'href="{second}" rel="next"' in pages[0]
    assert f'href="{first}" rel="prev"' in pages[1]
    assert f'href="{third}" rel="next"' in pages[1]
    assert 'rel="next"' not in pages[2]
    assert page_of(night) == pages[2]
    index = (night.settings.reports / "index.html").read_text("utf-8")
    assert [index.index(name) for name in (third, second, first)] == sorted(
        map(index.index, (first, second, third))
    )
    links = re.findall(r'href="(\.\./[^"]*)"', pages[1])
    assert "../review/b%20%231%3F.jpg" in links
    assert f"../predictions/{second.replace('.html', '.csv')}" in links
    for link in links:
        assert (night.settings.reports / unquote(link)).exists()


def test_an_old_report_made_again_is_not_the_latest_and_keeps_its_links(night: Night) -> None:
    for name in "ab":
        night.drop(f"{name}.jpg", photo(name))
        night.run()
    latest = page_of(night)
    with Ledger(night.settings.ledger_path) as ledger:
        old = report.of_run(night.settings, ledger, ledger.runs()[0])
        page = report.write(night.settings, ledger, old).read_text("utf-8")
    assert page_of(night) == latest
    assert 'rel="next"' in page


def test_a_night_that_failed_says_how_many_photos_are_safe_and_shows_no_empty_chart(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.token = "another"
    for number in range(3):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    page = page_of(night)
    assert "3 photos are safe in incoming" in page
    assert '<span class="badge bad">NOT DONE</span> No photo was sorted.' in page
    assert "<svg" not in page
    sidecar.token = ""
    night.run()
    with Ledger(night.settings.ledger_path) as ledger:
        old = report.of_run(night.settings, ledger, ledger.runs()[0])
    assert "3 photos" not in " ".join(old.troubles)  # they are not there any more


def test_done_with_failed_photos_is_not_green(night: Night) -> None:
    assert '<span class="badge some">done, some failed</span>' in a_night(night)


def past_run(night: Night, moment: str, code: int, message: str = "", **more: object) -> Run:
    rows = [
        Row(
            f"{moment}.pdf",
            error="No photo.",
            run_id=moment,
            processed_at=moment,
            moved_to=f"failed/{moment}.pdf",
        )
    ]
    run = Run(moment, moment, moment, code, message=message, summary=summary.sum_up(rows).to_json() | more)
    with Ledger(night.settings.ledger_path) as ledger:
        ledger.start_run(run)
        for row in rows:
            row.filed = True
        ledger.record(rows)
    return run


def test_a_period_says_each_thing_once_dates_its_rows_and_shows_what_was_missed(
    make_night: Callable[..., Night],
) -> None:
    night = make_night(night_at="02:00")
    dark = "Photos are darker than usual since Tue 17 Nov (mean {} instead of 140 of 255): another light?"
    for day in (17, 18, 20):
        past_run(night, f"2026-11-{day}T02:00:00Z", 3, unusual=True, drift=[dark.format(day)])
    past_run(night, "2026-11-21T02:00:00Z", 1, "Stopped: no server")
    past_run(night, "2026-11-21T03:00:00Z", 1, "Stopped: no server")
    now = datetime.fromisoformat("2026-11-21T08:00:00+00:00").astimezone()
    with Ledger(night.settings.ledger_path) as ledger:
        found = report.of_days(night.settings, ledger, 7, now)
    assert [seen is None for _, seen in found.nights] == [False, False, True, False, False]
    assert found.troubles == ["1 night was missed: Thu 19 Nov.", "Sat 21 Nov: Stopped: no server"]
    assert found.drift == ["Tue 17 Nov to Wed 18 Nov, Fri 20 Nov: " + dark.format(20)]
    page = report.as_html(night.settings, found)
    assert page.count("Photos are darker") == 1
    assert f"<td>{moments.shown('2026-11-18T02:00:00Z')}</td>" in page
    assert 'class="gap"' in page
    assert "<title>Thu 19 Nov: no run</title>" in page
    assert "no run</td>" in page


def test_pictures_tables_and_charts_can_be_heard(night: Night) -> None:
    path = night.drop("order-7/front.jpg", photo("a", doubt=True))
    night.run()
    (night.settings.data_dir / "review/order-7" / path.name).write_bytes(picture())
    with Ledger(night.settings.ledger_path) as ledger:
        page = report.as_html(night.settings, report.of_run(night.settings, ledger, ledger.runs()[0]))
    assert re.findall(r'<img src="data:[^"]*" alt="([^"]*)"', page) == ["order-7/front.jpg"]
    assert not re.search(r"<th(?! scope=)[ >]", page)
    assert page.count("<svg") == page.count('<details class="data">') > 2


def test_what_a_run_had_no_use_for_is_not_named_among_its_settings(make_night: Callable[..., Night]) -> None:
    night = make_night(notify_when="always")
    night.drop("a.jpg", photo("a"))
    night.run()
    page = page_of(night)
    assert "API_URL" in page
    for unused in ("NOTIFY_WHEN", "PING_FAILED_PHOTOS", "MODEL_DIR"):  # no one to tell; another's server
        assert unused not in page


def test_a_head_that_answers_nothing_is_not_drawn(night: Night) -> None:
    rows = [
        Row("a.jpg", status="processed", main_category="m", sub_category="s", sub_category_probability=0.9)
    ]
    run = Run("20261121T010000Z", "2026-11-21T01:00:00Z", exit_code=0, summary=summary.sum_up(rows).to_json())
    with Ledger(night.settings.ledger_path) as ledger:
        ledger.start_run(run)
        page = report.as_html(night.settings, report.of_run(night.settings, ledger, run))
    assert "Background quality" not in page
    assert "<h2>Colours" not in page


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
        found = report.of_days(night.settings, ledger, 7)
        assert report.write(night.settings, ledger, found).name == "last-7-days.html"
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
    from batch.night.run import without_secrets

    assert "secret" not in json.dumps(without_secrets(night.settings))


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
            history.in_full(ledger, run),
            history.as_json([run]),
            report.as_json(report.of_run(night.settings, ledger, run)),
        )
    assert "hush" not in "".join(capsys.readouterr())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hush" not in path.read_bytes(), path
