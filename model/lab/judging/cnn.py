"""A small convolutional network on the background alone: what a picture adds to the numbers.

It has scikit-learn's interface (`fit`, `predict_proba`, `predict`, `classes_`), so it is trained, searched and
evaluated like every other model of the lab. Its input is the feature set `picture`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from torch import nn

from model.lab.numbers.picture import PICTURE_SIDE


class SmallCnn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Four convolutions, global average, one linear layer: about 25,000 weights.

    `fit` sees every photo mirrored and slightly shifted at random, weighs classes to equal shares, and repeats
    exactly with the same seed. A seventh of the photos is kept back: where their loss has not fallen for a third of
    `patience` epochs the learning rate is cut to a third, and after `patience` epochs training ends with the best
    weights; `epochs` is the most. Rows are PICTURE_SIDE² × 4 values, 0..255 (see `picture`).
    """

    def __init__(
        self, epochs: int = 80, rate: float = 2e-3, width: int = 24, patience: int = 12, seed: int = 0
    ) -> None:
        self.epochs, self.rate, self.width, self.patience, self.seed = epochs, rate, width, patience, seed

    def fit(self, rows: npt.NDArray[np.float32], codes: npt.NDArray[np.int64]) -> SmallCnn:
        """Train on `rows` (n, PICTURE_SIDE² × 4) and their class codes (n)."""
        torch.manual_seed(self.seed)
        self.classes_ = np.unique(codes)
        self.network_ = network(self.width, len(self.classes_))
        learn, check = kept_back(codes, self.seed)
        pictures, targets = to_pictures(rows), torch.as_tensor(np.searchsorted(self.classes_, codes))
        counts = torch.bincount(targets[learn], minlength=len(self.classes_)).float()
        criterion = nn.CrossEntropyLoss(len(learn) / (len(self.classes_) * counts), label_smoothing=0.05)
        optimiser = torch.optim.AdamW(self.network_.parameters(), self.rate, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, factor=1 / 3, patience=self.patience // 3
        )
        best, best_epoch, best_state = np.inf, 0, self.state()
        for epoch in range(1, self.epochs + 1):
            self._learn(pictures[learn], targets[learn], criterion, optimiser)
            loss = self._loss(pictures[check], targets[check], criterion)
            schedule.step(loss)
            if loss < best:
                best, best_epoch = loss, epoch
                best_state = {name: value.clone() for name, value in self.state().items()}
            elif epoch - best_epoch >= self.patience:
                break
        self.network_.load_state_dict(best_state)
        self.epochs_ = best_epoch
        return self

    def _learn(
        self,
        pictures: torch.Tensor,
        targets: torch.Tensor,
        criterion: nn.Module,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        """Go through the photos once, in random order."""
        self.network_.train()
        for batch in torch.randperm(len(targets)).split(64):  # type: ignore[no-untyped-call]
            loss = criterion(self.network_(jittered(pictures[batch])), targets[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def _loss(self, pictures: torch.Tensor, targets: torch.Tensor, criterion: nn.Module) -> float:
        self.network_.eval()
        with torch.inference_mode():
            return float(criterion(self.network_(pictures), targets))

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the classes' probabilities, (n, classes)."""
        self.network_.eval()
        with torch.inference_mode():
            scores = torch.cat([self.network_(part) for part in to_pictures(rows).split(256)])  # type: ignore[no-untyped-call]
        probabilities: npt.NDArray[np.float32] = scores.softmax(1).numpy()
        return probabilities

    def predict(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the likeliest class codes, (n)."""
        codes: npt.NDArray[np.int64] = self.classes_[self.predict_proba(rows).argmax(1)]
        return codes

    def state(self) -> dict[str, torch.Tensor]:
        """Return the trained weights by name."""
        return dict(self.network_.state_dict())

    def with_state(self, classes: list[int], state: dict[str, Any]) -> SmallCnn:
        """Take over weights trained before."""
        self.classes_ = np.array(classes)
        self.network_ = network(self.width, len(classes))
        self.network_.load_state_dict(state)
        return self


def kept_back(codes: npt.NDArray[np.int64], seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which photos to learn from and which to watch the loss on: a seventh, of every class.

    Where a class has a single photo, or a seventh is fewer photos than classes, all photos are both. Photos are drawn
    one by one: scikit-learn's `fit` knows no senders, and this part chooses only when to stop, it scores nothing.
    """
    every = np.arange(len(codes))
    counts = np.unique(codes, return_counts=True)[1]
    if counts.min() < 2 or len(codes) < 7 * len(counts):
        return every, every
    learn, check = train_test_split(every, test_size=1 / 7, stratify=codes, random_state=seed)
    return learn, check


def network(width: int, classes: int) -> nn.Sequential:
    """Return the untrained network for pictures (n, 4, PICTURE_SIDE, PICTURE_SIDE)."""
    layers: list[nn.Module] = []
    channels = 4
    for wide in (width, width, 2 * width, 2 * width):
        layers += [nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if wide != channels else []
        channels = wide
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, classes)
    )


def to_pictures(rows: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return rows of numbers as pictures, (n, 4, PICTURE_SIDE, PICTURE_SIDE), about -1..1."""
    flat = torch.as_tensor(np.asarray(rows, np.float32))
    return flat.view(-1, PICTURE_SIDE, PICTURE_SIDE, 4).permute(0, 3, 1, 2).contiguous() / 127.5 - 1


def jittered(pictures: torch.Tensor) -> torch.Tensor:
    """Return the pictures, each mirrored or not, all shifted by up to two pixels."""
    mirrored = torch.rand(len(pictures)) < 0.5
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    across, down = torch.randint(-2, 3, (2,)).tolist()
    return pictures.roll((down, across), (2, 3))
