"""Disks that are full, read-only, slow to tell, or not ours to write to; CSVs that somebody has open."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batch import export, filing
from batch.ledger import Ledger
from batch.rename import StrPath, rename_new
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo
from tests.faults.promises import Dropped, broken_promises, checksum

NOBODY = 65534


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own at `folder`; gives a function that remounts it with other options."""
    folder.mkdir(parents=True, exist_ok=True)
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]).returncode
    ):
        pytest.skip("only root may mount a small file system")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(night: Night, number: int = 40, size: int = 0) -> Dropped:
    dropped = Dropped()
    for index in range(number):
        content = photo(str(index), sub=("t-shirt", "pants")[index % 2], doubt=index % 5 == 0)
        content += b"" if not size else b"|" + bytes([index]) * size
        night.drop(f"order {index % 3}/{index}.jpg" if index % 2 else f"{index}.jpg", content)
        dropped.photos[checksum(content)] += 1
    return dropped


def assert_kept(night: Night, dropped: Dropped) -> None:
    assert broken_promises(night.settings.data_dir, dropped, at_rest=False) == []


def assert_done(night: Night, dropped: Dropped) -> None:
    assert broken_promises(night.settings.data_dir, dropped, at_rest=True) == []


def big_photo(number: int) -> bytes:
    return photo("x" * 60_000 + str(number))


def test_a_full_target_stops_the_night_and_the_next_one_goes_on_where_there_is_room(night: Night) -> None:
    dropped = Dropped()
    for number in range(40):
        night.drop(f"{number}.jpg", big_photo(number))
        dropped.photos[checksum(big_photo(number))] += 1
    with small_disk(night.settings.data_dir / "processed", "1m") as remount:
        assert night.run() == 1
        assert 5 < len(night.csv()) < 20
        assert_kept(night, dropped)
        remount("size=16m")
        assert night.run() == 0
        assert_done(night, dropped)


def test_a_full_data_folder_with_its_ledger_and_csv_stops_the_night_with_everything_kept(
    make_night: Callable[..., Night], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", "3m") as remount:
        night = make_night(data_dir=tmp_path / "small" / "data")
        dropped = fill(night, 200)
        ballast = tmp_path / "small" / "ballast"
        free = shutil.disk_usage(tmp_path / "small").free
        ballast.write_bytes(bytes(free - 120_000))
        for _ in range(3):
            assert night.run() == 1
        remount("size=16m")
        assert_kept(night, dropped)
        assert night.run() == 0
        assert_done(night, dropped)


def test_a_target_that_may_not_be_written_to_stops_the_night_at_the_first_photo(night: Night) -> None:
    dropped = fill(night)
    with small_disk(night.settings.data_dir / "processed", "1m") as remount:
        remount("ro")
        assert night.run() == 1
        assert len(night.waiting()) >= 32
        assert_kept(night, dropped)
        remount("rw")
        assert night.run() == 0
        assert_done(night, dropped)


def test_photos_are_moved_to_another_file_system_whole(night: Night) -> None:
    dropped = fill(night)
    with small_disk(night.settings.data_dir / "processed", "4m"):
        assert night.run() == 0
        assert_done(night, dropped)


WRITES: dict[str, tuple[Any, str]] = {
    "rename": (filing, "rename_new"),
    "make a folder": (filing, "_make_folder"),
    "sync a folder": (filing, "sync_folders"),
    "open a CSV": (export, "write_csv"),
    "append to the CSV": (export, "_write"),
    "sync a file": (os, "fsync"),
    "replace a CSV": (Path, "replace"),
}


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("write", WRITES)
def test_whichever_write_fails_once_nothing_is_lost_and_the_next_night_finishes(
    write: str, fault: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = fill(night)
    monkeypatch.setattr("batch.sweep.PHOTOS_PER_REQUEST", 8)
    owner, name = WRITES[write]
    original = getattr(owner, name)
    for count in (1, 2, 7):
        calls = 0

        def failing(*values: Any, count: int = count, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == count:
                raise OSError(fault, os.strerror(fault), "somewhere")
            return original(*values, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            assert night.run() in (0, 1)
        assert_kept(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


@pytest.mark.parametrize("pages", [1, 3, 6])
def test_a_ledger_that_cannot_grow_stops_the_night_with_everything_kept(
    pages: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = fill(night, 120)
    monkeypatch.setattr("batch.sweep.PHOTOS_PER_REQUEST", 8)
    opened = Ledger._bring_up_to_date

    def open_full(ledger: Ledger) -> None:
        opened(ledger)
        now = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count = {now + pages}")  # SQLite's own way to say: disk full

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_bring_up_to_date", open_full)
        assert night.run() == 1
    assert_kept(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


def test_photos_of_one_folder_that_cannot_be_made_stay_and_the_others_are_filed(night: Night) -> None:
    (night.settings.data_dir / "processed" / "bottomwear").mkdir(parents=True)
    (night.settings.data_dir / "processed" / "bottomwear" / "pants").write_text("a file in the way")
    for number in range(9):
        night.drop(f"{number}.jpg", photo(str(number), sub="pants" if number < 4 else "t-shirt"))
    assert night.run() == 1
    assert sorted(night.waiting()) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert len(night.csv()) == 5


def test_when_no_photo_can_be_moved_the_night_does_not_try_them_all(
    night: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.settings.data_dir.joinpath("processed").write_text("a file in the way")
    dropped = Dropped()
    for number in range(200):
        night.drop(f"{number}.jpg", photo(str(number)))
        dropped.photos[checksum(photo(str(number)))] += 1
    monkeypatch.setattr("batch.sweep.PHOTOS_PER_REQUEST", 8)
    assert night.run() == 1
    assert len(sidecar.photos_asked()) < 100
    assert len(night.waiting()) == 200
    night.settings.data_dir.joinpath("processed").unlink()
    assert night.run() == 0
    assert_done(night, dropped)


def on_two_disks(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every rename say that it leads to another file system, but those within a folder."""
    rename = rename_new

    def rename_within(source: StrPath, target: StrPath) -> None:
        if os.path.dirname(source) != os.path.dirname(target):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target)

    monkeypatch.setattr(filing, "rename_new", rename_within)


def test_a_copy_that_differs_is_not_taken_for_the_photo(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = fill(night, 6)
    on_two_disks(night, monkeypatch)

    def flip(source: Path, copy: Path) -> None:
        content = bytearray(source.read_bytes())
        content[-1] ^= 1
        copy.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", flip)
        assert night.run() == 1
    assert night.files() == {}
    assert_kept(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


def test_an_original_that_cannot_be_removed_leaves_no_second_copy_night_after_night(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = fill(night, 6)
    on_two_disks(night, monkeypatch)
    unlink = Path.unlink

    def keep(path: Path, missing_ok: bool = False) -> None:
        if path.is_relative_to(night.incoming):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", keep)
        for _ in range(3):
            assert night.run() == 1
            assert night.files() == {}
            assert_kept(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


def test_a_csv_that_a_spreadsheet_has_open_costs_no_photo_and_the_next_night_catches_up(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    night.drop("first.jpg", photo("first"))
    night.run()
    dropped = fill(night, 20)
    dropped.photos[checksum(photo("first"))] += 1
    opening = Path.open

    def shared(path: Path, mode: str = "r", *values: Any, **named: Any) -> Any:
        if path == night.settings.csv_path and mode != "r":
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        return opening(path, mode, *values, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", shared)
        assert night.run() == 1
    assert len(night.csv()) == 1
    assert len(night.files()) == 21
    assert night.run() == 0
    assert_done(night, dropped)


def test_a_csv_that_could_only_be_written_in_part_is_cut_back_to_whole_lines(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("first.jpg", photo("first"))
    night.run()
    before = night.settings.csv_path.read_bytes()
    night.drop("second.jpg", photo("second"))

    def half(rows: Any, file: Any) -> int:
        file.write(b"second.jpg,upperw")
        file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export, "_write", half)
        assert night.run() == 1
    assert night.settings.csv_path.read_bytes() == before
    assert night.run() == 0
    assert len(night.csv()) == 2


def test_a_csv_that_the_ledger_does_not_know_is_kept_aside_and_not_replaced(night: Night) -> None:
    night.settings.csv_path.write_text("file_name\nprecious.jpg\n")
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert len(night.csv()) == 1
    aside = night.settings.data_dir / "predictions.found.csv"
    assert aside.read_text() == "file_name\nprecious.jpg\n"


@pytest.fixture
def plain_user(make_night: Callable[..., Night]) -> Iterator[Callable[[], Night]]:
    """A night as a user whom permissions bind, also where the tests run as root."""
    folder = Path(tempfile.mkdtemp())

    def become() -> Night:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        return make_night(data_dir=folder / "data", log_dir=folder / "logs")

    try:
        yield become
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
        shutil.rmtree(folder)


def test_a_photo_or_folder_that_may_not_be_read_stays_and_the_others_are_filed(
    plain_user: Callable[[], Night],
) -> None:
    night = plain_user()
    night.drop("secret.jpg", photo("secret")).chmod(0)
    night.drop("closed/a.jpg", photo("a")).parent.chmod(0)
    night.drop("open/b.jpg", photo("b"))
    assert night.run() == 1
    assert [row["file_name"] for row in night.csv()] == ["open/b.jpg"]
    (night.incoming / "secret.jpg").chmod(0o600)
    (night.incoming / "closed").chmod(0o700)
    assert night.run() == 0
    assert len(night.csv()) == 3


@pytest.mark.parametrize("folder", ["incoming", "processed", "processed/upperwear"])
def test_lost_rights_on_a_folder_stop_the_night_and_leave_everything_where_it_is(
    folder: str, plain_user: Callable[[], Night]
) -> None:
    night = plain_user()
    night.drop("a.jpg", photo("a"))
    path = night.settings.data_dir / folder
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o500)
    assert night.run() == 1
    assert night.waiting() == ["a.jpg"]
    assert night.rows() == []
    path.chmod(0o700)
    assert night.run() == 0
    assert len(night.csv()) == 1


def test_a_data_folder_that_may_not_be_written_to_is_one_sentence_and_exit_code_1(
    plain_user: Callable[[], Night],
) -> None:
    night = plain_user()
    night.settings.data_dir.chmod(0o500)
    assert night.run() == 1
    night.settings.data_dir.chmod(0o700)
    assert night.run() == 0
