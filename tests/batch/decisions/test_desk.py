"""A decision counts once it is written down; the photo follows; nothing is lost, overwritten or decided twice."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from batch.decisions import desk, queue
from batch.decisions.desk import AlreadyDecidedError, CannotDecideError, Failed, GoneError, UnknownAnswerError
from batch.files import acts, filing, movers
from batch.records.ledger import Act, Ledger, Row
from batch.records.verdict import Verdict, decide
from tests.batch.conftest import Do, Examine
from tests.batch.decisions.conftest import PANTS, PHOTOS, SHIRT, Desk
from tests.fake_sidecar import photo

SHIRTS, TROUSERS, BARE = "processed/upperwear/t-shirt", "processed/bottomwear/pants", "processed/no clothing"


def waiting(a_desk: Desk) -> list[str]:
    page = queue.waiting(a_desk.ledger, queue.Filter(), queue.Sort.OLDEST)
    return sorted(row.file_name for row in page.photos)


def test_a_photo_goes_to_the_folder_of_its_new_answer_and_waits_no_longer(a_desk: Desk) -> None:
    a_desk.decide("order 7/a.jpg", PANTS)
    row = a_desk.row("order 7/a.jpg")
    assert (row.main_category, row.sub_category, row.sub_category_probability) == (
        "bottomwear",
        "pants",
        None,
    )
    assert (row.status, row.needs_review, row.review_reason) == ("processed", False, "")
    assert (row.decision, row.decided_by) == ("corrected", "ada")
    assert row.decided_at.endswith("Z")
    assert row.moved_to == f"{TROUSERS}/order 7/a.jpg"
    assert a_desk.night.files()[row.moved_to] == photo("a", doubt=True)
    assert waiting(a_desk) == ["b.jpg", "c.jpg"]


def test_the_models_own_answer_accepts_it_and_keeps_its_probabilities(a_desk: Desk) -> None:
    decided = a_desk.decide("order 7/a.jpg", SHIRT)
    assert decided.decision == "accepted"
    assert a_desk.row("order 7/a.jpg").sub_category_probability == 0.5
    assert a_desk.row("order 7/a.jpg").moved_to == f"{SHIRTS}/order 7/a.jpg"


def test_another_colour_or_background_alone_corrects_without_a_move(a_desk: Desk) -> None:
    a_desk.decide("sure.jpg", replace(SHIRT, colour="blue"))
    row = a_desk.row("sure.jpg")
    assert (row.decision, row.colour, row.colour_probability) == ("corrected", "blue", None)
    assert (row.moved_to, row.background_quality) == (f"{SHIRTS}/sure.jpg", "acceptable")
    assert a_desk.ledger.unfinished_acts() == []


def test_no_clothing_empties_the_answers_and_has_a_folder_of_its_own(a_desk: Desk) -> None:
    a_desk.decide("order 7/a.jpg", Verdict(no_clothing=True))
    row = a_desk.row("order 7/a.jpg")
    assert row.moved_to == f"{BARE}/order 7/a.jpg"
    assert (row.decision, row.status) == ("no clothing", "processed")
    answers = (row.main_category, row.sub_category, row.background_quality, row.colour)
    assert answers == ("", "", "", "")
    assert row.sub_category_probability is row.colour_probability is None


def test_cannot_tell_ends_the_waiting_and_changes_neither_place_nor_answers(a_desk: Desk) -> None:
    before = a_desk.row("b.jpg")
    a_desk.decide("b.jpg", Verdict(cannot_tell=True))
    row = a_desk.row("b.jpg")
    assert (row.decision, row.needs_review) == ("cannot tell", False)
    assert (row.moved_to, row.status, row.sub_category) == (before.moved_to, "review", "pants")
    assert waiting(a_desk) == ["c.jpg", "order 7/a.jpg"]


@pytest.mark.parametrize(
    ("verdict", "decision"),
    [
        (SHIRT, "audited"),
        (replace(SHIRT, colour="blue"), "audited"),
        (PANTS, "corrected"),
        (Verdict(no_clothing=True), "no clothing"),
        (Verdict(cannot_tell=True), "cannot tell"),
    ],
)
def test_a_photo_of_the_audit_keeps_its_mark(
    make_desk: Callable[..., Desk], verdict: Verdict, decision: str
) -> None:
    a_desk = make_desk({"a.jpg": photo("a"), "p.jpg": photo("p", sub="pants")}, audit_share=1)
    a_desk.decide("a.jpg", verdict)
    row = a_desk.row("a.jpg")
    assert (row.decision, row.review_reason) == (decision, "audit")


@pytest.mark.parametrize("name", ["broken.jpg", "again.jpg"])
def test_failed_photos_and_duplicates_can_be_decided_on(make_desk: Callable[..., Desk], name: str) -> None:
    a_desk = make_desk({"a.jpg": photo("a"), "again.jpg": photo("a"), "broken.jpg": photo("x", broken=True)})
    a_desk.decide(name, PANTS)
    row = a_desk.row(name)
    assert (row.status, row.error, row.duplicate_of) == ("processed", "", "")
    assert row.moved_to == f"{TROUSERS}/{name}"


def test_companions_go_with_their_photo_there_and_back(make_desk: Callable[..., Desk]) -> None:
    a_desk = make_desk({"a.jpg": photo("a", doubt=True), "a.jpg.xmp": b"notes"})
    receipt = a_desk.decide("a.jpg", PANTS).receipt
    assert a_desk.night.files()[f"{TROUSERS}/a.jpg.xmp"] == b"notes"
    a_desk.undo(receipt)
    assert a_desk.night.files()["review/a.jpg.xmp"] == b"notes"


def test_nothing_is_overwritten_when_a_name_is_taken(a_desk: Desk) -> None:
    (a_desk.data / TROUSERS).mkdir(parents=True)
    (a_desk.data / TROUSERS / "c.jpg").write_bytes(b"somebody's")
    a_desk.decide("c.jpg", PANTS)
    assert a_desk.row("c.jpg").moved_to == f"{TROUSERS}/c (2).jpg"
    assert a_desk.night.files()[f"{TROUSERS}/c.jpg"] == b"somebody's"


def test_a_name_that_is_taken_at_the_last_moment_is_written_down_before_the_other_is_used(
    a_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = filing.move_photo
    planned: list[list[str]] = []

    def taken(*values: object) -> None:
        place = a_desk.data / TROUSERS / "c.jpg"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"somebody's")
        planned.append([act.target for act in a_desk.ledger.unfinished_acts()])
        original(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(filing, "move_photo", taken)
    a_desk.decide("c.jpg", PANTS)
    assert planned == [[f"{TROUSERS}/c.jpg"], [f"{TROUSERS}/c (2).jpg"]]
    assert a_desk.row("c.jpg").moved_to == f"{TROUSERS}/c (2).jpg"


def test_duplicates_name_the_new_place(make_desk: Callable[..., Desk]) -> None:
    a_desk = make_desk({"a.jpg": photo("a", doubt=True), "b.jpg": photo("a", doubt=True)})
    receipt = a_desk.decide("a.jpg", PANTS).receipt
    assert a_desk.row("b.jpg").duplicate_of == f"{TROUSERS}/a.jpg"
    a_desk.undo(receipt)
    assert a_desk.row("b.jpg").duplicate_of == "review/a.jpg"


# Undo


VERDICTS = [PANTS, SHIRT, replace(SHIRT, colour="blue"), Verdict(no_clothing=True), Verdict(cannot_tell=True)]


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("name", ["order 7/a.jpg", "sure.jpg"])
def test_undo_is_exact(a_desk: Desk, name: str, verdict: Verdict) -> None:
    before, files = a_desk.row(name), a_desk.night.files()
    receipt = a_desk.decide(name, verdict).receipt
    undone = a_desk.undo(receipt)
    assert a_desk.row(name) == before == undone.row
    assert a_desk.night.files() == files
    assert waiting(a_desk) == ["b.jpg", "c.jpg", "order 7/a.jpg"]


def test_ones_own_decisions_are_taken_back_newest_first_without_limit(a_desk: Desk) -> None:
    names = ["order 7/a.jpg", "b.jpg", "c.jpg"]
    before = [a_desk.row(name) for name in names]
    for name in names:
        a_desk.decide(name, PANTS)
    a_desk.decide("sure.jpg", PANTS, by="bob")
    for _ in names:
        a_desk.undo(desk.newest(a_desk.ledger, "ada"))
    assert desk.newest(a_desk.ledger, "ada") == ""
    assert [a_desk.row(name) for name in names] == before
    assert a_desk.row("sure.jpg").decision == "corrected"


def test_undo_twice_is_undo_once(a_desk: Desk) -> None:
    receipt = a_desk.decide("b.jpg", SHIRT).receipt
    a_desk.undo(receipt)
    before = a_desk.row("b.jpg")
    a_desk.undo(receipt)
    assert a_desk.row("b.jpg") == before


def test_nobody_takes_back_what_others_decided(a_desk: Desk) -> None:
    receipt = a_desk.decide("b.jpg", SHIRT, by="bob").receipt
    for stranger in (receipt, "4711", "l1", "d'oh"):
        with pytest.raises(CannotDecideError, match="Only your own"):
            a_desk.undo(stranger, by="ada")


def test_nothing_is_taken_back_once_somebody_has_decided_since(a_desk: Desk) -> None:
    mine = a_desk.decide("b.jpg", SHIRT).receipt
    theirs = a_desk.decide("b.jpg", PANTS, by="bob", over=mine)
    with pytest.raises(AlreadyDecidedError) as refused:
        a_desk.undo(mine)
    assert (refused.value.by, refused.value.theirs, refused.value.yours) == (
        "bob",
        theirs_of(theirs.row),
        None,
    )
    a_desk.undo(theirs.receipt, by="bob")
    a_desk.undo(mine)
    assert a_desk.row("b.jpg").status == "review"


def theirs_of(row: Row) -> Verdict:
    return Verdict(row.main_category, row.sub_category, row.background_quality, row.colour)


def test_a_photo_moved_by_hand_since_is_not_taken_back(a_desk: Desk) -> None:
    receipt = a_desk.decide("b.jpg", PANTS).receipt
    target = a_desk.data / SHIRTS / "b.jpg"
    shutil.move(a_desk.data / TROUSERS / "b.jpg", target)
    assert a_desk.night.run() == 0
    with pytest.raises(AlreadyDecidedError) as refused:
        a_desk.undo(receipt)
    assert (refused.value.by, refused.value.decision) == ("", "corrected")
    assert target.exists()


def test_a_photo_archived_since_is_not_taken_back(a_desk: Desk, do: Do) -> None:
    receipt = a_desk.decide("b.jpg", PANTS).receipt
    a_desk.ledger.write("UPDATE photos SET processed_at = '2020-01-01T00:00:00Z'")
    assert do("prune", "--days", "1", "--archive", "--yes") == 0
    with pytest.raises(GoneError, match="archived"):
        a_desk.undo(receipt)


# Two people


def test_a_late_decision_is_told_whose_came_first_and_both_answers(a_desk: Desk) -> None:
    first = a_desk.decide("order 7/a.jpg", PANTS, by="bob")
    with pytest.raises(AlreadyDecidedError) as refused:
        a_desk.decide("order 7/a.jpg", SHIRT)
    error = refused.value
    assert (error.by, error.decision, error.receipt) == ("bob", "corrected", first.receipt)
    assert (error.theirs.sub, error.yours) == ("pants", SHIRT)
    assert a_desk.row("order 7/a.jpg").decided_by == "bob"


def test_whoever_has_seen_the_others_decision_may_replace_it(a_desk: Desk) -> None:
    first = a_desk.decide("order 7/a.jpg", PANTS, by="bob")
    a_desk.decide("order 7/a.jpg", SHIRT, over=first.receipt)
    row = a_desk.row("order 7/a.jpg")
    assert (row.decided_by, row.decision, row.sub_category_probability) == ("ada", "accepted", 0.5)
    with pytest.raises(AlreadyDecidedError):
        a_desk.decide("order 7/a.jpg", PANTS, by="eve", over=first.receipt)


def test_the_same_answer_sent_again_is_the_first_one(a_desk: Desk) -> None:
    first = a_desk.decide("b.jpg", SHIRT)
    again = a_desk.decide("b.jpg", SHIRT)
    assert again.receipt == first.receipt
    assert len(a_desk.ledger.acts("action = 'decide'")) == 1


# What cannot be


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(),
        Verdict(main="upperwear", sub="pants"),
        Verdict(main="..", sub=".."),
        replace(SHIRT, colour="plaid"),
        replace(SHIRT, background="so-so"),
    ],
)
def test_an_answer_that_there_is_none_of_is_refused(a_desk: Desk, verdict: Verdict) -> None:
    before = a_desk.row("b.jpg")
    with pytest.raises(UnknownAnswerError, match="There is no"):
        a_desk.decide("b.jpg", verdict)
    assert a_desk.row("b.jpg") == before


@pytest.mark.parametrize("verdict", [PANTS, SHIRT, Verdict(cannot_tell=True)])
@pytest.mark.parametrize("what", ["taken away", "worked on"])
def test_a_photo_that_is_not_there_any_more_is_not_decided_on(
    a_desk: Desk, verdict: Verdict, what: str
) -> None:
    before, place = a_desk.row("b.jpg"), a_desk.data / "review" / "b.jpg"
    place.unlink()
    if what == "worked on":
        place.write_bytes(b"another")
    with pytest.raises(GoneError, match="not where it was"):
        a_desk.decide("b.jpg", verdict)
    assert a_desk.row("b.jpg") == before
    assert a_desk.ledger.unfinished_acts() == []


def test_a_photo_that_was_put_back_is_not_decided_on(a_desk: Desk, do: Do) -> None:
    number = a_desk.id("b.jpg")
    assert do("requeue", "--photo", "b.jpg") == 0
    with pytest.raises(GoneError, match="put back"):
        desk.decide(a_desk.settings, a_desk.ledger, number, PANTS, by="ada")
    with pytest.raises(GoneError, match="no such photo"):
        desk.decide(a_desk.settings, a_desk.ledger, 4711, PANTS, by="ada")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_changes_nothing(a_desk: Desk) -> None:
    before = a_desk.row("b.jpg")
    (a_desk.data / SHIRTS).chmod(0o500)
    with pytest.raises(filing.FilingError, match="Permission"):
        a_desk.decide("b.jpg", SHIRT)
    (a_desk.data / SHIRTS).chmod(0o700)
    assert a_desk.row("b.jpg") == before


def test_a_disk_that_fails_after_the_move_leaves_the_rest_to_the_next_one(
    a_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(filing, "sync_folders", fail)
    with pytest.raises(filing.FilingError, match="brought to disk"):
        a_desk.decide("b.jpg", SHIRT)
    monkeypatch.undo()
    assert a_desk.decide("b.jpg", SHIRT).row.moved_to == f"{SHIRTS}/b.jpg"
    assert a_desk.ledger.unfinished_acts() == []
    assert len(a_desk.ledger.acts("action = 'decide'")) == 1


def test_one_of_several_that_fails_stops_no_other(a_desk: Desk) -> None:
    (a_desk.data / "review" / "b.jpg").unlink()
    wishes = [(a_desk.id(name), SHIRT) for name in ("order 7/a.jpg", "b.jpg", "c.jpg")]
    results = desk.decide_all(a_desk.settings, a_desk.ledger, wishes, by="ada")
    assert [isinstance(result, Failed) for result in results] == [False, True, False]
    assert [result.photo_id for result in results] == [number for number, _ in wishes]
    assert waiting(a_desk) == ["b.jpg"]


def test_equal_names_decided_together_get_names_of_their_own(make_desk: Callable[..., Desk]) -> None:
    a_desk = make_desk({"a.jpg": photo("1", doubt=True)})
    a_desk.night.drop("a.jpg", photo("2", doubt=True))
    assert a_desk.night.run() == 0
    ids = [row.id or 0 for row in a_desk.ledger.matching("file_name = 'a.jpg'")]
    desk.decide_all(a_desk.settings, a_desk.ledger, [(number, PANTS) for number in ids], by="ada")
    assert sorted(a_desk.night.files()) == [f"{TROUSERS}/a (2).jpg", f"{TROUSERS}/a.jpg"]


# Whose plan it is


def plan(a_desk: Desk, name: str, owner: str) -> Act:
    """As a decision stands in the ledger before its photo moves."""
    row = a_desk.row(name)
    becomes = decide(row, PANTS, by="bob", now="2026-11-25T10:00:00Z")
    act = desk._act("decide", row, becomes, "bob")
    act.owner, act.target = owner, f"{TROUSERS}/{name}"
    assert a_desk.ledger.decide([(act, row)]) == [act]
    return act


def test_a_plan_whose_owner_is_alive_is_nobody_elses(a_desk: Desk, examine: Examine) -> None:
    with movers.moving(a_desk.ledger.path.parent) as owner:
        plan(a_desk, "b.jpg", owner)
        assert acts.finish_dead(a_desk.data, a_desk.ledger) == 0
        assert "decided on when that was ended" not in examine(a_desk.night)[1]
        assert a_desk.night.run() == 0
        assert (a_desk.data / "review" / "b.jpg").exists()
        with pytest.raises(desk.BusyError):
            a_desk.decide("b.jpg", SHIRT)
    assert a_desk.night.run() == 0
    assert a_desk.row("b.jpg").moved_to == f"{TROUSERS}/b.jpg"
    assert a_desk.ledger.unfinished_acts() == []


def test_a_dead_ones_plan_is_finished_by_whoever_decides_next(a_desk: Desk) -> None:
    plan(a_desk, "b.jpg", "nobody")
    with pytest.raises(AlreadyDecidedError) as refused:
        a_desk.decide("b.jpg", SHIRT)
    assert refused.value.by == "bob"
    assert a_desk.row("b.jpg").moved_to == f"{TROUSERS}/b.jpg"


def test_the_start_of_the_pages_finishes_what_was_begun(a_desk: Desk) -> None:
    plan(a_desk, "b.jpg", "nobody")
    assert desk.recover(a_desk.settings, a_desk.ledger) == 1
    assert a_desk.row("b.jpg").moved_to == f"{TROUSERS}/b.jpg"
    assert os.listdir(a_desk.ledger.path.parent / movers.FOLDER) == []


def test_a_photo_taken_away_before_a_dead_ones_plan_is_finished_waits_as_before(a_desk: Desk) -> None:
    before = a_desk.row("b.jpg")
    plan(a_desk, "b.jpg", "nobody")
    (a_desk.data / "review" / "b.jpg").unlink()
    assert a_desk.night.run() == 0
    assert a_desk.row("b.jpg") == before
    assert a_desk.ledger.acts("true") == []


# Commands and nights beside it


def test_requeue_leaves_what_people_decided_unless_it_is_named(a_desk: Desk, do: Do) -> None:
    a_desk.decide("b.jpg", SHIRT)
    assert do("requeue", "--run", "last") == 0
    assert [row.file_name for row in a_desk.night.rows()] == ["b.jpg"]
    assert do("requeue", "--photo", "b.jpg") == 0
    assert a_desk.night.rows() == []


def test_prune_archives_what_was_decided(a_desk: Desk, do: Do) -> None:
    a_desk.decide("b.jpg", Verdict(no_clothing=True))
    a_desk.ledger.write("UPDATE photos SET processed_at = '2020-01-01T00:00:00Z'")
    assert do("prune", "--days", "1", "--archive", "--yes") == 0
    row = a_desk.row("b.jpg")
    assert row.moved_to == f"archive/2020-01/{BARE}/b.jpg"
    assert row.decision == "no clothing"


def test_the_doctor_finds_nothing_wrong_with_decisions(
    make_desk: Callable[..., Desk], examine: Examine
) -> None:
    a_desk = make_desk(PHOTOS)
    for name, verdict in zip(("order 7/a.jpg", "b.jpg", "c.jpg"), VERDICTS[2:], strict=True):
        a_desk.decide(name, verdict)
    code, words = examine(a_desk.night)
    assert code == 0
    assert "what people have decided since follows" in words
    assert examine(a_desk.night, fix=True)[0] == 0


def test_the_doctor_mends_a_queue_that_another_program_has_spoilt(a_desk: Desk, examine: Examine) -> None:
    a_desk.ledger.write("DELETE FROM waiting WHERE id = ?", a_desk.id("b.jpg"))
    a_desk.ledger.write("UPDATE tallies SET number = number + 5 WHERE kind = 'all'")
    assert examine(a_desk.night)[0] == 1
    assert "wait for a person" in examine(a_desk.night, fix=True)[1]
    assert examine(a_desk.night)[0] == 0
    assert queue.counts(a_desk.ledger).total == 3


def test_a_night_and_the_report_count_what_the_model_said(a_desk: Desk) -> None:
    from batch.reporting import summary

    before = summary.sum_up(a_desk.ledger.filed_rows())
    a_desk.decide("order 7/a.jpg", Verdict(no_clothing=True))
    a_desk.decide("b.jpg", SHIRT)
    assert summary.sum_up(a_desk.ledger.filed_rows()) == before


def test_what_cannot_be_told_does_not_wait_in_the_report(a_desk: Desk) -> None:
    from batch.reporting import waiting as to_wait

    a_desk.decide("b.jpg", Verdict(cannot_tell=True))
    assert to_wait.for_review(a_desk.ledger, a_desk.data)[0] == 2


def test_a_photo_dropped_again_is_a_duplicate_with_the_persons_answer(a_desk: Desk) -> None:
    a_desk.decide("order 7/a.jpg", PANTS)
    a_desk.night.drop("again.jpg", photo("a", doubt=True))
    assert a_desk.night.run() == 0
    again = a_desk.row("again.jpg")
    assert (again.status, again.sub_category, again.decision) == ("duplicate", "pants", "")


def test_a_ledger_that_was_lost_learns_decisions_from_the_csv(a_desk: Desk) -> None:
    a_desk.decide("order 7/a.jpg", Verdict(no_clothing=True))
    a_desk.decide("b.jpg", Verdict(cannot_tell=True))
    assert a_desk.night.run() == 0
    before = a_desk.night.csv()
    a_desk.ledger.close()
    for path in a_desk.data.glob("ledger.sqlite3*"):
        path.unlink()
    assert a_desk.night.run() == 0
    with Ledger(a_desk.settings.ledger_path) as ledger:
        rows = {row.file_name: row for row in ledger.filed_rows()}
    assert rows["order 7/a.jpg"].decision == "no clothing"
    assert (rows["b.jpg"].decision, rows["b.jpg"].decided_by) == ("cannot tell", "ada")
    columns = ("file_name", "decision", "decided_by", "decided_at", "moved_to")
    shown = [[line[column] for column in columns] for line in a_desk.night.csv()]
    assert sorted(shown) == sorted([line[column] for column in columns] for line in before)


def test_history_counts_decisions(a_desk: Desk, do: Do, capsys: pytest.CaptureFixture[str]) -> None:
    a_desk.undo(a_desk.decide("b.jpg", SHIRT).receipt)
    a_desk.decide("c.jpg", SHIRT)
    assert do("show", "last") == 0
    assert "decided by people  1" in capsys.readouterr().out
