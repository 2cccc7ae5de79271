"""What the pages show, and what is done by what is sent to them."""

import csv
import io
import logging
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from batch.lock import run_lock
from batch.pages import create_app, night, users
from batch.pages.users import Role
from batch.records.ledger import Ledger, Run
from batch.settings import BatchSettings
from settings import load
from tests.batch.pages.conftest import Reader
from tests.batch.pages.sample_pages import PAGES, Sample

TAB = "tab-of-a-test"


def waiting(reader: Reader, tab: str = TAB) -> list[dict[str, Any]]:
    return list(reader.json(f"/review/photos?tab={tab}").json["photos"])


def decide(reader: Reader, photo: dict[str, Any], **verdict: Any) -> Any:
    return reader.send("/review/decide", {"id": photo["id"], "verdict": verdict or photo["answer"]})


def row(sample: Sample, number: int) -> Any:
    with Ledger(sample.settings.ledger_path, look=True) as ledger:
        return ledger.row(number)


@pytest.mark.parametrize("path", PAGES.values(), ids=list(PAGES))
def test_every_page_is_there(reader: Reader, sample: Sample, path: str) -> None:
    assert reader.get(path.format(photo=min(sample.truth))).status_code == 200


@pytest.mark.parametrize("path", [path for path in PAGES.values() if "{" not in path and "last" not in path])
def test_every_page_is_there_before_the_first_night(tmp_path: Any, path: str) -> None:
    settings = load(BatchSettings, data_dir=tmp_path / "data", pages_secrets=tmp_path / "secrets.json")
    assert Reader(create_app(settings).test_client()).get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/photos/999",
        "/runs/never",
        "/picture/1/huge",
        "/picture/999/small",
        "/photos/9" + 30 * "9",
    ],
)
def test_what_is_not_there_is_said_not_to_be(reader: Reader, path: str) -> None:
    assert reader.get(path).status_code == 404


def test_a_list_goes_on_from_no_made_up_place(reader: Reader) -> None:
    assert reader.json(f"/review/photos?tab={TAB}&after=nonsense").status_code == 400
    assert reader.get("/runs/last?after=nonsense").status_code == 200


def test_the_first_page_says_what_waits_what_failed_and_what_is_unusual(reader: Reader) -> None:
    page = reader.get("/").text
    assert "Start the review" in page
    assert ">12<" in page
    assert "Incomplete upload; send it again" in page
    assert "Try again tonight" in page
    assert "darker than usual" in page


def test_a_night_at_work_is_named_and_the_one_before_it_shown(reader: Reader, sample: Sample) -> None:
    with Ledger(sample.settings.ledger_path) as ledger:
        ledger.start_run(Run("20990101T000000Z", "2099-01-01T00:00:00Z"))
    with run_lock(sample.settings.ledger_path.parent):
        page = reader.get("/").text
    assert "A run is at work" in page
    assert "darker than usual" in page


def test_the_calendar_has_a_gap_for_each_night_that_did_not_come() -> None:
    settings = load(BatchSettings, night_at=time(2))
    now = datetime(2026, 11, 25, 9, tzinfo=UTC)
    nights = [now - timedelta(days=number, hours=7) for number in (0, 1, 3)]
    runs = [Run(f"{one:%Y%m%d}", f"{one:%Y-%m-%dT%H:%M:%SZ}", exit_code=0) for one in nights]
    days = [day for week in night.calendar(runs, settings, now) for day in week]
    assert [day.day.day for day in days if day.kind == "missed"] == [23]
    assert [day.day.day for day in days if day.run_id] == [22, 24, 25]
    assert all(len(week) == 7 for week in night.calendar(runs, settings, now))


def test_a_decision_is_stored_and_the_photo_moved_at_once(reader: Reader, sample: Sample) -> None:
    photo = waiting(reader)[0]
    stored = decide(reader, photo, main="headwear", sub="hat").json
    assert stored["decision"] == "corrected"
    assert stored["place"].startswith("processed/headwear/hat/")
    assert (sample.settings.data_dir / stored["place"]).is_file()
    assert row(sample, photo["id"]).decision == "corrected"


def test_the_account_that_runs_the_pages_has_decided_where_nobody_signs_in(
    reader: Reader, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "operator")
    photo = waiting(reader)[0]
    decide(reader, photo)
    assert row(sample, photo["id"]).decided_by == "operator"


def test_a_decision_sent_twice_is_one(reader: Reader) -> None:
    photo = waiting(reader)[0]
    assert decide(reader, photo).json["receipt"] == decide(reader, photo).json["receipt"]


def test_who_comes_second_gets_the_others_name_and_both_answers(
    reader: Reader, add: Callable[..., None], sample: Sample
) -> None:
    add("Anna")
    add("Bert")
    reader.sign_in("Anna")
    photo = waiting(reader)[0]
    decide(reader, photo, main="headwear", sub="hat")
    reader.sign_in("Bert")
    second = decide(reader, photo, main="footwear", sub="shoes")
    assert second.status_code == 409
    assert "Anna has decided on this photo already" in second.json["problem"]
    assert (second.json["theirs"], second.json["yours"]) == ("hat", "shoes")
    assert row(sample, photo["id"]).sub_category == "hat"
    seen = {"id": photo["id"], "verdict": {"main": "footwear", "sub": "shoes"}, "over": second.json["over"]}
    assert reader.send("/review/decide", seen).status_code == 200
    assert row(sample, photo["id"]).decided_by == "Bert"


def test_what_was_decided_as_somebody_is_never_stored_as_somebody_else(
    reader: Reader, add: Callable[..., None]
) -> None:
    add("Anna")
    add("Bert")
    reader.sign_in("Bert")
    photo = waiting(reader)[0]
    late = reader.send("/review/decide", {"id": photo["id"], "verdict": photo["answer"], "as": "Anna"})
    assert late.status_code == 401


def test_a_decision_is_taken_back_exactly(reader: Reader, sample: Sample) -> None:
    photo = waiting(reader)[0]
    before = row(sample, photo["id"])
    receipt = decide(reader, photo, main="headwear", sub="hat").json["receipt"]
    assert reader.send("/review/undo", {"receipt": receipt}).status_code == 200
    assert row(sample, photo["id"]) == before
    assert (sample.settings.data_dir / before.moved_to).is_file()


def test_without_a_receipt_ones_newest_decision_is_taken_back_and_its_photo_shown(reader: Reader) -> None:
    first, second = waiting(reader)[:2]
    decide(reader, first)
    decide(reader, second)
    assert reader.send("/review/undo", {}).json["photo"]["id"] == second["id"]
    assert reader.send("/review/undo", {}).json["photo"]["id"] == first["id"]
    assert reader.send("/review/undo", {}).json["photo"] is None


def test_a_grid_is_stored_as_far_as_it_can_be(reader: Reader) -> None:
    first, second = waiting(reader)[:2]
    decide(reader, first, main="headwear", sub="hat")
    sent = [{"id": one["id"], "verdict": {"main": "footwear", "sub": "shoes"}} for one in (first, second)]
    results = reader.send("/review/decide-all", {"verdicts": sent}).json["results"]
    assert "already" in results[0]["problem"]
    assert results[1]["decision"] in ("accepted", "corrected")


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"id": "1", "verdict": {"sub": "hat"}},
        {"id": True, "verdict": {"sub": "hat"}},
        {"id": -1, "verdict": {"sub": "hat"}},
        {"id": 2**70, "verdict": {"sub": "hat"}},
        {"id": 1, "verdict": {}},
        {"id": 1, "verdict": "hat"},
        {"id": 1, "verdict": {"sub": ["hat"]}},
        {"id": 1, "verdict": {"sub": "x" * 301}},
        {"id": 1, "verdict": {"sub": "hat"}, "over": 7},
    ],
)
def test_nonsense_is_refused(reader: Reader, content: Any) -> None:
    assert reader.send("/review/decide", content).status_code == 400


def test_an_answer_that_there_is_none_of_is_refused(reader: Reader) -> None:
    photo = waiting(reader)[0]
    for verdict in ({"main": "..", "sub": "../.."}, {"main": "headwear", "sub": "spaceship"}):
        assert decide(reader, photo, **verdict).status_code == 409


def test_another_tab_gets_other_photos_until_the_first_one_leaves(reader: Reader) -> None:
    mine = {photo["id"] for photo in waiting(reader)}
    assert not mine & {photo["id"] for photo in waiting(reader, "another-tab")}
    assert reader.send("/review/release", {"tab": TAB}).status_code == 200
    assert mine <= {photo["id"] for photo in waiting(reader, "another-tab")}


def test_the_audit_is_told_a_number_and_nothing_else(reader: Reader, sample: Sample) -> None:
    told = reader.json(f"/review/unseen?tab={TAB}")
    photos = told.json["photos"]
    assert len(photos) == 5
    for photo in photos:
        assert photo == {"id": photo["id"], "picture": f"/picture/{photo['id']}/large", "answer": {}}
    page = reader.get("/review/audit").text
    for number in (photo["id"] for photo in photos):
        kept = row(sample, number)
        for secret in (kept.file_name, kept.moved_to, kept.sha256):
            assert secret not in page + told.text
    headers = reader.get(photos[0]["picture"]).headers
    assert not {"Content-Disposition", "ETag", "Last-Modified"} & set(headers.keys())


def test_a_refusal_of_the_audit_says_nothing_of_others_answers(reader: Reader) -> None:
    photo = reader.json(f"/review/unseen?tab={TAB}").json["photos"][0]
    first = {"id": photo["id"], "tab": TAB, "verdict": {"main": "headwear", "sub": "hat"}}
    second = {"id": photo["id"], "tab": TAB, "verdict": {"cannot_tell": True}}
    assert reader.send("/review/answer", first).status_code == 200
    refused = reader.send("/review/answer", second)
    assert refused.status_code == 409
    assert set(refused.json) == {"problem"}
    assert "hat" not in refused.text


def test_the_csv_has_exactly_the_selection(reader: Reader) -> None:
    reply = reader.get("/runs/last.csv?status=review&sub=pants")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    shown = reader.get("/runs/last?status=review&sub=pants").text
    assert rows
    assert {one["sub_category"] for one in rows} == {"pants"}
    assert shown.count("<figure>") == len(rows)


def test_what_an_address_says_beside_a_selection_changes_no_link(reader: Reader) -> None:
    page = reader.get("/runs/last?_external=1&_scheme=evil&_anchor=x&status=review").text
    assert "evil" not in page


def test_a_photo_is_found_by_name_order_and_checksum(reader: Reader, sample: Sample) -> None:
    kept = row(sample, 1)
    for text in ("IMG_4000", kept.file_name, kept.sha256[:12], "order 810"):
        page = reader.get(f"/find?{urlencode({'find': text})}").text
        assert f'href="/photos/{kept.id}"' in page


def test_a_photos_page_tells_its_whole_story(reader: Reader) -> None:
    photo = waiting(reader)[0]
    receipt = decide(reader, photo, main="headwear", sub="hat").json["receipt"]
    reader.send("/review/undo", {"receipt": receipt})
    decide(reader, photo, no_clothing=True)
    page = reader.get(f"/photos/{photo['id']}").text
    for words in (
        "Release 2026-11-25-1 said",
        "category uncertain",
        "corrected, hat",
        "took that back",
        "no clothing",
    ):
        assert words in page, words


def test_a_failed_photo_goes_back_for_the_next_night(reader: Reader, sample: Sample) -> None:
    number = next(one for one in range(1, 40) if (found := row(sample, one)) and found.status == "failed")
    put_back = reader.post(f"/failed/{number}/again")
    assert put_back.status_code == 303
    assert "put back into incoming" in reader.get(put_back.location).text
    assert (sample.settings.incoming / row(sample, number).file_name).is_file()
    assert reader.post(f"/failed/{number}/again").status_code == 404


def test_nothing_is_put_back_while_a_night_is_at_work(reader: Reader, sample: Sample) -> None:
    with run_lock(sample.settings.ledger_path.parent):
        assert reader.post("/failed/all-again").status_code == 409


def test_a_fault_tells_a_person_nothing_but_that_there_is_one(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setattr("batch.pages.night.calendar", lambda *_: 1 / 0)
    page = Reader(create_app(sample.settings).test_client()).get("/")
    assert page.status_code == 500
    assert "The pages have a fault" in page.text
    assert "ZeroDivision" not in page.text


def test_a_ledger_that_cannot_be_used_is_said_to_be_so(reader: Reader, sample: Sample) -> None:
    reader.get("/")
    sample.settings.ledger_path.unlink()
    sample.settings.ledger_path.write_bytes(b"no database at all, whatever it may be called")
    page = reader.get("/")
    assert page.status_code == 503
    assert "damaged" in page.text


def test_no_log_has_a_persons_name(
    reader: Reader,
    add: Callable[..., None],
    sample: Sample,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("nightsort"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    add("Annabella", Role.LEAD)
    reader.sign_in("Annabella", "a wrong password")
    reader.sign_in("Annabella")
    photo = waiting(reader)[0]
    decide(reader, photo)
    decide(reader, photo, main="footwear", sub="shoes")
    reader.send("/review/undo", {})
    reader.post("/failed/all-again")
    users.forget(sample.settings, "Annabella")
    assert "nnabella" not in caplog.text


def test_who_is_forgotten_is_nowhere_any_more(
    reader: Reader, add: Callable[..., None], sample: Sample
) -> None:
    add("Annabella")
    add("Bert")
    reader.sign_in("Annabella")
    photo = waiting(reader)[0]
    decide(reader, photo)
    instead = users.forget(sample.settings, "annabella")
    assert row(sample, photo["id"]).decided_by == instead
    reader.sign_in("Bert")
    assert "nnabella" not in reader.get(f"/photos/{photo['id']}").text
    for path in sample.settings.pages_secrets.parent.rglob("*"):
        if path.is_file():
            assert b"nnabella" not in path.read_bytes(), path
