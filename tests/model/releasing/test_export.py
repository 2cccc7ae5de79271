"""A release is made whole, measured, and answers as the network that was trained."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from model.network import Network, normalise
from model.releasing import export, onnx_network, promotion
from model.releasing.card import card
from model.serving import releases
from model.serving.classes import HEADS, Classes
from model.serving.familiar import Familiar
from model.serving.predictor import Predictor
from model.serving.releases import ReleaseError
from model.training import data
from model.training.held_out_scores import HeldOutScores, load_held_out, save_scores
from model.training.labels import UNKNOWN
from model.training.run import Run, load_run, save_run, story
from model.training.train import familiarise, label_sets, raw_scores

Make = Callable[..., Path]


@pytest.fixture
def photos(make_photos: Make) -> data.Photos:
    return data.load(make_photos(each=8), progress=False)


@pytest.fixture
def network(photos: data.Photos) -> Network:
    """Untrained, its statistics set by a look at the photos, so that its numbers are of a sane size."""
    torch.manual_seed(0)
    network = Network(photos.classes)
    network.train()
    pixels = torch.from_numpy(photos.pixels[:, ::4, ::4]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        for _ in range(20):
            network(normalise(pixels))
    return network.eval()


def save_held_out(folder: Path, run: Run, photos: data.Photos, which: np.ndarray) -> None:
    scores = raw_scores(run.network, photos, which, run.size)
    save_scores(folder / "held_out.npz", scores, label_sets(photos, which), photos, which)


def run_of(network: Network, photos: data.Photos, familiar: Familiar | None = None) -> Run:
    told = story(
        photos,
        np.arange(len(photos)),
        begins_with="weights of resnet18.safetensors to begin with",
        teacher=None,
    )
    return Run(network, photos.classes, told, familiar=familiar)


def test_the_float_network_answers_as_torch_does_for_a_photo_and_its_mirror_image(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    onnx_network.write_onnx(network, tmp_path / "float.onnx")
    pixels = data.serving_pixels(photos.take(np.arange(3)))
    given = onnx_network.scores_of(tmp_path / "float.onnx", pixels)
    mirrored = onnx_network.scores_of(tmp_path / "float.onnx", np.ascontiguousarray(pixels[:, :, ::-1]))
    seen = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    with torch.inference_mode():
        wanted = [network(seen), network(seen.flip(3))]
    for head in (*HEADS, "clothing"):
        mean = torch.stack([getattr(scores, head) for scores in wanted]).mean(0)
        assert np.allclose(given[head], mean.numpy(), atol=1e-3)
        assert np.allclose(given[head], mirrored[head], atol=1e-3)


def test_a_run_is_kept_and_read_again(network: Network, photos: data.Photos, tmp_path: Path) -> None:
    save_run(tmp_path, run_of(network, photos))
    kept = load_run(tmp_path)
    assert kept.classes == photos.classes
    assert torch.equal(kept.network.sub.weight, network.sub.weight)
    save_held_out(tmp_path, run_of(network, photos), photos, np.arange(5))
    held_out = load_held_out(tmp_path / "held_out.npz")
    assert held_out.scores["sub"].shape == (5, 3)
    assert held_out.labels["colour"].tolist() == photos.colour[:5].tolist()
    with pytest.raises(ReleaseError, match="thresholds need photos that training has not seen"):
        load_held_out(tmp_path / "nothing.npz")


def test_a_release_is_made_and_promoted_or_refused(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    save_held_out(tmp_path, run_of(network, photos), photos, np.arange(len(photos)))
    held_out = load_held_out(tmp_path / "held_out.npz")
    (tmp_path / "golden").mkdir()
    out = tmp_path / "releases"
    familiar = familiarise(network, photos, np.arange(len(photos)), 32)

    def make(version: str) -> releases.Release:
        return export.export(
            run_of(network, photos, familiar),
            held_out,
            photos,
            photos,
            golden=tmp_path / "golden",
            out=out,
            version=version,
        )

    release = make("one")
    assert sum(f.stat().st_size for f in release.folder.rglob("*") if f.is_file()) < 40e6
    assert not [f for f in release.folder.rglob("*") if f.suffix in (".pt", ".pkl", ".html")]
    assert [f.name for f in out.iterdir()] == ["one"]  # nothing half-made is left
    metrics = json.loads((release.folder / "metrics.json").read_text())
    assert metrics["scores"]["sub"]["photos"] == 24
    assert metrics["kinds"]["photos"]["photos"] == 24
    assert release.familiar is not None
    assert np.isfinite(release.familiar.far).all()
    features = Predictor(release).scores(data.serving_pixels(photos))["features"]
    assert features.shape == (24, 512)
    assert not release.familiar.look(features).far.all()
    assert set(metrics["agreement"]) == set(HEADS)
    card = (release.folder / "card.md").read_text()
    assert "24 photos" in card
    assert "points lost" in card
    Predictor(release).check_golden()
    with pytest.raises(ReleaseError, match="a release is never changed"):
        make("one")


def test_a_release_is_made_anew_with_the_same_network_bit_for_bit(
    network: Network, photos: data.Photos, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Other held-out photos set its numbers; the files of the network, and what they were made from, stay."""
    every = np.arange(len(photos))
    run = replace(run_of(network, photos), trained=("main", "sub", "background"))
    save_held_out(tmp_path, run, photos, every)
    (tmp_path / "golden").mkdir()

    def make(run: Run, held_out: Path, version: str) -> releases.Release:
        return export.export(
            run,
            load_held_out(held_out),
            photos,
            photos,
            golden=tmp_path / "golden",
            out=tmp_path / "releases",
            version=version,
        )

    first = make(run, tmp_path / "held_out.npz", "one")
    labels = label_sets(photos, every) | {"sub": np.full(len(every), UNKNOWN)}
    scores = raw_scores(network, photos, every)
    scores["background"] = scores["background"] + np.array([3.0, 0.0], np.float32)
    save_scores(tmp_path / "looks.npz", scores, labels, photos, every)
    second = make(load_run(first.folder), tmp_path / "looks.npz", "two")
    for file in ("model.onnx", "weights.safetensors"):
        assert (second.folder / file).read_bytes() == (first.folder / file).read_bytes()
    assert second.classes.thresholds == first.classes.thresholds
    assert second.classes.offsets["background"] < first.classes.offsets["background"]
    assert second.classes.heads == ("main", "sub", "background")
    assert "release one, bit for bit" in (second.folder / "card.md").read_text()
    assert [str(w.message) for w in recwarn if "Trac" in w.category.__name__] == []


def test_a_head_that_nobody_trained_keeps_no_release_from_use(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    """Its answers differ in 8 bits as noise does; it does not count and does not answer."""
    run = replace(run_of(network, photos), trained=("main", "sub"))
    save_held_out(tmp_path, run, photos, np.arange(len(photos)))
    (tmp_path / "golden").mkdir()
    release = export.export(
        run,
        load_held_out(tmp_path / "held_out.npz"),
        photos,
        photos,
        golden=tmp_path / "golden",
        out=tmp_path / "releases",
        version="mine",
    )
    assert set(release.metrics["scores"]) == set(release.metrics["agreement"]) == {"main", "sub"}
    same = {head: {"same": 1.0, "lost": 0.0} for head in ("main", "sub")}
    metrics = release.metrics | {"agreement": same}
    (release.folder / "metrics.json").write_text(json.dumps(metrics))
    releases.seal(release.folder)
    promotion.promote(tmp_path / "releases", "mine")
    answer = Predictor(releases.load(release.folder)).predict(data.serving_pixels(photos))[0]
    assert list(answer.answers()) == ["main", "sub"]
    assert not [plot for plot in release.folder.rglob("*.png") if plot.stem in ("background", "colour")]


def test_photos_that_a_run_has_learned_from_are_no_test(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    run = replace(run_of(network, photos), learned=frozenset(photos.sha256[:20].tolist()))
    save_run(tmp_path, run)
    save_held_out(tmp_path, run, photos, np.arange(20, 24))
    (tmp_path / "golden").mkdir()

    def make(test: data.Photos) -> releases.Release:
        return export.export(
            load_run(tmp_path),
            load_held_out(tmp_path / "held_out.npz"),
            photos,
            test,
            golden=tmp_path / "golden",
            out=tmp_path / "releases",
            version="mine",
            quantised=False,
        )

    with pytest.raises(ReleaseError, match=r"learned from all of these 20 photos.*--part"):
        make(photos.take(np.arange(20)))
    release = make(photos)
    assert release.metrics["test"] == {"photos": 4, "learned": 20, "crossed": False, "set_by": 4}
    assert load_run(release.folder).learned == run.learned
    card = (release.folder / "card.md").read_text()
    assert "took no part in training" not in card
    assert "On 4 photos that it has not learned from" in card
    caution = export.nothing_filed(release)
    assert "mine would file nothing" in caution
    assert "the 4 photos that set its thresholds are too few" in caution
    assert "Even 0.9 is too much" in caution


def test_thresholds_that_judge_a_held_out_photo_were_set_by_photos_of_other_groups(
    network: Network, photos: data.Photos
) -> None:
    rng, count, classes = np.random.default_rng(0), 600, photos.classes
    sub = rng.integers(len(classes.subs), size=count)
    main = np.array([classes.mains.index(classes.main_of[classes.subs[i]]) for i in sub])
    scores = {
        "sub": 4 * np.eye(len(classes.subs))[sub] + rng.normal(0, 1, (count, len(classes.subs))),
        "main": 4 * np.eye(len(classes.mains))[main],
        "background": np.zeros((count, 2)),
        "colour": np.zeros((count, len(classes.colours))),
        "clothing": np.full(count, 5.0),
    }
    nobody = np.full(count, UNKNOWN)
    labels = {"main": main, "sub": sub, "background": nobody, "colour": nobody, "clothing": nobody}
    groups = np.arange(count) // 20
    held_out = HeldOutScores(scores, labels, kinds=np.full(count, "shop"), groups=groups)
    run = run_of(network, photos)
    _, filed = export.judged_by_others(run, held_out, 0.9)
    assert filed.mean() > 0.3
    wrong = (sub + 1) % len(classes.subs)
    for group in (0, 1):
        here = groups == group
        other = replace(held_out, labels=labels | {"sub": np.where(here, wrong, sub)})
        assert (export.judged_by_others(run, other, 0.9)[1][here] == filed[here]).all()


def test_too_few_right_golden_photos_make_no_release(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    save_held_out(tmp_path, run_of(network, photos), photos, np.arange(len(photos)))
    held_out = load_held_out(tmp_path / "held_out.npz")
    golden = tmp_path / "golden"
    golden.mkdir()
    pixels = data.serving_pixels(photos.take(np.arange(1)))
    with torch.inference_mode():
        scores = network(normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255))
    wrong = photos.classes.subs[int(scores.sub.argmin())]
    Image.fromarray(pixels[0]).save(golden / f"{wrong}-red-acceptable.png")
    with pytest.raises(ReleaseError, match="0 of 1 golden photos right"):
        export.export(
            run_of(network, photos),
            held_out,
            photos,
            photos,
            golden=golden,
            out=tmp_path / "releases",
            version="bad",
            quantised=False,
        )
    assert list((tmp_path / "releases").iterdir()) == []


def told(heads: tuple[str, ...] = ("main", "sub", "colour"), colour: float = 0.92) -> dict[str, Any]:
    """What a release without backgrounds measured."""
    row = {
        "photos": 9,
        "score": 0.5,
        "interval": [0.4, 0.6],
        "top3": 1.0,
        "f1": 0.5,
        "calibration_error": 0.1,
    }
    return {
        "version": "v",
        "story": {"made_from": ["9 photos"]},
        "review": {"promised": 0.97, "filed": 0.8, "precision": 0.98},
        "promises": [{"promised": 0.97, "filed": 0.8, "precision": 0.98}],
        "doubts": {"any": {"share": 0.25}, "colour": {"share": 0.2, "right": 0.91}},
        "scores": dict.fromkeys(heads, row),
        "agreement": {head: {"same": 0.99, "lost": 0.001} for head in heads},
        "test": {"photos": 9, "learned": 0, "set_by": 0},
        "clothing_suspected": 0.02,
        "held_out": {
            "photos": 7,
            "sub": 0.6,
            "doubts": {"any": {"share": 0.3}, "colour": {"share": 0.3, "right": colour}},
            "looks": {"colour": 6},
        },
        "quantised": True,
        "size": 144,
        "milliseconds": {"8-bit": 5.0, "float": 15.0},
        "processor": "P (avx2)",
    }


CLASSES = Classes(("a",), ("b",), {"b": "a"}, heads=("main", "sub", "colour"))


def test_the_card_lists_the_fields_of_a_recipe_that_there_are_and_no_others() -> None:
    text = card(told(), CLASSES, {"epochs": 3, "distil": 2.0})
    assert "- epochs: 3" in text
    assert "[recipe.toml](recipe.toml)" in text
    assert "distil" not in text
    assert "## Recipe" not in card(told(), CLASSES)


def test_the_card_names_what_the_numbers_say() -> None:
    text = card(told(), CLASSES)
    assert "| sub | 9 | 0.500 | 0.400 to 0.600 |" in text
    assert "| 0.97 | 80.0% | 98.0% | 20.0% |" in text
    assert "On 9 photos that took no part in training or in setting a threshold." in text
    assert "half-and-half mixture" in text
    assert "| colour | 0.90 | 0.910 | 0.920 | 6 |" in text
    assert "falls short" not in text


def test_the_card_says_for_which_kinds_the_promise_was_measured_and_from_when_a_night_is_called_unlike() -> (
    None
):
    of_shop = {"photos": 50, "sub": 0.9, "filed": 0.7, "right": 0.98}
    held_out = told()["held_out"] | {
        "kinds": {"shop": of_shop, "worn": of_shop | {"filed": 0.0, "right": None}},
        "unlike": {"share": 0.08, "photos": 100, "false_alarms": 0.01},
    }
    text = card(told() | {"held_out": held_out}, CLASSES)
    assert "| shop | 50 | 0.900 | 70.0% | 98.0% |" in text
    assert "| worn | 50 | 0.900 | 0.0% |  |" in text
    assert "For other kinds the promise was not measured." in text
    assert "more than 8.0% of which are unlike those that it learned from" in text
    assert "By kind of photo" not in card(told(), CLASSES)


def test_the_card_is_silent_about_a_head_that_answers_nothing() -> None:
    text = card(told(), CLASSES)
    assert "| background" not in text
    assert "It has learned nothing of the background quality, and answers nothing there." in text
    text = card(told(("main", "sub")), replace(CLASSES, heads=("main", "sub")))
    assert "- colours:" not in text
    assert "| colour |" not in text


def test_the_card_says_where_a_promise_is_not_kept() -> None:
    text = card(told(colour=0.85), CLASSES)
    assert "The colour falls short of its promise" in text
    assert "that leaves 0.850" in text
    nothing = told()
    nothing["review"]["precision"] = nothing["promises"][0]["precision"] = None
    nothing["review"]["filed"] = nothing["promises"][0]["filed"] = 0.0
    text = card(nothing, CLASSES)
    assert "| 0.97 | 0.0% |  | 100.0% |" in text
    assert "no photo would be filed" in text


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"photos": 9, "learned": 3, "set_by": 0}, "3 others, from which it has learned, do not count"),
        ({"photos": 9, "learned": 0, "set_by": 4}, "4 of them set its temperatures and thresholds"),
        ({"photos": 9, "learned": None, "set_by": None}, "these may be among them"),
    ],
)
def test_photos_are_said_to_be_new_to_it_only_where_they_are(test: dict[str, Any], said: str) -> None:
    text = card(told() | {"test": test}, CLASSES)
    assert said in text
    assert ("took no part in training" in text) == (said.startswith("3"))


def test_rounding_the_first_weights_keeps_what_each_kernel_answers_to_an_even_colour() -> None:
    weights = np.random.default_rng(0).normal(size=(6, 3, 7, 7)).astype(np.float32)
    weights[0] = 0.0
    rounded = onnx_network.round_keeping_sums(weights)
    steps = (weights.max((1, 2, 3)).clip(min=0) - weights.min((1, 2, 3)).clip(max=0)) / 255
    on_grid = rounded[1:] / steps[1:, None, None, None]
    assert np.allclose(on_grid, np.round(on_grid), atol=1e-3)
    assert (np.abs(rounded - weights) <= steps[:, None, None, None] * 1.001).all()
    assert (np.abs((rounded - weights).sum((2, 3))) <= steps[:, None] * 0.51).all()
    one_by_one = np.round(weights[1:] / steps[1:, None, None, None]) * steps[1:, None, None, None]
    assert (np.abs((one_by_one - weights[1:]).sum((2, 3))) > steps[1:, None]).any()
