"""What is said of the audit: the share right with its interval, and when the promise is shown to be broken."""

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.records.ledger import Decision, Ledger, Row, Run
from batch.reporting import audit, health, report
from batch.reporting.audit import Audit, Verdict, examine, interval, statement
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

PHOTOS_A_YEAR = 3 * 365
"""Three a night: 1 % of three hundred."""


def year(wrong: float, chance: random.Random) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for _ in range(PHOTOS_A_YEAR):
        verdicts.append("wrong" if chance.random() < wrong else "right")
    return verdicts


def test_the_statement_gives_share_interval_and_promise() -> None:
    assert statement(Audit("r1", 0.97, right=207, wrong=5)) == (
        "Of 212 audited photos 207 are right: 97.6 % (95 % interval 94.6 to 99.2), promised 97 %."
    )


def test_nothing_is_said_before_a_photo_was_checked() -> None:
    assert statement(Audit("r1", 0.97, cannot_tell=3, later=9)) == ""


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),  # R: binom.test(right, of)$conf.int
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (7, 10, 0.3475, 0.9333), (9700, 10_000, 0.9665, 0.9733)],
)
def test_the_interval_is_the_exact_one(right: int, of: int, low: float, high: float) -> None:
    assert interval(right, of) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("promise", [0.8, 0.9, 0.97, 0.99])
def test_a_year_in_which_the_promise_is_just_kept_gives_a_false_alarm_in_one_of_twenty_at_most(
    promise: float,
) -> None:
    """`is_broken` stays once it is true, so the year's last look tells whether any look of the year was an alarm."""
    chance = random.Random(19)
    alarms = sum(examine(year(1 - promise, chance), promise=promise).is_broken for _ in range(500))
    assert 0 < alarms <= 0.05 * 500


def test_a_promise_that_is_shown_to_be_broken_stays_so_whatever_comes_after() -> None:
    seen: list[Verdict] = ["wrong" for _ in range(4)]
    seen += ["right" for _ in range(2000)]
    looks = [examine(seen[:day], promise=0.97).is_broken for day in range(0, len(seen), 10)]
    assert looks == sorted(looks)
    assert looks[-1]


@pytest.mark.parametrize(("wrong", "photos"), [(0.06, 1000), (0.1, 300), (0.3, 40)])
def test_a_promise_that_is_not_kept_is_found_out(wrong: float, photos: int) -> None:
    chance = random.Random(19)
    found = sum(examine(year(wrong, chance)[:photos], promise=0.97).is_broken for _ in range(200))
    assert found >= 0.95 * 200


def test_a_broken_promise_comes_with_what_to_do() -> None:
    told = statement(Audit("r1", 0.97, right=80, wrong=20, is_broken=True))
    assert "The promise is not kept: raise REVIEW_PRECISION" in told


def test_more_errors_than_a_float_can_tell_are_no_fault() -> None:
    assert examine(["wrong"] * 2000, promise=0.97).is_broken


def test_only_what_comes_before_the_first_open_photo_counts_and_cannot_tell_is_apart() -> None:
    verdicts: list[Verdict] = ["right", "cannot tell", "wrong", "open", "wrong", "right"]
    found = examine(verdicts, promise=0.97)
    assert (found.right, found.wrong, found.cannot_tell, found.later) == (1, 1, 1, 3)
    assert "Of 1 more nobody could tell." in statement(found)


def test_noticed_errors_do_not_weigh_more_than_unnoticed_right_ones() -> None:
    """Somebody who only ever moves what is wrong answers no open photo: their errors wait for their turn."""
    chance = random.Random(19)
    sample: list[Verdict] = [verdict if verdict == "wrong" else "open" for verdict in year(0.03, chance)]
    assert not examine(sample, promise=0.97).is_broken


class TestInTheLedger:
    """Which rows are the sample, and in what order."""

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Ledger:
        ledger = Ledger(tmp_path / "ledger.sqlite3")
        self.numbers = itertools.count()
        self.start(ledger, "20261101T020000Z")
        return ledger

    def start(
        self, ledger: Ledger, run_id: str, *, release: str = "r1", promise: str | None = "0.97"
    ) -> None:
        started = f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T02:00:00Z"
        settings = {"REVIEW_PRECISION": promise} if promise else {}
        ledger.start_run(Run(run_id, started, model_version=release, settings=settings))
        self.run_id, self.release = run_id, release

    def add(
        self, ledger: Ledger, decision: str, sha256: str = "", *, person: str = "shirt", **other: object
    ) -> Row:
        row = Row(
            "a.jpg", main_category="upperwear", sub_category="shirt", status="processed", review_reason="audit",
            moved_to=f"processed/upperwear/shirt/{next(self.numbers)}.jpg", run_id=self.run_id,
            model_version=self.release, sha256=sha256 or f"{next(self.numbers):064x}", filed=True,
        )  # fmt: skip
        if decision:
            row.model_answer = json.dumps({"main_category": "upperwear", "sub_category": "shirt"})
            row.sub_category = person
            row.decision = Decision(decision)
        for name, value in other.items():
            setattr(row, name, value)
        ledger.record([row])
        return row

    def test_before_the_first_night_there_is_none(self, tmp_path: Path) -> None:
        with Ledger(tmp_path / "empty.sqlite3") as ledger:
            assert audit.current(ledger) is None

    def test_what_a_person_left_as_the_model_said_is_right_and_what_they_changed_is_wrong(
        self, ledger: Ledger
    ) -> None:
        self.add(ledger, "audited")
        self.add(ledger, "corrected", colour="red")  # main and sub as they were
        self.add(ledger, "corrected", person="dress")
        self.add(ledger, "no clothing", person="")
        self.add(ledger, "cannot tell")
        found = audit.current(ledger)
        assert found
        assert (found.right, found.wrong, found.cannot_tell, found.later) == (2, 2, 1, 0)

    def test_they_come_night_by_night_and_by_checksum_within_one(self, ledger: Ledger) -> None:
        self.add(ledger, "audited", "c" * 64)
        self.add(ledger, "", "b" * 64)
        self.add(ledger, "corrected", "a" * 64, person="dress")
        self.start(ledger, "20261102T020000Z")
        self.add(ledger, "audited", "0" * 64)
        found = audit.current(ledger)
        assert found
        assert (found.right, found.wrong, found.later) == (0, 1, 3)

    def test_another_release_or_promise_begins_anew(self, ledger: Ledger) -> None:
        self.add(ledger, "corrected", person="dress")
        self.start(ledger, "20261102T020000Z", promise="0.95")
        self.add(ledger, "audited")
        assert audit.current(ledger) == Audit("r1", 0.95, right=1)
        self.start(ledger, "20261103T020000Z", release="r2", promise="0.95")
        assert audit.current(ledger) == Audit("r2", 0.95)

    def test_a_night_of_an_older_server_which_does_not_say_what_it_promises_has_none(
        self, ledger: Ledger
    ) -> None:
        self.start(ledger, "20261102T020000Z", promise=None)
        assert audit.current(ledger) is None

    def test_what_nobody_can_answer_any_more_does_not_stop_the_sample(self, ledger: Ledger) -> None:
        self.add(ledger, "", "0" * 64, moved_to="")  # deleted
        self.add(ledger, "", "1" * 64, superseded=True)  # put back
        self.add(ledger, "audited", "2" * 64)
        assert audit.current(ledger) == Audit("r1", 0.97, right=1)

    def test_an_answered_photo_counts_although_it_was_put_back_or_deleted_since(self, ledger: Ledger) -> None:
        self.add(ledger, "corrected", person="dress", superseded=True)
        self.add(ledger, "audited", moved_to="")
        assert audit.current(ledger) == Audit("r1", 0.97, right=1, wrong=1)


def test_an_audited_photo_that_is_moved_by_hand_is_wrong_by_whatever_way_it_goes(
    make_night: Callable[..., Night],
) -> None:
    night = make_night(audit_share=1)
    for name in ("straight", "through review"):
        night.drop(f"{name}.jpg", photo(name))
    night.run()
    folder = night.settings.data_dir / "processed"
    (folder / "bottomwear" / "pants").mkdir(parents=True)
    (folder / "upperwear/t-shirt/straight.jpg").rename(folder / "bottomwear/pants/straight.jpg")
    waiting = night.settings.data_dir / "review" / "through review.jpg"
    waiting.parent.mkdir(exist_ok=True)
    (folder / "upperwear/t-shirt/through review.jpg").rename(waiting)
    night.run()
    assert found(night).later, "the one in review is still open"
    waiting.rename(folder / "bottomwear/pants/through review.jpg")
    night.run()
    assert (found(night).right, found(night).wrong, found(night).later) == (0, 2, 0)


def found(night: Night) -> Audit:
    with Ledger(night.settings.ledger_path) as ledger:
        current = audit.current(ledger)
        assert current
        return current


def test_report_and_health_say_it(make_night: Callable[..., Night]) -> None:
    night = make_night(audit_share=1)
    for number in range(6):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    folder = night.settings.data_dir / "processed"
    (folder / "bottomwear" / "pants").mkdir(parents=True)
    for number in range(6):
        (folder / f"upperwear/t-shirt/{number}.jpg").rename(folder / f"bottomwear/pants/{number}.jpg")
    night.run()
    (finding,) = [one for one in health.findings(night.settings) if one.name == "audit"]
    assert (finding.level, finding.value) == (health.WARNING, 0.0)
    with Ledger(night.settings.ledger_path) as ledger:
        page = report.of_days(night.settings, ledger, 1)
    for text in (finding.text, report.as_html(night.settings, page).replace("\N{NO-BREAK SPACE}", " ")):
        assert "Of 6 audited photos 0 are right" in text
        assert "The promise is not kept" in text
