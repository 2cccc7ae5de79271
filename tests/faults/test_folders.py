"""The folders below `incoming`: the night removes those that it has emptied, and no other."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from batch.files import filing
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo
from tests.faults.test_disk import small_disk
from tests.faults.test_uploads import LONG_AGO, SETTLE, drop_old


def make_old(*folders: Path) -> None:
    for folder in folders:
        os.utime(folder, (LONG_AGO, LONG_AGO))


def folders(night: Night) -> list[str]:
    return [name for name in night.waiting() if (night.incoming / name).is_dir()]


def test_an_empty_folder_that_a_station_uploads_into_stays(night: Night) -> None:
    for name in ("table-1", "table-2/left", "order/empty"):
        (night.incoming / name).mkdir(parents=True)
    night.drop("order/front/a.jpg", photo("a"))
    night.drop("b.jpg", photo("b"))
    make_old(*(path for path in night.incoming.rglob("*") if path.is_dir()))
    assert night.run() == 0
    assert folders(night) == ["order", "order/empty", "table-1", "table-2", "table-2/left"]


def test_a_folder_that_holds_a_keep_stays(night: Night) -> None:
    night.drop("table-1/.keep", b"")
    night.drop("table-1/order 7/a.jpg", photo("a"))
    assert night.run() == 0
    assert night.waiting() == ["table-1", "table-1/.keep"]


def test_a_folder_goes_with_its_last_photo_and_so_do_the_parents_that_held_nothing_else(night: Night) -> None:
    night.drop("1/2/3/a.jpg", photo("a"))
    night.drop("1/2/b.txt", b"no photo")
    assert night.run() == 3
    assert night.waiting() == []


@pytest.mark.parametrize("night_takes", [0, 2 * SETTLE])
def test_a_folder_that_was_changed_lately_stays_until_it_is_old_enough(
    night_takes: float, make_night: Callable[..., Night], sidecar: FakeSidecar
) -> None:
    night = make_night(settle_seconds=SETTLE)
    drop_old(night, "table-1/a.jpg", photo("a"))
    time.sleep(SETTLE)
    (night.incoming / "table-1" / "gone").touch()
    (night.incoming / "table-1" / "gone").unlink()

    def slowly(_: Sequence[bytes]) -> None:
        time.sleep(night_takes)

    sidecar.behaviour = slowly
    assert night.run() == 0
    assert night.waiting() == ([] if night_takes else ["table-1"])
    time.sleep(SETTLE)
    drop_old(night, "b.jpg", photo("b"))
    assert night.run() == 0
    assert night.waiting() == []


def test_our_own_moves_make_no_folder_young(make_night: Callable[..., Night]) -> None:
    """Photos that hold still one after the other are taken in several passes."""
    night = make_night(settle_seconds=SETTLE)
    drop_old(night, "order 7/back/a.jpg", photo("a"))
    make_old(night.incoming / "order 7" / "back", night.incoming / "order 7")
    time.sleep(SETTLE)
    drop_old(night, "order 7/b.jpg", photo("b"))
    make_old(night.incoming / "order 7")
    assert night.run() == 0
    assert night.waiting() == []
    assert len(night.csv()) == 2


def test_a_mount_point_stays(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.drop("card/a.jpg", photo("a"))
    is_mount = os.path.ismount
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "ismount", lambda path: Path(path).name == "card" or is_mount(path))
        assert night.run() == 0
    assert night.waiting() == ["card"]


def test_a_disk_that_is_mounted_below_incoming_is_emptied_and_stays(night: Night) -> None:
    with small_disk(night.incoming / "card", "1m"):
        night.drop("card/order 7/a.jpg", photo("a"))
        night.drop("card/b.jpg", photo("b"))
        assert night.run() == 0
        assert night.waiting() == ["card"]
        assert len(night.files()) == 2


def test_what_a_night_that_died_had_emptied_the_next_one_removes(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        night.drop(f"order {number}/a.jpg", photo(str(number)))
    (night.incoming / "table-1").mkdir()
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 1)
    with monkeypatch.context() as dying:
        dying.setattr(filing, "remove_empty", lambda _: exit())
        with pytest.raises(SystemExit):
            night.run()
    assert len(folders(night)) == 5
    night.drop("b.jpg", photo("b"))
    assert night.run() == 0
    assert folders(night) == ["table-1"]


def test_a_folder_that_is_taken_away_or_may_not_be_removed_stops_nobody(
    night: Night, sidecar: FakeSidecar
) -> None:
    night.drop("gone/a.jpg", photo("a"))
    night.drop("order/b.jpg", photo("b"))

    def take_away(_: Sequence[bytes]) -> None:
        shutil.rmtree(night.incoming / "gone", ignore_errors=True)
        (night.incoming / "order" / "new").mkdir(exist_ok=True)

    sidecar.behaviour = take_away
    assert night.run() == 0
    assert folders(night) == ["order", "order/new"]
