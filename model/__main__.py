"""`python -m model`: train, evaluate, export, compare; list, promote and roll back releases.

Every command is a thin layer on a library call. `list`, `promote` and `rollback` need no torch.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import this_python
from utf8 import use_utf8

try:
    from pydantic import Field

    from logformat import Text, entry
    from model import releases
    from model.classes import HEADS, Classes, DataError
    from model.releases import ReleaseError
    from model.user_errors import INSTALL, ended, need_file, need_folder
    from settings import ProjectPath, Settings, load
except ImportError as error:
    this_python.end_without(error, "model")

if TYPE_CHECKING:
    from model.data import Photos
    from model.export import Run
    from model.runs import Plan


class ModelSettings(Settings):
    """The one setting of this command line, shared with the sidecar."""

    model_dir: ProjectPath = Field(Path("model/releases"), validate_default=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 with a sentence on stderr for what its user can put right."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(Text("%(message)s"))
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["lab"]:
        return ended("python -m model lab", lambda: _lab(given[1:]))
    options = _parser().parse_args(given)
    command: Callable[[argparse.Namespace], None] = options.command
    return ended("python -m model", lambda: command(options))


def _lab(arguments: Sequence[str]) -> int:
    from model.lab.__main__ import main as lab

    return lab(list(arguments))


def train(options: argparse.Namespace) -> None:
    """Learn from a data folder and keep the run."""
    _need_torch()
    _check_paths(options)
    import numpy as np
    import torch

    from model import data, export, runs, strangers
    from model.labels import NO_CLOTHING
    from model.recipe import Recipe
    from model.start import begin

    if options.threads:
        torch.set_num_threads(options.threads)
    wanted = {f.name: getattr(options, f.name) for f in fields(Recipe)}
    epochs = Recipe.epochs if options.epochs is None else options.epochs
    recipe = Recipe(**{**wanted, "epochs": epochs})
    collections = data.load_each(options.data, masks=options.masks)
    photos = reduce(data.Photos.joined, collections)
    if options.fold is None:
        division = runs.divide(photos, folds=options.folds, leave_out=options.leave_out or ())
    else:
        division = runs.fold_of_each(collections, options.fold, folds=options.folds)
    if options.extra:
        first = options.masks[0] if options.masks else None
        extra = data.load_extra(options.extra, photos.classes, masks=first, labels=options.extra_labels)
        more = np.arange(len(photos), len(photos) + len(extra))
        photos = photos.joined(extra)
        division = division.with_more(photos, more)
    others = strangers.pictures(options.strangers)
    if (photos.clothing[division.learn] == NO_CLOTHING).any():
        more = np.arange(len(photos), len(photos) + len(others))
        photos = photos.joined(strangers.as_photos(photos.classes, others))
        division = division.with_more(photos, more)
    division = division.honest(photos)
    start = begin(photos.classes, recipe, init=options.init, start=_start(options.start))
    if options.epochs is None and start.keeps and len(division.learn) < runs.FEW:
        recipe = replace(recipe, epochs=0)
    plan = runs.Plan(photos, division, recipe, start, options.teacher, others, tuple(options.data))
    run = options.run or plan.folder()
    _say_what(plan, run)
    finished = runs.learn(plan, run)
    print()
    for line in runs.summary(finished, export.load_held_out(run / "held_out.npz"), division):
        print(line)
    if scored := _scored(finished, options.data, options.part):
        print(scored)
    print(f"Next: .venv/bin/python -m model export {run} {_free_version()}")


def export_release(options: argparse.Namespace) -> None:
    """Make a release of a run."""
    _need_torch()
    from model import data, export

    for folder in options.data or ():
        need_folder(folder, "the photos (--data)")
    run = export.with_notes(export.load_run(options.run), options.note)
    folders = options.data or [Path(folder) for folder in run.data]
    if not folders:
        raise DataError(
            f"{options.run} does not say which photos it was made of: name their folder with --data."
        )
    held_out = export.load_held_out(options.held_out or options.run / "held_out.npz", run.classes)
    each = -(-export.CALIBRATION_PHOTOS // len(folders))
    calibration = data.load_all(folders, classes=run.classes, most=each)
    test, judged = _test_photos(folders, options.part, run.classes), None
    if test is None and held_out.sha256 is not None:
        test, held_out_scores = export.of_held_out(held_out, data.load_all(folders, classes=run.classes))
        judged = held_out_scores if run.learned and set(test.sha256) <= run.learned else None
    release = export.export(
        run,
        held_out,
        calibration,
        calibration if test is None else test,
        golden=options.golden,
        out=_model_dir(),
        version=options.version,
        judged=judged,
        quantised=not options.float,
    )
    if caution := export.nothing_filed(release):
        print(caution, file=sys.stderr)
    print(
        f"Release {release.version} is in {release.folder}; its card.md says how good it is. Next: "
        f".venv/bin/python -m model promote {release.version}"
    )


def calibrate(options: argparse.Namespace) -> None:
    """Set a release's thresholds by your own photos, as a new release; the network stays as it is."""
    if importlib.util.find_spec("scipy") is None:
        raise ReleaseError(f"This command needs scipy: {INSTALL}")
    from model.own import adapt

    release = adapt(_release(options.release), options.photos, out=_model_dir(), version=options.version)
    print(
        f"Release {release.version} is in {release.folder}. `python -m model promote {release.version}` puts it to use."
    )


def evaluate(options: argparse.Namespace) -> None:
    """Score a release on a folder of photos."""
    _need_torch()
    from model import data
    from model.evaluate import as_text, in_words, judge, review, write_pages
    from model.evaluate import evaluate as score
    from model.export import scores_of
    from model.kinds import as_table, by_kind

    release = _release(options.release)
    photos = _photos_to_score(options.folder, options.part, release.classes)
    scores = scores_of(release.network, data.serving_pixels(photos))
    probable, sure = judge(scores, release.classes, options.review_precision, release.familiar)
    report = score(probable, photos, release.classes)
    print(as_text(report))
    filed = review(probable, sure, photos, release.classes, options.review_precision)
    print(f"\n{in_words(filed)}")
    print("\n" + as_table(by_kind(probable, photos, release.classes, sure)))
    for path in write_pages(report, probable, photos, release.classes, options.out):
        print(path)


def compare(options: argparse.Namespace) -> None:
    """Compare two releases on the same photos."""
    _need_torch()
    from model import data
    from model.evaluate import compare as both
    from model.export import scores_of

    first, second = _release(options.first), _release(options.second)
    if dict(first.classes.main_of) != dict(second.classes.main_of):
        raise ReleaseError(
            f"{first.version} and {second.version} tell different classes apart: nothing to compare."
        )
    photos = _photos_to_score(options.folder, options.part, first.classes)
    pixels = data.serving_pixels(photos)
    again = _photos_to_score(options.folder, options.part, second.classes)
    table = both(scores_of(first.network, pixels), scores_of(second.network, pixels), photos, again)
    print(f"{'head':<12}{'photos':>7}{'first':>8}{'second':>8}  {'gain, 95 % interval':<22}{'McNemar p':>10}")
    for head, row in table.items():
        print(
            f"{head:<12}{row['photos']:>7.0f}{row['first']:>8.3f}{row['second']:>8.3f}  "
            f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}      {row['p']:>10.3f}"
        )


def list_releases(_: argparse.Namespace) -> None:
    """Show the releases, their scores, and which one is in use."""
    model_dir = _model_dir()
    versions = releases.versions(model_dir)
    if not versions:
        print(f"There are no releases in {model_dir}.")
    used, problem = "", ""
    try:
        used = releases.version_in_use(model_dir)
    except ReleaseError as error:
        problem = str(error)
    for version in versions:
        try:
            scores = releases.load(model_dir / version).metrics.get("scores", {})
            told = ", ".join(
                f"{h} {scores[h]['score']:.3f}" for h in HEADS if scores.get(h, {}).get("photos")
            )
        except ReleaseError as error:
            told = str(error)
        print(f"{'*' if version == used else ' '} {version}  {told}")
    if used and used not in versions:
        problem = f"{used} is in use, and is not there: `python -m model promote VERSION` chooses another."
    if problem:
        raise ReleaseError(problem)


def promote(options: argparse.Namespace) -> None:
    """Put a release to use."""
    release = releases.promote(
        _model_dir(),
        options.version,
        new_classes=options.new_classes,
        worse=options.worse,
        uncompared=options.uncompared,
        tell=print,
    )
    print(f"{release.version} is in use from the next start of the sidecar on.")


def rollback(_: argparse.Namespace) -> None:
    """Return to the release used before."""
    print(
        f"{releases.rollback(_model_dir(), tell=print).version} is in use again from the next start of the sidecar on."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model",
        description="Train a model on your own photos, see how good it is, and choose which one the night uses.",
        epilog="A first training: python -m model train --data photos",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_export(commands)
    own = commands.add_parser(
        "calibrate",
        help="set a release's thresholds by your own photos",
        description=calibrate.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    own.add_argument("version", type=_name, help="name of the new release, such as mine-1")
    own.add_argument(
        "--from",
        dest="photos",
        type=_path,
        required=True,
        help="your photos as <folder>/<sub>/*.jpg; a column `weight` in labels.csv says how many photos each stands for",
    )
    own.add_argument("--release", help="version or release folder of the parent (default: the one in use)")
    own.set_defaults(command=calibrate)
    scored = commands.add_parser(
        "evaluate", help="score a release on a folder of photos", description=evaluate.__doc__
    )
    scored.add_argument(
        "folder",
        type=_path,
        nargs="+",
        help="photos as <folder>/<sub>/*.jpg, with labels.csv if there is one, or with a table that describes them",
    )
    scored.add_argument("--release", help="version or release folder (default: the one in use)")
    scored.add_argument("--part", help="part to score (default: test, else validation, if there)")
    scored.add_argument(
        "--out", type=_path, default=Path("runs/evaluation"), help="pictures go here (%(default)s)"
    )
    scored.add_argument(
        "--review-precision", type=float, default=0.97, help="promised precision (%(default)s)"
    )
    scored.set_defaults(command=evaluate)
    both = commands.add_parser(
        "compare", help="compare two releases on the same photos", description=compare.__doc__
    )
    both.add_argument("first", help="version or release folder")
    both.add_argument("second", help="version or release folder")
    both.add_argument("folder", type=_path, nargs="+", help="photos as for evaluate")
    both.add_argument("--part", help="part to score (default: test, else validation, if there)")
    both.set_defaults(command=compare)
    commands.add_parser("list", help="show the releases", description=list_releases.__doc__).set_defaults(
        command=list_releases
    )
    chosen = commands.add_parser(
        "promote",
        help="put a release to use",
        description="Put a release to use. It is compared with the one in use on photos that neither has learned from, and "
        "refused where it is surely worse, or where fewer than 200 photos can say so.",
    )
    chosen.add_argument("version", type=_name)
    chosen.add_argument("--new-classes", action="store_true", help="the classes are meant to change")
    chosen.add_argument("--worse", action="store_true", help="it may be worse than the one in use")
    chosen.add_argument("--uncompared", action="store_true", help="too few photos to compare by are enough")
    chosen.set_defaults(command=promote)
    commands.add_parser("lab", help="the background and colour lab: `python -m model lab --help`")
    commands.add_parser(
        "rollback", help="return to the release used before", description=rollback.__doc__
    ).set_defaults(command=rollback)
    return parser


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "train",
        help="learn from a data folder",
        description="Learn from DATA/train/<sub>/*.jpg and DATA/labels.csv (file,background,colour,sender), if there is "
        "one, or from a folder whose table says everything about its photos "
        "(file,sub,main,background,colour,group,source,kind). The same command goes on after an interruption.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data", type=_path, action="append", required=True, help="a data folder; may be given several times"
    )
    parser.add_argument(
        "--run",
        type=_path,
        help="where the run is kept (default: a folder below runs/ for each different training)",
    )
    begins = parser.add_mutually_exclusive_group()
    begins.add_argument(
        "--start",
        type=_path,
        help="the run or release to begin with (default: the release that the program came with)",
    )
    begins.add_argument(
        "--init",
        type=_path,
        help="begin with ResNet-18 weights instead: a file (safetensors), imagenet (torchvision's, fetched), or none "
        "(random)",
    )
    parser.add_argument(
        "--part", help="part that measures the result (default: test, else validation, where there is one)"
    )
    parser.add_argument(
        "--masks",
        type=_path,
        action="append",
        default=[],
        help="an extraction of `python -m model.lab extract`: items to cut out; one for each --data, in their order",
    )
    parser.add_argument(
        "--extra", type=_path, help="a folder of more photos, its labels in <folder>.csv (file,label)"
    )
    parser.add_argument(
        "--extra-labels", type=_path, help="a table of their backgrounds and colours (file,background,colour)"
    )
    parser.add_argument(
        "--strangers", type=_path, help="a folder of pictures that show no clothing; the more, the better"
    )
    parser.add_argument(
        "--teacher",
        type=_path,
        help="ResNet-50 weights (safetensors) that learn the classes first, and then teach",
    )
    parser.add_argument(
        "--fold",
        type=int,
        help="hold this fold of the groups out (default: each in turn below 1,000 photos, else fold 0)",
    )
    parser.add_argument("--folds", type=int, default=5, help="number of folds")
    parser.add_argument(
        "--leave-out",
        nargs="+",
        metavar="SOURCE",
        help="hold all photos of these sources out instead of a fold",
    )
    parser.add_argument(
        "--threads",
        type=_threads,
        default=0,
        help="threads of torch, 0 = its own choice; 1 is quicker on a busy machine",
    )
    _add_recipe(parser)
    parser.set_defaults(command=train)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    """One option for every field of the recipe."""
    from model.recipe import Recipe

    for field in fields(Recipe):
        name, meaning = f"--{field.name.replace('_', '-')}", field.metadata["help"].replace("%", "%%")
        default = field.default
        if field.name == "epochs":
            default, meaning = None, f"{meaning} (default: {field.default}; 0 below 1,000 photos)"
        parser.add_argument(name, type=type(field.default), default=default, help=meaning)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "export",
        help="make a release of a run",
        description=export_release.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "run",
        type=_path,
        help="the run to release; or a release: its network stays bit for bit, only its numbers are set anew by --held-out",
    )
    parser.add_argument("version", type=_name, help="name of the release, such as 2026-11-21")
    parser.add_argument(
        "--data", type=_path, action="append", help="data folders, if not those that the run was made of"
    )
    parser.add_argument(
        "--part", help="part to measure on (default: test, else validation; without one, the held-out photos)"
    )
    parser.add_argument(
        "--held-out", type=_path, help="held_out.npz of the run that set senders aside (this run's own)"
    )
    parser.add_argument(
        "--golden",
        type=_path,
        help="pictures with known answers, named <sub>-<colour>-<background>.jpg, which the release must get right "
        "(default: the drawn ones in model/golden, or, for other categories, some held-out photos)",
    )
    parser.add_argument("--float", action="store_true", help="do not quantise")
    parser.add_argument(
        "--note", action="append", default=[], help="a line for the card, below what it was made from"
    )
    parser.set_defaults(command=export_release)


def _model_dir() -> Path:
    """The folder of the releases. Raises SettingError."""
    return load(ModelSettings).model_dir


def _release(name: str | None) -> releases.Release:
    """The release of this version or folder; the one in use without a name."""
    if name is None:
        return releases.current(_model_dir())
    return releases.load(Path(name) if "/" in name or Path(name).is_dir() else _model_dir() / name)


def _start(named: Path | None) -> Path | None:
    """The folder of the run or release that a training begins with; a bare name is that of a release."""
    if named is None or named.is_dir() or len(named.parts) > 1:
        return named
    return _model_dir() / named


def _free_version() -> str:
    """A name for the next release of one's own."""
    taken = releases.versions(_model_dir())
    return next(name for name in (f"mine-{i}" for i in range(1, len(taken) + 2)) if name not in taken)


def _test_photos(folders: Sequence[Path], part: str | None, classes: Classes) -> Photos | None:
    """The photos that are there to measure on; None where no folder has such a part. Raises DataError for a named one."""
    from model import data
    from model.folders import test_part

    parts = [(folder, part or test_part(folder)) for folder in folders]
    loaded = [
        data.load(folder, part=name, classes=classes)
        for folder, name in parts
        if name and (folder / name).is_dir()
    ]
    if part and not loaded:
        raise DataError(f"No data folder has a part {part}: {', '.join(map(str, folders))}.")
    return reduce(data.Photos.joined, loaded) if loaded else None


def _photos_to_score(folders: Sequence[Path], part: str | None, classes: Classes) -> Photos:
    """The test photos of each folder; the whole of one that is not divided into parts."""
    from model import data
    from model.folders import test_part

    loaded = [
        data.load(folder, part=part or test_part(folder) or "train", classes=classes) for folder in folders
    ]
    return reduce(data.Photos.joined, loaded)


def _scored(run: Run, folders: Sequence[Path], part: str | None) -> str:
    """What the run scores on the test part, if there is one."""
    import numpy as np

    from model.train import check

    photos = _test_photos(folders, part, run.classes)
    if photos is None:
        return ""
    known = np.isin(photos.sha256, list(run.learned or ()))
    new = np.flatnonzero(~known)
    if not len(new):
        raise DataError(
            f"All {len(photos)} test photos were learned from: a test needs photos that were not."
        )
    scores = check(run.network, photos, new, run.size)
    left = f" ({known.sum()} more were learned from, and do not count)" if known.any() else ""
    return f"On {len(new)} test photos{left}: main {scores['main']:.3f}, sub {scores['sub']:.3f} right."


def _check_paths(options: argparse.Namespace) -> None:
    """Look for everything that was named before anything is read, which takes minutes. Raises UserError."""
    for folder in options.data:
        need_folder(folder, "the photos (--data)")
    for folder in options.masks:
        need_folder(folder, "the masks (--masks)")
    for name, what in (("extra", "further photos"), ("strangers", "pictures without clothing")):
        if getattr(options, name):
            need_folder(getattr(options, name), f"{what} (--{name})")
    for name, what in (("extra_labels", "the labels"), ("teacher", "a ResNet-50's weights")):
        if getattr(options, name):
            need_file(getattr(options, name), f"{what} (--{name.replace('_', '-')})")
    if options.init and str(options.init) not in ("none", "imagenet"):
        need_file(options.init, "ResNet-18 weights (--init; or say `none` or `imagenet`)")
    if options.run and options.run.exists():
        need_folder(options.run, "the run (--run)")


def _path(text: str) -> Path:
    """A path that was given; an empty text is none, and Path would take it for the folder one is in."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("a path is missing")
    return Path(text)


def _name(text: str) -> str:
    """A release's name, which is that of a folder."""
    if not re.fullmatch(r"\w[\w.+-]{0,99}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: letters, digits and . - _ + are meant")
    return text


def _threads(text: str) -> int:
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads: 0 to 1024 is meant")
    return int(text)


def _need_torch() -> None:
    missing = [
        name for name in ("torch", "torchvision", "onnx", "sklearn") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ReleaseError(f"This command needs {', '.join(missing)}: {INSTALL}")


def _say_what(plan: Plan, run: Path) -> None:
    """What is about to be learned from what, and where it is kept."""
    photos, division = plan.photos, plan.division
    way = f"in {len(division.folds)} turns, each photo once" if division.crossed else "throughout"
    how = "the categories alone are learned" if not plan.recipe.epochs else f"{plan.recipe.epochs} epochs"
    print(
        f"{len(division.learn)} photos to learn from, {len(division.held_out)} held out ({way}), {len(photos.broken)} could "
        f"not be read. {how[0].upper()}{how[1:]}; {plan.start.told}. The run is kept in {run}."
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


if __name__ == "__main__":
    use_utf8()
    raise SystemExit(main())
