"""Train the network: one readable loop.

    train(photos, learn, held_out, Recipe(), Path("runs/first"), init=Path("resnet18.safetensors"))

A run folder holds `checkpoint.pt` (written after every epoch; training goes on from it after any kind of
death), `scores.jsonl` (one line an epoch), `curves.png` and TensorBoard's event files. The same seed
repeats a run exactly on one machine.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from model.answers import joint
from model.augment import Augmenter, Batch, turned
from model.classes import HEADS, OUTPUTS, Classes
from model.data import UNKNOWN, Photos
from model.network import Network, Scores, both_ways, load_backbone, normalise
from model.recipe import Recipe
from model.settle import settle
from model.teacher import DEPTH, at_boxes


def train(
    photos: Photos,
    learn: np.ndarray,
    held_out: np.ndarray,
    recipe: Recipe,
    run: Path,
    *,
    init: Path | None = None,
    start: Path | None = None,
    teacher: np.ndarray | None = None,
    progress: bool = True,
) -> Network:
    """Train on the photos at `learn`, score every epoch on those at `held_out` (may be empty).

    `init` is a file of pretrained ResNet-18 weights, `start` another run's folder to go on from instead.
    `teacher` holds the teacher's maps of all photos (model.teacher.feature_maps). Goes on from the run's
    own checkpoint when there is one. Returns the averaged network, in evaluation mode.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    state = _State.begin(photos.classes, recipe, init, start)
    state.resume(run / "checkpoint.pt", recipe)
    augmenter = Augmenter(photos, blend=recipe.blend)
    rates = _draw_rates(photos, learn, recipe)
    while state.epoch < recipe.epochs and not state.stale(recipe.patience):
        size = recipe.last_size if state.epoch >= recipe.epochs - recipe.last_epochs else recipe.size
        torch.manual_seed(recipe.seed * 1000 + state.epoch)
        steps = _Steps(augmenter, learn, rates, size, recipe, state.epoch)
        losses = _train_epoch(state, steps, teacher, recipe, progress)
        scores = check(state.average, photos, held_out, size) if len(held_out) else {}
        state.finish_epoch(scores)
        state.save(run / "checkpoint.pt", recipe)
        _record(run, {"epoch": state.epoch, "size": size, **losses, **scores})
    return settle(state.average, photos, learn, recipe, progress=progress)


@dataclass
class _State:
    """What training changes from step to step, and what a checkpoint keeps."""

    network: Network
    average: Network
    adapter: nn.Conv2d
    optimiser: torch.optim.AdamW
    epoch: int = 0
    best: float = -1.0
    best_epoch: int = 0

    @staticmethod
    def begin(classes: Classes, recipe: Recipe, init: Path | None, start: Path | None) -> _State:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = Network(classes, dropout=recipe.dropout)
        adapter = nn.Conv2d(512, DEPTH, 1)
        if start:
            network.load_state_dict(load_file(start / "weights.safetensors"))
        else:
            load_backbone(network, init)
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = Network(classes, dropout=recipe.dropout).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average.load_state_dict(network.state_dict())
        adapter = adapter.to(device)
        for frozen in (network.stem, network.layer1):
            frozen.requires_grad_(False)
        heads = [p for name, p in network.named_parameters() if not name.startswith(("stem", "layer"))]
        groups = [
            {"params": list(network.layer2.parameters()), "scale": 0.25},
            {"params": list(network.layer3.parameters()), "scale": 1.0},
            {"params": [*network.layer4.parameters(), *heads, *adapter.parameters()], "scale": 5.0},
        ]
        return _State(
            network,
            average,
            adapter,
            torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.decay, fused=True),
        )

    def learning(self) -> None:
        """Training mode, but for the frozen layers' statistics."""
        self.network.train()
        self.network.stem.eval()
        self.network.layer1.eval()

    def finish_epoch(self, scores: dict[str, float]) -> None:
        self.epoch += 1
        score = scores.get("sub", 0.0) + 0.2 * (scores.get("background", 0.0) + scores.get("colour", 0.0))
        if not scores or score > self.best:
            self.best, self.best_epoch = score, self.epoch

    def stale(self, patience: int) -> bool:
        return self.epoch - self.best_epoch >= patience

    def save(self, path: Path, recipe: Recipe) -> None:
        partial = path.with_suffix(".part")
        torch.save(
            {
                "recipe": asdict(recipe),
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "adapter": self.adapter.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "progress": (self.epoch, self.best, self.best_epoch),
            },
            partial,
        )
        os.replace(partial, path)

    def resume(self, path: Path, recipe: Recipe) -> None:
        """Go on from a checkpoint of the same recipe, if there is one."""
        if not path.is_file():
            return
        saved = torch.load(path, weights_only=True, map_location=next(self.network.parameters()).device)
        if saved["recipe"] != asdict(recipe):
            raise ValueError(
                f"{path.parent} holds a run with another recipe: choose another folder, or remove it."
            )
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.adapter.load_state_dict(saved["adapter"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.epoch, self.best, self.best_epoch = saved["progress"]


def _train_epoch(
    state: _State, steps: _Steps, teacher: np.ndarray | None, recipe: Recipe, progress: bool
) -> dict[str, float]:
    """One pass; returns the mean losses."""
    state.learning()
    device = next(state.network.parameters()).device
    sums: dict[str, float] = {}
    bar = tqdm(
        _load(steps), total=len(steps), desc=f"epoch {state.epoch + 1}/{recipe.epochs}", disable=not progress
    )
    for step, batch in enumerate(bar):
        _set_rates(state.optimiser, recipe, (state.epoch + step / len(steps)) / recipe.epochs)
        batch = Batch(**{name: value.to(device) for name, value in vars(batch).items()})
        with torch.autocast(device.type, torch.bfloat16, enabled=_fast_bfloat16(device)):
            pixels = normalise(batch.pixels).contiguous(memory_format=torch.channels_last)
            scores: Scores = state.network(pixels)
            losses = _losses(scores, batch, recipe)
            if teacher is not None:
                maps = torch.from_numpy(teacher[batch.index.cpu().numpy()]).to(device).float()
                losses["distil"] = recipe.distil * _distil(state.adapter(scores.map), maps, batch)
        loss = torch.stack(list(losses.values())).sum()
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
        state.optimiser.step()
        _average(state, recipe, state.epoch * len(steps) + step)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        bar.set_postfix({name: f"{sums[name] / (step + 1):.3f}" for name in ("sub", "background", "colour")})
    return {f"loss/{name}": value / len(steps) for name, value in sums.items()}


def _losses(scores: Scores, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """Every head's loss over the photos that count for it, weighted."""
    masked = batch.masked.float().view(-1, 1, 1, 1)
    ground = F.binary_cross_entropy_with_logits(scores.ground, batch.mask, reduction="none")
    own = batch.share
    sub = _cross_entropy(scores.sub, batch.sub, recipe.smoothing, own)
    main = _cross_entropy(scores.main, batch.main, recipe.smoothing, own)
    return {
        "sub": sub + _cross_entropy(scores.sub, batch.sub_through, recipe.smoothing, 1 - own),
        "main": 0.5 * (main + _cross_entropy(scores.main, batch.main_through, recipe.smoothing, 1 - own)),
        "background": 0.5 * _cross_entropy(scores.background, batch.background, 0.05),
        "colour": 0.5 * _cross_entropy(scores.colour, batch.colour, 0.05),
        "clothing": 0.3 * F.binary_cross_entropy_with_logits(scores.clothing, batch.clothing),
        "ground": 0.5 * (ground * masked).sum() / (masked.sum() * ground[0].numel() + 1e-6),
    }


def _cross_entropy(scores: Tensor, labels: Tensor, smoothing: float, weights: Tensor | float = 1.0) -> Tensor:
    """The weighted sum over photos with a label, by their number; 0 when there is none."""
    each = F.cross_entropy(scores, labels, ignore_index=UNKNOWN, label_smoothing=smoothing, reduction="none")
    return (each * weights).sum() / max(1, int((labels != UNKNOWN).sum()))


def _distil(seen: Tensor, maps: Tensor, batch: Batch) -> Tensor:
    """How far the network's map is from the teacher's, over photos that have one and keep their background."""
    wanted = turned(at_boxes(maps, batch.box, (seen.shape[2], seen.shape[3])), batch.turn)
    own = (batch.own & maps.flatten(1).any(1)).float().view(-1, 1, 1, 1)
    return ((seen - wanted) ** 2 * own).sum() / (own.sum() * seen[0].numel() + 1e-6)


def _average(state: _State, recipe: Recipe, step: int) -> None:
    """Move the averaged weights a little towards the present ones."""
    keep = min(recipe.average, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, now in zip(state.average.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        for kept, seen in zip(state.average.buffers(), state.network.buffers(), strict=True):
            kept.copy_(seen)


def _set_rates(optimiser: torch.optim.AdamW, recipe: Recipe, done: float) -> None:
    """Rise over the first tenth, then fall along a cosine to a hundredth of the peak."""
    warm = 0.1
    share = (
        done / warm if done < warm else 0.01 + 0.99 * (1 + math.cos(math.pi * (done - warm) / (1 - warm))) / 2
    )
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate * group["scale"] * max(share, 1e-3)


def _fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is done in hardware; emulated, it is ten times slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and any(flag in flags.read_text() for flag in (" avx512_bf16", " amx_bf16"))


class _Steps(Dataset[Batch]):
    """An epoch's batches; the same epoch always has the same."""

    def __init__(
        self,
        augmenter: Augmenter,
        learn: np.ndarray,
        rates: np.ndarray,
        size: int,
        recipe: Recipe,
        epoch: int,
    ) -> None:
        self.augmenter, self.size, self.seed = augmenter, size, (recipe.seed, epoch)
        drawn = np.random.default_rng(self.seed).choice(learn, len(learn), p=rates)
        self.batches = np.array_split(drawn, max(1, round(len(drawn) / recipe.batch)))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> Batch:
        return self.augmenter.batch(self.batches[step], self.size, np.random.default_rng((*self.seed, step)))


def _load(steps: _Steps) -> Iterator[Batch]:
    """The batches in order, drawn ahead by another process where processes share memory."""
    workers = 1 if hasattr(os, "fork") else 0
    return iter(
        DataLoader(steps, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    )


def _draw_rates(photos: Photos, learn: np.ndarray, recipe: Recipe) -> np.ndarray:
    """How often each photo is drawn: rarer classes and senders more often than their share."""

    def sizes(groups: np.ndarray) -> np.ndarray:
        _, which, counts = np.unique(groups, return_inverse=True, return_counts=True)
        return counts[which].astype(float)

    senders = np.where(photos.sender == "", photos.files, photos.sender)[learn].astype(str)
    rates = sizes(photos.sub[learn]) ** -recipe.even_classes * sizes(senders) ** -recipe.even_senders
    result: np.ndarray = rates / rates.sum()
    return result


def raw_scores(network: Network, photos: Photos, which: np.ndarray, size: int = 224) -> dict[str, np.ndarray]:
    """The network's scores for whole photos, at a size: head → float32 (N, classes)."""
    network.eval()
    device = next(network.parameters()).device
    found: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for start in range(0, len(which), 32):
            pixels = torch.from_numpy(photos.pixels[which[start : start + 32]]).permute(0, 3, 1, 2)
            small = F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
            seen = normalise(small.to(device).float() / 255).contiguous(memory_format=torch.channels_last)
            for head, scores in zip(OUTPUTS, both_ways(network, seen), strict=True):
                found.setdefault(head, []).append(scores.float().cpu().numpy())
    return {head: np.concatenate(parts) for head, parts in found.items()}


def label_sets(photos: Photos, which: np.ndarray) -> dict[str, np.ndarray]:
    """The labels of some photos, by head."""
    return {head: photos.labels(head)[which] for head in HEADS}


def check(network: Network, photos: Photos, which: np.ndarray, size: int) -> dict[str, float]:
    """Every head's accuracy on whole photos (background: balanced), over those with a label."""
    scores = raw_scores(network, photos, which, size)
    scores["sub"], scores["main"] = joint(scores["sub"], scores["main"], photos.classes)
    result = {}
    for head in HEADS:
        labels = photos.labels(head)[which]
        known = labels != UNKNOWN
        right = scores[head].argmax(1) == labels
        groups = np.unique(labels[known]) if head == "background" else [None]
        shares = [
            right[known if group is None else labels == group].mean() for group in groups if known.any()
        ]
        result[head] = float(np.mean(shares)) if shares else 0.0
    return result


def _record(run: Path, line: dict[str, Any]) -> None:
    """Add an epoch to `scores.jsonl`, TensorBoard's events and the picture of the curves."""
    from torch.utils.tensorboard import SummaryWriter

    with (run / "scores.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with SummaryWriter(str(run / "events")) as writer:
        for name, value in line.items():
            if name != "epoch":
                writer.add_scalar(name, value, line["epoch"])
    _draw_curves(run)


def _draw_curves(run: Path) -> None:
    from matplotlib.figure import Figure

    lines = [json.loads(text) for text in (run / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [line["epoch"] for line in lines]
    for name in lines[-1]:
        if name not in ("epoch", "size"):
            axis = left if name.startswith("loss/") else right
            axis.plot(epochs, [line.get(name) for line in lines], label=name.removeprefix("loss/"))
    left.set(title="loss in training", xlabel="epoch")
    right.set(title="accuracy on held-out senders", xlabel="epoch")
    for axis in (left, right):
        if axis.lines:
            axis.legend(fontsize=8)
    figure.savefig(run / "curves.png", dpi=100)
