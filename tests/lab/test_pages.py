"""evaluate, compare, report and explain on the drawn photos, from the command line as a person would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from model.lab.__main__ import main
from model.lab.commands import lab
from model.lab.judging import comparison
from model.lab.judging.cost import Cost
from model.lab.judging.judges import ClassicalJudge, find_judges
from model.lab.judging.tasks import Task, load_task
from model.lab.pages.report import class_table, correlation, strongest
from model.lab.photos.store import Store
from model.lab.photos.view import View, view_photo

NO_RELEASE = ["--releases", "none"]


@pytest.fixture
def trained(own_lab: Path, drawn: Path) -> Path:
    for task, sets in (("background", "background"), ("colour", "colour-item")):
        order = ["train", "--out", str(own_lab), "--labels", str(drawn / "labels.csv"), "--task", task]
        assert (
            main([*order, "--features", sets, "--model", "logistic", "--folds", "3", "--workers", "1"]) == 0
        )
    return own_lab


def evaluate(trained: Path, drawn: Path, *more: str) -> int:
    order = ["evaluate", "--out", str(trained), "--labels", str(drawn / "labels.csv"), *NO_RELEASE]
    return main([*order, "--judge", "logistic on background", *more])


def test_evaluate_lists_the_judges(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--list", "--out", str(trained), *NO_RELEASE]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "background: logistic on background",
        "colour: logistic on colour-item",
    ]


def test_evaluate_prints_scores_and_writes_a_log_and_a_page(
    trained: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(trained, drawn) == 0
    text = capsys.readouterr().out
    assert "balanced accuracy 1.000" in text or "balanced accuracy 0." in text
    assert "unacceptable" in text
    (log,) = (trained / "evaluations").glob("*.log")
    (page,) = (trained / "evaluations").glob("*.html")
    assert log.read_text().strip() in text
    assert page.read_text().count("<img") == 4
    assert "http" not in page.read_text().replace("http-equiv", "")


def test_folds_give_the_same_scores_as_training_said(
    trained: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(trained, drawn, "--on", "folds") == 0
    facts = json.loads(
        (trained / "models" / "background" / "background" / "logistic" / "facts.json").read_text()
    )
    assert (
        f"balanced accuracy {facts['cross_validation']['balanced_accuracy']:.3f}" in capsys.readouterr().out
    )


def test_an_unknown_judge_is_answered_with_the_names_there_are(
    trained: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = ["evaluate", "--out", str(trained), "--labels", str(drawn / "labels.csv"), *NO_RELEASE]
    assert main([*order, "--judge", "oracle"]) == 2
    assert "There are: logistic on background." in capsys.readouterr().err


def test_a_photo_gets_from_a_judge_what_the_tables_gave(trained: Path, drawn: Path) -> None:
    store = Store(trained)
    for task in ("background", "colour"):
        (judge,) = find_judges(trained, task, Path("none"))
        files = store.files[:3]
        from_tables = judge.answers(drawn, store, files).probabilities
        one_by_one = np.concatenate(
            [judge.answer(view_photo(drawn, store, file)).probabilities for file in files]
        )
        assert one_by_one == pytest.approx(from_tables, abs=1e-3)  # tables keep 6 digits


def test_compare_has_a_row_per_judge_and_task(
    trained: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(comparison, "measure_cost", lambda *_: Cost(0.25, 300.0))
    order = ["compare", str(drawn), "--labels", str(drawn / "labels.csv"), "--out", str(trained), *NO_RELEASE]
    assert main(order) == 0
    table = pd.read_csv(trained / "comparison.csv")
    assert list(table["task"]) == ["background", "colour"]
    assert (table["ms a photo"] == 250).all()
    assert table["balanced low"].le(table["balanced"]).all()
    assert "logistic on colour-item" in capsys.readouterr().out
    assert "<table" in (trained / "comparison.html").read_text()
    monkeypatch.setattr(comparison, "measure_cost", lambda *_: pytest.fail("the costs were known"))
    assert main(order) == 0


def test_the_network_is_weighed_against_the_best_model_that_sees_the_mask() -> None:
    table = pd.DataFrame(
        {
            "task": "background",
            "judge": ["svc on background", "network 1"],
            "sees the mask": ["yes", "no"],
            "balanced": [0.96, 0.97],
            "ms a photo": [300.0, 5.0],
            "photos": 225,
        }
    )
    verdict = comparison.network_verdict(table, "background")
    assert "0.970" in verdict
    assert "0.960" in verdict
    assert "1/60" in verdict
    assert comparison.network_verdict(table[:1], "background") == ""


def test_the_report_is_one_page_that_needs_nothing_else(trained: Path, drawn: Path) -> None:
    assert main(["report", str(drawn), "--labels", str(drawn / "labels.csv"), "--out", str(trained)]) == 0
    page = (trained / "report.html").read_text()
    for heading in (
        "How many photos of each class",
        "Which features go together",
        "What the backgrounds look like",
        "Where white and cream end",
        "Which features separate",
    ):
        assert heading in page
    assert 'src="data:' in page
    assert 'src="http' not in page


def test_the_classes_are_counted_and_the_closest_features_come_first() -> None:
    task = Task("colour", ("a", "b", "validation/c"), ("red", "red", "blue"), ("x", "y", "x"))
    table = class_table(task, "validation/")
    assert list(table.index) == ["red", "blue"]
    assert table.loc["red"].to_dict() == {"to learn from": 2, "held out": 0, "senders": 2}
    assert table.loc["blue"].to_dict() == {"to learn from": 0, "held out": 1, "senders": 1}
    one = np.arange(9.0)
    numbers = pd.DataFrame({"a": one, "flat": 1.0, "b": one % 4, "c": -one})
    pairs = strongest(correlation(numbers))
    assert (pairs.index[0], pairs.iloc[0]["and"]) == ("a", "c")
    assert pairs.iloc[0]["correlation"] == pytest.approx(-1)
    assert "flat" not in {*pairs.index, *pairs["and"]}


def test_a_model_is_evaluated_by_its_path_and_leaves_nothing_behind_without_a_log(
    trained: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained / "models" / "colour" / "colour-item" / "logistic"
    order = [
        "evaluate",
        "--out",
        str(trained),
        "--labels",
        str(drawn / "labels.csv"),
        *NO_RELEASE,
        "--no-log",
    ]
    assert main([*order, "--judge", str(folder)]) == 0
    assert "colour: logistic on colour-item" in capsys.readouterr().out
    assert not (trained / "evaluations").exists()


def test_a_model_trained_without_some_classes_is_compared_on_its_own(trained: Path, drawn: Path) -> None:
    labels = ["--out", str(trained), "--labels", str(drawn / "labels.csv")]
    clean = ["--task", "colour", "--features", "colour-item", "--model", "logistic", "--name", "clean"]
    assert main(["train", *labels, *clean, "--drop", "white,black", "--folds", "2", "--workers", "1"]) == 0
    order = ["compare", str(drawn), *labels, *NO_RELEASE, "--tasks", "colour,clean", "--cost-photos", "0"]
    assert main(order) == 0
    table = pd.read_csv(trained / "comparison.csv").set_index("task")
    held_out = load_task(drawn / "labels.csv", "colour").only("validation/")
    own = [answer for answer in held_out.answers if answer not in ("white", "black")]
    assert table.loc["colour", "photos"] == len(held_out.files) > len(own)
    assert table.loc["clean", "photos"] == len(own)
    assert table.loc["clean", "balanced"] == 1
    assert table["ms a photo"].isna().all()


def test_explain_draws_a_photo_with_every_verdict(
    trained: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = sorted((drawn / "validation").glob("*.jpg"))[0]
    target = tmp_path / "judgement.png"
    mask = drawn / "masks" / f"{photo.stem}.png"
    order = [
        "explain",
        str(photo),
        "--out",
        str(trained),
        "--mask",
        str(mask),
        "--picture",
        str(target),
        *NO_RELEASE,
    ]
    assert main(order) == 0
    with Image.open(target) as picture:
        assert picture.width > 1000
    text = capsys.readouterr().out
    assert "logistic on background" in text
    assert "logistic on colour-item" in text


def test_explain_says_what_is_wrong_with_a_file_that_is_no_photo(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.jpg").write_text("no photo")
    assert (
        main(
            [
                "explain",
                str(tmp_path / "notes.jpg"),
                "--out",
                str(trained),
                "--mask",
                str(tmp_path / "notes.jpg"),
            ]
        )
        == 2
    )
    assert "Not a readable photo" in capsys.readouterr().err


def test_the_network_is_a_judge_like_any_other(drawn: Path, store: Store) -> None:
    releases = Path(__file__).parents[2] / "model" / "releases"
    if not (releases / "CURRENT").is_file():
        pytest.skip("needs a release of the network")
    for task in ("background", "colour"):
        (judge,) = [
            judge
            for judge in find_judges(store.folder, task, releases)
            if not isinstance(judge, ClassicalJudge)
        ]
        files = store.files[:4]
        answers = judge.answers(drawn, store, files)
        assert answers.probabilities.shape == (4, len(judge.classes))
        assert answers.probabilities.sum(1) == pytest.approx(np.ones(4), abs=1e-4)
        view = view_photo(drawn, store, files[0])
        assert judge.answer(View(view.path, view.pixels, view.mask)).guesses[0] == answers.guesses[0]


@pytest.mark.parametrize("command", lab.commands)
def test_every_command_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"python -m model lab {command}" in text
    assert len(text.splitlines()) > 12


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in lab.commands)
    assert main(["paint"]) == 2
    assert "No such command 'paint'" in capsys.readouterr().err
