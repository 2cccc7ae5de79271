"""The audit: its order is fixed, nobody is told the model's answer, second looks and planted photos change nothing."""

import secrets
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from batch.decisions import audit, desk
from batch.decisions.audit import Unseen
from batch.records.ledger import Row
from batch.records.verdict import Verdict
from tests.batch.decisions.conftest import PANTS, SHIRT, Desk
from tests.fake_sidecar import photo


@pytest.fixture
def a_desk(make_desk: Callable[..., Desk]) -> Desk:
    photos = {f"{n}.jpg": photo(str(n), sub="pants" if n % 2 else "t-shirt") for n in range(40)}
    return make_desk(photos, audit_share=1)


def truth(row: Row) -> Verdict:
    return Verdict(row.main_category, row.sub_category)


def sample(a_desk: Desk) -> list[Row]:
    """The sample as it counts, for the promise of its last night."""
    numbers = [number for number, _, _ in a_desk.ledger.sample(*a_desk.ledger.last_promise())]
    return [row for number in numbers if (row := a_desk.ledger.row(number))]


def take(a_desk: Desk, by: str, **options: object) -> list[Unseen]:
    return audit.take(a_desk.ledger, f"{by}'s tab", by=by, **options)  # type: ignore[arg-type]


def answer(a_desk: Desk, photo_id: int, verdict: Verdict, by: str) -> str:
    return audit.answer(a_desk.settings, a_desk.ledger, photo_id, verdict, by=by, holder=f"{by}'s tab")


def answer_all(a_desk: Desk, by: str) -> list[str]:
    receipts = []
    while shown := take(a_desk, by):
        row = a_desk.ledger.row(shown[0].photo_id)
        assert row
        receipts.append(answer(a_desk, shown[0].photo_id, truth(row), by))
    return receipts


def test_a_photo_carries_nothing_of_the_models_answer(a_desk: Desk) -> None:
    (shown,) = take(a_desk, "ada")
    assert {one.name for one in fields(shown)} == {"photo_id", "sha256"}


def test_the_order_is_that_of_the_checksums_and_new_nights_come_last(a_desk: Desk) -> None:
    first = [row.sha256 for row in sample(a_desk)]
    assert first == sorted(first)
    assert [one.sha256 for one in take(a_desk, "ada", limit=40)] == first
    for table in ("photos", "runs"):
        a_desk.ledger.write(f"UPDATE {table} SET run_id = '20200101T000000Z'")
    a_desk.night.drop("new.jpg", photo("new"))
    assert a_desk.night.run() == 0
    later = [row.sha256 for row in sample(a_desk)]
    assert (later[:40], len(later)) == (first, 41)


def test_a_duplicate_is_no_photo_of_the_sample(make_desk: Callable[..., Desk]) -> None:
    a_desk = make_desk(
        {"a.jpg": photo("a"), "b.jpg": photo("a"), "p.jpg": photo("p", sub="pants")}, audit_share=1
    )
    assert len(take(a_desk, "ada", limit=9)) == len(list(sample(a_desk))) == 2
    a_desk.decide("b.jpg", PANTS)
    assert (a_desk.row("b.jpg").decision, a_desk.row("b.jpg").review_reason) == ("corrected", "")


def test_two_people_are_shown_different_photos_until_the_lease_ends(a_desk: Desk) -> None:
    hers = take(a_desk, "ada", limit=3, now=1000)
    his = take(a_desk, "bob", limit=3, now=1000)
    assert not set(hers) & set(his)
    assert take(a_desk, "eve", limit=3, now=1301) == hers
    assert take(a_desk, "ada", limit=1, besides=[hers[0].photo_id], now=1000) != hers[:1]


def test_one_in_ten_goes_to_a_second_person_and_the_first_answer_stands(a_desk: Desk) -> None:
    looked_at_twice = [row for row in sample(a_desk) if row.sha256[8:11] < "19a"]
    assert looked_at_twice
    answer_all(a_desk, "ada")
    assert audit.open_photos(a_desk.ledger) == 0
    before = list(a_desk.ledger.all_rows())
    shown = take(a_desk, "bob", limit=40)
    assert [one.sha256 for one in shown] == [row.sha256 for row in looked_at_twice]
    receipt = answer(a_desk, shown[0].photo_id, Verdict(no_clothing=True), "bob")
    for one in shown[1:]:
        row = a_desk.ledger.row(one.photo_id)
        assert row
        answer(a_desk, one.photo_id, truth(row), "bob")
    found = audit.agreement(a_desk.ledger)
    assert (found.second_looks, found.agreed) == (len(shown), len(shown) - 1)
    assert audit.agreement(a_desk.ledger, "another release").second_looks == 0
    assert list(a_desk.ledger.all_rows()) == before
    assert take(a_desk, "bob") == take(a_desk, "eve") == []
    assert desk.newest(a_desk.ledger, "bob").startswith("l")
    desk.undo(a_desk.settings, a_desk.ledger, receipt, by="bob")
    assert audit.agreement(a_desk.ledger).second_looks == len(shown) - 1
    assert [one.photo_id for one in take(a_desk, "bob")] == [shown[0].photo_id]


def test_planted_photos_are_shown_once_there_are_enough_and_change_nothing(
    a_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda _: 0)
    answer_all(a_desk, "ada")
    answer_all(a_desk, "bob")
    assert audit.agreement(a_desk.ledger).planted == 0
    assert take(a_desk, "eve") == []
    agreed = audit.agreement(a_desk.ledger).agreed
    monkeypatch.setattr(audit, "PLANTED", agreed)
    before = list(a_desk.ledger.all_rows())
    (shown,) = take(a_desk, "eve")
    answer(a_desk, shown.photo_id, Verdict(no_clothing=True), "eve")
    found = audit.agreement(a_desk.ledger)
    assert (found.planted, found.planted_right, found.second_looks) == (1, 0, agreed)
    assert list(a_desk.ledger.all_rows()) == before
    assert take(a_desk, "eve") != [shown]
    assert take(a_desk, "ada") == take(a_desk, "bob") == []


def test_a_late_answer_to_a_photo_of_the_first_look_is_told_so(a_desk: Desk) -> None:
    (shown,) = take(a_desk, "ada", now=1000)
    assert take(a_desk, "bob", now=2000) == [shown]
    answer(a_desk, shown.photo_id, PANTS, "bob")
    with pytest.raises(desk.AlreadyDecidedError) as refused:
        answer(a_desk, shown.photo_id, SHIRT, "ada")
    assert refused.value.by == "bob"


def test_a_photo_moved_by_hand_is_corrected_keeps_its_mark_and_stays_in_the_sample(a_desk: Desk) -> None:
    before = [row.sha256 for row in sample(a_desk)]
    row = a_desk.row("0.jpg")
    (a_desk.data / row.moved_to).rename(a_desk.data / "processed/bottomwear/pants/moved.jpg")
    assert a_desk.night.run() == 0
    (moved,) = [one for one in sample(a_desk) if one.sha256 == row.sha256]
    assert (moved.decision, moved.decided_by) == ("corrected", "")
    assert [one.sha256 for one in sample(a_desk)] == before


def test_one_moved_into_review_keeps_its_mark_and_its_turn_until_it_is_decided(a_desk: Desk) -> None:
    row = a_desk.row("0.jpg")
    (a_desk.data / "review").mkdir()
    (a_desk.data / row.moved_to).rename(a_desk.data / "review/0.jpg")
    assert a_desk.night.run() == 0
    assert a_desk.row("0.jpg").review_reason == "put there by hand, audit"
    assert a_desk.id("0.jpg") not in [one.photo_id for one in take(a_desk, "ada", limit=40)]
    a_desk.decide("0.jpg", SHIRT)
    assert (a_desk.row("0.jpg").decision, a_desk.row("0.jpg").review_reason) == ("audited", "audit")
    assert replace(a_desk.row("0.jpg"), decision="", decided_by="", decided_at="", model_answer="") == row
