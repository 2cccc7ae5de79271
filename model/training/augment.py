"""What a training step sees: photos cropped, turned, flipped, relit, and items set on other backgrounds.

Six things happen to a photo, each drawn anew every time:

- a crop (or the whole frame) is squashed to the training size, perhaps mirrored;
- some are turned and sheared a little, as people hold their phones and lay down their clothes;
- the item is cut out and laid on another background, real or made, whose quality is then known exactly;
  this is what keeps the background and colour heads from learning the rooms of the training photos;
- some are reduced to the size of a thumbnail, as a shop keeps them;
- the light changes: a little for all, wildly for a few, whose colour and background then do not count;
- another photo shines through it (mixup, Zhang et al. 2018) or covers a part of it (CutMix, Yun et al. 2019), where
  that is asked for; then only its categories count, and the other photo's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from model.training.data import MASK_SIZE, Photos
from model.training.labels import UNKNOWN

WHOLE_FRAME: Final = 0.25
"""Share of photos seen whole, as in serving."""

NEW_BACKGROUND: Final = 0.35
WILD_LIGHT: Final = 0.2
NOTHING: Final = 0.05
"""Shares of photos laid on another background, relit wildly, and replaced by a background without any item."""

TURNED: Final = 0.4
TURN: Final = 25.0
SHEAR: Final = 0.15
"""Share of photos that are turned; by how many degrees and how far they are sheared, at most, either way."""

SMALL: Final = 0.2
SMALL_SIDES: Final = (56, 200)
"""Share of photos that lose what a small picture does not show, and the sides of such pictures, in pixels."""

ROOMS: Final = 400
"""At most so many backgrounds of each kind and quality serve others' items."""

ITEM_SHARE: Final = (0.06, 0.75)
"""A mask is trusted when the item covers this much of the photo."""


@dataclass
class Batch:
    """One training step's photos. pixels: float (N, 3, s, s), 0 to 1. Labels: int64 (N,), UNKNOWN = not counted.

    colour: float (N, colours), the shares of votes; all 0 = not counted.
    mask: float (N, 1, s / 8, s / 8), where the item is; masked: bool (N,), whether that is known.
    clothing: float (N,), 1 or 0, between where blended; UNKNOWN = not counted.
    main_through, sub_through: the labels of what shines through or covers. share: float (N,), the photo's own part; 1 = all.
    """

    pixels: Tensor
    main: Tensor
    sub: Tensor
    background: Tensor
    colour: Tensor
    clothing: Tensor
    mask: Tensor
    masked: Tensor
    main_through: Tensor
    sub_through: Tensor
    share: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


class Augmenter:
    """Draws training batches from photos; the same `rng` draws the same batches."""

    def __init__(
        self,
        photos: Photos,
        *,
        wild: float = WILD_LIGHT,
        nothing: float = NOTHING,
        new_background: float = NEW_BACKGROUND,
        blend: float = 0.0,
        small: float = SMALL,
    ) -> None:
        self.photos, self.wild, self.nothing, self.new_background = photos, wild, nothing, new_background
        self.blend, self.small = blend, small
        share = photos.masks.mean((1, 2)) / 255
        self.masked = (share > ITEM_SHARE[0]) & (share < ITEM_SHARE[1])
        known = self.masked & (photos.background != UNKNOWN)
        with _one_thread():
            self.rooms = {
                quality: [
                    _without_item(photos, i) for i in _some(known & (photos.background == quality), photos)
                ]
                for quality in (0, 1)
            }

    def batch(self, indices: np.ndarray, size: int, rng: np.random.Generator) -> Batch:
        """The photos at these indices, as one training step sees them at this size."""
        with _one_thread():
            batch = _stack([self._example(int(i), size, rng) for i in indices], rng, self.wild)
            return _blend(batch, rng, self.blend)

    def _example(self, i: int, size: int, rng: np.random.Generator) -> dict[str, Tensor]:
        photos = self.photos
        box = _box(rng)
        pixels = _crop(torch.from_numpy(photos.pixels[i]).permute(2, 0, 1), box, size)
        mask = _crop(torch.from_numpy(photos.masks[i])[None], box, size)
        background, clothing = int(photos.background[i]), float(photos.clothing[i])
        main, sub, colour = int(photos.main[i]), int(photos.sub[i]), torch.from_numpy(photos.votes[i])
        masked = bool(self.masked[i])
        if rng.random() < self.nothing:
            background = int(rng.integers(2))
            pixels, mask, masked = self.room(background, size, rng), torch.zeros_like(mask), True
            main, sub, background, clothing, colour = UNKNOWN, UNKNOWN, UNKNOWN, 0.0, torch.zeros_like(colour)
        elif masked and rng.random() < self.new_background:
            background = int(rng.integers(2))
            pixels = _lay(pixels, mask, self.room(background, size, rng), rng)
        if rng.random() < self.small:
            pixels = _in_small(pixels, rng)
        return {
            "pixels": pixels,
            "main": torch.tensor(main),
            "sub": torch.tensor(sub),
            "background": torch.tensor(background),
            "colour": colour,
            "clothing": torch.tensor(clothing),
            "mask": F.interpolate(mask[None], size=(size // 8, size // 8), mode="area")[0],
            "masked": torch.tensor(masked),
        }

    def room(self, quality: int, size: int, rng: np.random.Generator) -> Tensor:
        """A background without an item: float (3, size, size). Quality 0 is acceptable, 1 is not."""
        real = self.rooms[quality]
        if real and rng.random() < 0.6:
            return _crop(torch.from_numpy(real[int(rng.integers(len(real)))]), _box(rng), size)
        return _light(size, rng) if quality == 0 else _unacceptable(size, rng)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Many small operations are done faster by one thread than by several that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _stack(examples: list[dict[str, Tensor]], rng: np.random.Generator, share: float) -> Batch:
    stacked = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
    turns = _turns(len(examples), rng)
    for name in ("pixels", "mask"):
        stacked[name] = turned(stacked[name], turns)
    stacked["pixels"], wild = relight(stacked["pixels"], rng, wild=share)
    stacked["colour"][wild] = 0
    stacked["background"][wild] = UNKNOWN
    through = {"main_through": stacked["main"], "sub_through": stacked["sub"]}
    return Batch(**stacked, **through, share=torch.ones(len(examples)))


def _turns(n: int, rng: np.random.Generator) -> Tensor:
    """How each of n photos is turned: from places in the picture to those in the photo, both from -1 to 1.

    float (n, 2, 3); most are left as they are.
    """
    angle = np.deg2rad(rng.uniform(-TURN, TURN, n))
    shear = rng.uniform(-SHEAR, SHEAR, (2, n))
    across = np.stack([np.cos(angle), -np.sin(angle) + shear[0], np.zeros(n)], 1)
    down = np.stack([np.sin(angle) + shear[1], np.cos(angle), np.zeros(n)], 1)
    turns = torch.from_numpy(np.stack([across, down], 1).astype(np.float32))
    turns[torch.from_numpy(rng.random(n) >= TURNED)] = torch.eye(2, 3)
    return turns


def turned(pictures: Tensor, turns: Tensor) -> Tensor:
    """(N, C, h, w) pictures, turned as `_turns` says; what then lies beyond an edge is mirrored in."""
    changed = (turns != torch.eye(2, 3, device=turns.device)).flatten(1).any(1)
    if not changed.any():
        return pictures
    result, some = pictures.clone(), pictures[changed]
    grid = F.affine_grid(turns[changed], list(some.shape), align_corners=False).to(pictures.dtype)
    result[changed] = F.grid_sample(some, grid, padding_mode="reflection", align_corners=False)
    return result


def _blend(batch: Batch, rng: np.random.Generator, share: float) -> Batch:
    """Mix a share of the photos with the photo before them in the batch."""
    blended = torch.from_numpy(rng.random(len(batch.share)) < share)
    if not blended.any():
        return batch
    weight = torch.ones_like(batch.pixels[:, :1])
    for i in torch.nonzero(blended)[:, 0]:
        weight[i] = _own_part(weight.shape[-1], rng)
    batch.share = weight.mean((1, 2, 3))
    batch.pixels = weight * batch.pixels + (1 - weight) * batch.pixels.roll(1, 0)
    batch.main_through, batch.sub_through = batch.main.roll(1), batch.sub.roll(1)
    batch.clothing = _mixed(batch.clothing, batch.share)
    batch.background = batch.background.masked_fill(blended, UNKNOWN)
    batch.colour = batch.colour.masked_fill(blended[:, None], 0)
    batch.masked = batch.masked & ~blended
    return batch


def _mixed(clothing: Tensor, share: Tensor) -> Tensor:
    """How much clothing blended photos show: UNKNOWN where it is not known of a photo that counts."""
    other = clothing.roll(1)
    unknown = (clothing == UNKNOWN) | ((share < 1) & (other == UNKNOWN))
    return (share * clothing + (1 - share) * other).masked_fill(unknown, UNKNOWN)


def _own_part(size: int, rng: np.random.Generator) -> Tensor:
    """How much of a blended photo is its own, where: float (1, size, size). Even throughout, or all but in a box."""
    if rng.random() < 0.5:
        return torch.full((1, size, size), float(rng.beta(0.3, 0.3)))
    part = torch.ones(1, size, size)
    side = round(size * float(rng.uniform(0.2, 1)) ** 0.5)
    top, left = rng.integers(0, size - side + 1, 2)
    part[:, top : top + side, left : left + side] = 0
    return part


def _box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A crop of 45 to 100 % of the frame, or all of it; mirrored half of the time."""
    left, top, right, bottom = 0.0, 0.0, 1.0, 1.0
    if rng.random() >= WHOLE_FRAME:
        area, aspect = rng.uniform(0.45, 1), np.exp(rng.uniform(-0.3, 0.3))
        width, height = min(1.0, (area * aspect) ** 0.5), min(1.0, (area / aspect) ** 0.5)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        right, bottom = left + width, top + height
    return (right, top, left, bottom) if rng.random() < 0.5 else (left, top, right, bottom)


def _crop(picture: Tensor, box: tuple[float, float, float, float], size: int) -> Tensor:
    """Cut the box out of a uint8 (C, h, w) picture: float (C, size, size), 0 to 1."""
    height, width = picture.shape[1:]
    left, right = sorted((round(box[0] * width), round(box[2] * width)))
    top, bottom = round(box[1] * height), round(box[3] * height)
    part = picture[None, :, top : max(bottom, top + 1), left : max(right, left + 1)]
    small = F.interpolate(part, size=(size, size), mode="bilinear", antialias=True)[0].float() / 255
    return small.flip(2) if box[0] > box[2] else small


def _in_small(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """A (3, s, s) picture with no more detail than one of SMALL_SIDES has."""
    low, high = np.log(SMALL_SIDES)
    side, size = round(float(np.exp(rng.uniform(low, high)))), pixels.shape[-1]
    if side >= size:
        return pixels
    small = F.interpolate(pixels[None], size=(side, side), mode="bilinear", antialias=True)
    return F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)[0]


def _some(which: np.ndarray, photos: Photos) -> list[int]:
    """The photos at which this mask is true, at most ROOMS of each kind, evenly spread."""
    found: list[int] = []
    for kind in np.unique(photos.kind.astype(str)):
        indices = np.flatnonzero(which & (photos.kind == kind))
        found += [
            int(i) for i in indices[np.linspace(0, len(indices) - 1, min(len(indices), ROOMS)).astype(int)]
        ]
    return found


def _lay(pixels: Tensor, mask: Tensor, room: Tensor, rng: np.random.Generator) -> Tensor:
    """The item on another background, often with a soft shadow."""
    alpha = ((mask - 0.3) / 0.4).clamp(0, 1)
    if rng.random() < 0.6:
        shift = tuple(int(s) for s in rng.integers(-_reach(mask), _reach(mask) + 1, 2))
        blurred = F.avg_pool2d(mask[None], 9, 1, 4)[0].roll(shift, (1, 2))
        room = room * (1 - blurred * float(rng.uniform(0.1, 0.5)))
    return pixels * alpha + room * (1 - alpha)


def _reach(mask: Tensor) -> int:
    """How far a shadow may fall, in pixels."""
    return max(1, mask.shape[-1] // 24)


def _light(size: int, rng: np.random.Generator) -> Tensor:
    """White to cream, wrinkled, shaded, with at most a sliver of something else."""
    lightness, warmth = rng.uniform(0.8, 1.0), rng.beta(1, 2) * 0.2
    base = torch.tensor([lightness, lightness * (1 - warmth * 0.45), lightness * (1 - warmth)])
    room = base.view(3, 1, 1).float() * (1 + _wrinkles(size, rng) * float(rng.uniform(0, 0.06)))
    if rng.random() < 0.2:
        room = _strip(room, _unacceptable(size, rng), rng.uniform(0.01, 0.08), rng)
    return room.clamp(0, 1)


def _unacceptable(size: int, rng: np.random.Generator) -> Tensor:
    """Coloured, dark, grey or patterned, or light with too much of something else."""
    kind = rng.random()
    if kind < 0.2:
        return _strip(_light(size, rng), _plain(rng, size), rng.uniform(0.22, 0.6), rng)
    room = _plain(rng, size)
    if kind < 0.5:
        room = torch.where(_pattern(size, rng), room, _plain(rng, size))
    return (room * (1 + _wrinkles(size, rng) * float(rng.uniform(0, 0.15)))).clamp(0, 1)


def _plain(rng: np.random.Generator, size: int) -> Tensor:
    """One colour that is not light, or not neutral."""
    colour = rng.uniform(0, 1, 3)
    if rng.random() < 0.35:
        colour = rng.uniform(0.05, 0.62) * (1 + rng.uniform(-0.06, 0.06, 3))
    elif colour.min() > 0.6:
        colour[rng.integers(3)] *= 0.5
    return torch.tensor(colour).float().view(3, 1, 1).expand(3, size, size).clone()


def _pattern(size: int, rng: np.random.Generator) -> Tensor:
    """Stripes, checks or blots: bool (1, size, size)."""
    kind = rng.integers(3)
    if kind == 2:
        return _wrinkles(size, rng, cells=int(rng.integers(6, 24))) > 0
    period = int(rng.integers(4, max(5, size // 4)))
    stripes = torch.arange(size) % period < period // 2
    rows, columns = stripes[None, :, None].expand(1, size, size), stripes[None, None, :].expand(1, size, size)
    return rows ^ columns if kind == 1 else (rows if rng.random() < 0.5 else columns)


def _strip(room: Tensor, other: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Along one edge, something else."""
    width = max(1, round(share * room.shape[-1]))
    turned = room.clone()
    turned[:, :, :width] = other[:, :, :width]
    return torch.rot90(turned, int(rng.integers(4)), (1, 2))


def _wrinkles(size: int, rng: np.random.Generator, cells: int | None = None) -> Tensor:
    """Smooth noise of deviation about 1: float (1, size, size)."""
    cells = cells or int(rng.integers(3, 12))
    noise = torch.from_numpy(rng.standard_normal((1, 1, cells, cells)).astype(np.float32))
    return F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)[0]


def relight(pixels: Tensor, rng: np.random.Generator, *, wild: float) -> tuple[Tensor, Tensor]:
    """Change the light of (N, 3, s, s), wildly for a share; returns the photos and bool (N,), which were the wild."""
    n = len(pixels)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (n, *shape)).astype(np.float32))

    gain = draw(0.82, 1.15, 1, 1, 1) * draw(0.95, 1.05, 3, 1, 1)
    middle = pixels.mean((2, 3), keepdim=True)
    pixels = (pixels - middle) * draw(0.85, 1.15, 1, 1, 1) + middle * gain
    changed = torch.from_numpy(rng.random(n) < wild)
    if changed.any():
        mix = torch.from_numpy(rng.dirichlet((0.4, 0.4, 0.4), (int(changed.sum()), 3)).astype(np.float32))
        pixels[changed] = (
            torch.einsum("noc,nchw->nohw", mix, pixels[changed]) * draw(0.6, 1.4, 1, 1, 1)[changed]
        )
    return pixels.clamp(0, 1), changed


def _without_item(photos: Photos, i: int) -> np.ndarray:
    """A photo's background, the item filled in from around it: uint8 (3, 128, 128)."""
    pixels = torch.from_numpy(photos.pixels[i]).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, size=(MASK_SIZE, MASK_SIZE), mode="area")
    item = F.max_pool2d(torch.from_numpy(photos.masks[i])[None, None].float() / 255, 9, 1, 4)
    seen = (item < 0.15).float()
    levels = [(pixels * seen, seen)]
    while levels[-1][1].shape[-1] > 1:
        levels.append((F.avg_pool2d(levels[-1][0], 2), F.avg_pool2d(levels[-1][1], 2)))
    filled = levels[-1][0] / levels[-1][1].clamp(min=1e-6)
    for colours, weight in reversed(levels[:-1]):
        coarse = F.interpolate(filled, size=colours.shape[2:], mode="bilinear", align_corners=False)
        filled = torch.where(weight > 0, colours / weight.clamp(min=1e-6), coarse)
    room: np.ndarray = filled[0].round().clamp(0, 255).byte().numpy()
    return room
