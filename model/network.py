"""The network: one ResNet-18, a look at the item and its surroundings, four heads.

Main and sub category read the backbone's pooled features. Background quality and colour, which a
backbone learns by heart from the rooms it has seen, read something simpler instead (`Palette`): the colours
and the grain of the item and of what surrounds it, told apart by a small map that the network draws itself
(`item_map`).
A fifth score says whether there is any clothing at all.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from model.serving.classes import FEATURES, OUTPUTS, Classes, WeightsError
from model.serving.preprocess import INPUT_SIZE
from model.torch_ops import torchvision

MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""ImageNet's mean and deviation of sRGB values from 0 to 1, as every set of weights here expects."""

PAINTS: Final = 96
TINTS: Final = 64
GRAIN: Final = 64
"""Sizes of the descriptions of a spot: of its colour, of its tint, and of its grain, which is what layer1 says of it."""

DARK: Final = 0.004
"""Light, of 1, that is added before channels are set against each other: less than that is the camera's noise."""

COMMITTEE: Final = 5
"""How many small networks vote on background and colour."""


class Outputs(NamedTuple):
    """The network's answers for N photos, before any softmax, and what they rest on; the last two serve training only."""

    main: Tensor
    """(N, mains)."""
    sub: Tensor
    """(N, subs)."""
    background: Tensor
    """(N, 2)."""
    colour: Tensor
    """(N, colours)."""
    clothing: Tensor
    """(N,)."""
    features: Tensor
    """(N, 512): layer4 pooled."""
    item_map: Tensor
    """(N, 1, h / 8, w / 8): positive where the item is."""
    clothing_features: Tensor
    """(N, 768): what `clothing` reads, pooled layer3 and layer4."""


class Network(nn.Module):
    """ResNet-18 with its heads; takes normalised pixels, float (N, 3, h, w), sides multiples of 16."""

    def __init__(self, classes: Classes, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.classes = classes
        body = torchvision.models.resnet18(weights=None)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool)
        self.layer1, self.layer2 = body.layer1, body.layer2
        self.layer3, self.layer4 = body.layer3, body.layer4
        self.fine = nn.Conv2d(128, 32, 1)
        self.coarse = nn.Conv2d(256, 32, 1)
        self.item_map = nn.Conv2d(32, 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.main = nn.Linear(512, len(classes.mains))
        self.sub = nn.Linear(512, len(classes.subs))
        self.clothing = nn.Linear(256 + 512, 1)
        self.palette = Palette(classes)

    def forward(self, pixels: Tensor) -> Outputs:
        """Score N photos."""
        grain = self.grain(pixels)
        texture = self.layer2(grain)
        parts = self.layer3(texture)
        whole = self.layer4(parts)
        item_map = self._item_map(texture, parts)
        background, colour = self.palette(pixels, grain, item_map)
        pooled = whole.mean((2, 3))
        features = self.dropout(pooled)
        clothing_features = torch.cat([parts.mean((2, 3)), pooled], 1)
        return Outputs(
            main=self.main(features),
            sub=self.sub(features),
            background=background,
            colour=colour,
            clothing=self.clothing(clothing_features)[:, 0],
            features=pooled,
            item_map=item_map,
            clothing_features=clothing_features,
        )

    def item_map_of(self, grain: Tensor) -> Tensor:
        """The map of the item alone, (N, 1, h / 8, w / 8), from what `grain` saw: positive where the item is."""
        texture = self.layer2(grain)
        return self._item_map(texture, self.layer3(texture))

    def grain(self, pixels: Tensor) -> Tensor:
        """Edges, weave and pattern, with their colours: layer1's map, (N, 64, h / 4, w / 4)."""
        seen: Tensor = self.layer1(self.stem(pixels))
        return seen

    def _item_map(self, texture: Tensor, parts: Tensor) -> Tensor:
        coarse = F.interpolate(self.coarse(parts), scale_factor=2.0, mode="bilinear", align_corners=False)
        seen: Tensor = self.item_map(torch.relu(self.fine(texture) + coarse))
        return seen


class Palette(nn.Module):
    """Background quality and colour, from the colours and the grain of the item and of its surroundings.

    Every spot is described by PAINTS ramps in directions drawn at random through the space of colours (random
    features, Rahimi and Recht 2007), by TINTS such ramps through what its channels are to each other, which tells navy
    from black, and by layer1, which stays as ImageNet left it; the means over the item and over its surroundings say how
    these are spread there, and nothing of rooms or forms. Only what follows is learned: COMMITTEE small networks, which
    learn apart and answer with the mean of their scores. `tints` is false for a network from before there were any.
    """

    def __init__(self, classes: Classes, *, dropout: float = 0.3, tints: bool = True) -> None:
        super().__init__()
        self.paint = nn.Conv2d(3, PAINTS, 1).requires_grad_(False)
        self.tint = nn.Conv2d(3, TINTS, 1).requires_grad_(False) if tints else None
        seen = 2 * (PAINTS + GRAIN) + (3 * TINTS if tints else 0)
        self.sizes = len(classes.backgrounds), len(classes.colours)
        self.norm = nn.BatchNorm1d(seen)
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(seen, 64),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(64, sum(self.sizes)),
            )
            for _ in range(COMMITTEE)
        )
        for ramps, seed in ((self.paint, 0), (self.tint, 1)):
            if ramps is not None and ramps.bias is not None:
                draw = torch.Generator().manual_seed(seed)
                nn.init.normal_(ramps.weight, generator=draw)
                nn.init.uniform_(ramps.bias, -2.5, 2.5, generator=draw)

    def forward(self, pixels: Tensor, grain: Tensor, item_map: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of background and colour; see `see` for what they are made of."""
        return self.judge(self.see(pixels, grain, item_map))

    def see(self, pixels: Tensor, grain: Tensor, item_map: Tensor) -> Tensor:
        """How colours, tints and grain are spread over the item and its surroundings, and tints over its core.

        (N, 2 × (PAINTS + GRAIN) + 3 × TINTS). pixels: normalised (N, 3, h, w). grain: (N, GRAIN, h / 4, w / 4).
        item_map: (N, 1, h / 8, w / 8).
        """
        small = F.avg_pool2d(pixels, 4)
        spots = torch.cat([F.avg_pool2d(torch.relu(self.paint(small)), 2), F.avg_pool2d(grain, 2)], 1)
        item = torch.sigmoid(item_map)
        found = [mean_under(spots, item), mean_under(spots, 1 - item)]
        if self.tint is not None:
            tints = F.avg_pool2d(torch.relu(self.tint(relations(small))), 2)
            core = torch.sigmoid(3 * (item_map - 1))
            found += [mean_under(tints, where) for where in (item, 1 - item, core)]
        return torch.cat(found, 1)

    def judge(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of background and colour from what `see` saw, (N, backgrounds) and (N, colours)."""
        background, colour = self.opinions(seen)
        return background.mean(0), colour.mean(0)

    def opinions(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The same from every member: (COMMITTEE, N, backgrounds) and (COMMITTEE, N, colours)."""
        normal = self.norm(seen)
        said = torch.stack([member(normal) for member in self.members])
        return said[..., : self.sizes[0]], said[..., self.sizes[0] :]


def relations(pixels: Tensor) -> Tensor:
    """What the channels of normalised (N, 3, h, w) pixels are to each other: log r/g, log b/g, and log lightness.

    In linear light, and scaled to deviations of about 1: a brighter lamp changes only the last.
    """
    std, mean = (
        torch.tensor(v, device=pixels.device, dtype=pixels.dtype).view(1, 3, 1, 1) for v in (STD, MEAN)
    )
    light = (pixels * std + mean).clamp(min=0) ** 2.2
    red, green, blue = torch.log(light + DARK).chunk(3, 1)
    lightness = torch.log(light.mean(1, keepdim=True) + DARK)
    return torch.cat([2 * (red - green), 2 * (blue - green), lightness / 1.5 + 1.3], 1)


def flip_averaged(network: Network, pixels: Tensor) -> tuple[Tensor, ...]:
    """OUTPUTS and FEATURES for normalised (N, 3, h, w) pixels: the means over each photo and its mirror image."""
    scores = network(torch.cat([pixels, pixels.flip(3)]))
    found: Iterator[Tensor] = (getattr(scores, name) for name in (*OUTPUTS, FEATURES))
    return tuple(score.reshape(2, -1, *score.shape[1:]).mean(0) for score in found)


class Served(nn.Module):
    """The network as it is served: uint8 (N, 224, 224, 3) pixels in, seen at `size`; what `flip_averaged` gives, in order.

    Computes in the precision of the network's weights.
    """

    def __init__(self, network: Network, size: int) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.shrink: Tensor
        self.register_buffer("shrink", _shrinking(size))
        self.network = network
        self.register_buffer("scale", 1 / (255 * torch.tensor(STD).view(1, 3, 1, 1)))
        self.register_buffer(
            "shift", -torch.tensor(MEAN).view(1, 3, 1, 1) / torch.tensor(STD).view(1, 3, 1, 1)
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Score N photos."""
        values = pixels.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.shift
        if self.shrink.shape[0] < INPUT_SIZE:
            values = self.shrink @ values @ self.shrink.T
        return flip_averaged(self.network, values)


def _shrinking(size: int) -> Tensor:
    """The matrix (size, 224) that reduces a column of pixels, averaging all that fall together."""
    ones = torch.eye(INPUT_SIZE)[None, None]
    return F.interpolate(ones, size=(size, INPUT_SIZE), mode="bilinear", antialias=True, align_corners=False)[
        0, 0
    ]


def mean_under(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of (N, C, h, w) values under (N, 1, h, w) weights: (N, C)."""
    return (values * weights).mean((2, 3)) / (weights.mean((2, 3)) + 1e-3)


def normalise(pixels: Tensor) -> Tensor:
    """Values from 0 to 1, (N, 3, h, w), as the network expects them."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels - mean) / std


def as_seen(pixels: Tensor, device: torch.device) -> Tensor:
    """Values from 0 to 1 as a network in training takes them: normalised, in the order its convolutions are quickest in."""
    return normalise(pixels.to(device)).contiguous(memory_format=torch.channels_last)


def load_backbone(network: Network, init: Path | None) -> list[str]:
    """Start from pretrained weights in torchvision's key layout; returns the tensors that start at random.

    Without a file, torchvision's IMAGENET1K_V1 weights are downloaded. Raises WeightsError.
    """
    weights = _fetch() if init is None else load_weights(init)
    body = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    ours = {name: tensor.shape for name, tensor in network.state_dict().items()}
    strange = [name for name, tensor in body.items() if ours.get(_our_name(name)) != tensor.shape]
    if strange or not body:
        raise WeightsError(
            f"{init} is no ResNet-18 in torchvision's layout: it holds {strange[0] if strange else 'no layer of one'}."
        )
    result = network.load_state_dict({_our_name(name): body[name] for name in body}, strict=False)
    own = ("fine", "coarse", "item_map", "palette", "main", "sub", "clothing")
    return [name for name in result.missing_keys if not name.startswith(own)]


def load_release(folder: Path, classes: Classes) -> Network:
    """The float network of a release folder, single precision, in evaluation mode."""
    return load_whole(classes, folder / "weights.safetensors").eval()


def load_whole(classes: Classes, file: Path, *, dropout: float = 0.2) -> Network:
    """The network whose weights a file holds, which may be from before there were tints, or before names were what they are.

    Raises WeightsError when they are those of another network, or of other classes.
    """
    network = Network(classes, dropout=dropout)
    weights = {_present_name(name): tensor for name, tensor in load_weights(file).items()}
    if "palette.tint.weight" not in weights:
        network.palette = Palette(classes, tints=False)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        # its text lists every tensor
        raise WeightsError(f"{file} holds the weights of another network, or of other classes.") from error
    return network


def _present_name(name: str) -> str:
    """A tensor's name in a release or run → its name today."""
    return f"item_map.{name.removeprefix('ground.')}" if name.startswith("ground.") else name


def load_weights(file: Path) -> dict[str, Tensor]:
    """A safetensors file's tensors by name, in single precision. Raises WeightsError."""
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file} cannot be read as a safetensors file ({error}).") from error
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _fetch() -> dict[str, Tensor]:
    """torchvision's weights, from its own store when they have been fetched before."""
    try:
        return dict(torchvision.models.ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=True))
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise WeightsError(
            f"torchvision's ResNet-18 weights cannot be fetched ({error}): check the network, or name a file that "
            "holds them with --init."
        ) from error


def _our_name(name: str) -> str:
    """torchvision's name of a tensor → ours (`conv1` and `bn1` are the stem's first two)."""
    first, _, rest = name.partition(".")
    return {"conv1": "stem.0", "bn1": "stem.1"}.get(first, first) + "." + rest
