"""Held-out answers about background and colour for a release that has learned from every photo.

    python -m benchmarks.looks model/releases/2026-11-25-1 --data clothing --extra clothing/extra \\
        --learned clothing/labels.csv --learned model/training/extra_labels.csv --out runs/looks.npz
    python -m model export model/releases/2026-11-25-1 anew --held-out runs/looks.npz --data clothing

Such a release has no photos left to set its numbers by. But its palette, which answers these two questions, reads only
colours and what layer1 sees, which stayed as ImageNet left it: so for each of five folds by sender a palette like it is
learned from the others' photos, and answers for the fold's. (The map that tells the item from its surroundings is the
release's own and has seen them all; it knows nothing of backgrounds and colours.) Main and sub are left without labels:
what the release has for them stays.
"""

import argparse
import copy
import dataclasses
from pathlib import Path

import numpy as np
import torch

from model.network import load_release
from model.serving.classes import HEADS, OUTPUTS
from model.serving.releases import load
from model.training import data
from model.training.held_out_scores import save_scores
from model.training.labels import UNKNOWN, Label, read_labels
from model.training.palette import train_palette
from model.training.recipe import Recipe
from model.training.train import raw_scores

FOLDS = 5


def main() -> None:
    """Learn, answer, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("release", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, required=True)
    parser.add_argument(
        "--learned",
        type=Path,
        action="append",
        required=True,
        help="the labels that the release learned from",
    )
    parser.add_argument("--masks", type=Path, help="an extraction: items to lay on other backgrounds")
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    release = load(chosen.release)
    size = release.metrics["size"]
    photos = data.load(chosen.data, classes=release.classes, masks=chosen.masks)
    whole, none = np.arange(len(photos)), np.array([], dtype=int)
    _, photos = data.with_extra(photos, whole, none, chosen.extra, chosen.masks, chosen.learned[-1])
    learned = _as_learned(photos, chosen.learned)
    network = load_release(chosen.release, release.classes)
    recipe = Recipe(views=chosen.views, serve_size=size)
    scores = {
        head: np.zeros((len(photos), len(release.classes.names(head))), np.float32) for head in HEADS
    } | {"clothing": np.zeros(len(photos), np.float32)}
    for number in range(FOLDS):
        learn, held_out = photos.fold(number, of=FOLDS)
        with_palette = train_palette(copy.deepcopy(network), learned, learn, recipe, progress=False)
        answers = raw_scores(with_palette, photos, held_out, size)
        for head in OUTPUTS:
            scores[head][held_out] = answers[head]
        known = held_out[photos.colour[held_out] != UNKNOWN]
        right = (scores["colour"][known].argmax(1) == photos.colour[known]).mean()
        print(f"fold {number}: {len(held_out)} photos, colour {right:.3f}", flush=True)
    labels = {name: np.full(len(photos), UNKNOWN) for name in OUTPUTS}
    labels |= {head: photos.labels(head) for head in ("background", "colour")}
    save_scores(chosen.out, scores, labels, photos, np.arange(len(photos)), learned=photos.sha256.tolist())


def _as_learned(photos: data.Photos, tables: list[Path]) -> data.Photos:
    """The photos with the labels of these tables, whatever else is known of them."""
    found: dict[str, Label] = {}
    for table in tables:
        found |= read_labels(table, photos.classes)
    rows = [found.get(str(file), Label()) for file in photos.files]
    return dataclasses.replace(
        photos,
        background=np.array([row.background for row in rows]),
        colour=np.array([row.colour for row in rows]),
        votes=np.stack([row.shares(len(photos.classes.colours)) for row in rows]),
    )


if __name__ == "__main__":
    main()
