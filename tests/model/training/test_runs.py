"""A training from folders to a finished run: it begins from what is known, holds out, and says what that is worth."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.__main__ import main
from model.network import Network
from model.releasing import outlook
from model.serving.classes import Classes, DataError
from model.training import data, palette, recipe_file, runs, start
from model.training.held_out_scores import HeldOutScores
from model.training.labels import UNKNOWN
from model.training.recipe import Recipe
from model.training.run import Run, load_run, save_run
from this_python import VERSION

Make = Callable[..., Path]
QUICK = Recipe(
    epochs=0, size=32, last_size=32, serve_size=32, batch=8, views=1, palette_epochs=1, teacher_epochs=1
)
OPTIONS = ["--epochs=0", "--serve-size=32", "--views=1", "--palette-epochs=1"]


@pytest.fixture
def known(make_photos: Make, tmp_path: Path) -> Path:
    """A run that knows other categories, and all colours and backgrounds."""
    torch.manual_seed(5)
    classes = Classes(
        mains=("x",), subs=("y", "z"), main_of={"y": "x", "z": "x"}, temperatures={"colour": 2.5}
    )
    folder = tmp_path / "known"
    folder.mkdir()
    run = Run(Network(classes).eval(), classes, {}, 32, trained=("main", "sub", "background", "colour"))
    save_run(folder, run)
    return folder


def plan(root: Path, begin: start.Start, recipe: Recipe = QUICK) -> runs.Plan:
    photos = data.load(root, progress=False)
    others = list(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8))
    return runs.Plan(photos, runs.divide([photos], folds=3), recipe, begin, others=others, progress=False)


def test_backbone_background_and_colour_stay_and_the_categories_are_new(
    make_photos: Make, known: Path, tmp_path: Path
) -> None:
    root = make_photos(each=6)
    (root / "labels.csv").unlink()
    classes = data.load(root, progress=False).classes
    begun = start.begin(classes, QUICK, start=known)
    assert begun.keeps == ("background", "clothing", "colour")
    old = load_run(known).network
    run = runs.learn(plan(root, begun), tmp_path / "run")
    for name, value in old.state_dict().items():
        if not name.startswith(("main", "sub", "clothing")):
            assert torch.equal(run.network.state_dict()[name], value), name
    assert run.network.sub.weight.shape == (3, 512)
    assert run.trained == ("main", "sub", "background", "colour")
    assert run.classes.temperatures["colour"] == 2.5


def test_from_random_weights_what_has_no_labels_answers_nothing(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos(each=6)
    (root / "labels.csv").unlink()
    begun = start.begin(data.load(root, progress=False).classes, QUICK, init=Path("none"))
    assert begun.keeps == ()
    assert runs.learn(plan(root, begun), tmp_path / "run").trained == ("main", "sub")


def test_colours_of_ones_own_are_learned_and_leave_the_background_as_it_was(
    make_photos: Make, known: Path, tmp_path: Path
) -> None:
    root = make_photos(each=6)
    labels = root / "labels.csv"
    labels.write_text(labels.read_text().replace(",red,", ",brick,"))
    photos = data.load(root, progress=False)
    assert photos.classes.colours == ("blue", "brick")
    begun = start.begin(photos.classes, QUICK, start=known)
    assert "colour" not in begun.keeps
    seen = torch.randn(4, begun.network.palette.norm.num_features)
    before = begun.network.palette.eval().judge(seen)
    run = runs.learn(plan(root, begun), tmp_path / "run")
    after = run.network.palette.judge(seen)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])
    assert "colour" in run.trained


def test_a_palette_is_learned_anew_from_enough_labels_alone(make_photos: Make) -> None:
    photos = data.load(make_photos(each=6), progress=False)
    every = np.arange(len(photos))
    assert palette.palette_stays(photos, every, ("background", "colour"))
    assert not palette.palette_stays(photos, every, ())
    many = photos.take(np.tile(every, 40))
    assert not palette.palette_stays(many, np.arange(len(many)), ("background", "colour"))


def test_few_photos_are_each_held_out_once_and_all_learned_from(make_photos: Make) -> None:
    photos = data.load(make_photos(each=6), progress=False)
    division = runs.divide([photos], folds=3)
    assert division.crossed
    assert sorted(division.held_out) == list(range(18)) == list(division.learn)
    one = runs.divide([photos], folds=3, fold=1)
    assert not one.crossed
    assert not set(one.learn) & set(one.held_out)


def test_what_is_held_out_of_a_collection_does_not_depend_on_what_else_is_learned_from(
    make_photos: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release with more photos can then be compared with an older one on the older one's held-out photos."""
    photos = data.load(make_photos(each=6), progress=False)
    more = photos.take(np.arange(len(photos))[::-1])
    alone = runs.divide([photos], folds=3, fold=1)
    both = runs.divide([photos, more], folds=3, fold=1)
    assert set(alone.held_out) == {i for i in both.held_out if i < len(photos)}
    assert sorted([*both.learn, *both.held_out]) == list(range(2 * len(photos)))
    monkeypatch.setattr(runs, "FEW", 1)
    assert set(runs.divide([photos], folds=3).held_out) == set(
        runs.divide([photos], folds=3, fold=0).held_out
    )


def test_a_small_collection_beside_others_is_only_learned_from(make_photos: Make) -> None:
    photos = data.load(make_photos(each=6), progress=False)
    of_one = replace(photos, group=np.full(len(photos), "one shop", dtype=object))
    division = runs.divide([photos, of_one], folds=3, fold=0)
    assert max(division.held_out) < len(photos)
    assert set(range(len(photos), 2 * len(photos))) <= set(division.learn)
    with pytest.raises(DataError, match="All photos are from one sender"):
        runs.divide([of_one], folds=3, fold=0)


def test_a_copy_of_a_learned_photo_is_not_held_out(make_photos: Make) -> None:
    root = make_photos(each=6)
    (root / "labels.csv").unlink()
    for number in range(3):
        shutil.copy(root / "train/0_pants/0.jpg", root / f"train/1_shorts/copy{number}.jpg")
    photos = data.load(root, progress=False)
    division = runs.divide([photos], folds=3).honest(photos)
    for learned, held_out in division.folds:
        assert not set(photos.sha256[learned]) & set(photos.sha256[held_out])


def test_what_the_start_has_learned_from_is_not_held_out(
    make_photos: Make, tmp_path: Path, known: Path
) -> None:
    root = make_photos(each=6)
    photos = data.load(root, progress=False)
    begun = replace(start.begin(photos.classes, QUICK, start=known), learned=frozenset(photos.sha256[:4]))
    with pytest.raises(DataError, match="4 of the 18 held-out photos were learned from"):
        runs.learn(plan(root, begun), tmp_path / "run")


def test_a_run_has_a_folder_of_its_own_and_the_same_one_for_the_same(make_photos: Make, known: Path) -> None:
    root = make_photos(each=6)
    classes = data.load(root, progress=False).classes

    def folder(recipe: Recipe = QUICK) -> Path:
        made = plan(root, start.begin(classes, recipe, start=known), recipe)
        made.data = (root,)
        return made.folder()

    one = folder()
    assert one.parent == Path("runs")
    assert one.name.startswith("photos-")
    assert folder() == one
    assert folder(replace(QUICK, serve_size=48)) != one
    (root / "train/0_pants/5.jpg").unlink()
    assert folder() != one


def test_from_a_folder_to_a_release_with_only_the_commands_that_it_names(
    make_photos: Make,
    known: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = make_photos(each=6)
    make_photos(each=2, part="test", seed=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "releases"))
    assert main(["train", "--data", str(root), "--start", str(known), "--folds=3", *OPTIONS]) == 0
    said = capsys.readouterr().out
    assert "On 18 held-out photos (each judged by one of 3 networks that had not seen it): main" in said
    assert "At a promise of 0.97," in said
    assert "On 6 test photos: main" in said
    command = said.strip().splitlines()[-1].partition("python -m model ")[2].split()
    assert command[0] == "export"
    assert command[2] == "mine-1"
    assert main([*command, "--float"]) == 0
    metrics = json.loads((tmp_path / "releases/mine-1/metrics.json").read_text())
    assert metrics["test"]["photos"] == 6
    shutil.rmtree(root / "test")
    assert main([*command[:2], "mine-2", "--float"]) == 0
    metrics = json.loads((tmp_path / "releases/mine-2/metrics.json").read_text())
    assert metrics["test"] == {"photos": 18, "learned": 0, "crossed": True, "set_by": 18}
    card = (tmp_path / "releases/mine-2/card.md").read_text()
    assert "each is judged by a network that has not learned" in card
    again = [
        "train",
        "--data",
        str(root),
        "--start",
        str(known),
        "--folds=3",
        "--run",
        str(tmp_path / "again"),
    ]
    assert main([*again, "--recipe", str(tmp_path / "releases/mine-1/recipe.toml")]) == 0
    assert "made with other" not in capsys.readouterr().out
    released, anew = (
        recipe_file.read(tmp_path / name / "recipe.toml") for name in ("releases/mine-1", "again")
    )
    assert anew["recipe"] == released["recipe"]
    assert anew["recipe"]["serve_size"] == 32
    assert anew["data"] == released["data"]
    assert released["version"] == VERSION
    trained, exported = released["commands"]
    assert trained.startswith("python -m model train --data photos --start known --folds 3 --epochs 0 ")
    assert exported == f"python -m model export {Path(command[1]).name} mine-1 --float"
    assert str(tmp_path) not in (tmp_path / "again/recipe.toml").read_text()


def held_out(number: int, wrong: int) -> tuple[Classes, HeldOutScores]:
    """Sure scores for two classes, of which the least sure ones are wrong."""
    classes = Classes(mains=("m",), subs=("a", "b"), main_of={"a": "m", "b": "m"}, heads=("main", "sub"))
    labels = np.arange(number) % 2
    given = np.where(np.arange(number) < wrong, 1 - labels, labels)
    sure = np.where(np.arange(number) < wrong, 0.5, 6.0)[:, None] * np.eye(2)[given]
    unknown = np.full(number, UNKNOWN)
    zeros = {
        "main": np.zeros((number, 1)),
        "background": np.zeros((number, 2)),
        "colour": np.zeros((number, 13)),
    }
    scores = {"sub": sure, "clothing": np.ones(number), **zeros}
    said = {"sub": labels, "main": np.zeros(number, int), "background": unknown, "colour": unknown}
    return classes, HeldOutScores(scores, {**said, "clothing": np.ones(number, int)})


def test_too_few_photos_are_told_how_many_more_it_takes() -> None:
    classes, few = held_out(20, 2)
    more = outlook.photos_needed(classes, few)
    assert more is not None
    assert more[0] in (20, 60, 140, 300)
    assert more[1] > 0.5
    assert outlook.photos_needed(*held_out(400, 4)) is None
