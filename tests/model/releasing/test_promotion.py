"""Promoting and rolling back: one line changes, nothing worse is put to use unless it is meant, and the way back stays."""

import csv
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from model.releasing import promotion
from model.serving import promotions, releases
from model.serving.releases import ReleaseError
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


def test_promote_and_rollback_change_one_line(model_dir: Path) -> None:
    again(model_dir, "two")
    promotion.promote(model_dir, "two")
    assert releases.current(model_dir).version == "two"
    assert (model_dir / "IN_USE").read_text() == "two\n"
    assert promotion.rollback(model_dir).version == "one"
    assert releases.current(model_dir).version == "one"


def test_every_rollback_returns_to_the_release_before(model_dir: Path) -> None:
    for version in ("two", "three"):
        again(model_dir, version)
        promotion.promote(model_dir, version)
    assert promotion.rollback(model_dir).version == "two"
    assert promotion.rollback(model_dir).version == "one"
    with pytest.raises(ReleaseError, match="no release to return to"):
        promotion.rollback(model_dir)
    assert releases.current(model_dir).version == "one"


def test_what_was_rolled_back_is_not_returned_to(model_dir: Path) -> None:
    for version in ("two", "three"):
        again(model_dir, version)
    promotion.promote(model_dir, "two")
    promotion.rollback(model_dir)
    promotion.promote(model_dir, "three")
    assert promotion.rollback(model_dir).version == "one"


def test_the_log_says_when_from_what_to_what_and_by_which_command(model_dir: Path) -> None:
    again(model_dir, "two")
    (model_dir / "PROMOTIONS").unlink()
    promotion.promote(model_dir, "two", uncompared=True)
    promotion.rollback(model_dir)
    lines = [line.split("\t") for line in (model_dir / "PROMOTIONS").read_text().splitlines()]
    assert [line[1:] for line in lines] == [
        ["one", "two", "promote --uncompared"],
        ["two", "one", "rollback"],
    ]
    for when, *_ in lines:
        datetime.fromisoformat(when)


def test_a_release_that_is_gone_or_damaged_is_passed_over_and_named(model_dir: Path) -> None:
    for version in ("two", "three", "four"):
        again(model_dir, version)
        promotion.promote(model_dir, version)
    shutil.rmtree(model_dir / "three")
    (model_dir / "two" / "model.onnx").write_bytes(b"other")
    told: list[str] = []
    assert promotion.rollback(model_dir, tell=told.append).version == "one"
    assert [line.split()[0] for line in told] == ["three", "two"]


def test_a_log_without_its_last_line_still_leads_back(model_dir: Path) -> None:
    again(model_dir, "two")
    promotion.promote(model_dir, "two")
    log = model_dir / "PROMOTIONS"
    log.write_text(log.read_text().splitlines(keepends=True)[0] + "2026-11-25T0")
    assert promotion.rollback(model_dir).version == "one"


def test_a_log_that_is_not_text_is_one_sentence(model_dir: Path) -> None:
    (model_dir / "PROMOTIONS").write_bytes(b"\xff\xfe")
    with pytest.raises(ReleaseError, match="PROMOTIONS cannot be read"):
        promotion.rollback(model_dir)


def test_promoting_what_is_in_use_keeps_the_way_back(model_dir: Path) -> None:
    again(model_dir, "two")
    promotion.promote(model_dir, "two")
    promotion.promote(model_dir, "two")
    assert promotion.rollback(model_dir).version == "one"


def test_a_network_that_strays_in_eight_bits_is_refused(model_dir: Path) -> None:
    fine = {"same": 1.0, "lost": 0.0}
    for strayed in ({"same": 0.98, "lost": 0.0}, {"same": 0.99, "lost": 0.006}):
        folder = again(
            model_dir, "bad", agreement={"main": fine, "sub": strayed, "background": fine, "colour": fine}
        )
        with pytest.raises(ReleaseError, match="bad is refused: its 8-bit sub head"):
            promotion.promote(model_dir, "bad")
        shutil.rmtree(folder)
    assert releases.current(model_dir).version == "one"


def test_a_release_without_scores_is_refused(model_dir: Path) -> None:
    again(model_dir, "mute", scores={})
    with pytest.raises(ReleaseError, match="mute does not say how well its main head does"):
        promotion.promote(model_dir, "mute")


def test_other_classes_have_to_be_meant(model_dir: Path) -> None:
    folder = again(model_dir, "more")
    content = json.loads((folder / "classes.json").read_text())
    content["subs"].append("hat")
    content["main_of"]["hat"] = "upperwear"
    (folder / "classes.json").write_text(json.dumps(content))
    releases.seal(folder)
    with pytest.raises(ReleaseError, match=r"new: hat; gone: none.*--new-classes"):
        promotion.promote(model_dir, "more")
    assert promotion.promote(model_dir, "more", new_classes=True).version == "more"


SHIPPED = "\n# What the program ships.\n"


@pytest.fixture
def old_dir(model_dir: Path) -> Path:
    """As an older version left it, which had promoted `mine`."""
    again(model_dir, "mine")
    for name in ("IN_USE", "PROMOTIONS"):
        (model_dir / name).unlink()
    (model_dir / "CURRENT").write_text("mine\n")
    (model_dir / "PREVIOUS").write_text("one\n")
    return model_dir


def test_the_shipped_default_counts_until_something_is_promoted(old_dir: Path) -> None:
    (old_dir / "PREVIOUS").unlink()
    (old_dir / "CURRENT").write_text(f"one{SHIPPED}")
    assert releases.current(old_dir).version == "one"
    assert not (old_dir / "IN_USE").exists()
    promotion.promote(old_dir, "mine")
    assert (old_dir / "CURRENT").read_text() == f"one{SHIPPED}"
    assert releases.current(old_dir).version == "mine"
    assert promotion.rollback(old_dir).version == "one"


def test_what_an_older_version_promoted_survives_a_new_default(old_dir: Path) -> None:
    assert releases.current(old_dir).version == "mine"
    (old_dir / "CURRENT").write_text(f"one{SHIPPED}")  # by git, or by unpacking
    assert releases.current(old_dir).version == "mine"
    assert promotion.rollback(old_dir).version == "one"
    assert not (old_dir / "PREVIOUS").exists()


def test_an_older_version_is_taken_over_by_promote_and_rollback_too(old_dir: Path) -> None:
    again(old_dir, "next")
    promotion.promote(old_dir, "next")
    assert promotion.rollback(old_dir).version == "mine"
    assert promotion.rollback(old_dir).version == "one"


def test_where_the_release_before_is_gone_the_shipped_default_is_returned_to(old_dir: Path) -> None:
    promotions.take_over(old_dir)
    again(old_dir, "newer")
    (old_dir / "CURRENT").write_text(f"newer{SHIPPED}")
    shutil.rmtree(old_dir / "one")
    assert promotion.rollback(old_dir).version == "newer"
    with pytest.raises(ReleaseError, match="no release to return to"):
        promotion.rollback(old_dir)


def test_a_conflict_that_git_left_in_current_is_not_taken_over(old_dir: Path) -> None:
    (old_dir / "CURRENT").write_text(
        "<<<<<<< Updated upstream\nnew\n=======\nmine\n>>>>>>> Stashed changes\n"
    )
    with pytest.raises(ReleaseError, match="no release"):
        releases.current(old_dir)
    assert not (old_dir / "IN_USE").exists()


def test_the_release_in_use_is_found_where_nothing_may_be_written(
    old_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(promotions, "_name", read_only)
    assert releases.current(old_dir).version == "mine"


def test_shipped_releases_and_ones_own_are_listed_promoted_and_returned_to_alike(
    model_dir: Path, tmp_path: Path
) -> None:
    own = tmp_path / "state"
    own.mkdir()
    (model_dir / "IN_USE").unlink()
    (model_dir / "PROMOTIONS").unlink()
    (model_dir / "CURRENT").write_text("one\n# What the program ships.\n")
    (own / "shipped").symlink_to(model_dir)
    assert releases.current(own).folder == own / "shipped" / "one"
    mine = shutil.move(again(model_dir, "mine"), own / "mine")
    assert releases.versions(own) == ["mine", "one"]
    promotion.promote(own, "mine")
    assert releases.current(own).folder == mine
    assert promotion.rollback(own).folder == own / "shipped" / "one"
    (own / "IN_USE").write_text("gone\n")
    (own / "PROMOTIONS").unlink()
    assert promotion.rollback(own).version == "one"
    assert not (model_dir / "IN_USE").exists()
    assert not (model_dir / "PROMOTIONS").exists()


@pytest.mark.parametrize("name", ["../one", "", "..", "a\0b", "a\tb", "x" * 256])
def test_only_a_name_can_be_promoted(model_dir: Path, name: str) -> None:
    with pytest.raises(ReleaseError, match="no release's name"):
        promotion.promote(model_dir, name)


@pytest.mark.parametrize("file", ["IN_USE", "CURRENT"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a\0b", b"..", b"../one", b"x" * 300, None])
def test_promote_mends_a_damaged_line(model_dir: Path, file: str, content: bytes | None) -> None:
    (model_dir / "IN_USE").unlink()
    if content is None:
        (model_dir / file).mkdir()
    else:
        (model_dir / file).write_bytes(content)
    with pytest.raises(ReleaseError, match=file):
        releases.current(model_dir)
    if content is not None or file == "CURRENT":
        promotion.promote(model_dir, "one")
        assert releases.current(model_dir).version == "one"


HEADS = ("main", "sub", "background", "colour")


def other(
    model_dir: Path,
    version: str,
    wrong: Mapping[str, int] | None = None,
    *,
    photos: int = 300,
    start: int = 0,
    senders: int = 300,
    subs: tuple[str, ...] | None = None,
) -> Path:
    """Another network, which answers so many of its held-out photos wrongly: of each head the first `wrong` ones."""
    folder = again(model_dir, version)
    (folder / "model.onnx").write_bytes(version.encode())
    if subs:
        classes = json.loads((folder / "classes.json").read_text())
        classes |= {"subs": subs, "main_of": dict.fromkeys(subs, "upperwear")}
        (folder / "classes.json").write_text(json.dumps(classes))
    with (folder / "held_out.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        columns = [f"{head}{part}" for head in HEADS for part in ("", "_answer", "_probability")]
        writer.writerow(["sha256", "group", "kind", *columns])
        for i in range(start, start + photos):
            row = [f"{i:064x}", i % senders, "shop"]
            for head in HEADS:
                row += ["right", "wrong" if i - start < (wrong or {}).get(head, 0) else "right", "0.9"]
            writer.writerow(row)
    releases.seal(folder)
    return folder


@pytest.fixture
def compared_dir(model_dir: Path) -> Path:
    """`old` is in use, with 300 held-out photos, 20 of them answered wrongly by every head."""
    other(model_dir, "old", dict.fromkeys(HEADS, 20))
    promotion.promote(model_dir, "old", uncompared=True)
    return model_dir


def test_a_release_that_is_no_worse_is_promoted_and_says_how_it_compares(compared_dir: Path) -> None:
    other(compared_dir, "new", dict.fromkeys(HEADS, 21))
    told: list[str] = []
    promotion.promote(compared_dir, "new", tell=told.append)
    assert [line.split() for line in told if line.startswith("colour")] == [
        ["colour", "300", "0.933", "0.930"]
    ]


@pytest.mark.parametrize("head", HEADS)
def test_a_release_with_one_head_that_is_surely_worse_is_refused(compared_dir: Path, head: str) -> None:
    other(compared_dir, "new", {head: 80})
    with pytest.raises(ReleaseError, match=rf"{head} 73.3% instead of 93.3% right.*promote new --worse`"):
        promotion.promote(compared_dir, "new")
    assert releases.current(compared_dir).version == "old"
    assert promotion.promote(compared_dir, "new", worse=True).version == "new"


def test_too_few_photos_in_common_have_to_be_known_of(compared_dir: Path) -> None:
    other(compared_dir, "new", start=101)
    with pytest.raises(
        ReleaseError, match=r"on 199 photos only, and 200 are needed.*promote new --uncompared`"
    ):
        promotion.promote(compared_dir, "new")
    assert promotion.promote(compared_dir, "new", uncompared=True).version == "new"


def test_few_photos_that_surely_say_worse_are_not_waved_through_as_uncompared(compared_dir: Path) -> None:
    other(compared_dir, "new", {"colour": 90}, photos=100)
    with pytest.raises(ReleaseError, match="--worse"):
        promotion.promote(compared_dir, "new", uncompared=True)


def test_releases_from_before_there_were_held_out_answers_cannot_be_compared(model_dir: Path) -> None:
    (again(model_dir, "bare") / "model.onnx").write_bytes(b"bare")
    releases.seal(model_dir / "bare")
    with pytest.raises(ReleaseError, match=r"on 0 photos only.*bare and one came without held-out answers"):
        promotion.promote(model_dir, "bare")


def test_answers_that_are_not_among_the_checksums_do_not_count(compared_dir: Path) -> None:
    folder = other(compared_dir, "new")
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "held_out" not in line))
    with pytest.raises(ReleaseError, match="new came without held-out answers"):
        promotion.promote(compared_dir, "new")


def test_with_other_categories_the_heads_in_common_are_compared(compared_dir: Path) -> None:
    other(compared_dir, "own", {"sub": 300}, subs=("boots", "coat", "scarf"))
    with pytest.raises(
        ReleaseError, match=r"new: boots, coat, scarf; gone: pants.*promote own --new-classes`"
    ):
        promotion.promote(compared_dir, "own")
    assert promotion.promote(compared_dir, "own", new_classes=True).version == "own"


def test_all_objections_come_at_once_with_the_one_command_that_overrules_them(compared_dir: Path) -> None:
    other(compared_dir, "own", {"colour": 300}, photos=100, subs=("boots", "coat"))
    with pytest.raises(ReleaseError, match="promote own --new-classes --worse --uncompared`"):
        promotion.promote(compared_dir, "own", new_classes=True)


@pytest.mark.parametrize(
    ("photos", "flags"), [(300, " --new-classes"), (100, " --new-classes --uncompared")], ids=["many", "few"]
)
def test_the_command_for_other_categories_that_export_names_is_one_that_works(
    compared_dir: Path, photos: int, flags: str
) -> None:
    other(compared_dir, "own", photos=photos, subs=("boots", "coat"))
    command = promotion.command(compared_dir, releases.load(compared_dir / "own"))
    assert command == f"python -m model promote own{flags}"
    uncompared = "--uncompared" in flags
    assert promotion.promote(compared_dir, "own", new_classes=True, uncompared=uncompared).version == "own"


def test_the_command_for_the_same_categories_overrules_nothing(compared_dir: Path) -> None:
    other(compared_dir, "new", {"main": 80})
    release = releases.load(compared_dir / "new")
    assert promotion.command(compared_dir, release) == "python -m model promote new"
    (compared_dir / "IN_USE").unlink()
    assert promotion.command(compared_dir, release) == "python -m model promote new"


def test_the_same_network_with_other_thresholds_needs_no_comparison(model_dir: Path) -> None:
    again(model_dir, "calibrated")
    assert promotion.promote(model_dir, "calibrated").version == "calibrated"


def test_a_broken_release_in_use_is_no_obstacle_to_another(compared_dir: Path) -> None:
    other(compared_dir, "new")
    (compared_dir / "old" / "model.onnx").unlink()
    told: list[str] = []
    promotion.promote(compared_dir, "new", tell=told.append)
    assert told[0].startswith("Compared with nothing.")
    assert releases.current(compared_dir).version == "new"


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"sha256\n1\n", b"sha256,group,kind,sub,sub_answer\n1,1,x,a,b\n"]
)
def test_held_out_answers_that_cannot_be_read_are_one_sentence(compared_dir: Path, content: bytes) -> None:
    folder = other(compared_dir, "new")
    (folder / "held_out.csv").write_bytes(content)
    releases.seal(folder)
    with pytest.raises(ReleaseError, match=r"held_out.csv cannot be read"):
        promotion.promote(compared_dir, "new")
