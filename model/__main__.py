"""`python -m model`: train, evaluate, export, compare; list, promote and roll back releases.

Every command is a thin layer on a library call. `list`, `promote` and `rollback` need no torch.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import this_python
from utf8 import use_utf8

try:
    from pydantic import Field

    from logformat import Text, entry
    from model import releases
    from model.classes import HEADS, ClassesError, DataError, WeightsError
    from model.releases import ReleaseError
    from settings import ProjectPath, SettingError, Settings, load
except ImportError as error:
    this_python.end_without(error, "model")

if TYPE_CHECKING:
    import numpy as np

    from model.data import Photos


class ModelSettings(Settings):
    """The one setting of this command line, shared with the sidecar."""

    model_dir: ProjectPath = Field(Path("model/releases"), validate_default=True)


INSTALL = ".venv/bin/python -m pip install -r requirements.txt"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 with a sentence on stderr, or 2 for wrong usage."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(Text("%(message)s"))
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["lab"]:
        from model.lab.__main__ import main as lab

        return lab(given[1:])
    options = _parser().parse_args(given)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except (ReleaseError, ClassesError, DataError, WeightsError) as error:
        print(entry(f"python -m model: {error}"), file=sys.stderr)
        return 1
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(entry(f"python -m model: {what}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on where it was.", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Learn from a data folder and keep the run."""
    _need_torch()
    import numpy as np
    import torch

    from model import data, export, strangers, teacher
    from model.augment import Augmenter
    from model.labels import NO_CLOTHING
    from model.recipe import Recipe
    from model.train import familiarise
    from model.train import train as learn_from

    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = Recipe(**{f.name: getattr(options, f.name) for f in fields(Recipe)})
    photos = data.load_all(options.data, masks=options.masks)
    learn, held_out = np.arange(len(photos)), np.array([], dtype=int)
    if options.leave_out:
        learn, held_out = photos.leave_out(options.leave_out)
    elif options.fold is not None:
        learn, held_out = photos.fold(options.fold, of=options.folds)
    if options.extra:
        first = options.masks[0] if options.masks else None
        learn, photos = data.with_extra(photos, learn, held_out, options.extra, first, options.extra_labels)
    others = strangers.pictures(options.strangers)
    taught_apart = not (photos.clothing[learn] == NO_CLOTHING).any()
    if not taught_apart:
        learn = np.concatenate([learn, np.arange(len(photos), len(photos) + len(others))])
        photos = photos.joined(strangers.as_photos(photos.classes, others))
    _say_what(photos, learn, held_out)
    teachers: list[torch.nn.Module] = []
    if options.teacher:
        teachers = [teacher.teach(photos, learn, held_out, options.teacher, recipe, options.run)]
        teachers += [export.load_run(options.start).network.eval()] if options.start else []
    network = learn_from(
        photos,
        learn,
        held_out,
        recipe,
        options.run,
        init=options.init,
        start=options.start,
        teachers=teachers,
    )
    if taught_apart:
        strangers.teach(network, Augmenter(photos), learn, others, recipe.serve_size)
    told = export.story(recipe, photos, learn, init=options.start or options.init, teacher=options.teacher)
    familiar = familiarise(network, photos, learn, recipe.serve_size)
    run = export.Run(
        network,
        photos.classes,
        told,
        recipe.serve_size,
        familiar,
        trained=export.trained_heads(photos, learn, options.start),
        learned=frozenset(map(str, photos.sha256[learn])),
    )
    export.save_run(options.run, run)
    if len(held_out):
        export.save_held_out(options.run, run, photos, held_out)
    print(f"The run is in {options.run}; its curves in {options.run / 'curves.png'}.")


def export_release(options: argparse.Namespace) -> None:
    """Make a release of a run."""
    _need_torch()
    from model import data, export

    run = export.with_notes(export.load_run(options.run), options.note)
    held_out = export.load_held_out(options.held_out or options.run / "held_out.npz")
    each = -(-export.CALIBRATION_PHOTOS // len(options.data))
    calibration = data.load_all(options.data, classes=run.classes, most=each)
    # a folder without this part was learned from whole
    apart = [folder for folder in options.data if (folder / options.part).is_dir()] or options.data
    test = data.load_all(apart, part=options.part, classes=run.classes)
    release = export.export(
        run,
        held_out,
        calibration,
        test,
        golden=options.golden,
        out=_model_dir(),
        version=options.version,
        quantised=not options.float,
    )
    if caution := export.nothing_filed(release):
        print(caution, file=sys.stderr)
    print(
        f"Release {release.version} is in {release.folder}. `python -m model promote {release.version}` puts it to use."
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
    photos = data.load_all(options.folder, part=options.part, classes=release.classes)
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
    photos = data.load_all(options.folder, part=options.part, classes=first.classes)
    pixels = data.serving_pixels(photos)
    again = data.load_all(options.folder, part=options.part, classes=second.classes, progress=False)
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
    line = (
        (model_dir / releases.CURRENT).read_text().strip() if (model_dir / releases.CURRENT).is_file() else ""
    )
    for version in versions:
        try:
            scores = releases.load(model_dir / version).metrics.get("scores", {})
            told = ", ".join(
                f"{h} {scores[h]['score']:.3f}" for h in HEADS if scores.get(h, {}).get("photos")
            )
        except ReleaseError as error:
            told = str(error)
        print(f"{'*' if version == line else ' '} {version}  {told}")


def promote(options: argparse.Namespace) -> None:
    """Put a release to use."""
    release = releases.promote(_model_dir(), options.version, new_classes=options.new_classes)
    print(f"{release.version} is in use from the next start of the sidecar on.")


def rollback(_: argparse.Namespace) -> None:
    """Return to the release used before."""
    print(f"{releases.rollback(_model_dir()).version} is in use again from the next start of the sidecar on.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model",
        description="Train a model on your own photos, see how good it is, and choose which one the night uses.",
        epilog="A first training: python -m model train --data photos --run runs/first --fold 0",
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
    own.add_argument("version", help="name of the new release, such as mine-1")
    own.add_argument(
        "--from",
        dest="photos",
        type=Path,
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
        type=Path,
        nargs="+",
        help="photos as <folder>/<sub>/*.jpg, with labels.csv if there is one, or with a table that describes them",
    )
    scored.add_argument("--release", help="version or release folder (default: the one in use)")
    scored.add_argument(
        "--part", default="validation", help="sub-folder to score, if there (default: %(default)s)"
    )
    scored.add_argument(
        "--out", type=Path, default=Path("runs/evaluation"), help="pictures go here (%(default)s)"
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
    both.add_argument("folder", type=Path, nargs="+", help="photos as for evaluate")
    both.add_argument(
        "--part", default="validation", help="sub-folder to score, if there (default: %(default)s)"
    )
    both.set_defaults(command=compare)
    commands.add_parser("list", help="show the releases", description=list_releases.__doc__).set_defaults(
        command=list_releases
    )
    chosen = commands.add_parser("promote", help="put a release to use", description=promote.__doc__)
    chosen.add_argument("version")
    chosen.add_argument("--new-classes", action="store_true", help="the classes are meant to change")
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
        "--data", type=Path, action="append", required=True, help="a data folder; may be given several times"
    )
    parser.add_argument("--run", type=Path, default=Path("runs/model"), help="where the run is kept")
    parser.add_argument(
        "--init", type=Path, help="ResNet-18 weights (safetensors); torchvision's are fetched without it"
    )
    parser.add_argument("--start", type=Path, help="go on from another run's weights instead of --init")
    parser.add_argument(
        "--masks",
        type=Path,
        action="append",
        default=[],
        help="an extraction of `python -m model.lab extract`: items to cut out; one for each --data, in their order",
    )
    parser.add_argument(
        "--extra", type=Path, help="a folder of more photos, its labels in <folder>.csv (file,label)"
    )
    parser.add_argument(
        "--extra-labels", type=Path, help="a table of their backgrounds and colours (file,background,colour)"
    )
    parser.add_argument(
        "--strangers", type=Path, help="a folder of pictures that show no clothing; the more, the better"
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        help="ResNet-50 weights (safetensors) that learn the classes first, and then teach",
    )
    parser.add_argument(
        "--fold", type=int, help="hold this fold of the groups out; without it nothing is held out"
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
        type=int,
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
        parser.add_argument(name, type=type(field.default), default=field.default, help=meaning)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "export",
        help="make a release of a run",
        description=export_release.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "run",
        type=Path,
        help="the run to release; or a release: its network stays bit for bit, only its numbers are set anew by --held-out",
    )
    parser.add_argument("version", help="name of the release, such as 2026-11-21")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="a data folder; may be given several times"
    )
    parser.add_argument("--part", default="validation", help="its part to measure on")
    parser.add_argument(
        "--held-out", type=Path, help="held_out.npz of the run that set senders aside (this run's own)"
    )
    parser.add_argument(
        "--golden", type=Path, default=Path("model/golden"), help="photos named <sub>-<colour>-<background>"
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


def _need_torch() -> None:
    missing = [
        name for name in ("torch", "torchvision", "onnx", "sklearn") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ReleaseError(f"This command needs {', '.join(missing)}: {INSTALL}")


def _say_what(photos: Photos, learn: np.ndarray, held_out: np.ndarray) -> None:
    print(
        f"{len(learn)} photos to learn from, {len(held_out)} held out, {len(photos.broken)} could not be read."
    )
    for name, reason in photos.broken:
        print(entry(f"  {name}: {reason}"))


if __name__ == "__main__":
    use_utf8()
    raise SystemExit(main())
