"""Renaming without replacing: in one step, and with a reservation where the system knows no such step."""

import os
from pathlib import Path

import pytest

from batch import rename
from batch.rename import rename_new


@pytest.fixture(params=["in one step", "with a reservation"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "with a reservation":
        monkeypatch.setattr(rename, "_renameat2", None)
    elif rename._renameat2 is None and os.name == "posix":
        pytest.skip("this system has no renameat2")
    return


def test_a_file_gets_the_new_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("photo")
    rename_new(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_text() == "photo"


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("photo")
    (tmp_path / "b").write_text("other")
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == "photo"
    assert (tmp_path / "b").read_text() == "other"


def test_a_missing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "a", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_names_are_bytes_and_links_are_moved_as_links(tmp_path: Path) -> None:
    link = tmp_path / os.fsdecode(b"\xff\n.jpg")
    link.symlink_to("nowhere")
    rename_new(link, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
