"""The loop in which the network and its teacher learn: read it from top to bottom.

    average = learn_in_epochs(task, photos, learn, recipe, Path("runs/first"), origin)

A task says what learns, from which losses, and how it is scored (`train` and `teacher` make one each). The run folder
holds `checkpoint.pt` (written after every epoch; training goes on from it after any kind of death), `scores.jsonl` (one
line an epoch), `curves.png` and TensorBoard's event files. The same seed repeats a run exactly on one machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from model.network import as_seen
from model.serving.classes import WeightsError
from model.training.augment import Augmenter, Batch
from model.training.curves import record
from model.training.data import Photos
from model.training.recipe import Recipe
from model.training.steps import (
    Steps,
    draw_rates,
    fast_bfloat16,
    load_checkpoint,
    save_checkpoint,
    steps_in_epoch,
)

Learner = TypeVar("Learner", bound=nn.Module)

WARM: Final = 0.1
"""Share of all steps in which the learning rates rise."""


@dataclass(frozen=True)
class Task(Generic[Learner]):
    """What learns, and how.

    parts: what has parameters to learn, each with its peak learning rate; `frozen` are modules that stay as they are,
    their statistics too. sizes: the side of the photos in each epoch. losses: by name, of normalised pixels and their
    batch. check: scores of a network on held-out photos at a size; none where nothing is held out. patience: epochs
    without a better score after which it stops. average: decay, a step, of the moving average of the weights.
    """

    network: Learner
    parts: Sequence[tuple[Iterable[nn.Parameter], float]]
    frozen: Sequence[nn.Module]
    sizes: Sequence[int]
    losses: Callable[[Tensor, Batch], dict[str, Tensor]]
    check: Callable[[Learner, int], dict[str, float]]
    average: float
    patience: int
    title: str = "epoch"


def learn_in_epochs(
    task: Task[Learner],
    photos: Photos,
    learn: np.ndarray,
    recipe: Recipe,
    run: Path,
    origin: Mapping[str, Any],
    *,
    progress: bool = True,
) -> Learner:
    """Learn from the photos at `learn`, or go on from the run's checkpoint; returns the averaged network.

    origin: what the result depends on (see `origin`). Raises WeightsError where the checkpoint is of something else.
    """
    run.mkdir(parents=True, exist_ok=True)
    network, epochs = task.network, len(task.sizes)
    device = next(network.parameters()).device
    augmenter, rates = Augmenter(photos, blend=recipe.blend), draw_rates(photos, learn, recipe)
    all_steps = max(1, epochs * steps_in_epoch(learn, recipe))

    average = AveragedModel(network, multi_avg_fn=_moving_average(task.average))
    # the weights that it begins with count as the first, or the average would begin at the first step's
    average.n_averaged.fill_(1)
    averaged = cast(Learner, average.module)
    for module in task.frozen:
        module.requires_grad_(False)
    groups = [{"params": list(parameters), "lr": rate} for parameters, rate in task.parts]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay, fused=True)
    schedule = LambdaLR(optimiser, lambda step: _rate(step / all_steps))
    epoch, best, best_epoch = 0, -1.0, 0

    checkpoint = run / "checkpoint.pt"
    kept: dict[str, Any] = {
        "network": network,
        "average": average,
        "optimiser": optimiser,
        "schedule": schedule,
    }

    def save() -> None:
        state = {name: part.state_dict() for name, part in kept.items()}
        save_checkpoint(checkpoint, {"origin": origin, **state, "progress": (epoch, best, best_epoch)})

    saved = load_checkpoint(checkpoint, origin, device)
    if saved is None:
        # so that no other training goes on here
        save()
    elif not kept.keys() <= saved.keys():
        raise WeightsError(f"{checkpoint} is of an earlier version: remove it, and the run begins anew.")
    else:
        for name, part in kept.items():
            part.load_state_dict(saved[name])
        epoch, best, best_epoch = saved["progress"]

    while epoch < epochs and epoch - best_epoch < task.patience:
        torch.manual_seed(recipe.seed * 1000 + epoch)
        steps = Steps(augmenter, learn, rates, task.sizes[epoch], recipe, epoch)
        network.train()
        for module in task.frozen:
            module.eval()
        sums: dict[str, float] = {}
        title = f"{task.title} {epoch + 1}/{epochs}"
        bar = tqdm(steps.ahead(), total=len(steps), desc=title, disable=not progress)
        for step, drawn in enumerate(bar):
            batch = drawn.to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device)):
                losses = task.losses(as_seen(batch.pixels, device), batch)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            bar.set_postfix({name: f"{value / (step + 1):.3f}" for name, value in sums.items()})

        scores = task.check(averaged, task.sizes[epoch])
        epoch += 1
        score = scores.get("sub", 0.0) + 0.2 * (scores.get("background", 0.0) + scores.get("colour", 0.0))
        if not scores or score > best:
            best, best_epoch = score, epoch
        save()
        means = {f"loss/{name}": value / len(steps) for name, value in sums.items()}
        record(run, {"epoch": epoch, "size": steps.size, **means, **scores})

    return averaged.eval()


def _rate(done: float) -> float:
    """The share of the peak learning rates, `done` from 0 to 1: it rises, then falls along a cosine to a hundredth."""
    if done < WARM:
        return max(done / WARM, 1e-3)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (done - WARM) / (1 - WARM))) / 2


def _moving_average(decay: float) -> Callable[..., None]:
    """How the averaged weights move towards the present ones: faster in the first steps, when these are far off."""

    def update(means: Sequence[Tensor], present: Sequence[Tensor], averaged: Tensor) -> None:
        number = int(averaged)
        keep = min(decay, number / (9 + number))
        for mean, now in zip(means, present, strict=True):
            mean.lerp_(now, 1 - keep)

    return update
