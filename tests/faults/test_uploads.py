"""Uploads in progress: nothing is touched that is not complete, and what is complete does not wait in vain."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Response

from batch.files import filing
from batch.files.links import Links
from batch.files.scan import Scan
from batch.records.ledger import Row
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo
from tests.faults.test_disk import on_two_disks

SETTLE = 1.0
LONG_AGO = time.time() - 86400


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return make_night(settle_seconds=SETTLE)


def drop_old(night: Night, name: str, content: bytes) -> Path:
    """A file whose time is old, as `cp -p`, rsync and cameras leave it, though it has only just arrived."""
    path = night.drop(name, content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@contextmanager
def growing(path: Path, *, keep_mtime: bool) -> Iterator[None]:
    """Let a file grow all the while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo("growing"))
    if keep_mtime:
        os.utime(path, (LONG_AGO, LONG_AGO))
    stop = threading.Event()

    def grow() -> None:
        while not stop.wait(0.1):
            with path.open("ab") as file:
                file.write(b"x")
            if keep_mtime:
                os.utime(path, (LONG_AGO, LONG_AGO))

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_a_file_that_grows_is_not_touched_whatever_its_time_says_and_holds_nobody_up(
    keep_mtime: bool, night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_old(night, "other.jpg", photo("other"))
    with growing(night.incoming / "growing.jpg", keep_mtime=keep_mtime):
        time.sleep(SETTLE)
        started = time.monotonic()
        assert night.run() == 0
        assert time.monotonic() - started < 6 * SETTLE
        assert night.waiting() == ["growing.jpg"]
    assert [row["file_name"] for row in night.csv()] == ["other.jpg"]
    time.sleep(SETTLE)
    assert night.run() == 0
    assert night.waiting() == []
    (content,) = (content for path, content in night.files().items() if "growing" in path)
    assert content.endswith(b"x")


def test_an_old_file_that_has_just_arrived_is_swept_in_the_same_run_once_it_has_held_still(
    night: Night,
) -> None:
    drop_old(night, "a.jpg", photo("a"))
    started = time.monotonic()
    assert night.run() == 0
    assert time.monotonic() - started >= SETTLE * 0.9
    assert night.waiting() == []


def test_an_old_file_that_has_long_been_there_is_not_waited_for(night: Night, sidecar: FakeSidecar) -> None:
    drop_old(night, "a.jpg", photo("a"))
    time.sleep(SETTLE)
    swept_at: list[float] = []
    sidecar.behaviour = lambda _: swept_at.append(time.monotonic())
    started = time.monotonic()
    assert night.run() == 0
    assert swept_at[0] - started < SETTLE


def test_files_from_the_future_only_have_to_hold_still(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock was set back an hour, or the clock of the share's server is ahead."""
    night.drop("a.jpg", photo("a"))
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() - 3600)
    started = time.monotonic()
    assert night.run() == 0
    assert time.monotonic() - started >= SETTLE * 0.9
    assert night.waiting() == []


def test_a_file_under_a_temporary_name_is_left_alone_until_it_is_renamed(night: Night) -> None:
    partial = drop_old(night, "a.jpg.part", photo("a"))
    assert night.run() == 0
    assert night.waiting() == ["a.jpg.part"]
    partial.rename(night.incoming / "a.jpg")
    assert night.run() == 0
    assert night.waiting() == []
    assert len(night.csv()) == 1


def test_a_file_that_vanishes_between_scan_and_read_is_nobodys_fault(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg"):
        drop_old(night, name, photo(name))

    def take_away(path: Path, found: object) -> bytes | None:
        (night.incoming / "a.jpg").unlink(missing_ok=True)
        return read(path, found)  # type: ignore[arg-type]

    from batch.files.reading import read_unchanged as read

    monkeypatch.setattr("batch.files.reading.read_unchanged", take_away)
    assert night.run() == 0
    assert [row["file_name"] for row in night.csv()] == ["b.jpg"]


@pytest.mark.parametrize("change", ["taken away", "replaced", "grown", "rewritten in place"])
def test_a_photo_that_changes_while_it_is_being_predicted_is_not_filed_with_an_answer_that_is_not_its_own(
    change: str, make_night: Callable[..., Night], sidecar: FakeSidecar
) -> None:
    night = make_night()
    path = night.drop("a.jpg", photo("first"))
    before = path.stat()
    left = {"taken away": [], "grown": [photo("grown")]}.get(change, [photo("other")])

    def meddle(photos: Sequence[bytes]) -> Response | None:
        if photos != [photo("first")]:
            return None
        if change in ("taken away", "replaced"):
            path.unlink()
        if change != "taken away":
            path.write_bytes(photo("grown" if change == "grown" else "other"))
        if (
            change == "rewritten in place"
        ):  # as by a Samba client that sets the time before it has sent everything
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return None

    sidecar.behaviour = meddle
    assert night.run() == 0
    assert night.csv() == []
    assert night.files() == {}
    assert night.run() == 0
    assert list(night.files().values()) == left
    assert len(night.csv()) == len(left)


def test_a_folder_that_is_moved_in_whole_is_swept_whole(night: Night, tmp_path: Path) -> None:
    folder = tmp_path / "order 7"
    (folder / "back").mkdir(parents=True)
    for number in range(20):
        path = folder / ("back" if number % 2 else "") / f"{number}.jpg"
        path.write_bytes(photo(str(number)))
        os.utime(path, (LONG_AGO, LONG_AGO))
    folder.rename(night.incoming / "order 7")
    assert night.run() == 0
    assert len(night.csv()) == 20
    assert not list(night.incoming.rglob("*.jpg"))


def test_a_folder_that_is_taken_away_during_the_sweep_stops_nobody(
    make_night: Callable[..., Night], sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 2)
    monkeypatch.setattr("batch.night.sweep.REQUESTS_IN_FLIGHT", 1)
    night = make_night()
    for folder in ("a", "b", "c", "d"):
        for number in range(4):
            night.drop(f"{folder}/{number}.jpg", photo(f"{folder} {number}"))
    gone: list[str] = []

    def take_a_folder(_: Sequence[bytes]) -> Response | None:
        for folder in ("a", "b", "c", "d"):
            if not gone and len(list((night.incoming / folder).iterdir())) == 4 and sidecar.asked[0]:
                if any(folder.encode() in content for content in sidecar.asked[0]):
                    continue
                shutil.rmtree(night.incoming / folder)
                gone.append(folder)
        return None

    sidecar.behaviour = take_a_folder
    assert night.run() == 0
    assert len(gone) == 1
    assert len(night.csv()) == 12


def test_thousands_of_files_that_arrive_during_the_sweep_are_each_swept_once(
    make_night: Callable[..., Night],
) -> None:
    night = make_night(settle_seconds=0.3)
    arriving = [f"arriving/{number}.jpg" for number in range(1500)]
    for number in range(100):
        drop_old(night, f"early {number}.jpg", photo(f"early {number}"))

    def arrive() -> None:
        for name in arriving:
            night.drop(f"{name}.part", photo(name)).rename(night.incoming / name)

    upload = threading.Thread(target=arrive)
    upload.start()
    try:
        night.run()
    finally:
        upload.join()
    time.sleep(0.5)
    assert night.run() == 0
    assert not list(night.incoming.rglob("*.jpg"))
    assert sorted(row["file_name"] for row in night.csv()) == sorted(
        arriving + [f"early {number}.jpg" for number in range(100)]
    )
    assert len(night.files()) == 1600


def test_a_photo_waits_for_its_companion_that_is_still_uploading(night: Night) -> None:
    """The film of a live photo is larger than the photo and comes after it."""
    drop_old(night, "IMG_1.jpg", photo("a"))
    time.sleep(SETTLE)
    with growing(night.incoming / "IMG_1.mov", keep_mtime=False):
        assert night.run() == 0
        assert night.waiting() == ["IMG_1.jpg", "IMG_1.mov"]
    time.sleep(SETTLE)
    assert night.run() == 0
    assert night.waiting() == []
    assert len(night.csv()) == 1
    assert set(night.files()) == {f"processed/upperwear/t-shirt/IMG_1{end}" for end in (".jpg", ".mov")}


def test_a_companion_that_comes_while_its_photo_waits_for_its_turn_is_not_left_behind(tmp_path: Path) -> None:
    """In a long night a photo's turn may come minutes after its folder was looked at."""
    for name, age in (("a.jpg", 60), ("z.jpg", SETTLE / 2)):
        (tmp_path / name).write_bytes(photo(name))
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    time.sleep(
        0 if os.name != "posix" else SETTLE
    )  # so that neither has changed lately, as the system sees it
    os.utime(tmp_path / "z.jpg", (time.time() - SETTLE / 2,) * 2)
    scan = Scan(tmp_path, SETTLE)
    found = iter(scan)
    assert next(found).name == "a.jpg"
    time.sleep(SETTLE)
    (tmp_path / "z.mov").write_bytes(b"film")
    assert list(found) == []
    assert scan.young == 1


def link(night: Night, *names: str) -> None:
    """One file with all these names, which nobody has changed for a while."""
    first = night.incoming / names[0]
    for name in names[1:]:
        (night.incoming / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(first, night.incoming / name)


@pytest.mark.parametrize("others", [1, 2, 30])
@pytest.mark.parametrize(("at_once", "two_disks"), [(64, False), (1, False), (64, True), (1, True)])
def test_hard_links_of_one_photo_are_filed_in_one_night(
    others: int, at_once: int, two_disks: bool, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", at_once)
    if two_disks:
        on_two_disks(night, monkeypatch)
    drop_old(night, "0.jpg", photo("a"))
    link(night, "0.jpg", *(f"{number % 3}/{number}.jpg" for number in range(1, others + 1)))
    drop_old(night, "other.jpg", photo("other"))
    time.sleep(SETTLE)
    assert night.run() == 0
    assert night.waiting() == []
    assert [row.status for row in night.rows() if row.sha256 == night.rows()[0].sha256] == (
        ["processed"] + ["duplicate"] * others
    )
    assert list(night.files().values()).count(photo("a")) == others + 1


def test_hard_links_that_were_made_just_now_hold_still_together(night: Night) -> None:
    drop_old(night, "0.jpg", photo("a"))
    link(night, "0.jpg", *(f"{number}.jpg" for number in range(1, 6)))
    assert night.run() == 0
    assert night.waiting() == []
    assert len(night.csv()) == 6


def test_companions_that_are_hard_links_take_no_night_of_their_own(night: Night) -> None:
    for number in range(5):
        drop_old(night, f"{number}.jpg", photo(str(number)))
    drop_old(night, "0.xmp", b"edits")
    link(night, "0.xmp", *(f"{number}.xmp" for number in range(1, 5)))
    time.sleep(SETTLE)
    assert night.run() == 0
    assert night.waiting() == []
    assert len(night.files()) == 10


@pytest.mark.parametrize("change", ["written", "rights", "linked", "moved away"])
def test_a_hard_link_that_somebody_changes_meanwhile_is_not_taken_for_unchanged(
    change: str, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what our own move does to the other names of a file is no change of them."""
    path = drop_old(night, "0.jpg", photo("a"))
    link(night, "0.jpg", "1.jpg", "2.jpg")
    time.sleep(SETTLE)
    file_photo = filing.file_photo
    attempts: list[str] = []

    def meddle(row: Row, *values: Any) -> None:
        attempts.append(row.file_name)
        other = night.incoming / "2.jpg"
        if attempts != ["0.jpg", "1.jpg"]:
            pass
        elif change == "written":
            other.write_bytes(photo("b"))
        elif change == "rights":
            other.chmod(0o640)
        elif change == "linked":
            os.link(other, night.settings.data_dir / "somewhere.jpg")
        else:
            other.rename(night.settings.data_dir / "somewhere.jpg")
        file_photo(row, *values)

    monkeypatch.setattr(filing, "file_photo", meddle)
    assert night.run() == 0
    time.sleep(SETTLE)  # what was written just now waits for the next night
    assert night.run() == 0
    assert attempts.count("1.jpg") == 2  # the first time it was noticed
    assert not path.exists()
    files = night.files()
    for row in night.rows()[1:]:
        assert hashlib.sha256(files[row.moved_to]).hexdigest() == row.sha256


def test_a_ctime_is_ours_only_until_somebody_changes_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    for name in ("b", "c", "d"):
        os.link(tmp_path / "a", tmp_path / name)
    original = (tmp_path / "a").lstat().st_ctime_ns
    links = Links()

    def move(name: str) -> None:
        time.sleep(0.02)  # a file system's clock is coarse
        with links.moving([str(tmp_path / name)]):
            (tmp_path / name).rename(tmp_path / f"{name} there")

    move("a")
    move("b")
    facts = (tmp_path / "c").lstat()
    assert facts.st_ctime_ns != original
    assert links.ctime_ns(facts) == original
    time.sleep(0.02)
    (tmp_path / "d").chmod(0o600)
    changed = (tmp_path / "c").lstat()
    assert links.ctime_ns(changed) == changed.st_ctime_ns
    move("c")
    assert links.ctime_ns((tmp_path / "d").lstat()) == changed.st_ctime_ns


def test_with_wait_the_end_of_an_upload_is_waited_for(night: Night) -> None:

    def upload() -> None:
        with growing(night.incoming / "a.jpg", keep_mtime=False):
            time.sleep(2 * SETTLE)

    thread = threading.Thread(target=upload)
    thread.start()
    time.sleep(0.2)
    assert night.run(wait=True) == 0
    thread.join()
    assert night.waiting() == []
    (content,) = night.files().values()
    assert len(content) > len(photo("growing")) + 10
