"""A release is used whole and unharmed or not at all, and going back is one step."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from model import releases
from model.releases import ReleaseError
from tests import small_release


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    small_release.make(tmp_path, "one")
    return tmp_path


def again(model_dir: Path, version: str, **metrics: object) -> Path:
    """Another release like "one", with other metrics."""
    folder = model_dir / version
    shutil.copytree(model_dir / "one", folder)
    known = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(known | metrics))
    releases.seal(folder)
    return folder


def test_current_gives_the_release_that_the_line_names(model_dir: Path) -> None:
    release = releases.current(model_dir)
    assert (release.version, release.classes.subs) == ("one", small_release.SUBS)
    assert [file.name for file in release.golden] == ["red.png"]


def test_promote_and_rollback_change_one_line(model_dir: Path) -> None:
    again(model_dir, "two")
    releases.promote(model_dir, "two")
    assert releases.current(model_dir).version == "two"
    assert (model_dir / "CURRENT").read_text() == "two\n"
    assert releases.rollback(model_dir).version == "one"
    assert releases.current(model_dir).version == "one"


def test_there_is_nothing_to_roll_back_to_twice(model_dir: Path) -> None:
    again(model_dir, "two")
    releases.promote(model_dir, "two")
    releases.rollback(model_dir)
    with pytest.raises(ReleaseError, match="no release to return to"):
        releases.rollback(model_dir)


def test_promoting_what_is_in_use_keeps_the_way_back(model_dir: Path) -> None:
    again(model_dir, "two")
    releases.promote(model_dir, "two")
    releases.promote(model_dir, "two")
    assert releases.rollback(model_dir).version == "one"


@pytest.mark.parametrize("file", ["model.onnx", "classes.json", "golden/red.png", "card.md", "metrics.json"])
def test_a_changed_file_is_noticed(model_dir: Path, file: str) -> None:
    with (model_dir / "one" / file).open("ab") as opened:
        opened.write(b"!")
    with pytest.raises(ReleaseError, match=f"damaged .{file} is not what was released.*rollback"):
        releases.current(model_dir)


@pytest.mark.parametrize("file", ["model.onnx", "SHA256SUMS", "golden/golden.json"])
def test_a_missing_file_is_named(model_dir: Path, file: str) -> None:
    (model_dir / "one" / file).unlink()
    with pytest.raises(ReleaseError, match=f"lacks {file}"):
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
    ("line", "said"), [("", "must hold one line"), ("../one", "must hold one line"), ("x", "no release")]
)
def test_a_wrong_line_gets_a_sentence(model_dir: Path, line: str, said: str) -> None:
    (model_dir / "CURRENT").write_text(line)
    with pytest.raises(ReleaseError, match=said):
        releases.current(model_dir)


def test_no_line_says_how_to_choose_one(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="promote VERSION"):
        releases.current(tmp_path)


def test_a_network_that_strays_in_eight_bits_is_refused(model_dir: Path) -> None:
    fine = {"same": 1.0, "lost": 0.0}
    for strayed in ({"same": 0.98, "lost": 0.0}, {"same": 0.99, "lost": 0.006}):
        folder = again(
            model_dir, "bad", agreement={"main": fine, "sub": strayed, "background": fine, "colour": fine}
        )
        with pytest.raises(ReleaseError, match="bad is refused: its 8-bit sub head"):
            releases.promote(model_dir, "bad")
        shutil.rmtree(folder)
    assert releases.current(model_dir).version == "one"


def test_a_release_without_scores_is_refused(model_dir: Path) -> None:
    again(model_dir, "mute", scores={})
    with pytest.raises(ReleaseError, match="mute does not say how well its main head does"):
        releases.promote(model_dir, "mute")


def test_other_classes_have_to_be_meant(model_dir: Path) -> None:
    folder = again(model_dir, "more")
    content = json.loads((folder / "classes.json").read_text())
    content["subs"].append("hat")
    content["main_of"]["hat"] = "upperwear"
    (folder / "classes.json").write_text(json.dumps(content))
    releases.seal(folder)
    with pytest.raises(ReleaseError, match=r"new: hat; gone: none.*--new-classes"):
        releases.promote(model_dir, "more")
    assert releases.promote(model_dir, "more", new_classes=True).version == "more"


def test_releases_are_listed_by_name_and_nothing_else_is(model_dir: Path) -> None:
    again(model_dir, "two")
    (model_dir / "notes").mkdir()
    assert releases.versions(model_dir) == ["one", "two"]
    assert releases.versions(model_dir / "nowhere") == []
