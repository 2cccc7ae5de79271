"""Training learns, repeats itself exactly, and goes on after any kind of death."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from model.__main__ import main
from model.network import Network, load_backbone
from model.serving.classes import WeightsError
from model.torch_ops import torchvision
from model.training import data
from model.training.palette import _rates
from model.training.recipe import Recipe
from model.training.start import begin
from model.training.train import check, raw_scores, train

Make = Callable[..., Path]
QUICK = Recipe(
    epochs=2, last_epochs=1, size=32, last_size=48, serve_size=32, batch=8, palette_epochs=2, views=1
)


@pytest.fixture(scope="session")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-18 weights in torchvision's layout: random ones, so that nothing is downloaded."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    state = torchvision.models.resnet18(weights=None).state_dict()
    safetensors.torch.save_file(
        {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in state.items()}, path
    )
    return path


def run(root: Path, folder: Path, init: Path, recipe: Recipe = QUICK) -> Network:
    photos = data.load(root, progress=False)
    learn, held_out = photos.fold(0, of=4)
    network = begin(photos.classes, recipe, init=init).network
    return train(network, photos, learn, held_out, recipe, folder, progress=False)


def weights(network: Network) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def test_a_run_repeats_itself_and_leaves_its_curves(make_photos: Make, tmp_path: Path, init: Path) -> None:
    root = make_photos(each=8)
    one, other = (run(root, tmp_path / name, init) for name in ("one", "other"))
    assert torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), weights(run(root, tmp_path / "third", init, replace(QUICK, seed=1))))
    lines = [json.loads(line) for line in (tmp_path / "one" / "scores.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["size"]) for line in lines] == [(1, 32), (2, 48)]
    assert {"sub", "main", "background", "colour", "loss/sub"} <= set(lines[0])
    assert (tmp_path / "one" / "curves.png").stat().st_size > 1000
    assert list((tmp_path / "one" / "events").glob("events.out.tfevents.*"))


def test_it_goes_on_after_kill_9_and_ends_as_if_nothing_had_been(
    make_photos: Make, tmp_path: Path, init: Path
) -> None:
    root = make_photos(each=6)
    recipe = replace(QUICK, epochs=3)
    whole = run(root, tmp_path / "whole", init, recipe)
    program = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        "from tests.model.training.test_train import run, QUICK\n"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), replace(QUICK, epochs=3))"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", program, root, killed, init],
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # exactly alike, as in this process
    )
    deadline = time.monotonic() + 240
    while not (killed / "checkpoint.pt").is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (killed / "checkpoint.pt").is_file()
    assert torch.equal(weights(run(root, killed, init, recipe)), weights(whole))


def test_another_recipe_does_not_go_on_from_a_runs_checkpoint(
    make_photos: Make, tmp_path: Path, init: Path
) -> None:
    root = make_photos(each=4)
    run(root, tmp_path / "run", init, replace(QUICK, epochs=1))
    with pytest.raises(ValueError, match=r"--rate 0\.0004 instead of 0\.001"):
        run(root, tmp_path / "run", init, replace(QUICK, epochs=1, rate=1e-3))


def test_it_stops_early_when_nothing_gets_better(make_photos: Make, tmp_path: Path, init: Path) -> None:
    run(make_photos(each=4), tmp_path / "run", init, replace(QUICK, epochs=9, rate=0.0, patience=2))
    assert len((tmp_path / "run" / "scores.jsonl").read_text().splitlines()) == 3


def test_forms_and_colours_are_learned(make_photos: Make, tmp_path: Path, init: Path) -> None:
    """From random weights, 60 small drawings, a quarter of a minute: far better than the chance of 1 in 3."""
    photos = data.load(make_photos(each=20), progress=False)
    recipe = replace(QUICK, epochs=8, last_epochs=0, size=48, last_size=48, batch=10, rate=1e-3, average=0.8)
    recipe = replace(recipe, palette_epochs=40, views=2)
    network = begin(photos.classes, recipe, init=init).network
    network = train(
        network, photos, np.arange(60), np.array([], int), recipe, tmp_path / "run", progress=False
    )
    scores = check(network, photos, np.arange(60), 48)
    assert scores["sub"] > 0.8
    assert scores["colour"] > 0.9
    assert scores["background"] > 0.9


def test_a_photo_gets_the_same_scores_in_any_company(make_photos: Make, init: Path) -> None:
    photos = data.load(make_photos(each=4), progress=False)
    network = Network(photos.classes)
    load_backbone(network, init)
    together = raw_scores(network, photos, np.arange(12), 64)
    alone = raw_scores(network, photos, np.array([5]), 64)
    assert np.allclose(together["sub"][5], alone["sub"][0], atol=1e-4)


def test_weights_that_lack_layers_leave_these_at_random(
    make_photos: Make, tmp_path: Path, init: Path
) -> None:
    state = safetensors.torch.load_file(init)
    part = {name: tensor for name, tensor in state.items() if not name.startswith("layer4.1")}
    safetensors.torch.save_file(part, tmp_path / "part.safetensors")
    photos = data.load(make_photos(each=2), progress=False)
    missing = load_backbone(Network(photos.classes), tmp_path / "part.safetensors")
    assert missing
    assert all(name.startswith("layer4.1") for name in missing)
    assert load_backbone(Network(photos.classes), init) == []


def wrong_weights(kind: str, path: Path) -> Path:
    """A file that holds no ResNet-18: another network, none of one, no weights at all, or not there."""
    if kind in ("resnet50", "resnet34"):
        state = getattr(torchvision.models, kind)(weights=None).state_dict()
        safetensors.torch.save_file(state, path)
    elif kind == "another":
        safetensors.torch.save_file({"features.0.weight": torch.zeros(1)}, path)
    elif kind == "only its end":
        safetensors.torch.save_file({"fc.weight": torch.zeros(1000, 512)}, path)
    elif kind == "a text":
        path.write_text("no weights")
    elif kind == "a folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [("another", "no ResNet-18 in torchvision's layout: it holds features"), ("resnet50", "no ResNet-18"),
     ("resnet34", "no ResNet-18"), ("only its end", "no ResNet-18"), ("a text", "cannot be read"),
     ("a folder", "a folder"), ("missing", "does not exist")],
)  # fmt: skip
def test_weights_of_another_network_are_refused(
    make_photos: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, why: str
) -> None:
    weights = wrong_weights(kind, tmp_path / "other.safetensors")
    root = make_photos(each=2)
    with pytest.raises(WeightsError, match=why if weights.is_file() else "cannot be read"):
        load_backbone(Network(data.load(root, progress=False).classes), weights)
    command = ["train", "--data", str(root), "--run", str(tmp_path / "run"), "--init", str(weights)]
    assert main(command) == 2
    assert why in capsys.readouterr().err


def test_without_a_network_the_missing_weights_are_told_with_what_to_do(
    make_photos: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "store"))
    root = str(make_photos(each=2))
    assert main(["train", "--data", root, "--run", str(tmp_path / "run"), "--init", "imagenet"]) == 2
    said = capsys.readouterr().err
    assert "weights cannot be fetched" in said
    assert "--init" in said
    assert "Traceback" not in said


def options(recipe: Recipe) -> list[str]:
    """The recipe on the command line."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in asdict(recipe).items()]


HEADS_ALONE = replace(QUICK, epochs=0)


@pytest.mark.parametrize(
    "recipe", [replace(QUICK, epochs=1), HEADS_ALONE], ids=["epochs", "categories alone"]
)
def test_a_folder_that_holds_another_training_is_refused_with_what_differs(
    make_photos: Make, tmp_path: Path, init: Path, capsys: pytest.CaptureFixture[str], recipe: Recipe
) -> None:
    root = make_photos(each=6)
    given = ["--data", str(root), "--run", str(tmp_path / "run"), "--init", str(init), *options(recipe)]
    command = ["train", *given, "--fold=0", "--folds=3"]
    assert main(command) == 0
    assert main(command) == 0  # the same goes on, and ends

    def refused(*more: str) -> str:
        assert main([*command, *more]) == 2
        return capsys.readouterr().err

    assert "--rate 0.0004 instead of 0.1" in refused("--rate=0.1")
    assert "other held-out photos" in refused("--fold=1")
    other = safetensors.torch.load_file(init)
    other["conv1.weight"] = other["conv1.weight"] * 2
    safetensors.torch.save_file(other, tmp_path / "other.safetensors")
    assert "other weights to begin with" in refused("--init", str(tmp_path / "other.safetensors"))
    masks = tmp_path / "masks"
    masks.mkdir()
    np.savez(masks / "masks.npz", k=np.full((8, 8), 255, np.uint8))
    (masks / "masks.csv").write_text(
        "key,file\nk,train/0_pants/1.jpg\nk,train/0_pants/2.jpg\nk,train/0_pants/3.jpg\n"
    )
    assert "other masks" in refused("--masks", str(masks))
    extra = tmp_path / "extra"
    shutil.copytree(root / "train" / "0_pants", extra)
    assert "other photos to learn from" in refused("--extra", str(extra))
    labels = (root / "labels.csv").read_text()
    (root / "labels.csv").write_text(labels.replace(",blue,", ",red,"))
    assert "other labels" in refused()
    (root / "labels.csv").write_text(labels)
    (root / "train" / "2_heels").rename(root / "train" / "2_dress")
    (root / "labels.csv").write_text(labels.replace("2_heels", "2_dress"))
    assert "other classes" in refused()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"cut off")
    assert "checkpoint.pt cannot be read: remove it" in refused()


def test_a_run_that_is_none_is_neither_begun_from_nor_exported(
    make_photos: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(make_photos(each=2))
    assert main(["train", "--data", root, "--run", str(tmp_path / "run"), "--start", str(tmp_path)]) == 2
    assert f"There is no finished run in {tmp_path}" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "new", "--data", root]) == 2
    assert f"There is no finished run in {tmp_path}" in capsys.readouterr().err


def test_the_rare_kinds_backgrounds_are_learned_from_as_well(make_photos: Make) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    photos.kind[:], photos.background[:] = "shop", 0
    photos.kind[:4] = "home"
    photos.background[:1] = 1
    rates = _rates(photos, np.arange(24))
    assert float(rates[4:].sum()) < 20 / 24 * float(rates.sum())
    assert rates[0] > rates[1] > rates[4]
