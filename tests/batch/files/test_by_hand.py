"""What people moved in a file manager is their decision: rows follow, nothing is moved back, nothing is forgotten."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.files import by_hand
from batch.records.ledger import Ledger, Row
from tests.batch.conftest import Do, Examine, Night
from tests.fake_sidecar import FakeSidecar, photo

SHIRTS, PANTS = "processed/upperwear/t-shirt", "processed/bottomwear/pants"


def move(night: Night, source: str, target: str) -> None:
    """As a person does it in a file manager."""
    path = night.settings.data_dir / target
    path.parent.mkdir(parents=True, exist_ok=True)
    (night.settings.data_dir / source).rename(path)


def row_of(night: Night, name: str) -> Row:
    (row,) = [row for row in night.rows() if row.file_name == name]
    return row


@pytest.fixture
def moved(night: Night) -> Night:
    """A night with a photo for review that somebody has moved to the category that they saw."""
    night.drop("order 7/a.jpg", photo("a", doubt=True))
    night.drop("other.jpg", photo("other", sub="pants"))
    night.run()
    move(night, "review/order 7/a.jpg", f"{PANTS}/order 7/a.jpg")
    return night


def test_the_row_follows_a_photo_that_was_moved_out_of_review(moved: Night) -> None:
    assert moved.run() == 0
    row = row_of(moved, "order 7/a.jpg")
    assert row.moved_to == f"{PANTS}/order 7/a.jpg"
    assert (row.status, row.needs_review, row.review_reason) == ("processed", False, "")
    assert (row.main_category, row.sub_category) == ("bottomwear", "pants")
    assert row.sub_category_probability is None
    assert (row.decision, row.decided_by) == ("corrected", "")
    assert row.decided_at.endswith("Z")
    assert moved.files()[f"{PANTS}/order 7/a.jpg"] == photo("a", doubt=True)


def test_the_ledger_keeps_what_the_model_had_answered(moved: Night) -> None:
    moved.run()
    answer = json.loads(row_of(moved, "order 7/a.jpg").model_answer)
    assert answer["sub_category"] == "t-shirt"
    assert answer["status"] == "review"
    assert answer["sub_category_probability"] == 0.5


def test_the_csv_shows_the_persons_answer_and_that_it_is_theirs(moved: Night) -> None:
    moved.run()
    (line,) = [line for line in moved.csv() if line["file_name"] == "order 7/a.jpg"]
    assert (line["sub_category"], line["decision"]) == ("pants", "corrected")
    assert line["decided_at"]


def test_the_models_own_category_accepts_its_answer(night: Night) -> None:
    night.drop("a.jpg", photo("a", doubt=True))
    night.run()
    move(night, "review/a.jpg", f"{SHIRTS}/a.jpg")
    night.run()
    row = row_of(night, "a.jpg")
    assert (row.decision, row.sub_category, row.sub_category_probability) == ("accepted", "t-shirt", 0.5)
    assert (row.status, row.review_reason) == ("processed", "")


def test_a_photo_moved_to_no_clothing_has_no_answers_any_more(night: Night, examine: Examine) -> None:
    night.drop("order 7/a.jpg", photo("a", doubt=True))
    night.drop("b.jpg", photo("b"))
    night.run()
    move(night, "review/order 7/a.jpg", "processed/no clothing/a.jpg")
    move(night, f"{SHIRTS}/b.jpg", "processed/no clothing/someone's/b.jpg")
    night.run()
    for name in ("order 7/a.jpg", "b.jpg"):
        row = row_of(night, name)
        assert (row.decision, row.status, row.needs_review, row.decided_by) == (
            "no clothing",
            "processed",
            False,
            "",
        )
        assert (row.main_category, row.sub_category, row.colour, row.sub_category_probability) == (
            "",
            "",
            "",
            None,
        )
    assert examine(night) == (0, examine(night)[1])
    move(night, "processed/no clothing/a.jpg", f"{SHIRTS}/a.jpg")
    night.run()
    row = row_of(night, "order 7/a.jpg")
    assert (row.decision, row.sub_category, row.colour) == ("accepted", "t-shirt", "red")


def test_a_photo_right_below_processed_is_in_no_category(night: Night, examine: Examine) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("broken.jpg", photo("x", broken=True))
    night.run()
    move(night, "failed/broken.jpg", f"{SHIRTS}/broken.jpg")
    night.run()
    before = row_of(night, "a.jpg")
    move(night, f"{SHIRTS}/a.jpg", "processed/a.jpg")
    night.run()
    assert row_of(night, "a.jpg") == before
    assert "decides nothing" in examine(night)[1]


def test_a_photo_put_right_between_categories_and_back_ends_as_the_model_had_it(moved: Night) -> None:
    moved.drop("sure.jpg", photo("sure"))
    moved.run()
    move(moved, f"{SHIRTS}/sure.jpg", f"{PANTS}/sure.jpg")
    moved.run()
    assert row_of(moved, "sure.jpg").decision == "corrected"
    move(moved, f"{PANTS}/sure.jpg", f"{SHIRTS}/sure.jpg")
    moved.run()
    row = row_of(moved, "sure.jpg")
    assert (row.decision, row.sub_category, row.sub_category_probability) == ("accepted", "t-shirt", 0.9)


def test_a_photo_marked_for_the_audit_keeps_its_mark(make_night: Callable[..., Night]) -> None:
    night = make_night(audit_share=1)
    night.drop("a.jpg", photo("a"))
    night.drop("p.jpg", photo("p", sub="pants"))
    night.run()
    move(night, f"{SHIRTS}/a.jpg", f"{PANTS}/a.jpg")
    night.run()
    row = row_of(night, "a.jpg")
    assert (row.decision, row.review_reason) == ("corrected", "audit")


def test_a_photo_put_into_review_waits_with_the_models_answer_again(moved: Night) -> None:
    moved.run()
    move(moved, f"{PANTS}/order 7/a.jpg", "review/look again/a.jpg")
    moved.run()
    row = row_of(moved, "order 7/a.jpg")
    assert (row.status, row.needs_review, row.review_reason) == ("review", True, by_hand.PUT_THERE)
    assert (row.moved_to, row.sub_category) == ("review/look again/a.jpg", "t-shirt")
    assert (row.decision, row.decided_at) == ("", "")


def test_a_failed_photo_in_a_categorys_folder_is_decided(night: Night) -> None:
    night.drop("p.jpg", photo("p", sub="pants"))
    night.drop("broken.jpg", photo("x", broken=True))
    night.run()
    move(night, "failed/broken.jpg", f"{PANTS}/broken.jpg")
    night.run()
    row = row_of(night, "broken.jpg")
    assert (row.status, row.sub_category, row.error, row.decision) == ("processed", "pants", "", "corrected")


def test_a_photo_moved_within_its_category_only_changes_its_place(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    move(night, f"{SHIRTS}/a.jpg", f"{SHIRTS}/done/b.jpg")
    night.run()
    row = row_of(night, "a.jpg")
    assert (row.moved_to, row.decision, row.model_answer) == (f"{SHIRTS}/done/b.jpg", "", "")


@pytest.mark.parametrize(
    "target", ["failed/a.jpg", "duplicates/a.jpg", "processed/mine/a.jpg", "processed/a/b/a.jpg"]
)
def test_a_folder_that_is_no_category_is_reported_and_changes_nothing(
    target: str,
    night: Night,
    examine: Examine,
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    before = row_of(night, "a.jpg")
    move(night, f"{SHIRTS}/a.jpg", target)
    night.run()
    assert row_of(night, "a.jpg") == before
    code, words = examine(night, fix=True)
    assert code == 1
    assert f"{target} is the photo that was filed as {SHIRTS}/a.jpg" in words
    assert (night.settings.data_dir / target).read_bytes() == photo("a")


def test_the_same_photo_dropped_again_is_a_duplicate_of_where_it_lies_now(moved: Night) -> None:
    moved.drop("again.jpg", photo("a", doubt=True))
    moved.run()
    again = row_of(moved, "again.jpg")
    assert (again.status, again.duplicate_of) == ("duplicate", f"{PANTS}/order 7/a.jpg")
    assert again.sub_category == "pants"


def test_duplicates_name_the_new_place_of_a_photo_that_was_moved(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("a"))
    night.run()
    move(night, f"{SHIRTS}/a.jpg", f"{SHIRTS}/kept/a.jpg")
    night.run()
    assert row_of(night, "b.jpg").duplicate_of == f"{SHIRTS}/kept/a.jpg"


def test_a_photo_that_is_in_its_place_no_more_makes_no_other_one_a_duplicate(
    night: Night, sidecar: FakeSidecar
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    (night.settings.data_dir / SHIRTS / "a.jpg").unlink()
    night.drop("again.jpg", photo("a"))
    night.run()
    assert row_of(night, "again.jpg").status == "processed"
    assert len(sidecar.photos_asked()) == 2


def test_a_photo_that_was_worked_on_in_place_keeps_its_row_and_makes_no_duplicate(
    night: Night,
    examine: Examine,
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    before = row_of(night, "a.jpg")
    (night.settings.data_dir / SHIRTS / "a.jpg").write_bytes(photo("A"))  # as long as before
    night.drop("again.jpg", photo("a"))
    night.run()
    assert row_of(night, "a.jpg") == before
    assert row_of(night, "again.jpg").status == "processed"
    code, words = examine(night)
    assert code == 0
    assert "1 worked on in place" in words


def test_a_copy_in_another_folder_is_nobodys_and_stays(night: Night, examine: Examine) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    copy = night.settings.data_dir / "review" / "copy.jpg"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(night.settings.data_dir / SHIRTS / "a.jpg", copy)
    before = row_of(night, "a.jpg")
    night.run()
    code, words = examine(night, fix=True)
    assert code == 1
    assert "review/copy.jpg has no row" in words
    assert row_of(night, "a.jpg") == before
    assert copy.exists()


def test_of_equal_photos_the_first_ones_row_follows_before_a_duplicates(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("a"))
    night.drop("p.jpg", photo("p", sub="pants"))
    night.run()
    (night.settings.data_dir / "duplicates/b.jpg").unlink()
    move(night, f"{SHIRTS}/a.jpg", f"{PANTS}/a.jpg")
    night.run()
    assert row_of(night, "a.jpg").moved_to == f"{PANTS}/a.jpg"
    assert row_of(night, "b.jpg").moved_to == "duplicates/b.jpg"


def test_two_equal_photos_that_were_both_moved_have_their_rows_both(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("a"))
    night.drop("p.jpg", photo("p", sub="pants"))
    night.run()
    move(night, f"{SHIRTS}/a.jpg", f"{PANTS}/1.jpg")
    move(night, "duplicates/b.jpg", f"{PANTS}/2.jpg")
    night.run()
    assert {row.moved_to for row in night.rows()} == {f"{PANTS}/1.jpg", f"{PANTS}/2.jpg", f"{PANTS}/p.jpg"}


def test_what_systems_leave_in_folders_is_nobodys_photo(night: Night, examine: Examine) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg"):
        path = night.settings.data_dir / SHIRTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
    assert examine(night, fix=True)[0] == 0


def test_a_photo_that_was_moved_by_hand_can_be_put_back(
    moved: Night,
    do: Do,
) -> None:
    assert do("requeue", "--photo", "order 7/a.jpg") == 0
    assert "order 7/a.jpg" in moved.waiting()
    assert [row.file_name for row in moved.rows()] == ["other.jpg"]


def test_a_dry_run_knows_of_the_move_and_changes_nothing(
    moved: Night,
    do: Do,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert do("requeue", "--photo", f"{PANTS}/order 7/a.jpg", "--dry-run") == 0
    assert "1 photos would be put back" in capsys.readouterr().out
    with Ledger(moved.settings.ledger_path, look=True) as ledger:
        assert {row.moved_to for row in ledger.filed_rows()} == {"review/order 7/a.jpg", f"{PANTS}/other.jpg"}


def test_the_doctor_lets_rows_follow_and_takes_nothing_out_of_a_filing_folder(
    moved: Night,
    examine: Examine,
) -> None:
    code, words = examine(moved)
    assert code == 0
    assert "1 photos were moved by hand" in words
    assert row_of(moved, "order 7/a.jpg").moved_to == "review/order 7/a.jpg"
    assert examine(moved, fix=True)[0] == 0
    assert row_of(moved, "order 7/a.jpg").moved_to == f"{PANTS}/order 7/a.jpg"
    assert moved.waiting() == []


def test_only_folders_that_have_changed_are_looked_into(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("order 7/b.jpg", photo("b"))
    night.run()
    for folder in [
        night.settings.data_dir / "processed",
        *(night.settings.data_dir / "processed").rglob("*"),
    ]:
        os.utime(folder, ns=(10**18, 10**18))
    night.run()
    listed: list[Path] = []
    real = os.scandir

    def scandir(path: Path) -> object:
        listed.append(Path(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with Ledger(night.settings.ledger_path) as ledger:
        assert by_hand.follow(night.settings, ledger) == 0
        assert listed == []
        move(night, f"{SHIRTS}/order 7/b.jpg", "review/b.jpg")
        assert by_hand.follow(night.settings, ledger) == 1
        assert night.settings.data_dir / SHIRTS not in listed
        assert by_hand.follow(night.settings, ledger, whole=True) == 0
        assert night.settings.data_dir / SHIRTS in listed


def test_a_new_folder_below_one_that_has_not_changed_is_looked_into_the_next_time(night: Night) -> None:
    """It had just been made when its parent was read, so its own time could not be trusted yet."""
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", doubt=True))
    night.run()
    for folder in ("processed", "processed/upperwear"):
        os.utime(night.settings.data_dir / folder, ns=(10**18, 10**18))
    night.run()
    move(night, "review/b.jpg", f"{SHIRTS}/b.jpg")
    os.utime(night.settings.data_dir / "processed/upperwear", ns=(10**18, 10**18))
    night.run()
    assert row_of(night, "b.jpg").moved_to == f"{SHIRTS}/b.jpg"


def test_a_disk_that_ignores_case_has_no_other_folder_of_another_spelling(
    night: Night,
    examine: Examine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second name of the same file is what such a disk shows."""
    night.drop("order-1/a.jpg", photo("a"))
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE photos SET moved_to = 'processed/upperwear/t-shirt/ORDER-1/A.jpg'")
    db.close()
    upper = night.settings.data_dir / SHIRTS / "ORDER-1"
    upper.symlink_to(night.settings.data_dir / SHIRTS / "order-1")
    (night.settings.data_dir / SHIRTS / "order-1" / "A.jpg").hardlink_to(
        night.settings.data_dir / SHIRTS / "order-1" / "a.jpg"
    )
    with Ledger(night.settings.ledger_path) as ledger:
        seen = by_hand.look(night.settings, ledger, whole=True)
    assert (seen.moved, seen.elsewhere) == ([], [])
    assert f"{SHIRTS}/order-1/a.jpg" not in seen.unknown


def test_the_categories_of_the_release_in_use_are_known(night: Night) -> None:
    for version, sub in (("shipped", "hat"), ("mine", "scarf")):
        folder = night.settings.model_dir / version
        folder.mkdir(parents=True)
        (folder / "classes.json").write_text(json.dumps({"main_of": {sub: "accessories"}}))
    (night.settings.model_dir / "CURRENT").write_text("shipped\n# What the program ships.\n")
    (night.settings.model_dir / "IN_USE").write_text("mine\n")
    with Ledger(night.settings.ledger_path) as ledger:
        assert by_hand.known_categories(night.settings, ledger) == {("accessories", "scarf")}
        (night.settings.model_dir / "IN_USE").write_bytes(b"\xff")
        assert by_hand.known_categories(night.settings, ledger) == set()
