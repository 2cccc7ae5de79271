"""A release is made whole, measured, and answers as the network that was trained."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model import data, export, releases
from model.classes import HEADS, Classes
from model.familiar import Familiar
from model.network import Network, normalise
from model.predictor import Predictor
from model.recipe import Recipe
from model.releases import ReleaseError
from model.train import familiarise

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


def run_of(network: Network, photos: data.Photos, familiar: Familiar | None = None) -> export.Run:
    story = export.story(
        Recipe(), photos, np.arange(len(photos)), init=Path("resnet18.safetensors"), teacher=None
    )
    return export.Run(network, photos.classes, story, familiar=familiar)


def test_the_float_network_answers_as_torch_does_for_a_photo_and_its_mirror_image(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    export.write_onnx(network, tmp_path / "float.onnx")
    pixels = data.serving_pixels(photos.take(np.arange(3)))
    given = export.scores_of(tmp_path / "float.onnx", pixels)
    mirrored = export.scores_of(tmp_path / "float.onnx", np.ascontiguousarray(pixels[:, :, ::-1]))
    seen = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    with torch.inference_mode():
        wanted = [network(seen), network(seen.flip(3))]
    for head in (*HEADS, "clothing"):
        mean = torch.stack([getattr(scores, head) for scores in wanted]).mean(0)
        assert np.allclose(given[head], mean.numpy(), atol=1e-3)
        assert np.allclose(given[head], mirrored[head], atol=1e-3)


def test_a_run_is_kept_and_read_again(network: Network, photos: data.Photos, tmp_path: Path) -> None:
    export.save_run(tmp_path, run_of(network, photos))
    kept = export.load_run(tmp_path)
    assert kept.classes == photos.classes
    assert torch.equal(kept.network.sub.weight, network.sub.weight)
    export.save_held_out(tmp_path, run_of(network, photos), photos, np.arange(5))
    held_out = export.load_held_out(tmp_path / "held_out.npz")
    assert held_out.scores["sub"].shape == (5, 3)
    assert held_out.labels["colour"].tolist() == photos.colour[:5].tolist()
    with pytest.raises(ReleaseError, match="--fold 0"):
        export.load_held_out(tmp_path / "nothing.npz")


def test_a_release_is_made_and_promoted_or_refused(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    export.save_held_out(tmp_path, run_of(network, photos), photos, np.arange(len(photos)))
    held_out = export.load_held_out(tmp_path / "held_out.npz")
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


def test_too_few_right_golden_photos_make_no_release(
    network: Network, photos: data.Photos, tmp_path: Path
) -> None:
    export.save_held_out(tmp_path, run_of(network, photos), photos, np.arange(len(photos)))
    held_out = export.load_held_out(tmp_path / "held_out.npz")
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


def test_the_card_names_what_the_numbers_say() -> None:
    row = {
        "photos": 9,
        "score": 0.5,
        "interval": [0.4, 0.6],
        "top3": 1.0,
        "f1": 0.5,
        "calibration_error": 0.1,
    }
    metrics = {
        "version": "v",
        "story": {"made_from": ["9 photos"], "recipe": {"epochs": 3}},
        "review": {"promised": 0.97, "filed": 0.8, "precision": 0.98},
        "scores": dict.fromkeys(HEADS, row),
        "agreement": {head: {"same": 0.99, "lost": 0.001} for head in HEADS},
        "test_photos": 9,
        "clothing_suspected": 0.02,
        "held_out": {"photos": 7, "sub": 0.6},
        "quantised": True,
        "size": 144,
        "milliseconds": {"8-bit": 5.0, "float": 15.0},
        "processor": "P (avx2)",
    }
    text = export.card(metrics, replace(Classes(("a",), ("b",), {"b": "a"})))
    assert "| sub | 9 | 0.500 | 0.400 to 0.600 |" in text
    assert "80.0% of the photos are filed without a person, 98.0% of these rightly" in text


def test_rounding_the_first_weights_keeps_what_each_kernel_answers_to_an_even_colour() -> None:
    weights = np.random.default_rng(0).normal(size=(6, 3, 7, 7)).astype(np.float32)
    weights[0] = 0.0
    rounded = export.round_keeping_sums(weights)
    steps = (weights.max((1, 2, 3)).clip(min=0) - weights.min((1, 2, 3)).clip(max=0)) / 255
    on_grid = rounded[1:] / steps[1:, None, None, None]
    assert np.allclose(on_grid, np.round(on_grid), atol=1e-3)
    assert (np.abs(rounded - weights) <= steps[:, None, None, None] * 1.001).all()
    assert (np.abs((rounded - weights).sum((2, 3))) <= steps[:, None] * 0.51).all()
    one_by_one = np.round(weights[1:] / steps[1:, None, None, None]) * steps[1:, None, None, None]
    assert (np.abs((one_by_one - weights[1:]).sum((2, 3))) > steps[1:, None]).any()
