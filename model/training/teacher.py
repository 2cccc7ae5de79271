"""What a larger network knows: a ResNet-50 learns the categories first, and then teaches the small one.

    teacher = train_teacher(photos, learn, held_out, Path("resnet50.safetensors"), Recipe(), Path("runs/first"))
    train(photos, learn, held_out, Recipe(), Path("runs/first"), teachers=[teacher])

Alone it is no better than the small network, but it errs elsewhere: what both say together is better than either, and
a part of that can be learned (docs/experiments.md). It answers for every crop, blend and new background that the small
one is shown (Beyer et al. 2022), and for photos without a label as well.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from model.network import as_seen, load_weights
from model.serving.answers import joint
from model.serving.classes import Classes, WeightsError
from model.torch_ops import torchvision
from model.training.augment import Augmenter
from model.training.curves import record
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.training.origin import origin_of
from model.training.recipe import Recipe
from model.training.steps import (
    Steps,
    category_losses,
    draw_rates,
    fast_bfloat16,
    load_checkpoint,
    optimiser_step,
    save_checkpoint,
    set_rates,
    whole_photos,
)

AVERAGE: Final = 0.99
"""Decay, a step, of the moving average of the teacher's weights: it has few steps."""


class CategoryScores(NamedTuple):
    """Scores of main and sub for N photos, before any softmax."""

    main: Tensor
    """(N, mains)."""
    sub: Tensor
    """(N, subs)."""


class Teacher(nn.Module):
    """ResNet-50 that knows main and sub; takes normalised pixels, float (N, 3, h, w)."""

    def __init__(self, classes: Classes, weights: Path) -> None:
        """Start from ImageNet weights in torchvision's key layout. Raises WeightsError for others."""
        super().__init__()
        body = torchvision.models.resnet50(weights=None)
        shapes = {name: tensor.shape for name, tensor in body.state_dict().items()}
        found = load_weights(weights)
        if any(found[name].shape != shapes.get(name) for name in found) or any(
            name not in found and not name.startswith("fc.") for name in shapes
        ):
            raise WeightsError(f"{weights} is no whole ResNet-50 in torchvision's layout.")
        body.load_state_dict(found, strict=False)
        stem = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool)
        self.frozen = nn.Sequential(stem, body.layer1, body.layer2).requires_grad_(False)
        self.layer3, self.layer4 = body.layer3, body.layer4
        self.answer = nn.Linear(2048, len(classes.mains) + len(classes.subs))
        nn.init.zeros_(self.answer.weight)
        self.mains = len(classes.mains)

    def forward(self, pixels: Tensor) -> CategoryScores:
        """Score N photos."""
        seen = self.layer4(self.layer3(self.frozen(pixels)))
        answers: Tensor = self.answer(seen.mean((2, 3)))
        return CategoryScores(answers[:, : self.mains], answers[:, self.mains :])

    def learning(self) -> None:
        """Training mode, but for the frozen layers' statistics."""
        self.train()
        self.frozen.eval()


@torch.no_grad()
def ensemble(teachers: Sequence[nn.Module], pixels: Tensor) -> CategoryScores:
    """The means of all teachers' log-probabilities for the same (N, 3, h, w) pixels."""
    said = [teacher(pixels) for teacher in teachers]
    return CategoryScores(
        main=torch.stack([torch.log_softmax(one.main, 1) for one in said]).mean(0),
        sub=torch.stack([torch.log_softmax(one.sub, 1) for one in said]).mean(0),
    )


def train_teacher(
    photos: Photos,
    learn: np.ndarray,
    held_out: np.ndarray,
    weights: Path,
    recipe: Recipe,
    run: Path,
    *,
    progress: bool = True,
) -> Teacher:
    """Train the teacher's upper half on the photos at `learn` that have a label, at `recipe.size` and first in small.

    Kept in `run/teacher`, and goes on from its checkpoint there. Scored every epoch on the photos at `held_out` (may be
    empty). Returns the average of its weights, in evaluation mode.
    """
    run = run / "teacher"
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    state = _State.begin(photos.classes, weights, recipe)
    learn = learn[photos.sub[learn] != UNKNOWN]
    origin = origin_of(photos, learn, held_out, recipe, state.teacher)
    state.resume(run / "checkpoint.pt", origin)
    augmenter, rates = Augmenter(photos, blend=recipe.blend), draw_rates(photos, learn, recipe)
    while state.epoch < recipe.teacher_epochs:
        small = state.epoch < recipe.teacher_epochs // 2
        size = max(32, recipe.size * 4 // 5 // 32 * 32) if small else recipe.size
        steps = Steps(augmenter, learn, rates, size, recipe, state.epoch)
        loss = _train_epoch(state, steps, recipe, progress)
        scores = _check(state.average, photos, held_out, size) if len(held_out) else {}
        state.epoch += 1
        state.save(run / "checkpoint.pt", origin)
        record(run, {"epoch": state.epoch, "size": size, "loss/categories": loss, **scores})
    return state.average.eval()


@dataclass
class _State:
    """What changes from step to step, and what a checkpoint keeps."""

    teacher: Teacher
    average: Teacher
    optimiser: torch.optim.AdamW
    epoch: int = 0

    @staticmethod
    def begin(classes: Classes, weights: Path, recipe: Recipe) -> _State:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        teacher = Teacher(classes, weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        parts = ((teacher.layer3, 1.0), (teacher.layer4, 2.0), (teacher.answer, 10.0))
        groups = [{"params": list(part.parameters()), "scale": scale} for part, scale in parts]
        optimiser = torch.optim.AdamW(groups, lr=recipe.teacher_rate, weight_decay=recipe.decay, fused=True)
        return _State(teacher, copy.deepcopy(teacher), optimiser)

    def save(self, path: Path, origin: Mapping[str, Any]) -> None:
        save_checkpoint(
            path,
            {
                "origin": origin,
                "teacher": self.teacher.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "epoch": self.epoch,
            },
        )

    def resume(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Go on from a checkpoint of the same training, if there is one."""
        saved = load_checkpoint(path, origin, self.teacher.answer.weight.device)
        if saved:
            self.teacher.load_state_dict(saved["teacher"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.epoch = saved["epoch"]


def _train_epoch(state: _State, steps: Steps, recipe: Recipe, progress: bool) -> float:
    """One pass; returns the mean loss."""
    state.teacher.learning()
    device = state.teacher.answer.weight.device
    total = 0.0
    name = f"teacher, epoch {state.epoch + 1}/{recipe.teacher_epochs}"
    bar = tqdm(steps.ahead(), total=len(steps), desc=name, disable=not progress)
    for step, drawn in enumerate(bar):
        set_rates(
            state.optimiser, recipe.teacher_rate, (state.epoch + step / len(steps)) / recipe.teacher_epochs
        )
        batch = drawn.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device)):
            said = state.teacher(as_seen(batch.pixels, device))
            losses = category_losses(said.main, said.sub, batch, recipe.smoothing)
        number = state.epoch * len(steps) + step
        optimiser_step(number, losses, state.teacher, state.average, state.optimiser, AVERAGE)
        total += sum(loss.item() for loss in losses.values())
        bar.set_postfix({"loss": f"{total / (step + 1):.3f}"})
    return total / len(steps)


@torch.inference_mode()
def _check(teacher: Teacher, photos: Photos, which: np.ndarray, size: int) -> dict[str, float]:
    """Accuracy of main and sub on whole photos."""
    device = teacher.eval().answer.weight.device
    found = [teacher(as_seen(pixels, device)) for pixels in whole_photos(photos, which, size)]
    main, sub = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    sub, main = joint(sub, main, photos.classes)
    return {
        "sub": float((sub.argmax(1) == photos.sub[which]).mean()),
        "main": float((main.argmax(1) == photos.main[which]).mean()),
    }
