"""Companions: whose they are, that they go where their photo goes, and that nobody takes another one's."""

import itertools
import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch.__main__ import main
from batch.files import filing
from batch.files.companions import Folder, companions_of, is_companion
from batch.files.scan import Scan
from batch.records.ledger import Ledger
from batch.upkeep import withdraw
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

SHIRTS = "processed/upperwear/t-shirt/"


@pytest.fixture
def do(night: Night, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setenv("DATA_DIR", str(night.settings.data_dir))
    monkeypatch.setenv("LOG_DIR", str(night.settings.log_dir))
    return lambda *arguments: main(list(arguments))


def rows(night: Night) -> list[str]:
    return [row.file_name for row in night.rows()]


@pytest.mark.parametrize("name", ["a.gif", "a.jfif", "a", "a.JPG", "a.jpg.png", "a.xyz", ".".join("a" * 9)])
def test_a_photo_of_any_name_has_companions(name: str, night: Night) -> None:
    night.drop(name, photo("a"))
    night.drop(f"{name}.xmp", b"edits")
    night.drop(f"{os.path.splitext(name)[0]}.mov", b"film")
    assert night.run() == 0
    assert set(night.files().values()) == {photo("a"), b"edits", b"film"}
    assert rows(night) == [name]
    assert night.waiting() == []


@pytest.mark.parametrize(
    "extension",
    [".mov", ".MOV", ".Mov", ".mp4", ".m4v", ".avi", ".3gp", ".mts", ".thm", ".THM", ".json", ".aae", ".xmp", ".lrv",
     ".ARW", ".cr2", ".CR3", ".nef", ".dng", ".raf", ".orf", ".rw2"],
)  # fmt: skip
def test_what_cameras_and_editors_lay_beside_a_photo_goes_with_it(extension: str, night: Night) -> None:
    night.drop("IMG_9.jpg", photo("a"))
    night.drop(f"IMG_9{extension}", b"II*\0 whatever")
    assert night.run() == 0
    assert set(night.files()) == {f"{SHIRTS}IMG_9.jpg", f"{SHIRTS}IMG_9{extension}"}
    assert rows(night) == ["IMG_9.jpg"]


@pytest.mark.parametrize("text", ["IMG_9.TXT", "IMG_9.txt", "IMG_9", "IMG_9.doc"])
def test_what_is_no_photo_takes_no_companions(text: str, night: Night) -> None:
    night.drop(text, b"notes")
    night.drop("IMG_9.MOV", b"film")
    night.drop("IMG_9.jpg", photo("a"))
    assert night.run() == 3
    assert set(night.files()) == {f"{SHIRTS}IMG_9.jpg", f"{SHIRTS}IMG_9.MOV", f"failed/{text}"}


@pytest.mark.parametrize("content", [b"no photo", b""])
def test_what_is_called_like_a_photo_and_is_none_takes_no_companions(content: bytes, night: Night) -> None:
    night.drop("IMG_9.gif", content)
    night.drop("IMG_9.MOV", b"film")
    night.drop("IMG_9.jpg", photo("a"))
    night.drop("IMG_8.jpg", content)
    night.drop("IMG_8.xmp", b"edits")
    assert night.run() == 3
    assert set(night.files()) == {
        f"{SHIRTS}IMG_9.jpg",
        f"{SHIRTS}IMG_9.MOV",
        "failed/IMG_9.gif",
        "failed/IMG_8.jpg",
    }
    assert night.waiting() == ["IMG_8.xmp"]


def test_a_damaged_photo_keeps_its_own_companions(night: Night) -> None:
    night.drop("IMG_1.jpg", photo("a", broken=True))
    night.drop("IMG_1.xmp", b"edits")
    assert night.run() == 3
    assert set(night.files()) == {"failed/IMG_1.jpg", "failed/IMG_1.xmp"}


def test_of_two_photos_of_one_stem_the_one_that_sorts_first_has_the_companions(night: Night) -> None:
    night.drop("IMG_1.jpg", photo("second", doubt=True))
    night.drop("IMG_1.gif", photo("first"))
    night.drop("IMG_1.mov", b"film")
    night.drop("IMG_1.jpg.xmp", b"edits of the second")
    assert night.run() == 0
    assert night.files() == {
        f"{SHIRTS}IMG_1.gif": photo("first"),
        f"{SHIRTS}IMG_1.mov": b"film",
        "review/IMG_1.jpg": photo("second", doubt=True),
        "review/IMG_1.jpg.xmp": b"edits of the second",
    }


def test_what_belongs_to_a_companion_goes_with_its_photo(night: Night) -> None:
    names = ["IMG_1.ARW", "IMG_1.ARW.xmp", "IMG_1.MOV", "IMG_1.MOV.json", "IMG_1.jpg.pp3"]
    names += ["IMG_1.jpg.json", "IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg.supplemental-me.json"]
    night.drop("IMG_1.jpg", photo("a"))
    for name in names:
        night.drop(name, name.encode())
    assert night.run() == 0
    assert {path.removeprefix(SHIRTS) for path in night.files()} == {"IMG_1.jpg", *names}


def test_a_raw_file_alone_is_a_photo_that_has_companions_of_its_own(night: Night) -> None:
    night.drop("IMG_1.ARW", b"raw")
    night.drop("IMG_1.xmp", b"edits")
    night.drop("IMG_1.DNG", b"another raw")
    assert night.run() == 3
    assert rows(night) == ["IMG_1.ARW", "IMG_1.DNG"]
    files = {content: path for path, content in night.files().items()}
    assert files[b"edits"] == files[b"raw"].replace(".ARW", ".xmp")
    assert files[b"another raw"].removesuffix(".DNG") != files[b"raw"].removesuffix(".ARW")


def test_stems_are_compared_as_they_are_spelt(night: Night) -> None:
    night.drop("img_1.jpg", photo("a"))
    night.drop("IMG_1.mov", b"film")
    assert night.run() == 0
    assert night.waiting() == ["IMG_1.mov"]


def test_links_and_folders_are_nobodys_companions(night: Night, tmp_path: Path) -> None:
    night.drop("IMG_1.jpg", photo("a"))
    (night.incoming / "IMG_1.mov").symlink_to(tmp_path)
    (night.incoming / "IMG_1.xmp").mkdir()
    assert night.run() == 0
    assert set(night.files()) == {f"{SHIRTS}IMG_1.jpg"}
    assert night.waiting() == ["IMG_1.mov", "IMG_1.xmp"]


def test_companions_that_are_to_be_left_alone_stay(make_night: Callable[..., Night]) -> None:
    night = make_night(ignore="*.json, IMG_2*")
    for name in ("IMG_1.jpg", "IMG_2.jpg"):
        night.drop(name, photo(name))
    for name in ("IMG_1.json", "IMG_1.mov", "IMG_2.mov", "IMG_2.ARW"):
        night.drop(name, name.encode())
    assert night.run() == 0
    assert set(night.files()) == {f"{SHIRTS}IMG_1.jpg", f"{SHIRTS}IMG_1.mov"}
    assert night.waiting() == ["IMG_1.json", "IMG_2.ARW", "IMG_2.jpg", "IMG_2.mov"]


NAMES = ["a.jpg", "a.gif", "a", "a.txt", "a.xmp", "a.jpg.xmp", "a.gif.xmp", "a.txt.xmp", "a.xmp.json", "a.arw",
         "a.arw.xmp", "a.jpg.arw", "a.b.jpg", "a.b.xmp", "a.b", "a.JPG", "a.Xmp", "b.xmp"]  # fmt: skip


def test_who_has_a_companion_and_whose_it_is_are_one_answer(tmp_path: Path) -> None:
    """In every folder of five of these files."""
    for count, names in enumerate(itertools.combinations(NAMES, 5)):
        if count % 7:
            continue
        folder = tmp_path / str(count)
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"text" if name.endswith(".txt") else photo(name))
        whose = {name: Folder(folder).photo_of(name) for name in names}
        for name in names:
            theirs = [companion for companion in names if whose[companion] == name]
            assert Folder(folder).companions_of(name) == sorted(theirs), (names, name)
            assert companions_of(folder / name) == [folder / companion for companion in sorted(theirs)]
            assert is_companion(folder / name) == (whose[name] is not None)
            assert whose[name] is None or whose[whose[name] or ""] is None  # a photo is no companion
            assert name != "a.txt" or theirs == []


class DiedError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("name", ["a.jpg", "a.gif", "a.jfif", "a", "a.jpg.png", "order 7/a.tif"])
@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_night_that_dies_between_a_photo_and_its_companions_leaves_none_behind(
    name: str, taken: bool, moved: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    if taken:
        night.drop(name, photo("earlier"))
        assert night.run() == 0
    stem = os.path.splitext(name)[0]
    night.drop(name, photo("a"))
    night.drop(f"{name}.xmp", b"edits")
    night.drop(f"{stem}.MOV", b"film")
    move_companion = filing._move_companion
    calls = itertools.count()

    def die(*values: Path) -> None:
        if next(calls) == moved:
            raise DiedError
        move_companion(*values)

    with monkeypatch.context() as dying:
        dying.setattr(filing, "_move_companion", die)
        if moved < 2:
            with pytest.raises(DiedError):
                night.run()
        else:
            night.run()
    assert night.run() == 0
    files = {content: path for path, content in night.files().items()}
    place = files[photo("a")]
    assert files[b"edits"] == f"{place}.xmp"
    assert files[b"film"] == f"{os.path.splitext(place)[0]}.MOV"
    assert len(rows(night)) == 1 + taken
    assert not [path for path in night.incoming.rglob("*") if path.is_file()]


def test_what_is_ignored_follows_no_photo_after_a_death_either(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = make_night(ignore="*.mov")
    night.drop("a.jpg", photo("a"))
    night.drop("a.mov", b"film")
    night.drop("a.jpg.xmp", b"edits")

    def die(*_: object) -> None:
        raise DiedError

    with monkeypatch.context() as dying:
        dying.setattr(filing, "_move", die)
        with pytest.raises(DiedError):
            night.run()
    assert night.run() == 0
    assert night.waiting() == ["a.mov"]
    assert night.files()[f"{SHIRTS}a.jpg.xmp"] == b"edits"


def test_companions_of_two_photos_that_a_dead_night_had_moved_both_go_with_the_right_one(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("IMG_1.gif", photo("first"))
    night.drop("IMG_1.jpg", photo("second", doubt=True))
    night.drop("IMG_1.mov", b"film")

    def die() -> None:
        raise DiedError

    with monkeypatch.context() as dying:
        dying.setattr(filing, "_move_companion", lambda *_: None)
        dying.setattr("batch.night.sweep.Sweep._sync", lambda _: die())
        with pytest.raises(DiedError):
            night.run()
    assert night.run() == 0
    assert night.files()[f"{SHIRTS}IMG_1.mov"] == b"film"


def test_a_companion_that_is_taken_away_before_it_is_moved_is_nobodys_fault(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    night.drop("a.jpg", photo("a"))
    film = night.drop("a.mov", b"film")
    move_companion = filing._move_companion

    def take_away(*values: Path) -> None:
        film.unlink()
        move_companion(*values)

    monkeypatch.setattr(filing, "_move_companion", take_away)
    assert night.run() == 0
    assert "follow" not in caplog.text


def test_a_companion_whose_name_somebody_takes_meanwhile_stays_its_photos(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("a.mov", b"film")
    move_companion = filing._move_companion

    def take_names(companion: Path, source: Path, target: Path) -> None:
        target.with_name("a.mov").write_bytes(b"somebody's")
        move_companion(companion, source, target)

    monkeypatch.setattr(filing, "_move_companion", take_names)
    assert night.run() == 0
    assert night.files()[f"{SHIRTS}a.mov"] == b"somebody's"
    assert night.files()[f"{SHIRTS}a.jpg.mov"] == b"film"


def test_a_photo_is_not_filed_under_a_stem_that_has_another_ones_companions(night: Night) -> None:
    night.drop("IMG_1.jpg", photo("a"))
    night.drop("IMG_1.mov", b"film of a")
    night.run()
    night.drop("IMG_1.gif", photo("b"))
    night.run()
    night.drop("IMG_1.png", photo("c"))
    night.drop("IMG_1.mov", b"film of c")
    night.run()
    night.drop("IMG_1", photo("d"))
    night.run()
    assert night.files() == {
        f"{SHIRTS}IMG_1.jpg": photo("a"),
        f"{SHIRTS}IMG_1.mov": b"film of a",
        f"{SHIRTS}IMG_1 (2).gif": photo("b"),
        f"{SHIRTS}IMG_1 (3).png": photo("c"),
        f"{SHIRTS}IMG_1 (3).mov": b"film of c",
        f"{SHIRTS}IMG_1 (2)": photo("d"),
    }


def test_a_photo_with_companions_is_not_filed_under_a_stem_that_another_photo_has(night: Night) -> None:
    night.drop("IMG_1.gif", photo("a"))
    night.run()
    night.drop("IMG_1.jpg", photo("b"))
    night.drop("IMG_1.mov", b"film of b")
    night.drop("IMG_1.jpg.xmp", b"edits of b")
    night.run()
    assert set(night.files()) == {
        f"{SHIRTS}IMG_1.gif",
        f"{SHIRTS}IMG_1 (2).jpg",
        f"{SHIRTS}IMG_1 (2).mov",
        f"{SHIRTS}IMG_1 (2).jpg.xmp",
    }


def test_photos_without_companions_share_a_stem_as_ever(night: Night) -> None:
    for name in ("IMG_1.gif", "IMG_1.jpg"):
        night.drop(name, photo(name))
    night.drop("IMG_1.jpg.xmp", b"edits")  # nobody can take it for the other one's
    night.run()
    assert {path.removeprefix(SHIRTS) for path in night.files()} == {
        "IMG_1.gif",
        "IMG_1.jpg",
        "IMG_1.jpg.xmp",
    }


def test_disks_that_ignore_case_mix_up_nobodys_companions(night: Night) -> None:
    night.drop("IMG_1.jpg", photo("a"))
    night.drop("IMG_1.mov", b"film of a")
    night.run()
    night.drop("img_1.gif", photo("b"))
    night.drop("img_1.mov", b"film of b")
    night.run()
    assert f"{SHIRTS}img_1 (2).mov" in night.files()


def test_names_as_long_as_can_be_stay_together(night: Night) -> None:
    name = "n" * 230 + ".jpg"
    for number in range(3):
        night.drop(name, photo(str(number)))
        night.drop(f"{name}.pp3", f"edits {number}".encode())
        night.drop(f"{name}.supplemental.json", f"data {number}".encode())
        night.drop(os.fsencode("n" * 247) + b"\xff.jpg", photo(f"odd {number}"))
        night.drop(os.fsencode("n" * 247) + b"\xff.xmp", f"odd edits {number}".encode())
        assert night.run() == 0
    files = {content: path for path, content in night.files().items()}
    for number in range(3):
        place = files[photo(str(number))]
        assert files[f"edits {number}".encode()] == f"{place}.pp3"
        assert files[f"data {number}".encode()] == f"{place}.supplemental.json"
        odd = files[photo(f"odd {number}")]
        assert files[f"odd edits {number}".encode()] == odd.replace(".jpg", ".xmp")
    assert len(files) == 15


def a_crowd(night: Night) -> dict[bytes, set[bytes]]:
    """Photos with every sort of clash in one folder, filed night by night; what belongs to each of them."""
    whole: dict[bytes, set[bytes]] = {}
    dropped = [
        [("IMG_1.jpg", "IMG_1.jpg.xmp"), ("IMG_1.gif", "IMG_1.mov"), ("IMG_1.txt", "")],
        [("IMG_1.png", ""), ("IMG_1", ""), ("IMG_1.txt", "")],
        [("IMG_1.webp", "IMG_1.xmp"), ("IMG_1.zip", "")],
        [("IMG_1.RAF", "IMG_1.RAF.xmp"), ("IMG_1 (2).jpg", "")],
        [("IMG_1", "IMG_1.mov"), ("IMG_1.mov.jpg", "")],
        [("IMG_1.jpg", "IMG_1.RAF"), ("IMG_1.jpg.png", "")],
    ]
    for number, names in enumerate(dropped):
        for name, companion in names:
            is_photo = not name.endswith((".txt", ".zip", ".RAF"))
            text = f"{number} {name}"
            content = photo(text, broken=True) if is_photo else text.encode()
            night.drop(name, content)
            whole[content] = {content}
            if companion:
                night.drop(companion, f"of {text}".encode())
                whole[content].add(f"of {text}".encode())
        assert night.run() == 3
        assert night.waiting() == []
    assert len(rows(night)) == len(whole)
    return whole


@pytest.mark.parametrize("seed", range(2))
def test_whichever_photo_is_put_back_takes_its_own_companions_and_no_others(
    seed: int, night: Night, do: Callable[..., int]
) -> None:
    whole = a_crowd(night)
    places = {path: content for path, content in night.files().items() if content in whole}
    for place in random.Random(seed).sample(sorted(places), len(places)):
        assert do("requeue", "--photo", place) == 0
        put_back = [path for path in night.incoming.rglob("*") if path.is_file()]
        assert {path.read_bytes() for path in put_back} == whole[places[place]], place
        for path in put_back:
            path.unlink()
    assert night.files() == {}


@pytest.mark.parametrize("seed", range(2))
def test_whichever_photo_is_deleted_takes_its_own_companions_and_no_others(seed: int, night: Night) -> None:
    whole = a_crowd(night)
    with Ledger(night.settings.ledger_path) as ledger:
        for row in random.Random(seed).sample(night.rows(), len(whole)):
            before = night.files()
            withdraw.delete(night.settings, ledger, [row])
            gone = {content for path, content in before.items() if path not in night.files()}
            assert gone == whole[before[row.moved_to]], row.moved_to


def test_photos_that_are_all_put_back_at_once_keep_what_is_theirs(
    night: Night, do: Callable[..., int]
) -> None:
    whole = a_crowd(night)
    assert do("requeue", "--failed") == 0
    put_back = {path.name: path.read_bytes() for path in night.incoming.rglob("*") if path.is_file()}
    assert set(put_back.values()) == set().union(*whole.values())
    folder = Folder(night.incoming)
    for name, content in put_back.items():
        if content in whole:
            assert {content, *(put_back[theirs] for theirs in folder.companions_of(name))} == whole[content]


def test_a_photo_that_is_put_back_does_not_take_the_companions_of_one_that_waits(
    night: Night, do: Callable[..., int]
) -> None:
    night.drop("IMG_1.gif", photo("old"))
    night.run()
    night.drop("IMG_1.jpg", photo("new"))
    night.drop("IMG_1.mov", b"film of new")
    assert do("requeue", "--photo", "IMG_1.gif") == 0
    assert companions_of(night.incoming / "IMG_1.jpg") == [night.incoming / "IMG_1.mov"]
    assert night.run() == 0
    assert night.files()[f"{SHIRTS}IMG_1.mov"] == b"film of new"


def test_old_failures_can_be_deleted_without_the_films_of_good_photos(
    night: Night, do: Callable[..., int]
) -> None:
    """As older versions filed them: in `failed`, beside files that are no photos."""
    night.drop("IMG_9.TXT", b"notes")
    night.run()
    failed = night.settings.data_dir / "failed"
    (failed / "IMG_9.MOV").write_bytes(b"film")
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE photos SET processed_at = '2020-02-03T00:00:00Z'")
    assert do("prune", "--days", "1", "--status", "failed", "--delete", "--yes") == 0
    assert [path.name for path in failed.iterdir()] == ["IMG_9.MOV"]


def test_many_photos_with_companions_in_one_folder_cost_a_few_looks_at_it(
    night: Night, do: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 300
    for number in range(count):
        night.drop(f"{number}.jpg", photo(str(number)))
        night.drop(f"{number}.xmp", b"edits")
    looks: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> Any:
        looks.append(os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert night.run() == 0
    assert len(looks) < 60
    looks.clear()
    assert do("requeue", "--run", "last") == 0
    assert len(looks) < 60
    assert len(night.waiting()) == 2 * count


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_in_a_folder_too_large_to_be_put_in_order_nobody_loses_his_companions(
    at_once: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.files.scan.SORTED_AT_ONCE", at_once)
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 1)
    monkeypatch.setattr("batch.night.sweep.REQUESTS_IN_FLIGHT", 1)
    for number in range(20):
        night.drop(f"{number}.ARW", b"raw")
        night.drop(f"{number}.jpg", photo(str(number)))
        night.drop(f"{number}.mov", b"film")
    assert night.run() == 0
    assert len(rows(night)) == 20
    assert len(night.files()) == 60


def test_a_files_content_is_read_only_where_it_decides_whose_a_companion_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def begins_like_a_photo(path: str) -> bool:
        read.append(os.path.basename(path))
        return True

    monkeypatch.setattr("batch.files.companions._begins_like_a_photo", begins_like_a_photo)
    for name in ("1.jpg", "2.jpg", "3.gif", "3.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert len(list(Scan(tmp_path, 10))) == len(list(Scan(tmp_path, 0))) - 5 == 0
    assert read == []
    (tmp_path / "3.xmp").touch()
    assert len(list(Scan(tmp_path, 0))) == 5
    assert read == ["3.gif"]
