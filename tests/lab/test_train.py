from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.lab import LabError
from model.lab.judging import classical
from model.lab.judging.cnn import SmallCnn, kept_back
from model.lab.judging.tasks import Task, load_task
from model.lab.judging.training import Plan, chosen_models, model_folder, prepare, train
from model.lab.numbers.features import load_features
from model.lab.numbers.picture import PICTURE_SIDE
from model.lab.photos.store import Store

PLAN = Plan(folds=3)


@pytest.fixture
def background(drawn: Path) -> Task:
    return load_task(drawn / "labels.csv", "background").without("validation/")


@pytest.mark.parametrize(
    "name",
    ["logistic", "svc", "forest", "boosting", "mlp", pytest.param("committee", marks=pytest.mark.optional)],
)
def test_every_model_learns_the_drawn_backgrounds_and_comes_back_from_disk(
    name: str, background: Task, own_lab: Path
) -> None:
    store = Store(own_lab)
    facts = train(store, background, ["background"], name, PLAN)
    assert facts["cross_validation"]["balanced_accuracy"] > 0.85
    folder = model_folder(own_lab, "background", ["background"], name)
    model, loaded = classical.load_model(folder)
    rows = load_features(store, ["background"])[loaded["columns"]].to_numpy(float)
    again = classical.class_probabilities(classical.load_model(folder)[0], rows, 2)
    assert np.allclose(classical.class_probabilities(model, rows, 2), again)
    assert np.allclose(again.sum(1), 1)


def test_the_small_cnn_learns_from_pictures_and_comes_back_from_disk(background: Task, own_lab: Path) -> None:
    store = Store(own_lab)
    facts = train(store, background, ["picture"], "cnn", Plan(folds=2))
    assert facts["cross_validation"]["balanced_accuracy"] > 0.7
    model, _ = classical.load_model(model_folder(own_lab, "background", ["picture"], "cnn"))
    rows = load_features(store, ["picture"]).to_numpy(float)
    assert model.predict_proba(rows).shape == (len(rows), 2)


def test_the_eighteen_colour_features_learn_the_drawn_cloths(drawn: Path, own_lab: Path) -> None:
    colour = load_task(drawn / "labels.csv", "colour", drop=["white"]).without("validation/")
    facts = train(Store(own_lab), colour, ["colour-item"], "logistic", PLAN)
    assert facts["cross_validation"]["accuracy"] > 0.9
    assert "white" not in facts["classes"]


def test_a_search_chooses_a_setting_and_logs_it(background: Task, own_lab: Path) -> None:
    facts = train(Store(own_lab), background, ["background"], "logistic", Plan("random", 2))
    assert set(facts["settings"]) == {"C"}
    log = (model_folder(own_lab, "background", ["background"], "logistic") / "train.log").read_text()
    assert "all photos" in log


def test_nothing_is_trained_twice_but_new_labels_are(background: Task, own_lab: Path) -> None:
    store, folder = Store(own_lab), model_folder(own_lab, "background", ["background"], "logistic")
    train(store, background, ["background"], "logistic", PLAN)
    written = (folder / "model.skops").stat().st_mtime_ns
    train(store, background, ["background"], "logistic", PLAN)
    assert (folder / "model.skops").stat().st_mtime_ns == written
    swapped = Task(background.name, background.files, background.answers[::-1], background.groups)
    train(store, swapped, ["background"], "logistic", PLAN)
    assert (folder / "model.skops").stat().st_mtime_ns != written


def test_an_interrupted_training_keeps_its_folds(
    background: Task, own_lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = classical.fit, []

    def fit_twice(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(classical, "fit", fit_twice)
    with pytest.raises(KeyboardInterrupt):
        train(Store(own_lab), background, ["background"], "logistic", PLAN)
    train(Store(own_lab), background, ["background"], "logistic", PLAN)
    assert len(calls) == 3 + 2  # two folds were kept: one fold and the whole were left


def test_folds_keep_each_sender_on_one_side(background: Task) -> None:
    groups = np.array(background.groups, dtype=object)
    for learn, check in classical.splits(background.codes(background.classes), groups, 3):
        assert not set(groups[learn]) & set(groups[check])


def test_the_feature_that_decides_is_the_most_important() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 4))
    codes = (rows[:, 2] > 0).astype(np.int64)
    model = classical.fit("forest", rows, codes, np.full(300, ""), "none").model
    losses = classical.losses_when_shuffled(model, rows, codes, ["s:a", "s:b", "s:c", "s:d"])
    assert max(losses, key=lambda name: losses[name]) == "s:c"
    assert losses["s:c"] > 0.3


def test_gaps_in_the_numbers_are_filled() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    codes = (rows[:, 0] > 0).astype(np.int64)
    rows[::7, 1] = np.nan
    model = classical.fit("logistic", rows, codes, np.full(60, ""), "none").model
    assert np.isfinite(model.predict_proba(rows)).all()


def test_a_saved_model_holds_no_pickle(background: Task, own_lab: Path) -> None:
    train(Store(own_lab), background, ["background"], "logistic", PLAN)
    path = model_folder(own_lab, "background", ["background"], "logistic") / "model.skops"
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with pytest.raises(Exception):  # noqa: B017, PT011 - any failure will do
                pickle.loads(archive.read(member))


def test_a_model_with_a_stranger_inside_is_not_loaded(background: Task, own_lab: Path) -> None:
    train(Store(own_lab), background, ["background"], "logistic", PLAN)
    folder = model_folder(own_lab, "background", ["background"], "logistic")
    with zipfile.ZipFile(folder / "model.skops") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = members["schema.json"].replace(b'"LogisticRegression"', b'"Popen"', 1)
    members["schema.json"] = members["schema.json"].replace(b"sklearn.linear_model._logistic", b"subprocess")
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(LabError, match="subprocess"):
        classical.load_model(folder)


def test_unsure_labels_and_dropped_answers_are_left_out(drawn: Path) -> None:
    table = pd.read_csv(drawn / "labels.csv", dtype=str)
    task = load_task(drawn / "labels.csv", "background")
    assert len(task.files) == int((table["background"] != "?").sum())
    assert task.classes == ["acceptable", "unacceptable"]
    assert load_task(drawn / "labels.csv", "colour", drop=["black", "red"]).classes == [
        "blue",
        "green",
        "white",
        "yellow",
    ]


@pytest.mark.parametrize(
    ("model", "sets", "complaint"),
    [("oracle", ["background"], "no model 'oracle'"), ("cnn", ["background"], "belong together")],
)
def test_impossible_wishes_are_explained(model: str, sets: list[str], complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        chosen_models(model, sets)


def test_a_class_of_one_sender_is_named(background: Task, lab: Path) -> None:
    alone = {"acceptable": "one", "unacceptable": ""}
    groups = tuple(
        alone[answer] or group for answer, group in zip(background.answers, background.groups, strict=True)
    )
    with pytest.raises(LabError, match="class 'acceptable' has only one sender"):
        prepare(Store(lab), replace(background, groups=groups), ["background"], PLAN)


def test_a_class_too_small_for_a_search_is_explained_and_no_traceback(
    background: Task, own_lab: Path
) -> None:
    few = [
        file
        for file, answer in zip(background.files, background.answers, strict=True)
        if answer == "acceptable"
    ]
    task = replace(
        background.among({*background.files} - {*few[2:]}),
        groups=("",) * (len(background.files) - len(few) + 2),
    )
    with pytest.raises(LabError, match=r"cannot learn from these photos|only one photo"):
        train(Store(own_lab), task, ["background"], "svc", Plan("grid", 2))


@pytest.mark.parametrize("search", ["grid", "random"])
def test_every_search_leaves_a_table_of_what_it_tried(
    search: classical.Search, background: Task, own_lab: Path
) -> None:
    train(Store(own_lab), background, ["background"], "logistic", Plan(search, 2))
    folder = model_folder(own_lab, "background", ["background"], "logistic")
    table = pd.read_csv(folder / "search.csv")
    assert list(table.columns) == ["classifier", "photos", "C", "mean", "deviation", "rank"]
    assert set(table["photos"]) == {"all", "without fold 0", "without fold 1"}
    on_all = table[table["photos"] == "all"]
    assert sorted(on_all["C"]) == sorted(classical.CLASSIFIERS["logistic"].grid["C"])
    assert on_all["mean"].between(0, 1).all()
    assert on_all["mean"].is_monotonic_decreasing
    facts = classical.load_facts(folder)
    assert float(facts["settings"]["C"]) == on_all["C"].iloc[0]


def test_a_search_that_was_interrupted_still_has_its_folds_tries(
    background: Task, own_lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = classical.fit, []

    def fit_twice(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(classical, "fit", fit_twice)
    with pytest.raises(KeyboardInterrupt):
        train(Store(own_lab), background, ["background"], "logistic", Plan("grid", 2))
    train(Store(own_lab), background, ["background"], "logistic", Plan("grid", 2))
    table = pd.read_csv(model_folder(own_lab, "background", ["background"], "logistic") / "search.csv")
    assert set(table["photos"]) == {"all", "without fold 0", "without fold 1"}


def test_a_training_without_a_search_takes_an_older_table_away(background: Task, own_lab: Path) -> None:
    table = model_folder(own_lab, "background", ["background"], "logistic") / "search.csv"
    train(Store(own_lab), background, ["background"], "logistic", Plan("grid", 2))
    assert table.is_file()
    train(Store(own_lab), background, ["background"], "logistic", Plan("none", 2))
    assert not table.exists()


def two_kinds_of_picture(count: int = 56) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    codes = np.arange(count) % 2
    rows = random.normal(100 + 60 * codes[:, None], 20, (count, PICTURE_SIDE**2 * 4)).clip(0, 255)
    return rows.astype(np.float32), codes


def test_the_cnn_stops_when_nothing_gets_better_and_keeps_its_best_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 0.5])
    states = []

    def loss(model: SmallCnn, *_: object) -> float:
        states.append({name: value.clone() for name, value in model.state().items()})
        return next(losses)

    monkeypatch.setattr(SmallCnn, "_loss", loss)
    model = SmallCnn(epochs=50, width=4, patience=4).fit(*two_kinds_of_picture())
    assert len(states) == 6  # the best was the second, and four more brought nothing
    assert model.epochs_ == 2
    assert all((model.state()[name] == value).all() for name, value in states[1].items())


def test_the_cnn_lowers_its_learning_rate_before_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    learn = SmallCnn._learn

    def noting(model: SmallCnn, pictures: Any, targets: Any, criterion: Any, optimiser: Any) -> None:
        rates.append(optimiser.param_groups[0]["lr"])
        learn(model, pictures, targets, criterion, optimiser)

    monkeypatch.setattr(SmallCnn, "_learn", noting)
    monkeypatch.setattr(SmallCnn, "_loss", lambda *_: 1.0)
    SmallCnn(epochs=50, width=4, patience=9).fit(*two_kinds_of_picture())
    assert rates[0] == pytest.approx(2e-3)
    assert rates[-1] < 1e-3


def test_the_part_that_the_cnn_watches_has_every_class_and_is_not_learned_from() -> None:
    codes = np.array([0] * 40 + [1] * 9)
    learn, check = kept_back(codes, seed=0)
    assert not set(learn) & set(check)
    assert set(codes[check]) == set(codes[learn]) == {0, 1}
    alone, watched = kept_back(np.array([0] * 40 + [1]), seed=0)
    assert len(alone) == len(watched) == 41


def test_facts_say_how_the_model_came_about(background: Task, own_lab: Path) -> None:
    train(Store(own_lab), background, ["background", "quality"], "logistic", PLAN)
    facts = json.loads(
        (
            model_folder(own_lab, "background", ["background", "quality"], "logistic") / "facts.json"
        ).read_text()
    )
    assert facts["sets"] == ["background", "quality"]
    assert facts["plan"] == {"search": "none", "folds": 3, "seed": 0}
    assert facts["cross_validation"]["photos"] == len(background.files)
