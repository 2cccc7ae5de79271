"""Photos that wait, page by page and counted; and who looks at which."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batch.decisions import leases, listing, queue
from batch.decisions.listing import Selection
from batch.decisions.queue import BadKeyError, Filter, Page, Sort
from batch.records.ledger import Act, Decision, Ledger, Row

SUBS = {"t-shirt": "upperwear", "pants": "bottomwear", "shoes": "footwear"}


def rows(number: int = 60) -> list[Row]:
    """Photos of three runs and of orders, every second one of which waits."""
    made = []
    for n in range(number):
        sub, waits, order = list(SUBS)[n % 3], n % 2 == 0, ("", "7", "Größe 8")[n % 5 % 3]
        name = f"{order}/IMG_{n}.jpg" if order else f"IMG_{n}.jpg"
        made.append(
            Row(
                file_name=name,
                main_category=SUBS[sub],
                sub_category=sub,
                sub_category_probability=n % 7 / 10,
                needs_review=waits,
                review_reason=("sub category unsure (0.1 < 0.9), main category unsure (0.2 < 0.9)" if n % 4 else
                               "two kinds equally likely (a 40 % or b 39 %)") if waits else "",
                status="review" if waits else "failed" if n % 11 == 0 else "processed",
                moved_to=f"{'review' if waits else f'processed/{SUBS[sub]}/{sub}'}/{name}",
                sha256=f"{n * 2654435761 % 2**32:08x}" * 8,
                run_id=f"2026112{n % 3}T020000Z",
                processed_at=f"2026-11-2{n % 3}T02:00:00Z",
                order=order,
                filed=True,
            )
        )  # fmt: skip
    return made


@pytest.fixture
def ledger(tmp_path: Path) -> "Ledger":
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    ledger.record(rows())
    return ledger


def names(page: Page) -> list[str]:
    return [row.file_name for row in page.photos]


FILTERS = [
    Filter(),
    Filter(run="20261120T020000Z"),
    Filter(order="7"),
    Filter(order=""),
    Filter(main="footwear", sub="shoes"),
    Filter(doubt="main category unsure"),
    Filter(doubt="two kinds equally likely"),
    Filter(doubt="kinds"),
    Filter(least=0.2, below=0.5),
    Filter(run="20261121T020000Z", order="7", doubt="sub category unsure"),
]


def fits(row: Row, chosen: Filter) -> bool:
    sure = row.sub_category_probability or 0
    return (
        (not chosen.run or row.run_id == chosen.run)
        and (chosen.order is None or row.order == chosen.order)
        and (not chosen.sub or row.sub_category == chosen.sub)
        and (not chosen.doubt or f", {chosen.doubt} (" in f", {row.review_reason}")
        and (chosen.least is None or sure >= chosen.least)
        and (chosen.below is None or sure < chosen.below)
    )


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("chosen", FILTERS)
def test_pages_show_each_photo_that_fits_once_in_the_order_asked_for(
    ledger: Ledger, chosen: Filter, sort: Sort
) -> None:
    shown, after = list[Row](), ""
    while True:
        page = queue.waiting(ledger, chosen, sort, after=after, limit=7)
        shown += page.photos
        after = page.after
        if not after:
            break
    wanted = [row for row in ledger.filed_rows() if row.needs_review and fits(row, chosen)]
    assert sorted(row.id or 0 for row in shown) == sorted(row.id or 0 for row in wanted)
    keys: dict[Sort, Callable[[Row], Any]] = {
        Sort.DOUBTFUL: lambda row: row.sub_category_probability,
        Sort.ALIKE: lambda row: (row.main_category, row.sub_category, row.sub_category_probability),
        Sort.OLDEST: lambda row: row.id,
        Sort.NEWEST: lambda row: -(row.id or 0),
    }
    assert all(keys[sort](one) <= keys[sort](other) for one, other in pairwise(shown))


@pytest.mark.parametrize("after", ["x", "[]", "[1]", '{"a":1}', "[null,2]", '["a",["b"]]'])
def test_a_key_that_was_not_made_here_is_refused(ledger: Ledger, after: str) -> None:
    with pytest.raises(BadKeyError):
        queue.waiting(ledger, Filter(), Sort.DOUBTFUL, after=after)
    with pytest.raises(BadKeyError):
        listing.photos(ledger, Selection(status="failed"), Sort.DOUBTFUL, after=after)


def counted(ledger: Ledger) -> queue.Counts:
    """The same by hand."""
    waits = [
        row for row in ledger.filed_rows() if row.status == "review" and row.moved_to.startswith("review/")
    ]
    found = queue.counts(ledger)

    def tally(values: list[str]) -> dict[str, int]:
        return {value: values.count(value) for value in values}

    reasons = [part.partition(" (")[0] for row in waits for part in row.review_reason.split(", ")]
    categories = [f"{row.main_category}/{row.sub_category}" for row in waits]
    return replace(
        found,
        total=len(waits),
        runs=tally([row.run_id for row in waits]),
        orders=tally([row.order for row in waits]),
        categories={tuple(name.split("/")): n for name, n in tally(categories).items()},  # type: ignore[misc]
        doubts=tally(reasons),
    )


def test_counters_follow_whatever_changes_rows(ledger: Ledger) -> None:
    assert queue.counts(ledger) == counted(ledger)
    waiting = queue.waiting(ledger, Filter(), Sort.OLDEST, limit=9).photos
    ledger.plan([Act("requeue", waiting[0].id or 0, waiting[0].moved_to, "incoming/a.jpg")])
    ledger.follow(replace(waiting[1], moved_to="review/else.jpg"), waiting[1], "")
    ledger.follow(replace(waiting[2], status="processed"), waiting[2], "")
    archived = Act("archive", waiting[3].id or 0, waiting[3].moved_to, "archive/a.jpg")
    ledger.plan([archived])
    ledger.finish([archived])
    ledger.record([replace(waiting[4], id=None, filed=False)])
    assert queue.counts(ledger) == counted(ledger)
    assert queue.counts(ledger).total == 30 - 3
    assert not ledger.queue_is_wrong()


def test_an_upper_bound_is_exact_where_one_thing_is_named(ledger: Ledger) -> None:
    found = queue.counts(ledger)
    for chosen in FILTERS[:6]:
        wanted = sum(row.needs_review and fits(row, chosen) for row in ledger.filed_rows())
        assert queue.at_most(found, chosen) == wanted
    assert queue.at_most(found, FILTERS[-1]) >= 1


def test_the_likeliest_classes_come_first() -> None:
    row = Row("a.jpg", probabilities='{"sub": {"hat": 0.1, "dress": 0.7, "shirt": 0.2}, "main": {}}')
    assert queue.top(row, "sub", 2) == [("dress", 0.7), ("shirt", 0.2)]
    assert queue.top(row, "colour") == queue.top(Row("b.jpg"), "sub") == []


# Leases


def take(ledger: Ledger, holder: str, now: float = 1000.0, limit: int = 4) -> list[str]:
    return names(leases.take(ledger, holder, Filter(), Sort.OLDEST, limit=limit, now=now))


def test_the_next_person_gets_the_next_photos(ledger: Ledger) -> None:
    first, second = take(ledger, "tab 1"), take(ledger, "tab 2")
    assert not set(first) & set(second)
    assert len(first) == len(second) == 4
    assert take(ledger, "tab 1") == first


def test_an_abandoned_photo_is_back_after_five_minutes(ledger: Ledger) -> None:
    first = take(ledger, "tab 1", now=1000)
    assert set(take(ledger, "tab 2", now=1299)).isdisjoint(first)
    assert take(ledger, "tab 3", now=1301) == first


def test_what_is_given_back_is_free_at_once(ledger: Ledger) -> None:
    first = take(ledger, "tab 1")
    numbers = [row.id or 0 for row in queue.waiting(ledger, Filter(), Sort.OLDEST, limit=2).photos]
    leases.release(ledger, "tab 2", numbers)
    assert take(ledger, "tab 2", limit=1) != first[:1]
    leases.release(ledger, "tab 1", numbers[:1])
    assert take(ledger, "tab 3", limit=1) == first[:1]
    leases.release(ledger, "tab 1")
    assert take(ledger, "tab 4", limit=1) == first[1:2]


def test_a_tab_that_goes_on_looking_keeps_its_photos(ledger: Ledger) -> None:
    first = take(ledger, "tab 1", now=1000)
    numbers = [row.id or 0 for row in queue.waiting(ledger, Filter(), Sort.OLDEST, limit=4).photos]
    leases.renew(ledger, "tab 1", numbers, now=1250)
    leases.renew(ledger, "tab 9", numbers, now=9000)
    assert set(take(ledger, "tab 2", now=1400)).isdisjoint(first)
    assert take(ledger, "tab 3", now=1551) == first


# A run's photos, and the search


def test_a_selection_shows_what_fits_and_its_csv_has_exactly_that(ledger: Ledger) -> None:
    selection = Selection(Filter(run="20261120T020000Z", sub="t-shirt"), status="processed")
    wanted = [
        row
        for row in ledger.filed_rows()
        if row.run_id == "20261120T020000Z" and row.sub_category == "t-shirt" and row.status == "processed"
    ]
    assert len(wanted) > 3
    shown, after = list[str](), ""
    while True:
        page = listing.photos(ledger, selection, Sort.NEWEST, after=after, limit=3)
        shown += names(page)
        after = page.after
        if not after:
            break
    assert shown == [row.file_name for row in reversed(wanted)]
    lines = b"".join(listing.csv_of(ledger, selection)).decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [row.file_name for row in wanted]


@pytest.mark.parametrize(
    ("selection", "number"),
    [
        (Selection(status="failed"), 3),
        (Selection(Filter(order="Größe 8")), 12),
        (Selection(decided=True), 0),
        (Selection(Filter(order="7"), status="failed", decided=True, audit=True), 0),
        (Selection(Filter(order="7"), status="failed"), 1),
        (Selection(Filter(order="7"), audit=True), 0),
        (Selection(Filter(run="20261120T020000Z", order=""), decision=Decision.ACCEPTED), 0),
        (Selection(Filter(run="20261120T020000Z"), decided=False), 20),
        (Selection(audit=True), 0),
        (Selection(Filter(order="7", doubt="main category unsure")), None),
        (Selection(Filter(order="7", least=0.6)), None),
        (Selection(), 60),
    ],
)
def test_each_part_of_a_selection_picks(ledger: Ledger, selection: Selection, number: int | None) -> None:
    if number is None:
        number = sum(row.order == "7" and fits(row, selection.chosen) for row in ledger.filed_rows())
        assert number > 1
    assert listing.sorts(selection)
    for sort in listing.sorts(selection):
        assert len(listing.photos(ledger, selection, sort, limit=100).photos) == number


def test_all_photos_can_be_shown_by_time_only(ledger: Ledger) -> None:
    with pytest.raises(BadKeyError, match="choose a run"):
        listing.photos(ledger, Selection(), Sort.DOUBTFUL)
    with pytest.raises(BadKeyError, match="choose a run"):
        listing.photos(ledger, Selection(Filter(sub="pants")), Sort.NEWEST)
    assert set(listing.sorts(Selection(Filter(run="x", sub="pants")))) == set(Sort)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("IMG_12.jpg", ["Größe 8/IMG_12.jpg"]),
        ("img_12", ["Größe 8/IMG_12.jpg"]),
        ("7/IMG_1", ["7/IMG_16.jpg", "7/IMG_11.jpg", "7/IMG_1.jpg", "7/IMG_19.jpg", "7/IMG_14.jpg"]),
        ("Große", []),
        ("", []),
        ("IMG_1%", []),
        ("0000000000000000", ["IMG_0.jpg"]),
    ],
)
def test_a_photo_is_found_by_its_name_order_or_checksum(ledger: Ledger, text: str, found: list[str]) -> None:
    assert set(names(listing.search(ledger, text))) == {
        name for name in found if any(row.file_name == name for row in ledger.filed_rows())
    }


@pytest.mark.parametrize("text", ["Größe 8", "Gro\u0308ße 8", " Größe 8/"])
def test_an_order_is_found_however_its_letters_are_made(ledger: Ledger, text: str) -> None:
    assert len(listing.search(ledger, text).photos) == 12


def test_a_search_goes_on_page_by_page(ledger: Ledger) -> None:
    shown, after = list[str](), ""
    while True:
        page = listing.search(ledger, "IMG_", after=after, limit=8)
        shown += names(page)
        after = page.after
        if not after:
            break
    assert sorted(shown) == sorted(row.file_name for row in ledger.filed_rows())
