"""One night, end to end, against a sidecar that answers what the photo says."""

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Response, jsonify

from api_settings import ApiSettings
from batch import logs
from batch.__main__ import main
from batch.files.scan import Scan
from batch.lock import run_lock
from batch.night import run, sweep
from batch.night.sweep import PHOTOS_PER_REQUEST
from batch.records import csv_files
from batch.records.ledger import CSV_COLUMNS, Ledger, Row, Run
from batch.reporting import summary
from settings import ROOT
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo, prediction

CONTRACT = (
    "file_name, main_category, main_category_probability, sub_category, sub_category_probability, "
    "background_quality, background_quality_probability, colour, colour_probability, needs_review, "
    "review_reason, status, error, moved_to, sha256, run_id, processed_at, model_version, duplicate_of, "
    "doubts, order, decided_by, decided_at, decision"
)


def test_the_csv_has_exactly_the_columns_of_the_data_contract() -> None:
    assert ", ".join(CSV_COLUMNS) == CONTRACT


def test_the_order_is_the_first_sub_folder(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("order 7/table 1/b.jpg", photo("b"))
    assert night.run() == 0
    assert {row["file_name"]: row["order"] for row in night.csv()} == {
        "a.jpg": "",
        "order 7/table 1/b.jpg": "order 7",
    }


def test_a_sure_photo_is_filed_under_its_categories_with_one_row(night: Night) -> None:
    content = photo("a", sub="pants")
    night.drop("a.jpg", content)
    assert night.run() == 0
    (row,) = night.csv()
    assert list(row) == CSV_COLUMNS
    assert row["file_name"] == "a.jpg"
    assert (row["main_category"], row["main_category_probability"]) == ("bottomwear", "0.9876")
    assert (row["sub_category"], row["sub_category_probability"]) == ("pants", "0.9000")
    assert (row["background_quality"], row["background_quality_probability"]) == ("acceptable", "0.7500")
    assert (row["colour"], row["colour_probability"]) == ("red", "0.6666")
    assert (row["status"], row["needs_review"], row["review_reason"], row["error"]) == (
        "processed",
        "false",
        "",
        "",
    )
    assert row["moved_to"] == "processed/bottomwear/pants/a.jpg"
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["processed_at"])
    assert (row["model_version"], row["duplicate_of"]) == ("fake-1", "")
    assert night.files() == {"processed/bottomwear/pants/a.jpg": content}
    assert night.waiting() == []


def test_a_doubtful_photo_goes_to_review_with_the_reason(night: Night) -> None:
    night.drop("a.jpg", photo("a", doubt=True))
    assert night.run() == 0
    (row,) = night.csv()
    assert (row["status"], row["needs_review"], row["moved_to"]) == ("review", "true", "review/a.jpg")
    assert row["review_reason"] == "category uncertain (50 %)"


def test_photos_that_cannot_be_read_fail_with_a_reason_and_the_night_ends_with_3(night: Night) -> None:
    night.drop("broken.jpg", photo("a", broken=True))
    night.drop("list.pdf", b"%PDF-1.7")
    night.drop("empty.jpg", b"")
    night.drop("good.jpg", photo("b"))
    assert night.run() == 3
    rows = {row["file_name"]: row for row in night.csv()}
    assert rows["broken.jpg"]["error"] == "The photo is damaged."
    assert rows["list.pdf"]["error"] == "This is no photo."
    assert rows["empty.jpg"]["error"] == "The file is empty."
    assert [rows[name]["status"] for name in sorted(rows)] == ["failed", "failed", "processed", "failed"]
    assert rows["list.pdf"]["main_category"] == rows["list.pdf"]["main_category_probability"] == ""
    assert set(night.files()) == {
        "failed/broken.jpg",
        "failed/list.pdf",
        "failed/empty.jpg",
        "processed/upperwear/t-shirt/good.jpg",
    }


def test_a_file_larger_than_the_limit_fails_without_being_sent(
    make_night: Callable[..., Night], sidecar: FakeSidecar
) -> None:
    night = make_night(max_image_mb=0.001)
    night.drop("big.jpg", photo("x" * 2000))
    assert night.run() == 3
    assert "MAX_IMAGE_MB" in night.csv()[0]["error"]
    assert sidecar.asked == []


def test_nothing_to_do_is_fine_and_asks_nobody(night: Night, sidecar: FakeSidecar) -> None:
    assert night.run() == 0
    assert night.csv() == []
    assert sidecar.asked == []


def test_a_second_night_adds_no_row_and_changes_no_file(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    rows, files = night.csv(), night.files()
    assert night.run() == 0
    assert (night.csv(), night.files()) == (rows, files)


def test_rows_are_appended_night_after_night(night: Night) -> None:
    for name in ("a", "b", "c"):
        night.drop(f"{name}.jpg", photo(name))
        night.run()
    assert [row["file_name"] for row in night.csv()] == ["a.jpg", "b.jpg", "c.jpg"]
    assert len({row["run_id"] for row in night.csv()}) == 3


def test_each_night_also_has_a_csv_of_its_own(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    run_id = night.csv()[0]["run_id"]
    text = (night.settings.data_dir / "predictions" / f"{run_id}.csv").read_text("utf-8")
    assert text == night.settings.csv_path.read_text("utf-8")


def test_the_same_bytes_again_become_a_duplicate_that_costs_no_prediction(
    night: Night, sidecar: FakeSidecar
) -> None:
    night.drop("first.jpg", photo("a", sub="shoes"))
    night.run()
    asked = len(sidecar.photos_asked())
    night.drop("again/other name.jpg", photo("a", sub="shoes"))
    assert night.run() == 0
    first, second = night.csv()
    assert second["status"] == "duplicate"
    assert second["duplicate_of"] == first["moved_to"] == "processed/footwear/shoes/first.jpg"
    assert second["moved_to"] == "duplicates/again/other name.jpg"
    assert second["sub_category"] == "shoes"
    assert second["sub_category_probability"] == "0.9000"
    assert len(sidecar.photos_asked()) == asked


def test_copies_within_one_night_are_asked_about_once(night: Night, sidecar: FakeSidecar) -> None:
    for number in range(300):
        night.drop(f"{number:03}.jpg", photo("same"))
    assert night.run() == 0
    assert len(sidecar.photos_asked()) == 1
    rows = night.csv()
    assert [row["status"] for row in rows].count("processed") == 1
    assert {row["duplicate_of"] for row in rows if row["status"] == "duplicate"} == {rows[0]["moved_to"]}
    assert len(night.files()) == 300


def test_bytes_that_only_failed_before_are_tried_again(night: Night, sidecar: FakeSidecar) -> None:
    night.drop("a.jpg", photo("a", broken=True))
    night.run()
    night.drop("a.jpg", photo("a", broken=True))
    assert night.run() == 3
    assert len(sidecar.photos_asked()) == 2
    assert [row["moved_to"] for row in night.csv()] == ["failed/a.jpg", "failed/a (2).jpg"]


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(night: Night) -> None:
    for content in ("a", "b", "c"):
        night.drop("x.jpg", photo(content))
        night.run()
    assert night.files() == {
        "processed/upperwear/t-shirt/x.jpg": photo("a"),
        "processed/upperwear/t-shirt/x (2).jpg": photo("b"),
        "processed/upperwear/t-shirt/x (3).jpg": photo("c"),
    }


def test_sub_folders_are_kept_below_the_target_and_removed_from_incoming(night: Night) -> None:
    night.drop("order 7/a.jpg", photo("a"))
    night.drop("order 7/back/a.jpg", photo("b"))
    assert night.run() == 0
    assert set(night.files()) == {
        "processed/upperwear/t-shirt/order 7/a.jpg",
        "processed/upperwear/t-shirt/order 7/back/a.jpg",
    }
    assert night.waiting() == []


def test_companions_follow_their_photo(night: Night) -> None:
    night.drop("IMG_1.jpg", photo("a"))
    night.drop("IMG_1.AAE", b"edits")
    night.drop("IMG_1.jpg.xmp", b"metadata")
    night.drop("IMG_1.mov", b"film")
    night.drop("IMG_2.JPG", photo("b", doubt=True))
    night.drop("IMG_2.xmp", b"metadata 2")
    assert night.run() == 0
    files = night.files()
    assert files["processed/upperwear/t-shirt/IMG_1.AAE"] == b"edits"
    assert files["processed/upperwear/t-shirt/IMG_1.jpg.xmp"] == b"metadata"
    assert files["processed/upperwear/t-shirt/IMG_1.mov"] == b"film"
    assert files["review/IMG_2.xmp"] == b"metadata 2"
    assert len(night.csv()) == 2
    assert night.waiting() == []


def test_companions_take_the_new_name_of_their_photo(night: Night) -> None:
    for content in ("a", "b"):
        night.drop("IMG_1.jpg", photo(content))
        night.drop("IMG_1.xmp", content.encode())
        night.run()
    assert night.files()["processed/upperwear/t-shirt/IMG_1 (2).xmp"] == b"b"


def test_a_film_without_a_photo_stays_and_is_counted(night: Night) -> None:
    night.drop("film.mov", b"\0\0\0\x14ftypqt  ")
    assert night.run() == 0
    assert night.csv() == []
    assert night.waiting() == ["film.mov"]
    with Ledger(night.settings.ledger_path) as ledger:
        assert ledger.runs()[-1].counts["left_alone"] == 1


@pytest.mark.parametrize(
    "name",
    [".DS_Store", ".hidden.jpg", "Thumbs.db", "desktop.ini", "a.part", "a.filepart", "a.crdownload",
     ".~lock.a.jpg#", ".folder/a.jpg", "THUMBS.DB"],
)  # fmt: skip
def test_what_is_nobodys_photo_is_left_alone(night: Night, name: str) -> None:
    path = night.drop(name, photo("a"))
    assert night.run() == 0
    assert path.exists()
    assert night.csv() == []


def test_further_patterns_can_be_left_alone(make_night: Callable[..., Night]) -> None:
    night = make_night(ignore="*.tmp, ~*")
    night.drop("a.tmp", photo("a"))
    night.drop("~a.jpg", photo("b"))
    night.drop("c.jpg", photo("c"))
    assert night.run() == 0
    assert night.waiting() == ["a.tmp", "~a.jpg"]


def test_a_photo_that_is_too_young_waits_for_the_next_night(make_night: Callable[..., Night]) -> None:
    night = make_night(settle_seconds=8)
    path = night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert night.waiting() == ["a.jpg"]
    os.utime(path, (time.time() - 60,) * 2)
    assert night.run() == 0
    assert night.waiting() == []


def test_with_wait_a_young_photo_is_swept_at_the_end_of_the_night(make_night: Callable[..., Night]) -> None:
    night = make_night(settle_seconds=1)
    night.drop("a.jpg", photo("a"))
    assert night.run(wait=True) == 0
    assert night.waiting() == []
    assert len(night.csv()) == 1


def test_waiting_is_not_counted_as_time_of_sorting(make_night: Callable[..., Night]) -> None:
    night = make_night(settle_seconds=2)
    night.drop("a.jpg", photo("a"))
    started = time.monotonic()
    assert night.run(wait=True) == 0
    assert last_run(night).seconds < time.monotonic() - started - 1


class Terminal(io.StringIO):
    """Standard input or output of somebody who looks on."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """A run as somebody types it, at a terminal or not; gives its exit code and what it says."""

    def run(*arguments: str, at_terminal: bool, settle_seconds: str = "1") -> tuple[int, str]:
        night = make_night()
        for name in ("data_dir", "log_dir"):
            monkeypatch.setenv(name.upper(), str(getattr(night.settings, name)))
        monkeypatch.setenv("API_URL", str(night.settings.api_url[0].get_secret_value()))
        monkeypatch.setenv("SETTLE_SECONDS", settle_seconds)
        stream = Terminal if at_terminal else io.StringIO
        output = stream()
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stream())
            patch.setattr("sys.stdout", output)
            code = main(["run", *arguments])
        return code, output.getvalue()

    return run


def test_photos_dropped_just_now_are_waited_for_when_somebody_looks_on(
    night: Night, typed: Callable[..., tuple[int, str]]
) -> None:
    night.drop("a.jpg", photo("a"))
    code, said = typed(at_terminal=True)
    assert code == 0
    assert said.startswith(
        "1 file was just added and may still be uploading. Waiting until nothing has changed for 1 s"
    )
    assert "1 file: 1 filed" in said
    assert night.waiting() == []


def test_nobody_waits_for_them_in_a_night_that_a_clock_starts_and_it_says_what_to_do(
    night: Night, typed: Callable[..., tuple[int, str]]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b"))
    code, said = typed(at_terminal=False, settle_seconds="30")
    assert code == 0
    assert "2 files were just added: the next run sorts them. Run again in 30 s, or with --wait." in said
    assert "Left in incoming: 2 just added." in said.splitlines()[-1]
    assert night.waiting() == ["a.jpg", "b.jpg"]


def test_with_other_photos_to_sort_nobody_waits_for_the_young_ones(
    night: Night, typed: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = night.drop("old.jpg", photo("old"))
    night.drop("young.jpg", photo("young"))
    os.utime(old, (time.time() - 3600,) * 2)
    monkeypatch.setattr(Scan, "_is_restless", lambda *_: False)  # as if nobody had touched it just now
    code, said = typed(at_terminal=True, settle_seconds="30")
    assert code == 0
    assert "Waiting" not in said
    assert "1 file was just added: the next run sorts them." in said
    assert night.waiting() == ["young.jpg"]


@pytest.mark.parametrize("at_terminal", [True, False])
def test_with_nothing_at_all_to_sort_nobody_waits(
    typed: Callable[..., tuple[int, str]], at_terminal: bool
) -> None:
    code, said = typed(at_terminal=at_terminal, settle_seconds="600")
    assert code == 0
    assert "No photos lay in incoming." in said
    assert "just added" not in said


def test_a_clone_has_an_empty_incoming_that_git_leaves_alone() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a clone")
    assert listed.stdout.split() == ["data/README.md", "data/incoming/.gitkeep"]
    for name in (
        "data/incoming/a.jpg",
        "data/incoming/order 7/a.jpg",
        "data/predictions.csv",
        "data/processed/a.jpg",
    ):
        assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False).returncode == 0, (
            name
        )


@pytest.mark.parametrize("name", [".gitkeep", ".keep", "order 7/.keep"])
def test_what_only_keeps_a_folder_is_nothing_to_tell(
    night: Night, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    logs.set_up(night.settings.log_dir)
    night.drop(name, b"")
    assert night.run() == 0
    assert "ignored" not in capsys.readouterr().out
    assert (night.incoming / name).exists()


def test_a_share_of_the_sure_photos_is_marked_for_audit_and_filed_as_usual(
    make_night: Callable[..., Night],
) -> None:
    night = make_night(audit_share=0.2)
    for number in range(200):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.drop("doubt.jpg", photo("doubt", doubt=True))
    night.run()
    marked = [row for row in night.csv() if row["review_reason"] == "audit"]
    assert 20 <= len(marked) <= 60
    assert {(row["status"], row["needs_review"]) for row in marked} == {("processed", "false")}


def answering(**changes: Any) -> Callable[[Sequence[bytes]], Response]:
    """A sidecar's answer to any photos, changed; what is None is left out."""
    said = {name: value for name, value in prediction("pants", **changes).items() if value is not None}
    return lambda photos: jsonify(model_version="fake-1", results=[{"prediction": said}] * len(photos))


def test_doubts_that_move_nothing_have_a_column_of_their_own(
    make_night: Callable[..., Night], sidecar: FakeSidecar
) -> None:
    night = make_night(audit_share=1)
    sidecar.behaviour = answering(doubts="background uncertain (60 %), colour uncertain (40 %)")
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    (row,) = night.csv()
    assert (row["review_reason"], row["status"]) == ("audit", "processed")
    assert row["doubts"] == "background uncertain (60 %), colour uncertain (40 %)"
    assert ";" not in ",".join(row.values())
    with Ledger(night.settings.ledger_path) as ledger:
        seen = summary.from_json(ledger.runs()[-1].summary)
    assert seen.reasons == {"audit": 1}
    assert seen.doubts == {"background uncertain": 1, "colour uncertain": 1}


def test_a_release_that_has_learned_no_colours_leaves_their_cells_empty(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.behaviour = answering(background=None, colour=None)
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("a"))  # the same bytes get the same answer
    assert night.run() == 0
    rows = night.csv()
    assert {row["sub_category"] for row in rows} == {"pants"}
    empty = ("background_quality", "background_quality_probability", "colour", "colour_probability", "doubts")
    assert {row[name] for row in rows for name in empty} == {""}
    page = (night.settings.reports / f"{rows[0]['run_id']}.html").read_text()
    assert "Colours" not in page
    assert "acceptable" not in page


@pytest.mark.parametrize("head", ["main", "sub"])
def test_a_server_that_says_nothing_of_the_category_is_not_believed(
    night: Night, sidecar: FakeSidecar, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.server.sidecar.START_SECONDS", 1)
    sidecar.behaviour = answering(**{head: None})
    night.drop("a.jpg", photo("a"))
    assert night.run() != 0
    assert night.waiting() == ["a.jpg"]


def test_a_spreadsheet_that_splits_at_semicolons_too_finds_every_column(night: Night) -> None:
    night.drop("a;b.jpg", photo("a"))
    night.drop("c;d.pdf", b"%PDF-1.7")
    assert night.run() == 3
    with night.settings.csv_path.open(newline="", encoding="utf-8") as file:
        text = file.read().replace(",", ";")
    lines = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert {len(line) for line in lines} == {len(CSV_COLUMNS)}
    assert {line[0] for line in lines[1:]} == {"a;b.jpg", "c;d.pdf"}


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless_in_the_csv_only(night: Night) -> None:
    name = '=HYPERLINK("evil").jpg'
    night.drop(name, photo("a"))
    night.run()
    assert night.csv()[0]["file_name"] == f"'{name}"
    assert night.rows()[0].file_name == name
    assert f"processed/upperwear/t-shirt/{name}" in night.files()


def test_a_name_that_is_not_utf_8_is_kept_exact_in_the_ledger_and_readable_elsewhere(night: Night) -> None:
    night.drop(b"caf\xe9.jpg", photo("a"))
    assert night.run() == 0
    assert night.rows()[0].source == b"caf\xe9.jpg"
    assert night.csv()[0]["file_name"] == r"caf\xe9.jpg"
    assert set(night.files()) == {r"processed/upperwear/t-shirt/caf\xe9.jpg"}


def test_links_and_pipes_are_never_opened_but_get_a_row(night: Night, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(photo("secret"))
    (night.incoming / "link.jpg").symlink_to(secret)
    os.mkfifo(night.incoming / "pipe.jpg")
    assert night.run() == 3
    assert {row["status"] for row in night.csv()} == {"failed"}
    assert (night.settings.data_dir / "failed" / "link.jpg").is_symlink()
    assert secret.exists()
    assert night.waiting() == []


def test_a_run_that_holds_the_lock_makes_the_second_one_end_with_75_and_touch_nothing(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    with run_lock(night.settings.data_dir):
        assert night.run() == 75
    assert night.waiting() == ["a.jpg"]
    assert not night.settings.csv_path.exists()


def test_the_last_line_sums_the_night_up(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    from batch.logs import set_up

    set_up(night.settings.log_dir)
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", doubt=True))
    night.drop("c.jpg", b"no photo")
    night.drop("d.jpg", photo("a"))
    night.run()
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert "Done. 4 files: 1 filed, 1 to review (50 %), 1 unreadable, 1 duplicate." in last
    assert "photos/s" in last
    assert "1 to review in all" in last
    assert str(night.settings.csv_path) in last
    assert last in (night.settings.log_dir / "nightsort.log").read_text("utf-8")


def last_run(night: Night) -> Run:
    with Ledger(night.settings.ledger_path) as ledger:
        run = ledger.last_run()
    assert run is not None
    return run


def drop_many(
    night: Night, names: str, count: int, *, broken: bool = False, unsupported: bool = False
) -> None:
    for name in map(names.format, range(count)):
        night.drop(name, photo(name, broken=broken, unsupported=unsupported))


def test_damaged_photos_that_sort_first_do_not_keep_the_good_ones_from_being_sorted_tonight(
    night: Night, sidecar: FakeSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    drop_many(night, "a {:02}.jpg", 70, broken=True)
    drop_many(night, "b {:02}.jpg", 50)
    assert night.run() == 3
    assert night.waiting() == []
    assert [row["status"] for row in night.csv()] == ["failed"] * 70 + ["processed"] * 50
    assert sidecar.checked == [["JPEG"]]
    assert "MANY PHOTOS FAILED" in caplog.messages[-1]
    assert "the files themselves are at fault" in last_run(night).message


def test_when_most_photos_fail_and_the_server_is_not_sound_the_night_stops_before_it_files_them(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.soundness = {"sound": False, "detail": "the JPEG sample is answered wrongly"}
    drop_many(night, "{}.jpg", 200, broken=True)
    assert night.run() == 1
    assert len(night.waiting()) == 200
    assert night.csv() == []
    assert "the JPEG sample is answered wrongly" in last_run(night).message


def test_a_server_that_goes_wrong_in_the_middle_of_a_night_is_noticed_though_most_photos_were_good(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.soundness["sound"] = False
    drop_many(night, "a {:03}.jpg", 300)
    drop_many(night, "b {:03}.jpg", 200, broken=True)
    assert night.run() == 1
    assert len(night.csv()) >= 300
    assert len(night.waiting()) > 100


def test_a_server_that_was_sound_is_checked_again_when_more_photos_fail(
    night: Night, sidecar: FakeSidecar
) -> None:
    drop_many(night, "{:03}.jpg", 400, broken=True)

    def sound_at_first(_: list[str]) -> Response:
        return jsonify(sound=len(sidecar.checked) < 3, detail="")

    sidecar.check_behaviour = sound_at_first
    assert night.run() == 1
    assert len(sidecar.checked) == 3
    assert len(night.csv()) == 2 * PHOTOS_PER_REQUEST


def test_files_that_are_no_photos_at_all_do_not_use_up_the_error_budget(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.soundness["sound"] = False
    for number in range(100):
        night.drop(f"{number}.txt", f"text {number}".encode())
        night.drop(f"{number}.bmp", f"BMW {number}, and so on".encode())
    assert night.run() == 3
    assert night.waiting() == []
    assert sidecar.checked == []


@pytest.mark.parametrize("name", ["{}.jpg", "{}.NEF", "{}.dng"])
def test_photos_of_a_kind_that_is_not_supported_do_not_use_up_the_error_budget(
    name: str, night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.soundness["sound"] = False
    drop_many(night, name, 100, unsupported=True)
    drop_many(night, "good {}.jpg", 5)
    assert night.run() == 3
    assert night.waiting() == []
    assert sidecar.checked == []


def test_camera_raw_does_not_use_up_the_error_budget_whatever_is_wrong_with_it(
    night: Night, sidecar: FakeSidecar
) -> None:
    """It begins like a TIFF, so that a server may call it damaged."""
    drop_many(night, "{}.cr2", 100, broken=True)
    assert night.run() == 3
    assert sidecar.checked == []


def test_an_error_budget_of_one_is_no_budget(make_night: Callable[..., Night], sidecar: FakeSidecar) -> None:
    night = make_night(error_budget=1)
    drop_many(night, "{}.jpg", 100, broken=True)
    assert night.run() == 3
    assert night.waiting() == []
    assert sidecar.checked == []


def test_a_class_that_would_lead_out_of_the_folder_stops_the_night(
    night: Night, sidecar: FakeSidecar
) -> None:
    from tests import fake_sidecar

    night.drop("a.jpg", photo("a", sub=".."))
    fake_sidecar.MAIN_OF[".."] = ".."
    try:
        assert night.run() == 1
    finally:
        del fake_sidecar.MAIN_OF[".."]
    assert night.waiting() == ["a.jpg"]


def test_a_wrong_token_stops_the_night_and_leaves_everything(night: Night, sidecar: FakeSidecar) -> None:
    sidecar.token = "right"
    night.drop("a.jpg", photo("a"))
    assert night.run() == 1
    assert night.waiting() == ["a.jpg"]


def test_photos_are_swept_by_name_so_that_a_copy_comes_after_its_photo(night: Night) -> None:
    for name in ("b.jpg", "a (copy).jpg", "c.jpg", "a.jpg"):
        night.drop(name, photo("a" if name.startswith("a") else name))
    night.run()
    assert [row["file_name"] for row in night.csv()] == ["a.jpg", "a (copy).jpg", "b.jpg", "c.jpg"]
    assert night.csv()[1]["status"] == "duplicate"


FAULTS = (RuntimeError("a bug"), MemoryError(), KeyError("x"), OSError(5, "Input/output error", "/somewhere"))


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize(
    ("owner", "name"),
    [(run, "_recover"), (sweep.Sweep, "_read"), (sweep.Sweep, "_decide"), (csv_files, "update_all")],
)
def test_whatever_goes_wrong_in_a_night_its_row_is_finished_and_what_is_done_is_told(
    owner: object, name: str, fault: Exception, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("a.jpg", photo("a"))

    def fail(*_: object, **__: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        assert night.run() == 1
    ended = last_run(night)
    assert (ended.exit_code, bool(ended.finished_at)) == (1, True)
    assert ended.message
    assert night.run() == 0
    assert len(night.csv()) == 1


@pytest.mark.parametrize(
    ("end", "code"), [(KeyboardInterrupt(), 130), (SystemExit(7), 7), (SystemExit("enough"), 1)], ids=repr
)
def test_a_night_that_is_broken_off_has_a_finished_row_all_the_same(
    end: BaseException, code: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("a.jpg", photo("a"))

    def break_off(*_: object) -> None:
        raise end

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "_read", break_off)
        with pytest.raises(type(end)):
            night.run()
    ended = last_run(night)
    assert (ended.exit_code, bool(ended.finished_at)) == (code, True)
    assert type(end).__name__ in ended.message


def test_photos_that_were_filed_before_a_fault_are_counted(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_many(night, "{}.jpg", 10)
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 2)
    monkeypatch.setattr("batch.night.sweep.REQUESTS_IN_FLIGHT", 1)
    decide = sweep.Sweep._decide

    def fail_later(*values: Any) -> Iterator[Row]:
        if len(night.files()) >= 4:
            raise RuntimeError("a bug")
        return decide(*values)

    monkeypatch.setattr(sweep.Sweep, "_decide", fail_later)
    assert night.run() == 1
    assert last_run(night).counts["processed"] == len(night.csv()) == 4


def test_a_night_whose_incoming_is_no_folder_has_a_finished_row_that_says_so(night: Night) -> None:
    night.incoming.rmdir()
    night.incoming.write_text("somebody's notes")
    assert night.run() == 1
    ended = last_run(night)
    assert (ended.exit_code, bool(ended.finished_at)) == (1, True)
    assert str(night.incoming) in ended.message


def test_a_summary_that_fails_takes_nothing_back(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.drop("a.jpg", photo("a"))

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(run, "_look_back", fail)
    assert night.run() == 0
    assert last_run(night).exit_code == 0


def test_a_run_remembers_the_settings_of_the_server_that_it_starts_and_of_no_other(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ApiSettings.model_config, "env_file", None)
    monkeypatch.setenv("REVIEW_PRECISION", "0.9")
    monkeypatch.setenv("API_TOKEN", "hush")
    own, others = make_night(api_url=()).settings, make_night().settings
    told = run.told(own)
    assert (told["REVIEW_PRECISION"], told["MAX_IMAGE_MB"], told["DEVICE"]) == ("0.9", "50.0", "auto")
    assert "hush" not in str(told)
    assert "API_PORT" not in told
    assert "DEVICE" not in run.told(others)


def test_what_photos_look_like_is_kept_of_those_that_wait(night: Night, sidecar: FakeSidecar) -> None:
    sidecar.health["sketches"] = True
    sidecar.sketch = base64.b64encode(bytes(range(64))).decode()
    night.drop("sure.jpg", photo("sure"))
    night.drop("doubtful.jpg", photo("doubtful", doubt=True))
    night.run()
    kept = {row.file_name: row.sketch for row in night.rows()}
    assert kept == {"sure.jpg": b"", "doubtful.jpg": bytes(range(64))}


def test_a_server_that_makes_no_sketches_is_not_asked_for_any(night: Night, sidecar: FakeSidecar) -> None:
    sidecar.sketch = "what an older server may say"
    night.drop("doubtful.jpg", photo("doubtful", doubt=True))
    night.run()
    assert [row.sketch for row in night.rows()] == [b""]
