"""A release is used whole and unharmed or not at all, and going back is one step."""

import shutil
import subprocess
from pathlib import Path

import pytest

from model.serving import releases
from model.serving.releases import ReleaseError
from tests import small_release


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    small_release.make(tmp_path, "one")
    return tmp_path


def test_current_gives_the_release_that_the_line_names(model_dir: Path) -> None:
    release = releases.current(model_dir)
    assert (release.version, release.classes.subs) == ("one", small_release.SUBS)
    assert [file.name for file in release.golden] == ["red.png"]


@pytest.mark.parametrize("file", ["model.onnx", "classes.json", "golden/red.png", "card.md", "metrics.json"])
def test_a_changed_file_is_noticed(model_dir: Path, file: str) -> None:
    with (model_dir / "one" / file).open("ab") as opened:
        opened.write(b"!")
    with pytest.raises(ReleaseError, match=f"damaged .{file} has changed.*rollback"):
        releases.current(model_dir)


@pytest.mark.parametrize("file", ["model.onnx", "SHA256SUMS", "golden/golden.json"])
def test_a_missing_file_is_named(model_dir: Path, file: str) -> None:
    (model_dir / "one" / file).unlink()
    with pytest.raises(ReleaseError, match=f"{file} is missing"):
        releases.current(model_dir)


def test_a_file_struck_from_the_checksums_is_noticed(model_dir: Path) -> None:
    sums = model_dir / "one" / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "model.onnx" not in line))
    with pytest.raises(ReleaseError, match=r"does not list model\.onnx"):
        releases.current(model_dir)


def test_sha256sum_reads_the_checksums_too(model_dir: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=model_dir / "one", check=True)


@pytest.mark.parametrize(
    ("line", "said"), [("", "is damaged"), ("../one", "is damaged"), ("x", "no release")]
)
def test_a_wrong_line_gets_a_sentence(model_dir: Path, line: str, said: str) -> None:
    (model_dir / "IN_USE").write_text(line)
    with pytest.raises(ReleaseError, match=said):
        releases.current(model_dir)


def test_no_line_says_how_to_choose_one(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="promote VERSION"):
        releases.current(tmp_path)


def test_releases_are_listed_by_name_and_nothing_else_is(model_dir: Path) -> None:
    small_release.make(model_dir, "two")
    (model_dir / "notes").mkdir()
    assert releases.versions(model_dir) == ["one", "two"]
    assert releases.versions(model_dir / "nowhere") == []


def test_the_default_that_is_shipped_says_so_and_is_there() -> None:
    folder = Path(releases.__file__).parents[1] / "releases"
    version, comment = (folder / "CURRENT").read_text("utf-8").splitlines()
    assert comment.startswith("#")
    assert (folder / version).is_dir()
