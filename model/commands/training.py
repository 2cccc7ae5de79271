"""Commands that learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import in_use
from command_line import Whole
from logformat import entry
from model.commands.group import CODES, PATH, ThereType, commands, entered, model_dir, need_torch
from model.training.recipe import Recipe
from model.user_errors import UserError, need_file, need_folder

if TYPE_CHECKING:
    from model.training.run import Run
    from model.training.runs import Plan

Command = TypeVar("Command", bound=Callable[..., object])


def recipe_options(command: Command) -> Command:
    """One option for every field of the recipe."""
    for field in reversed(fields(Recipe)):
        name, meaning = f"--{field.name.replace('_', '-')}", field.metadata["help"]
        kind, default = type(field.default), field.default
        if field.name == "epochs":
            default, meaning = None, f"{meaning} (default: {field.default}; 0 below 1,000 photos)"
        meaning = f"{meaning[0].upper()}{meaning[1:]}."
        command = click.option(name, type=kind, default=default, show_default=True, help=meaning)(command)
    return command


def _take_recipe(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """What a file says of the recipe counts as the default of every option that is not typed."""
    if path:
        from model.training.recipe_file import fields_of

        context.default_map = {**fields_of(path)}
    return path


@commands.command(exit_codes=CODES, at_most_one_of=("start", "init"))
@click.option(
    "--data",
    "folders",
    type=ThereType(need_folder, "the photos"),
    multiple=True,
    required=True,
    help="A data folder; repeatable.",
)
@click.option(
    "--run",
    type=PATH,
    help="Where the run is kept (default: a folder below runs/ for each different training).",
)
@click.option(
    "--start",
    type=PATH,
    help="The run or release to begin with (default: the release that the program came with).",
)
@click.option(
    "--init",
    type=PATH,
    help="Begin with ResNet-18 weights instead: a file (safetensors), imagenet (torchvision's, fetched), or none "
    "(random).",
)
@click.option(
    "--recipe",
    "recipe_file",
    type=ThereType(need_file, "a recipe"),
    is_eager=True,
    callback=_take_recipe,
    help="The recipe.toml of a run or release: its recipe, but for the options typed beside it.",
)
@click.option(
    "--part", help="Part that measures the result (default: test, else validation, where there is one)."
)
@click.option(
    "--masks",
    type=ThereType(need_folder, "the masks"),
    multiple=True,
    help="An extraction of `python -m model.lab extract`: items to cut out; one for each --data, in their order.",
)
@click.option(
    "--extra",
    type=ThereType(need_folder, "further photos"),
    help="A folder of more photos, its labels in <folder>.csv (file,label).",
)
@click.option(
    "--extra-labels",
    type=ThereType(need_file, "the labels"),
    help="A table of their backgrounds and colours (file,background,colour).",
)
@click.option(
    "--not-clothing",
    type=ThereType(need_folder, "pictures without clothing"),
    help="A folder of pictures that show no clothing; the more, the better.",
)
@click.option(
    "--teacher",
    type=ThereType(need_file, "a ResNet-50's weights"),
    help="ResNet-50 weights (safetensors) that learn the classes first, and then teach.",
)
@click.option(
    "--fold",
    type=int,
    help="Hold this fold of the groups out (default: each in turn below 1,000 photos, else fold 0).",
)
@click.option("--folds", type=int, default=5, show_default=True, help="Number of folds.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="SOURCE",
    help="Hold all photos of this source out instead of a fold; repeatable.",
)
@click.option(
    "--threads",
    type=Whole(0, 1024),
    default=0,
    show_default=True,
    help="Threads of torch, 0 = its own choice; 1 is quicker on a busy machine.",
)
@recipe_options
def train(
    folders: Sequence[Path],
    run: Path | None,
    start: Path | None,
    init: Path | None,
    recipe_file: Path | None,
    part: str | None,
    masks: Sequence[Path],
    extra: Path | None,
    extra_labels: Path | None,
    not_clothing: Path | None,
    teacher: Path | None,
    fold: int | None,
    folds: int,
    leave_out: Sequence[str],
    threads: int,
    epochs: int | None,
    **others: Any,
) -> None:
    """Learn from a data folder.

    From DATA/train/<sub>/*.jpg and DATA/labels.csv (file,background,colour,sender), if there is one, or from a folder
    whose table says everything about its photos (file,sub,main,background,colour,group,source,kind). The same command
    goes on after an interruption.
    """
    need_torch()
    if run and run.exists():
        need_folder(run, "the run (--run)")
    if init and str(init) not in ("none", "imagenet"):
        need_file(init, "ResNet-18 weights (--init; or say `none` or `imagenet`)")
    import numpy as np
    import torch

    from model.releasing.outlook import summary
    from model.training import clothing_head, data, held_out_scores, runs
    from model.training.labels import NO_CLOTHING
    from model.training.start import begin

    if threads:
        torch.set_num_threads(threads)
    recipe = Recipe(epochs=Recipe.epochs if epochs is None else epochs, **others)
    collections = data.load_each(folders, masks=masks)
    division = runs.divide(collections, folds=folds, fold=fold, leave_out=leave_out)
    photos = reduce(data.Photos.joined, collections)
    if extra:
        first = masks[0] if masks else None
        added = data.load_extra(extra, photos.classes, masks=first, labels=extra_labels)
        more = np.arange(len(photos), len(photos) + len(added))
        photos = photos.joined(added)
        division = division.with_more(photos, more)
    pictures = clothing_head.pictures_without_clothing(not_clothing)
    if (photos.clothing[division.learn] == NO_CLOTHING).any():
        more = np.arange(len(photos), len(photos) + len(pictures))
        photos = photos.joined(clothing_head.as_photos(photos.classes, pictures))
        division = division.with_more(photos, more)
    division = division.honest(photos)
    begun = begin(photos.classes, recipe, init=init, start=_start(start))
    if epochs is None and begun.keeps and len(division.learn) < runs.FEW:
        recipe = replace(recipe, epochs=0)
    plan = runs.Plan(photos, division, recipe, begun, teacher, pictures, tuple(folders), entered())
    run = run or plan.folder()
    _say_what(plan, run)
    if recipe_file:
        _say_what_differs(plan, recipe_file)
    finished = runs.learn(plan, run)
    print()
    for line in summary(finished, held_out_scores.load_held_out(run / "held_out.npz"), division):
        print(line)
    if scored := _scored(finished, folders, part):
        print(scored)
    print(f"Next: .venv/bin/python -m model export {run} {_free_version()}")


def _scored(run: Run, folders: Sequence[Path], part: str | None) -> str:
    """What the run scores on the test part, if there is one."""
    import numpy as np

    from model.training.test_photos import test_photos
    from model.training.train import check

    photos = test_photos(folders, part, run.classes)
    if photos is None:
        return ""
    known = np.isin(photos.sha256, list(run.learned or ()))
    new = np.flatnonzero(~known)
    if not len(new):
        raise UserError(
            f"All {len(photos)} test photos were learned from: a test needs photos that were not."
        )
    scores = check(run.network, photos, new, run.size)
    left = f" ({known.sum()} more were learned from, and do not count)" if known.any() else ""
    return f"On {len(new)} test photos{left}: main {scores['main']:.3f}, sub {scores['sub']:.3f} right."


def _start(named: Path | None) -> Path | None:
    """The folder of the run or release that a training begins with; a bare name is that of a release."""
    if named is None or named.is_dir() or len(named.parts) > 1:
        return named
    return in_use.folder(model_dir(), str(named))


def _free_version() -> str:
    """A name for the next release of one's own."""
    from model.serving import releases

    taken = releases.versions(model_dir())
    return next(name for name in (f"mine-{i}" for i in range(1, len(taken) + 2)) if name not in taken)


def _say_what_differs(plan: Plan, recipe_file: Path) -> None:
    """What is learned from now, and was not where the recipe comes from."""
    from model.training.origin import differences
    from model.training.recipe_file import read

    before = read(recipe_file).get("data", {})
    if before and (other := differences(before, plan.fingerprints())):
        print(entry(f"{recipe_file} was made with {'; '.join(other)}."))


def _say_what(plan: Plan, run: Path) -> None:
    """What is about to be learned from what, and where it is kept."""
    photos, division = plan.photos, plan.division
    way = f"in {len(division.folds)} turns, each photo once" if division.crossed else "throughout"
    how = "the categories alone are learned" if not plan.recipe.epochs else f"{plan.recipe.epochs} epochs"
    print(
        f"{len(division.learn)} photos to learn from, {len(division.held_out)} held out ({way}), {len(photos.broken)} could "
        f"not be read. {how[0].upper()}{how[1:]}; {plan.start.description}. The run is kept in {run}."
    )
    for name, reason in photos.broken:
        print(entry(f"  {name}: {reason}"))
    for name, sender in photos.of_one_group().items():
        print(
            entry(
                f"  All photos of {name} are from one sender ({sender}): whenever they are held out, none is left to learn "
                "from, so it scores low. Add photos of another sender."
            )
        )
