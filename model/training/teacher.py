"""What a larger network knows: a ResNet-50 learns the categories first, and then teaches the small one.

    teacher = train_teacher(photos, learn, held_out, Path("resnet50.safetensors"), Recipe(), Path("runs/first"))
    train(photos, learn, held_out, Recipe(), Path("runs/first"), teachers=[teacher])

Alone it is no better than the small network, but it errs elsewhere: what both say together is better than either, and
a part of that can be learned (docs/experiments.md). It answers for every crop, blend and new background that the small
one is shown (Beyer et al. 2022), and for photos without a label as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from model.network import as_seen, load_weights
from model.serving.answers import joint
from model.serving.classes import Classes, WeightsError
from model.torch_ops import torchvision
from model.training.augment import Batch
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.training.loop import Task, learn_in_epochs
from model.training.origin import origin_of
from model.training.recipe import Recipe
from model.training.steps import category_losses, whole_photos

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
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher = Teacher(photos.classes, weights)
    teacher.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learn = learn[photos.sub[learn] != UNKNOWN]
    origin = origin_of(photos, learn, held_out, recipe, teacher)
    small = max(32, recipe.size * 4 // 5 // 32 * 32)
    half = recipe.teacher_epochs // 2

    def losses(pixels: Tensor, batch: Batch) -> dict[str, Tensor]:
        said = teacher(pixels)
        found = category_losses(said.main, said.sub, batch, recipe.smoothing)
        return {"categories": found["sub"] + found["main"]}

    task = Task(
        teacher,
        parts=[
            (teacher.layer3.parameters(), recipe.teacher_rate),
            (teacher.layer4.parameters(), 2 * recipe.teacher_rate),
            (teacher.answer.parameters(), 10 * recipe.teacher_rate),
        ],
        frozen=[teacher.frozen],
        sizes=[small] * half + [recipe.size] * (recipe.teacher_epochs - half),
        losses=losses,
        check=lambda average, size: _check(average, photos, held_out, size) if len(held_out) else {},
        average=AVERAGE,
        # it has few epochs, and goes through all of them
        patience=recipe.teacher_epochs + 1,
        title="teacher, epoch",
    )
    return learn_in_epochs(task, photos, learn, recipe, run / "teacher", origin, progress=progress)


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
