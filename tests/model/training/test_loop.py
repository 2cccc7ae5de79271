"""The loop's schedule and its moving average, and what it does with a checkpoint that it cannot go on from."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from model.serving.classes import WeightsError
from model.training import start
from model.training.data import load
from model.training.loop import _moving_average, _rate
from model.training.steps import load_checkpoint, save_checkpoint
from model.training.train import train
from tests.model.training.test_runs import QUICK, Make


def test_learning_rates_rise_over_the_first_tenth_and_fall_to_a_hundredth() -> None:
    assert [round(_rate(done), 4) for done in (0, 0.05, 0.1, 0.55, 1)] == [0.001, 0.5, 1.0, 0.505, 0.01]


def test_the_average_follows_fast_at_first_and_begins_with_the_first_weights() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    average: AveragedModel = AveragedModel(layer, multi_avg_fn=_moving_average(0.15))
    average.n_averaged.fill_(1)
    nn.init.ones_(layer.weight)
    seen = []
    for _ in range(3):
        average.update_parameters(layer)
        seen.append(next(average.parameters()).item())
    # a tenth is kept of the first weights, then 2/11, then no more than the decay
    assert seen == pytest.approx([0.9, 1 - 0.1 * 0.15, 1 - 0.1 * 0.15 * 0.15])


def test_a_checkpoint_of_an_earlier_version_is_refused_with_what_to_do(
    make_photos: Make, tmp_path: Path
) -> None:
    photos = load(make_photos(each=2), progress=False)
    learn, held_out = photos.fold(0, of=2)
    network = start.begin(photos.classes, QUICK, init=Path("none")).network
    recipe, run = QUICK, tmp_path / "run"
    train(network, photos, learn, held_out, recipe, run, progress=False)
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    del saved["schedule"]
    save_checkpoint(run / "checkpoint.pt", saved)
    assert load_checkpoint(run / "checkpoint.pt", saved["origin"])
    network = start.begin(photos.classes, recipe, init=Path("none")).network
    with pytest.raises(WeightsError, match="is of an earlier version: remove it, and the run begins anew"):
        train(network, photos, learn, held_out, recipe, run, progress=False)
