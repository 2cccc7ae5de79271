"""What a training on categories of one's own gains by beginning with the shipped release rather than ImageNet's weights.

    python -m benchmarks.own_categories ../shared/elsewhere/elsewhere.csv --init ../shared/weights/resnet18.safetensors \\
        --scratch /tmp/accessories

Ten kinds of accessories, which no release has learned as categories, are drawn from a table (`file`, `group`; a file's name
ends in its kind). The backbone stays, the category heads learn, as `train` does it below 1,000 photos. Groups learned
from are not scored. Prints the accuracy on the others, its mean and deviation over draws.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from model.serving.classes import FEATURES
from model.training.categories import features_of_views, train_categories
from model.training.data import Photos, load
from model.training.recipe import Recipe
from model.training.start import begin
from model.training.train import raw_scores

KINDS = (
    "watches",
    "handbags",
    "backpacks",
    "wallets",
    "necklace-and-chains",
    "perfume-and-body-mist",
    "duffel-bag",
    "laptop-bag",
    "earrings",
    "clutches",
)
NUMBERS = (20, 100, 500)
LEARNED = 0.62
"""Share of the groups that are learned from: so 500 photos can be drawn."""


def main() -> None:
    """See the photos once by each network, then learn and score every draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--init", type=Path, required=True, help="ImageNet's ResNet-18 weights")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for links to the photos")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    photos = _photos(chosen.table, chosen.scratch)
    recipe = Recipe(epochs=0)
    print(f"{'begins with':<14}" + "".join(f"{n:>16}" for n in NUMBERS))
    for name, init in (("the release", None), ("ImageNet", chosen.init)):
        network = begin(photos.classes, recipe, init=init).network.eval()
        views = features_of_views(network, photos, recipe)
        whole = raw_scores(network, photos, np.arange(len(photos)), recipe.serve_size)[FEATURES]
        cells = []
        for number in NUMBERS:
            right = []
            for seed in range(chosen.draws):
                learned, scored = _draw(photos, number, seed)
                train_categories(network, views, photos, learned)
                with torch.inference_mode():
                    given = network.sub(torch.from_numpy(whole[scored])).argmax(1).numpy()
                right.append((given == photos.sub[scored]).mean())
            cells.append(f"{np.mean(right):.3f} ± {np.std(right):.3f}")
        print(f"{name:<14}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def _photos(table: Path, scratch: Path) -> Photos:
    """The photos of KINDS, as links in a folder for each, with their groups."""
    lines = ["file,background,colour,sender"]
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            source = table.parent / row["file"]
            kind = source.stem.rpartition("_")[2]
            if kind in KINDS and source.stem.startswith("fpi"):
                link = scratch / "raw" / "accessories" / kind / source.name
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(source.resolve())
                lines.append(f"{link.relative_to(scratch).as_posix()},?,?,{row['group']}")
    (scratch / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load(scratch)


def _draw(photos: Photos, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from, a tenth of `number` of each kind at most, and to score: of other groups."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.unique(photos.group.astype(str)))
    some = np.isin(photos.group.astype(str), groups[: int(LEARNED * len(groups))])
    learned = [
        rng.permutation(np.flatnonzero(some & (photos.sub == kind)))[: number // len(KINDS)]
        for kind in range(len(photos.classes.subs))
    ]
    return np.concatenate(learned), np.flatnonzero(~some)


if __name__ == "__main__":
    main()
