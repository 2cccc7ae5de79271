"""The one place that says which release is in use, and whether its files are as they were released."""

import subprocess
import sys
from pathlib import Path

import pytest

import in_use
from in_use import InUseError
from tests import small_release


def test_in_use_counts_before_the_shipped_default(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("shipped\n# What the program ships.\n")
    assert in_use.version(tmp_path) == "shipped"
    (tmp_path / "IN_USE").write_bytes(b"\xef\xbb\xbfmine\r\n")  # as an editor of Windows writes it
    assert in_use.version(tmp_path) == "mine"


def test_a_damaged_in_use_does_not_give_way_to_the_default(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("shipped\n")
    (tmp_path / "IN_USE").write_text("")
    with pytest.raises(InUseError, match=r"IN_USE is damaged.*promote"):
        in_use.version(tmp_path)


def test_a_folder_without_either_or_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(InUseError, match="No release is in use"):
            in_use.version(folder)


def test_what_the_program_ships_is_found_by_a_link_beside_ones_own(tmp_path: Path) -> None:
    own, image = tmp_path / "state", tmp_path / "image"
    small_release.make(image, "r1")
    (image / "IN_USE").replace(image / "CURRENT")
    own.mkdir()
    with pytest.raises(
        InUseError
    ):  # a folder that was not mounted is not taken for one without releases of its own
        in_use.version(own)
    (own / "shipped").symlink_to(image)
    assert in_use.folder(own, in_use.version(own)) == own / "shipped" / "r1"
    (own / "IN_USE").write_text("mine\n")
    assert in_use.folder(own, in_use.version(own)) == own / "mine"
    small_release.make(own, "r1")
    assert in_use.folder(own, "r1") == own / "r1"
    (own / "CURRENT").write_text("another\n")
    (own / "IN_USE").unlink()
    assert in_use.version(own) == "another"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "SHA256SUMS cannot be read"),
        (b"", "does not list model.onnx"),
        (b"no list of anything\n", "does not list"),
        (None, "SHA256SUMS is missing"),
    ],
)
def test_a_damaged_list_of_checksums_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    folder = small_release.make(tmp_path)
    assert in_use.damage(folder) == ""
    (folder / "SHA256SUMS").unlink()
    if content is not None:
        (folder / "SHA256SUMS").write_bytes(content)
    assert said in in_use.damage(folder)


@pytest.mark.parametrize("line", ["{sum}  ", "{sum}  a\0b", "{sum}  gone.txt", "<<<<<<< HEAD"])
def test_a_line_that_names_no_file_of_the_release_is_damage(tmp_path: Path, line: str) -> None:
    folder = small_release.make(tmp_path)
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(line.format(sum="0" * 64) + "\n")
    assert in_use.damage(folder)


def test_it_needs_the_standard_library_alone() -> None:
    program = "import sys; before = set(sys.modules); import in_use; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ours = {name.partition(".")[0] for name in done.stdout.split()}
    assert ours - set(sys.stdlib_module_names) == {"in_use"}
