"""Photos that are put back, archived or deleted after they were filed."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from batch.files import filing
from batch.logs import set_up
from batch.records.ledger import Ledger
from batch.reporting import history
from batch.upkeep import withdraw
from settings import ROOT
from tests.batch.conftest import Do, Night
from tests.fake_sidecar import FakeSidecar, photo


def test_a_photo_put_back_is_predicted_again_and_has_one_row(
    night: Night, sidecar: FakeSidecar, do: Do
) -> None:
    night.drop("order 7/a.jpg", photo("a"))
    night.run()
    assert do("requeue", "--photo", "order 7/a.jpg") == 0
    assert "order 7/a.jpg" in night.waiting()
    assert night.csv() == []
    assert night.run() == 0
    assert len(sidecar.photos_asked()) == 2
    assert [row["status"] for row in night.csv()] == ["processed"]
    assert night.files() == {"processed/upperwear/t-shirt/order 7/a.jpg": photo("a")}


def test_the_ledger_keeps_the_superseded_row(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    do("requeue", "--photo", "a.jpg")
    with sqlite3.connect(night.settings.ledger_path) as db:
        assert db.execute("SELECT superseded FROM photos").fetchall() == [(1,)]
        assert db.execute("SELECT action, done FROM acts").fetchall() == [("requeue", 1)]


def test_a_runs_own_csv_loses_the_row_too(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b"))
    night.run()
    (run_csv,) = (night.settings.data_dir / "predictions").glob("*.csv")
    do("requeue", "--photo", "a.jpg")
    assert "a.jpg" not in run_csv.read_text("utf-8")
    assert "b.jpg" in run_csv.read_text("utf-8")
    do("requeue", "--photo", "b.jpg")
    assert not run_csv.exists()


def test_all_failed_photos_can_be_put_back(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", broken=True))
    night.drop("c.txt", b"no photo")
    night.run()
    assert do("requeue", "--failed") == 0
    assert night.waiting() == ["b.jpg", "c.txt"]


def test_a_runs_photos_can_be_put_back(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    night.drop("b.jpg", photo("b"))
    night.run()
    assert do("requeue", "--run", "last") == 0
    assert night.waiting() == ["b.jpg"]
    assert do("requeue", "--run", "19990101T000000Z") == 2


def test_what_a_release_decided_with_little_certainty_can_be_put_back(night: Night, do: Do) -> None:
    night.drop("sure.jpg", photo("a"))
    night.drop("doubt.jpg", photo("b", doubt=True))
    night.drop("failed.jpg", photo("c", broken=True))
    night.run()
    assert do("requeue", "--release", "another", "--below", "0.6") == 0
    assert night.waiting() == []
    assert do("requeue", "--release", "fake-1", "--below", "0.6") == 0
    assert night.waiting() == ["doubt.jpg"]


def test_the_duplicates_of_a_photo_go_back_with_it(night: Night, sidecar: FakeSidecar, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    night.drop("again.jpg", photo("a"))
    night.run()
    do("requeue", "--photo", "a.jpg")
    assert night.waiting() == ["a.jpg", "again.jpg"]
    night.run()
    by_status = {row["status"]: row for row in night.csv()}
    assert by_status["duplicate"]["duplicate_of"] == by_status["processed"]["moved_to"]
    assert len(night.csv()) == len(night.files()) == 2


def test_companions_go_back_with_their_photo(night: Night, do: Do) -> None:
    for content in ("a", "b"):
        night.drop("IMG_1.jpg", photo(content))
        night.drop("IMG_1.xmp", content.encode())
        night.run()
    assert do("requeue", "--photo", "processed/upperwear/t-shirt/IMG_1 (2).jpg") == 0
    assert night.waiting() == ["IMG_1.jpg", "IMG_1.xmp"]
    assert (night.incoming / "IMG_1.xmp").read_bytes() == b"b"


def test_a_name_that_is_taken_in_incoming_is_not_overwritten(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("old"))
    night.run()
    night.drop("a.jpg", photo("new"))
    assert do("requeue", "--photo", "a.jpg") == 0
    assert night.waiting() == ["a (2).jpg", "a.jpg"]
    assert (night.incoming / "a.jpg").read_bytes() == photo("new")


def test_a_photo_that_people_took_away_keeps_its_row(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a", doubt=True))
    night.run()
    (night.settings.data_dir / "review/a.jpg").unlink()
    assert do("requeue", "--photo", "a.jpg") == 0
    assert [row["file_name"] for row in night.csv()] == ["a.jpg"]


def test_without_saying_which_photos_nothing_is_put_back(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    assert do("requeue") == 2
    assert do("requeue", "--dry-run", "--run", "last") == 0
    assert night.waiting() == []


@pytest.mark.parametrize("calls_before_death", [0, 1, 2])
def test_whatever_dies_while_photos_are_put_back_the_next_night_finishes_it(
    night: Night, monkeypatch: pytest.MonkeyPatch, calls_before_death: int
) -> None:
    for name in "abc":
        night.drop(f"{name}.jpg", photo(name))
    night.run()
    moved: list[Path] = []
    real = filing.move_photo

    def dies(source: Path, target: Path, sha256: str, companions: list[str]) -> None:
        if len(moved) == calls_before_death:
            raise KeyboardInterrupt
        real(source, target, sha256, companions)
        moved.append(target)

    with monkeypatch.context() as patch, Ledger(night.settings.ledger_path) as ledger:
        patch.setattr(filing, "move_photo", dies)
        with pytest.raises(KeyboardInterrupt):
            withdraw.requeue(night.settings, ledger, withdraw.Choice(run=ledger.runs()[-1].run_id))
    assert night.run() == 0
    assert len(night.files()) == len(night.csv()) == 3
    assert night.waiting() == []
    with Ledger(night.settings.ledger_path) as ledger:
        assert ledger.unfinished_acts() == []


def test_a_reserved_name_that_a_dead_command_left_is_no_photo(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    with Ledger(night.settings.ledger_path) as ledger:
        (row,) = ledger.filed_rows()
        ledger.plan([withdraw._plan("requeue", row, "incoming/a.jpg")])
    (night.incoming / "a.jpg").touch()
    assert night.run() == 0
    assert [row["status"] for row in night.csv()] == ["processed"]


def make_old(night: Night, name: str) -> None:
    with contextlib.closing(sqlite3.connect(night.settings.ledger_path)) as db:
        db.execute("UPDATE photos SET processed_at = '2020-02-03T00:00:00Z' WHERE file_name = ?", (name,))
        db.commit()


def test_old_photos_are_archived_and_their_rows_say_where(night: Night, do: Do) -> None:
    night.drop("7/old.jpg", photo("old"))
    night.drop("new.jpg", photo("new"))
    night.run()
    make_old(night, "7/old.jpg")
    assert do("prune", "--days", "90", "--archive", "--yes") == 0
    place = "archive/2020-02/processed/upperwear/t-shirt/7/old.jpg"
    assert (night.settings.data_dir / place).read_bytes() == photo("old")
    assert {row["moved_to"] for row in night.csv()} == {place, "processed/upperwear/t-shirt/new.jpg"}
    assert not (night.settings.data_dir / "processed/upperwear/t-shirt/7").exists()


def test_the_same_bytes_again_are_a_duplicate_of_the_archived_photo(
    night: Night, sidecar: FakeSidecar, do: Do
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    make_old(night, "a.jpg")
    do("prune", "--days", "90", "--archive", "--yes")
    night.drop("b.jpg", photo("a"))
    night.run()
    assert night.csv()[1]["duplicate_of"] == "archive/2020-02/processed/upperwear/t-shirt/a.jpg"


def test_a_deleted_photo_keeps_its_row_and_is_nobodys_first(
    night: Night, sidecar: FakeSidecar, do: Do
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    make_old(night, "a.jpg")
    assert do("prune", "--days", "90", "--delete", "--yes") == 0
    assert night.files() == {}
    assert [(row["file_name"], row["moved_to"]) for row in night.csv()] == [("a.jpg", "")]
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert [row["status"] for row in night.csv()] == ["processed", "processed"]


def test_prune_touches_neither_review_nor_anything_without_yes(night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", doubt=True))
    night.run()
    make_old(night, "a.jpg")
    make_old(night, "b.jpg")
    assert do("prune", "--days", "90", "--delete") == 0
    assert len(night.files()) == 2
    assert do("prune", "--days", "90", "--delete", "--yes") == 0
    assert set(night.files()) == {"review/b.jpg"}


def test_history_and_show_tell_what_the_nights_did(
    night: Night, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", doubt=True))
    night.drop("c.jpg", photo("c", broken=True))
    night.run()
    assert do("history") == 0
    header, line = capsys.readouterr().out.strip().splitlines()[-2:]
    assert header.split()[:4] == ["run", "started", "took", "outcome"]
    assert "done, some failed" in line
    assert "1 (50%)" in line
    do("requeue", "--failed")
    capsys.readouterr()
    assert do("show", "last") == 0
    shown = capsys.readouterr().out
    assert "category uncertain" in shown
    assert "The photo is damaged." in shown
    assert "put back into incoming" in shown
    assert "ERROR_BUDGET" in shown


def test_a_run_that_died_is_summed_up_by_the_next_one(
    night: Night, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE runs SET exit_code = NULL, counts = '{}', summary = '{}'")
    night.run()
    with Ledger(night.settings.ledger_path) as ledger:
        dead = ledger.runs()[0]
    assert dead.counts["swept"] == 1
    assert dead.summary["categories"] == {"upperwear": {"t-shirt": 1}}
    assert "It died" in dead.message


def test_a_ledger_of_the_first_version_is_brought_up_to_date(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.executescript(
            "ALTER TABLE photos DROP COLUMN measures; ALTER TABLE runs DROP COLUMN settings;"
            "ALTER TABLE runs DROP COLUMN summary; DROP TABLE acts; PRAGMA user_version = 1;"
        )
    night.drop("b.jpg", photo("b"))
    assert night.run() == 0
    assert len(night.rows()) == 2
    with Ledger(night.settings.ledger_path) as ledger:
        assert [run.summary["statuses"] for run in ledger.runs()] == [{"processed": 1}, {"processed": 1}]


def test_a_command_while_a_night_is_at_work_ends_with_75(night: Night, do: Do) -> None:
    from batch.lock import run_lock

    with run_lock(night.settings.data_dir):
        assert do("requeue", "--failed") == 75
        assert do("prune", "--days", "1", "--delete", "--yes") == 75


def test_a_run_that_swept_nothing_writes_no_csv_of_its_own(night: Night) -> None:
    assert night.run() == 0
    assert not (night.settings.data_dir / "predictions").exists()
    assert os.listdir(night.settings.data_dir)


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
@pytest.mark.parametrize(
    "command_line", [("requeue", "--run", "last"), ("prune", "--days", "1", "--archive", "--yes")]
)
def test_a_command_killed_in_the_middle_loses_and_doubles_nothing(
    night: Night, command_line: tuple[str, ...]
) -> None:
    count = 250
    for number in range(count):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE photos SET processed_at = '2020-02-03T00:00:00Z'")
    environment = os.environ | {
        "DATA_DIR": str(night.settings.data_dir),
        "LOG_DIR": str(night.settings.log_dir),
    }
    process = subprocess.Popen([sys.executable, "-m", "batch", *command_line], cwd=ROOT, env=environment)
    left = night.settings.data_dir / "processed" / "upperwear" / "t-shirt"
    while process.poll() is None and len(list(left.iterdir())) > count - 20:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert night.run() == 0
    kept = {path.read_bytes() for path in night.settings.data_dir.rglob("*.jpg")}
    rows = night.csv()
    assert len(kept) == len(rows) == count
    assert night.waiting() == []
    for row in rows:
        assert (night.settings.data_dir / row["moved_to"]).is_file()
    with Ledger(night.settings.ledger_path) as ledger:
        assert ledger.unfinished_acts() == []


@pytest.fixture
def planned(night: Night) -> Callable[[str], None]:
    """A command that died after it had written down what it was about to do to every photo, before it did it."""

    def plan(action: str) -> None:
        with Ledger(night.settings.ledger_path) as ledger:
            for row in list(ledger.filed_rows()):
                target = (
                    ""
                    if action == "delete"
                    else f"{'incoming' if action == 'requeue' else 'archive'}/{row.file_name}"
                )
                ledger.plan([withdraw._plan(action, row, target)])  # type: ignore[arg-type]

    return plan


def test_equal_photos_dropped_while_a_requeue_lay_dead_are_photos_of_their_own(
    night: Night, planned: Callable[[str], None]
) -> None:
    for number in range(10):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    planned("requeue")
    for number in range(10):
        night.drop(f"{number}.jpg", photo(str(number)))
    assert night.run() == 0
    assert len(night.files()) == len(night.csv()) == 20


def test_an_equal_file_where_an_archived_photo_was_to_go_is_another_photo(
    night: Night, planned: Callable[[str], None], do: Do
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    planned("archive")
    archive = night.settings.data_dir / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(photo("a"))
    night.run()
    assert sorted(path.name for path in archive.iterdir()) == ["a (2).jpg", "a.jpg"]
    assert night.csv()[0]["moved_to"] == "archive/a (2).jpg"


@pytest.mark.parametrize("with_mark", [True, False])
def test_only_the_mark_of_a_whole_copy_lets_the_original_go(
    with_mark: bool, night: Night, planned: Callable[[str], None]
) -> None:
    """As a move to another disk leaves it when it dies between the copy's last step and the original's removal."""
    night.drop("a.jpg", photo("a"))
    night.run()
    planned("archive")
    archive = night.settings.data_dir / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(photo("a"))
    if with_mark:
        filing._beside(archive / "a.jpg")[1].touch()
    night.run()
    assert len(list(night.settings.data_dir.rglob("*.jpg"))) == (1 if with_mark else 2)
    assert len(night.csv()) == 1


def test_a_mark_beside_a_copy_that_was_never_renamed_says_nothing(
    night: Night, planned: Callable[[str], None]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    planned("archive")
    archive = night.settings.data_dir / "archive"
    archive.mkdir()
    copy, copied = filing._beside(archive / "a.jpg")
    copy.write_bytes(photo("a"))
    copied.touch()
    (archive / "a.jpg").write_bytes(photo("a"))  # somebody's, since
    night.run()
    assert sorted(path.name for path in archive.iterdir()) == ["a (2).jpg", "a.jpg"]


@pytest.mark.parametrize(
    "command_line",
    [
        ("prune", "--days", "90", "--delete", "--yes"),
        ("prune", "--days", "90", "--archive", "--yes"),
        ("requeue", "--photo", "a.jpg"),
    ],
)
@pytest.mark.parametrize("content", [photo("b"), b"", photo("a longer one")])
def test_what_lies_at_a_rows_place_and_is_not_its_photo_is_left_alone_and_named(
    command_line: tuple[str, ...],
    content: bytes,
    night: Night,
    do: Do,
    capsys: pytest.CaptureFixture[str],
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    make_old(night, "a.jpg")
    place = night.settings.data_dir / "processed/upperwear/t-shirt/a.jpg"
    before = place.stat()
    place.write_bytes(content)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert do(*command_line) == 0
    assert place.read_bytes() == content
    assert "processed/upperwear/t-shirt/a.jpg was left as it is" in capsys.readouterr().out
    assert [row["file_name"] for row in night.csv()] == ["a.jpg"]


def test_a_planned_deletion_spares_what_has_taken_the_photos_place_since(
    night: Night, planned: Callable[[str], None]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    planned("delete")
    place = night.settings.data_dir / "processed/upperwear/t-shirt/a.jpg"
    place.unlink()
    place.write_bytes(photo("another"))
    night.run()
    assert place.read_bytes() == photo("another")


@pytest.mark.parametrize("how", [("--archive",), ("--delete",)])
def test_duplicates_name_the_first_photo_where_it_lies_or_none(
    how: tuple[str, ...], night: Night, do: Do
) -> None:
    for number in range(4):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    for number in range(4):
        night.drop(f"{number} again.jpg", photo(str(number)))
    night.run()
    for number in range(4):
        make_old(night, f"{number}.jpg")
    do("prune", "--days", "90", *how, "--yes", "--status", "processed")
    lines = {row["file_name"]: row for row in night.csv()}
    for number in range(4):
        assert lines[f"{number} again.jpg"]["duplicate_of"] == lines[f"{number}.jpg"]["moved_to"]
    with Ledger(night.settings.ledger_path, look=True) as ledger:
        assert ledger.lost_references() == []


def test_a_duplicate_that_stayed_behind_names_the_first_photo_once_it_is_sorted_again(
    night: Night, do: Do
) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("a"))
    night.run()
    duplicate = night.settings.data_dir / "duplicates/b.jpg"
    duplicate.rename(duplicate.with_name("kept elsewhere"))
    with Ledger(night.settings.ledger_path) as ledger:
        (first, _) = ledger.filed_rows()
        withdraw._do(night.settings, ledger, iter([withdraw._plan("requeue", first, "incoming/a.jpg")]))
    assert [row.duplicate_of for row in night.rows()] == [""]
    night.run()
    (line,) = [row for row in night.csv() if row["file_name"] == "b.jpg"]
    assert line["duplicate_of"] == "processed/upperwear/t-shirt/a.jpg"


@pytest.mark.parametrize("folder", ["incoming", "review/old", "../data/processed", "."])
def test_an_archive_where_the_night_keeps_its_own_is_refused_with_a_sentence(
    night: Night, do: Callable[..., int], capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE photos SET processed_at = '2020-02-03T00:00:00Z'")
    before = night.files()
    assert do("prune", "--days", "90", "--archive", folder, "--yes") == 2
    assert "name " in capsys.readouterr().out
    assert night.files() == before
    assert night.waiting() == []


def test_a_photo_whose_name_is_no_text_can_be_put_back_by_it(night: Night, do: Callable[..., int]) -> None:
    night.drop(b"caf\xe9.jpg", photo("a"))
    night.run()
    assert do("requeue", "--photo", "caf\udce9.jpg") == 0
    assert len(night.waiting()) == 1


@pytest.mark.parametrize("number", ["0", "-1", "\u00b2", "9" * 30, "many"])
def test_a_number_of_days_that_is_none_is_wrong_usage(
    do: Callable[..., int], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command_line in (["prune", "--delete", "--days"], ["report", "--days"], ["history", "--last"]):
        assert do(*command_line, number) == 2
        said = capsys.readouterr().err
        assert "is not in the range 1<=x<=36500" in said or "is not a valid whole number" in said


@pytest.mark.parametrize(
    "named", [("--photo", "no such.jpg"), ("--order", "9999"), ("--photo", "\udcff.jpg")]
)
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--below", "0.9")])
def test_a_name_that_nothing_has_is_told(
    night: Night, do: Do, capsys: pytest.CaptureFixture[str], named: tuple[str, ...], more: tuple[str, ...]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    capsys.readouterr()
    assert do("requeue", *named, *more) == 1
    assert "no photo fits" in capsys.readouterr().out
    assert len(night.files()) == 1


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("option", ["--photo", "--order"])
def test_names_are_found_in_whatever_form_their_letters_are_written(
    night: Night, do: Do, form: Literal["NFC", "NFD"], typed: Literal["NFC", "NFD"], option: str
) -> None:
    name = unicodedata.normalize(form, "Größe é/front.jpg")
    night.drop(name, photo("a"))
    night.drop("other.jpg", photo("b"))
    night.run()
    wanted = "Größe é/front.jpg" if option == "--photo" else "Größe é"
    assert do("requeue", option, unicodedata.normalize(typed, wanted)) == 0
    assert name in night.waiting()
    assert "other.jpg" not in night.waiting()


def test_a_whole_order_can_be_put_back(night: Night, do: Do) -> None:
    for name in ("812/front.jpg", "812/more/back.jpg", "813/front.jpg", "812.jpg"):
        night.drop(name, photo(name))
    night.run()
    assert do("requeue", "--order", "812/") == 0
    waiting = [name for name in night.waiting() if name.endswith(".jpg")]
    assert waiting == ["812/front.jpg", "812/more/back.jpg"]


def test_the_last_run_is_the_last_one_even_if_it_swept_nothing(
    night: Night, do: Do, sidecar: FakeSidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(night.settings.log_dir)
    night.drop("a.jpg", photo("a"))
    night.run()
    sidecar.token = "another"
    night.drop("b.jpg", photo("b"))
    assert night.run() == 1
    capsys.readouterr()
    assert do("show", "last") == 0
    assert "NOT DONE" in capsys.readouterr().out
    assert do("logs", "last") == 0
    assert "API_TOKEN" in capsys.readouterr().out
    sidecar.token = ""
    night.run()
    night.run()  # nothing lay there
    capsys.readouterr()
    do("show", "last")
    assert ": done\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["show last", "show last --json", "history --json"])
def test_no_setting_is_named_that_the_run_had_no_use_for(
    night: Night, do: Do, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    capsys.readouterr()
    do(*command.split())
    shown = capsys.readouterr().out
    assert "API_URL" in shown
    assert "MODEL_DIR" not in shown  # that server has its own
    assert "NOTIFY_WHEN" not in shown  # no one to tell


def test_a_token_that_was_not_sent_is_not_named() -> None:
    told = {"API_URL": "http://…@gpu:5000/", "API_TOKEN": "**********"}
    assert history.settings_used(told) == {"API_URL": "http://…@gpu:5000/"}
    assert "API_TOKEN" in history.settings_used({**told, "API_URL": "http://gpu:5000/"})


def test_a_file_with_a_row_of_its_own_is_no_photos_companion(night: Night, do: Do) -> None:
    """Older versions filed films without a photo as failed ones, under names that a photo of today may share."""
    night.drop("film.txt", b"no photo")
    night.drop("film.jpg", photo("film", broken=True))
    night.run()
    film = night.settings.data_dir / "failed/film.mov"
    (night.settings.data_dir / "failed/film.txt").rename(film)
    with contextlib.closing(sqlite3.connect(night.settings.ledger_path)) as db:
        db.execute("UPDATE photos SET moved_to = 'failed/film.mov' WHERE file_name = 'film.txt'")
        db.commit()
    assert do("requeue", "--photo", "film.jpg") == 0
    assert night.waiting() == ["film.jpg"]
    assert film.read_bytes() == b"no photo"
