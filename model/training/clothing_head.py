"""Train the clothing head: teach the network what is no clothing, from the few pictures without any that are at hand.

    pictures = pictures_without_clothing()
    photos = photos.joined(as_photos(photos.classes, pictures))
    train_clothing_head(network, augmenter, learn, pictures)

Where the data holds photos without clothing, these pictures are learned from beside them. Where it holds none, only the last
step is learned, a logistic regression on the backbone's features: few pictures are enough to divide what ImageNet has
taught the backbone to tell apart, and too few to learn anything more from. Layer3 is read too: layer4 has learned to see
clothing in everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from model.network import Network, normalise
from model.serving.classes import Classes
from model.serving.preprocess import INPUT_SIZE, PhotoError, read_photo
from model.training.augment import Augmenter
from model.training.data import MASK_SIZE, MAX_MEGAPIXELS, STORED_SIZE, Photos
from model.training.labels import NO_CLOTHING, UNKNOWN
from model.training.logistic import fitted
from model.user_errors import need_folder

STRENGTH: Final = 0.1
"""The inverse of the regression's regularisation (C)."""

CROPS: Final = 10
"""Crops of every picture without clothing; the first is the whole picture."""

PAGES: Final = 10
"""Drawn pages of documents among the pictures without clothing."""

CLOTHING: Final = 500
ROOMS: Final = 80
"""Photos of clothing, and backgrounds without their item, that are set against them."""


def pictures_without_clothing(folder: Path | None = None) -> list[np.ndarray]:
    """Pictures without clothing, uint8 (448, 448, 3): a folder's, the samples of scikit-image and scikit-learn, pages."""
    if folder:
        need_folder(folder, "pictures without clothing (--not-clothing)")
    found = [_page(np.random.default_rng((5, seed))) for seed in range(PAGES)]
    for file in [*_samples(), *(sorted(folder.rglob("*")) if folder else [])]:
        if file.is_file():
            try:
                found.append(
                    read_photo(file.read_bytes(), max_megapixels=MAX_MEGAPIXELS, size=2 * INPUT_SIZE)
                )
            except PhotoError:
                continue
    return found


def _page(rng: np.random.Generator) -> np.ndarray:
    """A page of a document: lines of words, perhaps a heading, a table and a chart."""
    side = 2 * INPUT_SIZE
    paper = tuple(int(c) for c in rng.integers(225, 256, 3))
    image = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(image)
    top, left, height = int(rng.integers(10, 60)), int(rng.integers(10, 50)), int(rng.integers(7, 16))
    font = ImageFont.load_default(height)
    if rng.random() < 0.7:
        draw.text((left, top), _words(rng, 3), (20, 20, 40), ImageFont.load_default(2 * height))
        top += 4 * height
    while top < side - 3 * height:
        kind = rng.random()
        if kind < 0.06 and top < side - 130:
            bottom = top + 100
            for column in range(left, side - left, 24):
                colour = tuple(int(c) for c in rng.integers(0, 256, 3))
                draw.rectangle((column, bottom - int(rng.integers(5, 100)), column + 16, bottom), colour)
            top = bottom + height
        elif kind < 0.2:
            draw.rectangle((left, top, side - left, top + 2 * height), outline=(60, 60, 60))
        if kind < 0.9:
            draw.text((left, top), _words(rng, int(rng.integers(2, 14))), (30, 30, 30), font)
        top += int(height * rng.uniform(1.3, 2))
    turned = image.rotate(float(rng.normal(0, 3)), fillcolor=paper)
    return np.asarray(turned)


def _words(rng: np.random.Generator, number: int) -> str:
    letters = "aeinorst lmdhcu, pgbfvkw. 0123456789"
    return " ".join("".join(rng.choice(list(letters), int(rng.integers(2, 9)))) for _ in range(number))


def as_photos(classes: Classes, pictures: Sequence[np.ndarray]) -> Photos:
    """Pictures without clothing as photos to learn from; nothing else is known of them."""
    n = len(pictures)
    size = (STORED_SIZE, STORED_SIZE)
    small = [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BILINEAR)) for p in pictures]
    unknown = np.full(n, UNKNOWN, np.int64)
    return Photos(
        classes=classes,
        files=np.array([f"without-clothing-{i}" for i in range(n)]),
        sha256=np.array([hashlib.sha256(p.tobytes()).hexdigest() for p in pictures], dtype=str),
        pixels=np.stack(small) if n else np.empty((0, *size, 3), np.uint8),
        main=unknown,
        sub=unknown,
        background=unknown,
        colour=unknown,
        votes=np.zeros((n, len(classes.colours)), np.float32),
        agreed=np.zeros(n, bool),
        clothing=np.full(n, NO_CLOTHING, np.int64),
        group=np.full(n, "", dtype=object),
        source=np.full(n, "samples", dtype=object),
        kind=np.full(n, "goods", dtype=object),
        weight=np.ones(n),
        masks=np.zeros((n, MASK_SIZE, MASK_SIZE), np.uint8),
    )


def train_clothing_head(
    network: Network,
    augmenter: Augmenter,
    learn: np.ndarray,
    pictures: Sequence[np.ndarray],
    size: int,
    seed: int = 0,
) -> None:
    """Set the network's clothing head; pictures are seen at `size`, as in serving."""
    rng = np.random.default_rng((seed, 11))
    photos = augmenter.photos
    shown = rng.choice(learn, min(CLOTHING, len(learn)), replace=False)
    clothing = features(network, (photos.pixels[i] for i in shown), size)
    nothing = features(network, crops(pictures, rng), size)
    empty = (augmenter.room(i % 2, size, rng) for i in range(ROOMS))
    rooms = features(network, ((room.permute(1, 2, 0) * 255).byte().numpy() for room in empty), size)
    shown_nothing = np.concatenate([nothing, rooms])
    labels = np.repeat([0, 1], [len(shown_nothing), len(clothing)])
    weights, biases = fitted(np.concatenate([shown_nothing, clothing]), labels, strength=STRENGTH)
    weight, bias = weights[1] - weights[0], biases[1] - biases[0]
    with torch.no_grad():
        network.clothing.weight.copy_(torch.from_numpy(weight[None]))
        network.clothing.bias.copy_(torch.tensor([bias]))


def crops(pictures: Sequence[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Every picture whole, then random parts of it, mirrored half of the time."""
    for picture in pictures:
        yield picture
        for _ in range(CROPS - 1):
            side = int(rng.integers(len(picture) // 3, len(picture) + 1))
            top, left = rng.integers(0, len(picture) - side + 1, 2)
            part = picture[top : top + side, left : left + side]
            yield part[:, ::-1] if rng.random() < 0.5 else part


def features(network: Network, shown: Iterator[np.ndarray], size: int) -> np.ndarray:
    """The backbone's pooled features of pictures, seen at a size: float32 (N, 768)."""
    network.eval()
    device = next(network.parameters()).device
    squares = [Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR) for picture in shown]
    found: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(squares), 16):
            pixels = torch.from_numpy(np.stack([np.asarray(s) for s in squares[start : start + 16]]))
            seen = network(normalise(pixels.to(device).permute(0, 3, 1, 2).float() / 255))
            found.append(seen.clothing_features.float().cpu())
    return torch.cat(found).numpy()


def _samples() -> list[Path]:
    """The sample pictures that the two packages bring along."""
    import skimage
    import sklearn

    folders = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"]
    return [
        file
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.suffix in (".png", ".jpg", ".tif")
    ]
