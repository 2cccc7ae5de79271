"""The teacher learns the categories, answers for whatever the network is shown, and the network listens."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from model.torch_ops import torchvision
from model.training import data, loop, train
from model.training.labels import UNKNOWN
from model.training.recipe import Recipe
from model.training.start import begin
from model.training.teacher import CategoryScores, Teacher, ensemble, train_teacher

Make = Callable[..., Path]
QUICK = Recipe(
    epochs=4,
    last_epochs=0,
    size=64,
    last_size=64,
    serve_size=64,
    batch=10,
    rate=1e-3,
    average=0.5,
    palette_epochs=1,
    views=1,
    teacher_epochs=2,
)
NOBODY = np.array([], int)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50 weights in torchvision's layout: random ones, so that nothing is downloaded."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    safetensors.torch.save_file(torchvision.models.resnet50(weights=None).state_dict(), path)
    return path


class Stubborn(nn.Module):
    """Takes every photo for the same."""

    def __init__(self, photos: data.Photos, main: int, sub: int) -> None:
        super().__init__()
        self.said = CategoryScores(
            20.0 * torch.eye(len(photos.classes.mains))[main], 20.0 * torch.eye(len(photos.classes.subs))[sub]
        )

    def forward(self, pixels: Tensor) -> CategoryScores:
        return CategoryScores(*(scores.expand(len(pixels), -1) for scores in self.said))


def test_it_learns_and_leaves_its_curves(make_photos: Make, tmp_path: Path, large: Path) -> None:
    photos = data.load(make_photos(each=6), progress=False)
    learn, held_out = photos.fold(0, of=4)
    taught = train_teacher(photos, learn, held_out, large, QUICK, tmp_path / "run", progress=False)
    said = taught(torch.zeros(2, 3, 64, 64))
    assert said.main.shape == (2, len(photos.classes.mains))
    assert said.sub.shape == (2, len(photos.classes.subs))
    lines = [json.loads(line) for line in (tmp_path / "run/teacher/scores.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["size"]) for line in lines] == [(1, 32), (2, 64)]
    assert {"sub", "main", "loss/categories"} <= set(lines[0])
    assert (tmp_path / "run/teacher/curves.png").stat().st_size > 1000


def test_its_lower_half_stays_as_it_was(make_photos: Make, tmp_path: Path, large: Path) -> None:
    photos = data.load(make_photos(each=4), progress=False)
    recipe = replace(QUICK, teacher_epochs=1, batch=4)
    taught = train_teacher(photos, np.arange(len(photos)), NOBODY, large, recipe, tmp_path, progress=False)
    before = dict(Teacher(photos.classes, large).named_parameters())
    changed = {
        name.split(".")[0]
        for name, value in taught.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert changed == {"layer3", "layer4", "answer"}


def test_it_goes_on_from_its_last_epoch_and_ends_as_if_nothing_had_been(
    make_photos: Make, tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = data.load(make_photos(each=4), progress=False)

    def run(folder: str) -> Tensor:
        everyone = np.arange(len(photos))
        taught = train_teacher(photos, everyone, NOBODY, large, QUICK, tmp_path / folder, progress=False)
        return torch.cat([value.flatten().double() for value in taught.state_dict().values()])

    def dies(run: Path, line: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "record", dies)
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    assert torch.equal(run("killed"), run("whole"))
    lines = (tmp_path / "killed/teacher/scores.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [2]


def test_photos_without_a_label_are_learned_from_what_the_teacher_says(
    make_photos: Make, tmp_path: Path
) -> None:
    photos = data.load(make_photos(each=10), progress=False)
    nothing = np.full(len(photos), UNKNOWN)
    photos = replace(photos, sub=nothing, main=nothing)
    init = tmp_path / "resnet18.safetensors"
    torch.manual_seed(0)
    safetensors.torch.save_file(torchvision.models.resnet18(weights=None).state_dict(), init)
    for main, sub in ((0, 0), (1, 2)):
        network = train.train(
            begin(photos.classes, QUICK, init=init).network,
            photos,
            np.arange(len(photos)),
            NOBODY,
            QUICK,
            tmp_path / f"run{sub}",
            teachers=[Stubborn(photos, main, sub)],
            progress=False,
        )
        scores = train.raw_scores(network, photos, np.arange(len(photos)), 64)
        assert (scores["sub"].argmax(1) == sub).mean() > 0.9
        assert (scores["main"].argmax(1) == main).mean() > 0.9


def test_two_teachers_say_the_mean_of_their_log_probabilities(make_photos: Make) -> None:
    photos = data.load(make_photos(each=2), progress=False)
    sure, other = Stubborn(photos, 0, 0), Stubborn(photos, 1, 2)
    said = ensemble([sure, other], torch.zeros(3, 3, 32, 32))
    assert torch.allclose(torch.softmax(said.sub, 1)[:, [0, 2]], torch.full((3, 2), 0.5), atol=1e-3)
    assert torch.allclose(
        ensemble([sure], torch.zeros(1, 3, 32, 32)).sub[0], torch.log_softmax(sure.said.sub, 0)
    )


def test_weights_that_are_no_whole_resnet50_are_refused(
    make_photos: Make, tmp_path: Path, large: Path
) -> None:
    photos = data.load(make_photos(each=2), progress=False)
    state = safetensors.torch.load_file(large)
    part = {name: tensor for name, tensor in state.items() if not name.startswith("layer4")}
    safetensors.torch.save_file(part, tmp_path / "part.safetensors")
    with pytest.raises(ValueError, match="no whole ResNet-50"):
        Teacher(photos.classes, tmp_path / "part.safetensors")
