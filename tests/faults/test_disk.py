"""Disks that are full, read-only, slow to tell, or not ours to write to; CSVs that somebody has open."""

import codecs
import errno
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from batch.files import filing, reading
from batch.logs import FEW
from batch.records import csv_files
from batch.records.ledger import Ledger
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


def message(night: Night) -> str:
    """What the last run's row says; and that it is a finished one."""
    with Ledger(night.settings.ledger_path) as ledger:
        run = ledger.last_run()
    assert run is not None
    assert run.finished_at
    assert run.exit_code is not None
    return run.message


def test_a_full_disk_keeps_what_goes_there_and_the_next_night_goes_on_where_there_is_room(
    night: Night,
) -> None:
    dropped = Dropped()
    for number in range(40):
        night.drop(f"{number}.jpg", big_photo(number))
        dropped.photos[checksum(big_photo(number))] += 1
    with small_disk(night.settings.data_dir / "processed", "1m") as remount:
        assert night.run() == 1
        assert 5 < len(night.csv()) < 20
        assert "could not be moved to processed (No space left on device): make room" in message(night)
        assert_kept(night, dropped)
        remount("size=16m")
        assert night.run() == 0
        assert_done(night, dropped)


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_what_goes_to_another_disk_than_the_one_that_takes_nothing_is_filed(
    state: str, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
    dropped = fill(night, 100)
    with small_disk(night.settings.data_dir / "processed", "1m") as remount:
        if state == "full":
            ballast = night.settings.data_dir / "processed" / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(ballast.parent).free))
        else:
            remount("ro")
        assert night.run() == 1
        assert {row["status"] for row in night.csv()} == {"review"}
        assert len(night.csv()) == 20
        assert "80 could not be moved to processed" in message(night)
        remount("rw")
        (night.settings.data_dir / "processed" / "ballast").unlink(missing_ok=True)
        assert_kept(night, dropped)
        assert night.run() == 0
        assert_done(night, dropped)


def test_a_full_disk_that_everything_goes_to_ends_the_night_before_every_photo_is_asked_about(
    night: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
    dropped = fill(night, 300)

    def full(source: StrPath, target: StrPath) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    with monkeypatch.context() as patch:
        patch.setattr(filing, "rename_new", full)
        assert night.run() == 1
    assert len(sidecar.photos_asked()) < 150
    assert night.rows() == []
    assert "no folder takes photos any more" in message(night)
    assert "make room" in message(night)
    assert_kept(night, dropped)
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


def test_photos_are_moved_to_another_file_system_whole(night: Night) -> None:
    dropped = fill(night)
    with small_disk(night.settings.data_dir / "processed", "4m"):
        assert night.run() == 0
        assert_done(night, dropped)


WRITES: dict[str, tuple[Any, str]] = {
    "rename": (filing, "rename_new"),
    "make a folder": (filing, "_make_folder"),
    "sync a folder": (filing, "sync_folders"),
    "open a CSV": (csv_files, "write_csv"),
    "append to the CSV": (csv_files, "_write"),
    "sync a file": (os, "fsync"),
    "replace a CSV": (Path, "replace"),
}


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("write", WRITES)
def test_whichever_write_fails_once_nothing_is_lost_and_the_next_night_finishes(
    write: str, fault: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = fill(night)
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
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
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
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
    assert "4 could not be moved to processed/bottomwear/pants (Not a directory): move the file" in message(
        night
    )


def test_a_file_in_the_place_of_a_whole_filing_folder_keeps_only_what_goes_there(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
    night.settings.data_dir.joinpath("processed").write_text("a file in the way")
    dropped = fill(night, 100)
    assert night.run() == 1
    assert [row["status"] for row in night.csv()] == ["review"] * 20
    assert_kept(night, dropped)
    night.settings.data_dir.joinpath("processed").unlink()
    assert night.run() == 0
    assert_done(night, dropped)


def test_when_no_photo_can_be_moved_the_night_does_not_try_them_all(
    night: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in filing.FOLDERS:
        night.settings.data_dir.joinpath(folder).write_text("a file in the way")
    dropped = Dropped()
    for number in range(200):
        night.drop(f"{number}.jpg", photo(str(number)))
        dropped.photos[checksum(photo(str(number)))] += 1
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
    assert night.run() == 1
    assert len(sidecar.photos_asked()) < 100
    assert len(night.waiting()) == 200
    for folder in filing.FOLDERS:
        night.settings.data_dir.joinpath(folder).unlink()
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

    copy_bytes = filing._copy_bytes

    def flip(source: Path, copy: Path) -> str:
        read = copy_bytes(source, copy)
        content = bytearray(copy.read_bytes())
        content[-1] ^= 1
        copy.write_bytes(content)
        return read

    with monkeypatch.context() as patch:
        patch.setattr(filing, "_copy_bytes", flip)
        assert night.run() == 1
    assert night.files() == {}
    assert_kept(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


def not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file be another user's, as on many a share: it may be written to, but its times and rights are his."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    for name in ("utime", "chmod", "setxattr"):
        monkeypatch.setattr(os, name, refuse)


def test_photos_are_moved_to_a_disk_whose_files_are_another_users(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = fill(night)
    night.drop("0.xmp", b"edits")
    dropped.companions[checksum(b"edits")] += 1
    on_two_disks(night, monkeypatch)
    with monkeypatch.context() as patch:
        not_ours(patch)
        assert night.run() == 0
    assert_done(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


@pytest.mark.parametrize("content", [b"", photo("a")])
def test_a_photo_that_could_not_keep_its_time_survives_a_death_before_it_is_marked(
    content: bytes, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty photo with another time looks like a name that is only reserved."""
    path = night.drop("a.jpg", content)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    on_two_disks(night, monkeypatch)
    with monkeypatch.context() as patch:
        not_ours(patch)
        patch.setattr("batch.night.sweep.Sweep._sync", die)
        with pytest.raises(KeyboardInterrupt):
            night.run()
    night.run()
    assert list(night.files().values()) == [content]
    assert len(night.rows()) == 1


def die(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def test_a_photo_that_may_only_be_read_is_moved_to_another_disk_with_its_time_and_rights(
    plain_user: Callable[[], Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = plain_user()
    on_two_disks(night, monkeypatch)
    path = night.drop("a.jpg", photo("a"))
    path.chmod(0o444)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert night.run() == 0
    (place,) = night.files()
    facts = (night.settings.data_dir / place).stat()
    assert (facts.st_mtime, facts.st_mode & 0o777) == (1_000_000_000, 0o444)


@pytest.mark.parametrize("companion", [False, True])
def test_a_file_that_changes_while_it_is_copied_is_not_removed(
    companion: bool, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a.mov" if companion else "a.jpg"
    night.drop("a.jpg", photo("a"))
    night.drop("a.mov", b"film")
    on_two_disks(night, monkeypatch)
    copy_bytes = filing._copy_bytes

    def copy_and_write(source: Path, copy: Path) -> str:
        read = copy_bytes(source, copy)
        if source.name == name:
            with source.open("ab") as file:
                file.write(b" and more")
        return read

    with monkeypatch.context() as patch:
        patch.setattr(filing, "_copy_bytes", copy_and_write)
        night.run()
    assert (night.incoming / name).read_bytes().endswith(b" and more")
    assert not any(path.endswith(name) for path in night.files())


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
        patch.setattr(csv_files, "_write", half)
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
            # nobody may read no library of root's: a codec that is looked up in vain then is never found again
            codecs.lookup("utf-16-le")
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


def test_a_folder_that_may_be_listed_and_not_entered_stays_with_one_word_and_the_others_are_filed(
    plain_user: Callable[[], Night], caplog: pytest.LogCaptureFixture
) -> None:
    night = plain_user()
    for number in range(30):
        night.drop(f"closed/{number}.jpg", photo(f"closed {number}"))
    night.drop("open/b.jpg", photo("b"))
    night.drop("z.jpg", photo("z"))
    (night.incoming / "closed").chmod(0o600)
    assert night.run() == 1
    assert {row["file_name"] for row in night.csv()} == {"open/b.jpg", "z.jpg"}
    words = [record.message for record in caplog.records if "closed/" in record.message]
    assert len(words) == 1
    assert "closed/0.jpg and 29 more in its folder cannot be looked at: Permission denied" in words[0]
    with Ledger(night.settings.ledger_path) as ledger:
        assert ledger.runs()[-1].counts["left_behind"] == 30
    (night.incoming / "closed").chmod(0o700)
    assert night.run() == 0
    assert len(night.csv()) == 32


@pytest.mark.parametrize("rights", [0, 0o600])
def test_a_folder_that_may_not_be_looked_into_is_told_of_where_there_is_nothing_else_to_do(
    rights: int, plain_user: Callable[[], Night], caplog: pytest.LogCaptureFixture
) -> None:
    night = plain_user()
    night.drop("closed/a.jpg", photo("a"))
    (night.incoming / "closed").chmod(rights)
    assert night.run() == 1
    assert "cannot be looked at: Permission denied; it is left in incoming" in caplog.text
    (night.incoming / "closed").chmod(0o700)
    assert night.run() == 0


def test_a_path_that_is_too_long_for_the_system_stays_and_the_others_are_filed(night: Night) -> None:
    here = os.open(night.incoming, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    night.drop("z.jpg", photo("z"))
    assert night.run() == 1
    assert [row["file_name"] for row in night.csv()] == ["z.jpg"]


class Entry:
    """A folder's entry that cannot be looked at."""

    def __init__(self, entry: "os.DirEntry[str]", fault: int) -> None:
        self.name, self.path, self._fault = entry.name, entry.path, fault

    def _fail(self, *, follow_symlinks: bool = True) -> NoReturn:
        raise OSError(self._fault, os.strerror(self._fault), self.path)

    stat = is_file = is_dir = is_symlink = _fail


FAULTS = [
    errno.EACCES,
    errno.EIO,
    errno.ESTALE,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTCONN,
    errno.EOVERFLOW,
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["bad.jpg", "bad", "bad.mov", "order/bad.jpg", "b.xmp"])
def test_an_entry_that_cannot_be_looked_at_stays_with_a_word_and_the_walk_goes_on(
    fault: int,
    name: str,
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for other in ("a.jpg", "bad.gif", "order/a.jpg", "order/z.jpg", "z.jpg", "z.xmp"):
        night.drop(other, photo(other))
    night.drop(name, photo("bad"))
    bad = night.incoming / name
    scandir, lstat = os.scandir, os.lstat

    @contextmanager
    def scan(path: Any) -> Iterator[Any]:
        with scandir(path) as entries:
            yield (Entry(entry, fault) if entry.path == str(bad) else entry for entry in entries)

    def look(path: Any, **values: Any) -> os.stat_result:
        if str(path) == str(bad):
            raise OSError(fault, os.strerror(fault), str(path))
        return lstat(path, **values)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        patch.setattr(os, "lstat", look)
        assert night.run() == 1
    assert bad.exists()
    assert len(night.csv()) == 5
    assert f"{name} cannot be looked at: {os.strerror(fault)}; it is left in incoming" in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", [0, 1])
def test_a_folder_whose_entries_cannot_all_be_read_stays_and_the_walk_goes_on(
    fault: int, after: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "bad/1.jpg", "bad/2.jpg", "z/a.jpg"):
        night.drop(name, photo(name))
    scandir = os.scandir

    @contextmanager
    def scan(path: Any) -> Iterator[Any]:
        with scandir(path) as entries:
            yield some_of(entries) if str(path).endswith("/bad") else entries

    def some_of(entries: Iterator[Any]) -> Iterator[Any]:
        yield from itertools.islice(entries, after)
        raise OSError(fault, os.strerror(fault), "bad")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        assert night.run() == 1
    assert len(night.csv()) == 2
    assert night.run() == 0
    assert len(night.csv()) == 4


def test_a_photo_whose_companion_cannot_be_looked_at_waits_with_it(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    night.drop("a.jpg", photo("a"))
    night.drop("a.mov", b"film")
    lstat = os.lstat

    def look(path: Any, **values: Any) -> os.stat_result:
        if str(path).endswith("a.mov"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return lstat(path, **values)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", look)
        assert night.run() == 1
    assert night.waiting() == ["a.jpg", "a.mov"]
    assert "a.jpg cannot be looked at: its companion a.mov: Input/output error" in caplog.text
    assert night.run() == 0


def test_a_raw_file_beside_a_photo_that_may_not_be_read_waits_with_it(
    plain_user: Callable[[], Night],
) -> None:
    night = plain_user()
    night.drop("a.jpg", photo("a")).chmod(0)
    night.drop("a.ARW", b"raw")
    assert night.run() == 1
    assert night.waiting() == ["a.ARW", "a.jpg"]


@pytest.mark.parametrize("folder", ["incoming", "processed", "processed/upperwear"])
def test_lost_rights_on_a_folder_are_told_and_leave_everything_where_it_is(
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
    assert f"{folder} (Permission denied): give the night's user the right to write there" in message(night)
    path.chmod(0o700)
    assert night.run() == 0
    assert len(night.csv()) == 1


def test_an_order_folder_of_another_user_keeps_its_photos_and_no_others(
    plain_user: Callable[[], Night], sidecar: FakeSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    night = plain_user()
    for number in range(1000):
        night.drop(f"order 1/{number:03}.jpg", photo(f"closed {number}"))
    for number in range(30):
        night.drop(f"order 2/{number:02}.jpg", photo(f"open {number}"))
    (night.incoming / "order 1").chmod(0o500)
    assert night.run() == 1
    assert len(night.csv()) == 30
    assert {row["file_name"][:8] for row in night.csv()} == {"order 2/"}
    assert len(sidecar.photos_asked()) < 600
    assert message(night) == (
        "1000 files had to stay in incoming: 1000 could not be moved out of incoming/order 1 (Permission denied): "
        "give the night's user the right to write there"
    )
    assert len([line for line in caplog.messages if "order 1/" in line]) <= FEW + 1
    (night.incoming / "order 1").chmod(0o700)
    assert night.run() == 0
    assert len(night.csv()) == 1030


def test_a_category_folder_of_another_user_keeps_the_photos_that_go_there_and_no_others(
    plain_user: Callable[[], Night], caplog: pytest.LogCaptureFixture
) -> None:
    night = plain_user()
    closed = night.settings.data_dir / "processed" / "footwear" / "shoes"
    closed.mkdir(parents=True)
    closed.chmod(0o500)
    for number in range(200):
        night.drop(f"a {number:03}.jpg", photo(f"closed {number}", sub="shoes"))
        night.drop(f"b {number:03}.jpg", photo(f"open {number}"))
    assert night.run() == 1
    assert [row["sub_category"] for row in night.csv()] == ["t-shirt"] * 200
    assert len(night.waiting()) == 200
    assert "200 could not be moved to processed/footwear/shoes (Permission denied)" in message(night)
    assert len([line for line in caplog.messages if "it is left in incoming" in line]) <= FEW + 1
    closed.chmod(0o700)
    assert night.run() == 0
    assert len(night.csv()) == 400


def test_a_folder_that_may_be_written_in_but_not_be_looked_into_takes_its_photos(
    plain_user: Callable[[], Night],
) -> None:
    night = plain_user()
    target = night.settings.data_dir / "processed" / "upperwear" / "t-shirt"
    target.mkdir(parents=True)
    target.chmod(0o300)
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    target.chmod(0o700)
    assert (target / "a.jpg").exists()


def test_an_incoming_that_may_not_be_read_is_a_finished_row_that_says_so(
    plain_user: Callable[[], Night],
) -> None:
    night = plain_user()
    night.drop("a.jpg", photo("a"))
    night.incoming.chmod(0o300)
    assert night.run() == 1
    assert "incoming cannot be read: Permission denied" in message(night)
    night.incoming.chmod(0o700)
    assert night.run() == 0


def test_a_closed_folder_alone_in_incoming_is_told_too(plain_user: Callable[[], Night]) -> None:
    night = plain_user()
    night.drop("closed/a.jpg", photo("a")).parent.chmod(0)
    assert night.run() == 1
    assert "1 could not be read in incoming/closed (Permission denied): give" in message(night)


def test_a_data_folder_that_may_not_be_written_to_is_one_sentence_and_exit_code_1(
    plain_user: Callable[[], Night],
) -> None:
    night = plain_user()
    night.settings.data_dir.chmod(0o500)
    assert night.run() == 1
    night.settings.data_dir.chmod(0o700)
    assert night.run() == 0


def refusing(
    patch: pytest.MonkeyPatch, owner: Any, function: str, is_refused: Callable[[str], bool], number: int
) -> None:
    """Let a function fail for the files that are meant, which it is given as its first argument."""
    original = getattr(owner, function)

    def refuse(path: StrPath, *values: Any, **named: Any) -> Any:
        if isinstance(path, str | os.PathLike) and is_refused(os.fspath(path)):
            raise OSError(number, os.strerror(number), os.fspath(path))
        return original(path, *values, **named)

    patch.setattr(owner, function, refuse)


ERRNOS = [errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.ELOOP, errno.ETXTBSY,
          errno.EBUSY, errno.EROFS, errno.ENXIO, errno.ENOMEM, errno.ETIMEDOUT]  # fmt: skip


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize(("owner", "function"), [(os, "open"), (os, "lstat"), (filing, "rename_new")])
def test_one_file_that_cannot_be_read_looked_at_or_moved_stays_with_a_word_and_all_others_are_filed(
    owner: Any,
    function: str,
    number: int,
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dropped = fill(night, 30)
    night.drop("order 1/bad.jpg", photo("bad"))
    dropped.photos[checksum(photo("bad"))] += 1
    with monkeypatch.context() as patch:
        refusing(patch, owner, function, lambda path: path.endswith("incoming/order 1/bad.jpg"), number)
        assert night.run() == 1
    assert len(night.csv()) == 30
    assert "1 file had to stay in incoming" in message(night)
    assert os.strerror(number) in message(night)
    assert [line for line in caplog.messages if "order 1/bad.jpg" in line]
    assert_kept(night, dropped)
    assert night.run() == 0
    assert_done(night, dropped)


def test_a_photo_over_the_size_limit_that_cannot_be_read_stays_too(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = make_night(max_image_mb=0.0001)
    night.drop("big.jpg", photo("x" * 1000))
    night.drop("small.jpg", photo("a"))
    with monkeypatch.context() as patch:
        patch.setattr(reading, "digest", lambda path: os.open(path / "x", os.O_RDONLY))  # not a directory
        refusing(patch, reading, "digest", lambda path: path.endswith("big.jpg"), errno.EIO)
        assert night.run() == 1
    assert [row["file_name"] for row in night.csv()] == ["small.jpg"]
    assert night.waiting() == ["big.jpg"]


@pytest.mark.parametrize("per_request", [1, 8, 64])
def test_photos_that_cannot_be_moved_do_not_hide_the_good_ones_behind_them_in_their_folder(
    per_request: int, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", per_request)
    monkeypatch.setattr("batch.night.sweep.REQUESTS_IN_FLIGHT", 1)
    for number in range(25):
        night.drop(f"a {number:02}.jpg", photo(f"a {number}"))
    for number in range(3):
        night.drop(f"b {number:02}.jpg", photo(f"b {number}"))
    with monkeypatch.context() as patch:
        refusing(patch, filing, "rename_new", lambda path: "/a " in path, errno.EPERM)
        assert night.run() == 1
    assert sorted(row["file_name"] for row in night.csv()) == ["b 00.jpg", "b 01.jpg", "b 02.jpg"]
    assert "25 could not be moved out of incoming (Operation not permitted)" in message(night)
    assert night.run() == 0


def test_a_folder_that_lets_nothing_go_is_not_asked_about_photo_by_photo(
    night: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)
    for number in range(1000):
        night.drop(f"a/{number:03}.jpg", photo(f"a {number}"))
        if number % 10 == 0:
            night.drop(f"b/{number:03}.jpg", photo(f"b {number}"))
    with monkeypatch.context() as patch:
        refusing(patch, filing, "rename_new", lambda path: "/incoming/a/" in path, errno.EACCES)
        assert night.run() == 1
    assert len(night.csv()) == 100
    assert len(sidecar.photos_asked()) < 300
    assert "1000 could not be moved out of incoming/a" in message(night)
    assert night.run() == 0
    assert len(night.csv()) == 1100


def test_copies_of_a_photo_that_cannot_be_moved_stay_with_it_and_those_elsewhere_are_filed(
    night: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 4)
    for number in range(12):
        night.drop(f"closed/{number:02}.jpg", photo("same"))
    night.drop("open/copy.jpg", photo("same"))
    night.drop("open/other.jpg", photo("other"))
    with monkeypatch.context() as patch:
        refusing(patch, filing, "rename_new", lambda path: "/closed/" in path, errno.EACCES)
        assert night.run() == 1
    assert {row["file_name"]: row["status"] for row in night.csv()} == {
        "open/copy.jpg": "processed",
        "open/other.jpg": "processed",
    }
    assert "12 could not be moved out of incoming/closed" in message(night)
    assert night.run() == 0
    assert [row["status"] for row in night.csv()].count("duplicate") == 12


def test_copies_of_a_photo_whose_category_takes_nothing_stay_with_it(
    night: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 4)
    (night.settings.data_dir / "processed" / "footwear").mkdir(parents=True)
    (night.settings.data_dir / "processed" / "footwear" / "shoes").write_text("a file in the way")
    for number in range(12):
        night.drop(f"{number:02}.jpg", photo("same", sub="shoes"))
    night.drop("other.jpg", photo("other"))
    assert night.run() == 1
    assert [row["file_name"] for row in night.csv()] == ["other.jpg"]
    assert "12 could not be moved to processed/footwear/shoes" in message(night)
    assert len(sidecar.photos_asked()) == 2


def test_a_night_names_the_folders_with_the_most_trouble_and_counts_the_others(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        night.drop(f"order {number:03}/a.jpg", photo(f"a {number}"))
        night.drop("order 007/b.jpg", photo("b"))
    with monkeypatch.context() as patch:
        refusing(patch, filing, "rename_new", lambda path: "/incoming/" in path, errno.EACCES)
        assert night.run() == 1
    assert "201 files had to stay in incoming: 2 could not be moved out of incoming/order 007" in message(
        night
    )
    assert "195 in 195 other folders" in message(night)
    assert len(message(night)) < 1000
    told = [line for line in caplog.messages if "it is left in incoming" in line]
    assert len(told) == FEW + 1
    assert told[-1].startswith("181 more lines like this: order ")


def test_an_immutable_photo_stays_and_the_others_are_filed(night: Night) -> None:
    immovable = night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b"))
    if subprocess.run(["chattr", "+i", immovable], check=False).returncode:
        pytest.skip("only root may do this, on some file systems")
    try:
        assert night.run() == 1
        assert [row["file_name"] for row in night.csv()] == ["b.jpg"]
        assert "could not be moved out of incoming (Operation not permitted)" in message(night)
    finally:
        subprocess.run(["chattr", "-i", immovable], check=True)
    assert night.run() == 0


def test_a_folder_that_photos_were_taken_from_and_that_fails_then_ends_no_night(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 4)
    monkeypatch.setattr("batch.night.sweep.SYNC_SECONDS", 0)
    dropped = fill(night, 60)
    original = filing.sync_folders

    def fail(folders: Any) -> None:
        paths = list(folders)
        if any(os.fspath(path).endswith("incoming/order 1") for path in paths):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "order 1")
        original(paths)

    monkeypatch.setattr(filing, "sync_folders", fail)
    assert night.run() == 0
    assert [line for line in caplog.messages if "order 1 could not be brought to disk: Stale file" in line]
    assert_done(night, dropped)
