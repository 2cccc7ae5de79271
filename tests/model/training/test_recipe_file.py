"""recipe.toml: what it says counts, what is typed beside it wins, and what no recipe has is refused by name."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from model.__main__ import main
from model.training import recipe_file
from model.training.recipe import Recipe
from model.training.start import RELEASES, shipped

Make = Callable[..., Path]
QUICK = Recipe(epochs=0, size=32, last_size=32, serve_size=32, views=1, palette_epochs=1, seed=7)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    recipe_file.write(tmp_path, recipe_file.record_of(QUICK, {"held out": "ab"}, "python -m model train"))
    assert recipe_file.fields_of(tmp_path / "recipe.toml") == asdict(QUICK)
    again = recipe_file.read(tmp_path / "recipe.toml")
    assert again["data"] == {"held out": "ab"}
    assert again["commands"] == ["python -m model train"]


def test_an_option_beside_the_file_wins_and_other_data_are_named(
    make_photos: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"classes": "others", "photos": "others"}
    recipe_file.write(tmp_path, recipe_file.record_of(replace(QUICK, views=3), data))
    given = [
        "--data",
        str(make_photos(each=3)),
        "--run",
        str(tmp_path / "run"),
        "--init=none",
        "--fold=0",
        "--folds=3",
    ]
    assert main(["train", *given, "--recipe", str(tmp_path / "recipe.toml"), "--views=1"]) == 0
    assert recipe_file.read(tmp_path / "run/recipe.toml")["recipe"] == asdict(QUICK)
    said = capsys.readouterr().out
    assert f"{tmp_path / 'recipe.toml'} was made with other classes; other photos to learn from" in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[recipe]\nepochs = 3\ndistil = 2.0\nabc = 1", "names fields that no recipe has now: abc, distil."),
        ("[recipe]\nepochs = 3.5", "epochs is 3.5; a whole number is meant."),
        ('[recipe]\nrate = "fast"', "rate is 'fast'; a number is meant."),
        ("[recipe]\nrate = 5.0", "--rate is 5; a number from 0 to 1 is meant."),
        ("[recipe]\nrate = nan", "--rate is nan; a number from 0 to 1 is meant."),
        ("recipe = 3", "`recipe` is not what it is"),
        ("[data]", "holds no recipe"),
        ("[recipe", "it is not TOML"),
        ("\xff", "it is not TOML"),
        (None, "does not exist"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_what_is_wrong(
    make_photos: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, why: str
) -> None:
    file = tmp_path / "recipe.toml"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    assert main(["train", "--data", str(make_photos(each=1)), "--recipe", str(file)]) == 2
    assert why in capsys.readouterr().err


def test_the_shipped_release_has_a_record_with_the_recipe_on_its_card() -> None:
    record = recipe_file.read(shipped() / "recipe.toml")["recipe"]
    card = (shipped() / "card.md").read_text(encoding="utf-8")
    assert [f"- {name}: {value}" for name, value in record.items()] == [
        line for line in card.partition("## Recipe")[2].partition("## Classes")[0].splitlines() if line
    ]
    assert {each.name for each in fields(Recipe)} & record.keys()
    assert shipped().parent == RELEASES
