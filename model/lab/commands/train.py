"""`python -m model lab train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from command_line import Whole
from model.lab.commands.group import DONE, GROUP, HELD_OUT, OUT, WORKERS, Listing, lab, labels, names

if TYPE_CHECKING:
    from model.lab.judging.classical import Search


def _feature_sets() -> str:
    from model.lab.numbers.features import FEATURE_SETS

    return "; ".join(f"{name}: {kind.meaning}" for name, kind in FEATURE_SETS.items())


def _models() -> str:
    from model.lab.judging.classical import CLASSIFIERS

    return "; ".join(f"{name}: {kind.meaning}" for name, kind in CLASSIFIERS.items())


@lab.command(exit_codes=DONE)
@OUT
@labels()
@GROUP
@HELD_OUT
@click.option("--task", required=True, help="The column to learn: background, colour, or your own.")
@click.option(
    "--features",
    cls=Listing,
    listed=_feature_sets,
    default="background",
    help="Sets joined by + (default: background).",
)
@click.option(
    "--model",
    cls=Listing,
    listed=_models,
    default="all",
    help="Names joined by commas, or all (default).",
)
@click.option(
    "--search",
    type=click.Choice(["none", "grid", "random"]),
    default="none",
    show_default=True,
    help="Look for better settings.",
)
@click.option(
    "--folds",
    type=Whole(min=2),
    default=5,
    show_default=True,
    help="Parts of the cross-validation.",
)
@click.option("--drop", default="", help="Answers to leave out, joined by commas: a cleaner task.")
@click.option("--name", default="", help="Keep the models under this task name (default: the column's).")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result.")
@WORKERS
def train(
    out: Path,
    labels: Path,
    group: str,
    held_out: str,
    task: str,
    features: str,
    model: str,
    search: Search,
    folds: int,
    drop: str,
    name: str,
    seed: int,
    workers: int,
) -> None:
    """Classical models on the lab's numbers, checked by cross-validation.

      python -m model lab train --labels labels.csv --task background --features background+quality --model all
      python -m model lab train --labels labels.csv --task colour --features palette --model svc-full --search grid
      python -m model lab train --labels labels.csv --task colour --features colour-item --model svc --drop multi,beige

    Photos whose label is ? are left out. Folds keep each sender's photos together (column `sender`; another with
    --group), so a score says how the model does on people it has never seen. Photos whose path begins with --held-out
    take no part.

    For each model OUT/models/TASK/FEATURES/MODEL/ receives the model itself (without pickle), facts.json, its answers on
    the unseen folds (answers.csv), the importance of each feature (importance.csv) and train.log. Stopped, it goes on
    where it was; what is trained already is not trained again unless labels, numbers or settings have changed.
    """
    from model.lab.judging.tasks import load_task
    from model.lab.judging.training import Plan, chosen_models, train
    from model.lab.numbers.features import feature_sets
    from model.lab.photos.store import Store

    learned = load_task(labels, task, group, names(drop)).without(held_out).named(name or task)
    sets = feature_sets(features)
    plan = Plan(search, folds, seed)
    for one in chosen_models(model, sets):
        facts = train(Store(out), learned, sets, one, plan, workers)
        scores = facts["cross_validation"]
        low, high = scores["balanced_accuracy_interval"]
        print(
            f"{learned.name} {one:10} balanced accuracy {scores['balanced_accuracy']:.3f} ({low:.3f} to {high:.3f}), "
            f"accuracy {scores['accuracy']:.3f}, macro F1 {scores['macro_f1']:.3f}, "
            f"{scores['photos']} photos, trained in {facts['seconds']:.1f} s"
        )
