"""Replacing a file as a whole."""

import os
from pathlib import Path

import pytest

from replacing import replacing


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with replacing(path) as new:
        new.write_text("ne")
        assert path.read_text() == "old"
        new.write_text("new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_what_could_not_be_completed_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(OSError, match="full"):
        _half_written(path)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "old"


def _half_written(path: Path) -> None:
    with replacing(path) as new:
        new.write_text("half of it")
        raise OSError("the disk is full")


def test_what_a_crash_left_is_gone_with_the_next_file(tmp_path: Path) -> None:
    (tmp_path / ".page.html.new").write_text("half of it, from a killed run")
    with replacing(tmp_path / "page.html") as new:
        assert not new.exists()
        new.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_the_new_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, replace = os.fsync, Path.replace

    def to_the_disk(number: int) -> None:
        order.append("to the disk")
        fsync(number)

    def its_name(new: Path, path: Path) -> Path:
        order.append("its name")
        return replace(new, path)

    monkeypatch.setattr(os, "fsync", to_the_disk)
    monkeypatch.setattr(Path, "replace", its_name)
    with replacing(tmp_path / "page.html") as new:
        new.write_text("whole")
    assert order == ["to the disk", "its name"]
