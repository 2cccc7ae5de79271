"""Whose fault it is that a photo cannot be moved, what people are told, and what is still worth a try."""

import errno
import os
from pathlib import Path

import pytest

from batch.files import filing
from batch.files.scan import Found
from batch.night.refusals import IN_A_ROW, MOST_SKIPPED, Refusals
from batch.records.ledger import Row


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "incoming" / "order 7").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def refusals(data: Path) -> Refusals:
    return Refusals(data / "incoming", data)


ROW = Row("order 7/a.jpg", source=b"order 7/a.jpg", moved_to="processed/footwear/shoes/order 7/a.jpg")


def renaming(number: int, data: Path) -> OSError:
    """What a rename says: it names both places, and not which of them is to blame."""
    source, target = data / "incoming" / "order 7" / "a.jpg", data / ROW.moved_to
    return OSError(number, os.strerror(number), str(source), None, str(target))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "could not be moved to processed (No space left on device): make room on that disk"),
        (errno.EDQUOT, "could not be moved to processed (Disk quota exceeded): raise the quota of the night's user"),
        (errno.ENAMETOOLONG, "could not be moved to processed/footwear/shoes/order 7 (File name too long): shorten"),
    ],
)  # fmt: skip
def test_what_only_a_target_can_have_is_the_targets(
    number: int, words: str, refusals: Refusals, data: Path
) -> None:
    refusal = refusals.note(ROW, renaming(number, data))
    assert not refusal.by_source
    assert refusal.words.startswith(words)


def test_a_file_in_the_place_of_a_folder_is_named(refusals: Refusals, data: Path) -> None:
    (data / "processed").mkdir()
    (data / "processed" / "footwear").write_text("in the way")
    refusal = refusals.note(ROW, renaming(errno.ENOTDIR, data))
    assert refusal.words == (
        "could not be moved to processed/footwear (Not a directory): "
        "move the file away that is where a folder should be"
    )


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.EBUSY, errno.EROFS])
def test_where_the_target_takes_files_it_is_the_source_that_refuses(
    number: int, refusals: Refusals, data: Path
) -> None:
    refusal = refusals.note(ROW, renaming(number, data))
    assert refusal.by_source
    assert refusal.words.startswith("could not be moved out of incoming/order 7 (")


def test_an_error_that_names_the_source_alone_is_the_sources(refusals: Refusals, data: Path) -> None:
    source = data / "incoming" / "order 7" / "a.jpg"
    full = OSError(
        errno.ENOSPC, "No space left on device", str(source)
    )  # some file systems need room to remove
    assert refusals.note(ROW, full).by_source
    assert not refusals.nothing_can_be_filed()


def test_the_systems_own_error_is_found_behind_that_of_filing(refusals: Refusals, data: Path) -> None:
    error = filing.FilingError("a.jpg could not be moved")
    error.__cause__ = renaming(errno.ENOSPC, data)
    assert not refusals.note(ROW, error).by_source


def test_a_full_disk_that_all_folders_lie_on_takes_nothing_more(refusals: Refusals, data: Path) -> None:
    assert not refusals.nothing_can_be_filed()
    refusals.note(ROW, renaming(errno.ENOSPC, data))
    assert refusals.nothing_can_be_filed()


def test_a_folder_that_lets_nothing_go_is_tried_less_and_less_often(refusals: Refusals, data: Path) -> None:
    tries, skipped = 0, []
    for number in range(1000):
        if refusals.skips(Found(f"order 7/{number}.jpg", 1, 1, 1, True)):
            skipped.append(number)
        else:
            tries += 1
            refusals.note(ROW, renaming(errno.EACCES, data))
    assert skipped[:7] == [11, 13, 14, 16, 17, 18, 19]
    assert tries < IN_A_ROW + 10 + 1000 / MOST_SKIPPED
    assert refusals.skipped().total() == len(skipped)
    assert not refusals.skips(Found("order 8/a.jpg", 1, 1, 1, True))


def test_one_photo_that_goes_makes_a_folder_worth_every_try_again(refusals: Refusals, data: Path) -> None:
    for _ in range(100):
        refusals.note(ROW, renaming(errno.EACCES, data))
    refusals.moved("order 7")
    assert not any(refusals.skips(Found(f"order 7/{number}.jpg", 1, 1, 1, True)) for number in range(100))


def test_the_last_photo_of_a_folder_is_always_tried(refusals: Refusals, data: Path) -> None:
    for _ in range(100):
        refusals.note(ROW, renaming(errno.EACCES, data))
    found = [Found(f"order 7/{number}.jpg", 1, 1, 1, True) for number in range(30)]
    assert [refusals.skips(one) for one in found] == [False, *[True] * 29]
    assert list(refusals.last_skipped()) == [found[-1]]
    assert refusals.skipped().total() == 28
