"""The network: one ResNet-18, a look at the item and its surroundings, four heads.

Main and sub category read the backbone's pooled features. Background quality and colour, which a
backbone learns by heart from the rooms it has seen, read something simpler instead (`Palette`): the colours
of the item and of what surrounds it, told apart by a small map that the network draws itself (`ground`).
A fifth score says whether there is any clothing at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from model.classes import Classes
from model.torch_ops import torchvision

MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""ImageNet's mean and deviation of sRGB values from 0 to 1, as every set of weights here expects."""

PAINTS: Final = 96
"""Size of a colour description."""


class Scores(NamedTuple):
    """The network's answers for N photos, before any softmax; `ground` and `map` serve training only."""

    main: Tensor  # (N, mains)
    sub: Tensor  # (N, subs)
    background: Tensor  # (N, 2)
    colour: Tensor  # (N, colours)
    clothing: Tensor  # (N,)
    ground: Tensor  # (N, 1, h / 8, w / 8): positive where the item is
    map: Tensor  # (N, 512, h / 32, w / 32): the backbone's last map


class Network(nn.Module):
    """ResNet-18 with its heads; takes normalised pixels, float (N, 3, h, w), sides multiples of 16."""

    def __init__(self, classes: Classes, *, dropout: float = 0.2) -> None:
        super().__init__()
        body = torchvision.models.resnet18(weights=None)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool)
        self.layer1, self.layer2 = body.layer1, body.layer2
        self.layer3, self.layer4 = body.layer3, body.layer4
        self.fine = nn.Conv2d(128, 32, 1)
        self.coarse = nn.Conv2d(256, 32, 1)
        self.ground = nn.Conv2d(32, 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.main = nn.Linear(512, len(classes.mains))
        self.sub = nn.Linear(512, len(classes.subs))
        self.clothing = nn.Linear(512, 1)
        self.palette = Palette(classes)

    def forward(self, pixels: Tensor) -> Scores:
        """Score N photos."""
        texture = self.layer2(self.layer1(self.stem(pixels)))
        parts = self.layer3(texture)
        whole = self.layer4(parts)
        ground = self._ground(texture, parts)
        background, colour = self.palette(F.avg_pool2d(pixels, 4), ground)
        features = self.dropout(whole.mean((2, 3)))
        return Scores(
            main=self.main(features),
            sub=self.sub(features),
            background=background,
            colour=colour,
            clothing=self.clothing(features)[:, 0],
            ground=ground,
            map=whole,
        )

    def where(self, pixels: Tensor) -> Tensor:
        """Only the map of the item, (N, 1, h / 8, w / 8): positive where the item is."""
        texture = self.layer2(self.layer1(self.stem(pixels)))
        return self._ground(texture, self.layer3(texture))

    def _ground(self, texture: Tensor, parts: Tensor) -> Tensor:
        coarse = F.interpolate(self.coarse(parts), scale_factor=2.0, mode="bilinear", align_corners=False)
        seen: Tensor = self.ground(torch.relu(self.fine(texture) + coarse))
        return seen


class Palette(nn.Module):
    """Background quality and colour, from the colours of the item and of its surroundings.

    Every spot is described by PAINTS ramps in directions drawn at random through the space of colours (random
    features, Rahimi and Recht 2007); their means over the item and over its surroundings say how the colours
    are spread there, and nothing of rooms or forms. Only what follows is learned.
    """

    def __init__(self, classes: Classes) -> None:
        super().__init__()
        self.paint = nn.Conv2d(3, PAINTS, 1).requires_grad_(False)
        self.mix = nn.Sequential(nn.BatchNorm1d(2 * PAINTS), nn.Linear(2 * PAINTS, 64), nn.ReLU())
        self.background = nn.Linear(64, len(classes.backgrounds))
        self.colour = nn.Linear(64, len(classes.colours))
        draw = torch.Generator().manual_seed(0)
        nn.init.normal_(self.paint.weight, generator=draw)
        assert self.paint.bias is not None
        nn.init.uniform_(self.paint.bias, -2.5, 2.5, generator=draw)

    def forward(self, spots: Tensor, ground: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of background and colour from normalised (N, 3, 2h, 2w) spots and a (N, 1, h, w) ground."""
        return self.judge(self.see(spots, ground))

    def see(self, spots: Tensor, ground: Tensor) -> Tensor:
        """How the colours are spread over the item and over its surroundings: (N, 2 × PAINTS)."""
        paints = F.avg_pool2d(torch.relu(self.paint(spots)), 2)
        item = torch.sigmoid(ground)
        return torch.cat([_mean(paints, item), _mean(paints, 1 - item)], 1)

    def judge(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of background and colour from what `see` saw."""
        mixed = self.mix(seen)
        return self.background(mixed), self.colour(mixed)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of (N, C, h, w) values under (N, 1, h, w) weights: (N, C)."""
    return (values * weights).mean((2, 3)) / (weights.mean((2, 3)) + 1e-3)


def normalise(pixels: Tensor) -> Tensor:
    """Values from 0 to 1, (N, 3, h, w), as the network expects them."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels - mean) / std


def load_backbone(network: Network, init: Path | None) -> list[str]:
    """Start from pretrained weights in torchvision's key layout; returns the tensors that start at random.

    Without a file, torchvision's IMAGENET1K_V1 weights are downloaded.
    """
    if init is None:
        weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=True)
    else:
        weights = {name: _float(tensor) for name, tensor in load_file(init).items()}
    renamed = {_our_name(name): tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    result = network.load_state_dict(renamed, strict=False)
    if result.unexpected_keys:
        raise ValueError(
            f"{init} is no ResNet-18 in torchvision's layout: it holds {result.unexpected_keys[0]}."
        )
    own = ("fine", "coarse", "ground", "palette", "main", "sub", "clothing")
    return [name for name in result.missing_keys if not name.startswith(own)]


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _our_name(name: str) -> str:
    """torchvision's name of a tensor → ours (`conv1` and `bn1` are the stem's first two)."""
    first, _, rest = name.partition(".")
    return {"conv1": "stem.0", "bn1": "stem.1"}.get(first, first) + "." + rest
