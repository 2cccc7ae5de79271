"""train: classical models on the lab's numbers, checked by cross-validation.

    train --labels labels.csv --task background --features background+quality --model all
    train --labels labels.csv --task colour --features palette --model svc-full --search grid
    train --labels labels.csv --task colour --features colour-item --model svc --drop multi,beige

Photos whose label is ? are left out. Folds keep each sender's photos together (column `sender`; another with --group),
so a score says how the model does on people it has never seen. Photos whose path begins with --held-out take no part.

For each model OUT/models/TASK/FEATURES/MODEL/ receives the model itself (without pickle), facts.json, its answers on
the unseen folds (answers.csv), the importance of each feature (importance.csv) and train.log. Stopped, it goes on
where it was; what is trained already is not trained again unless labels, numbers or settings have changed.
"""

from __future__ import annotations

import argparse

from model.lab.commands.options import add_out, add_task_options, add_workers, at_least, names
from model.lab.judging import classical
from model.lab.judging.tasks import load_task
from model.lab.judging.training import Plan, chosen_models, train
from model.lab.numbers.features import FEATURE_SETS, feature_sets
from model.lab.photos.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    sets = "; ".join(f"{name}: {kind.meaning}" for name, kind in FEATURE_SETS.items())
    models = "; ".join(f"{name}: {kind.meaning}" for name, kind in classical.CLASSIFIERS.items())
    add_out(parser, "the folder that `extract` wrote to")
    add_task_options(parser)
    parser.add_argument("--task", required=True, help="the column to learn: background, colour, or your own")
    parser.add_argument(
        "--features", default="background", help=f"sets joined by + (default: %(default)s). {sets}"
    )
    parser.add_argument("--model", default="all", help=f"names joined by commas, or all (default). {models}")
    parser.add_argument(
        "--search",
        choices=("none", "grid", "random"),
        default="none",
        help="look for better settings (default: none)",
    )
    parser.add_argument(
        "--folds", type=at_least(2), default=5, help="parts of the cross-validation (default: %(default)s)"
    )
    parser.add_argument("--drop", default="", help="answers to leave out, joined by commas: a cleaner task")
    parser.add_argument(
        "--name", default="", help="keep the models under this task name (default: the column's)"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same result (default: %(default)s)")
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    task = load_task(options.labels, options.task, options.group, names(options.drop))
    task = task.without(options.held_out)
    task = task.named(options.name or options.task)
    sets = feature_sets(options.features)
    models = chosen_models(options.model, sets)
    plan = Plan(options.search, options.folds, options.seed)
    for name in models:
        facts = train(Store(options.out), task, sets, name, plan, options.workers)
        scores = facts["cross_validation"]
        low, high = scores["balanced_accuracy_interval"]
        print(
            f"{task.name} {name:10} balanced accuracy {scores['balanced_accuracy']:.3f} ({low:.3f} to {high:.3f}), "
            f"accuracy {scores['accuracy']:.3f}, macro F1 {scores['macro_f1']:.3f}, "
            f"{scores['photos']} photos, trained in {facts['seconds']:.1f} s"
        )
    return 0
