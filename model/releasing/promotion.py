"""Which release is put to use, and why another is refused.

promote(Path("model/releases"), "2026-11-21")     # refuses a release that would do harm
rollback(Path("model/releases"))                  # back to the one before
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import in_use
from in_use import InUseError
from model.releasing import held_out_answers
from model.releasing.held_out_answers import Compared, HeldOutAnswers
from model.serving import promotions
from model.serving.classes import HEADS, Classes
from model.serving.promotions import is_shipped, named, take_over, use
from model.serving.releases import Release, ReleaseError, load

MIN_AGREEMENT: Final = 0.985
MAX_LOSS: Final = 0.005
"""What `promote` asks of the 8-bit network: as many answers like the float one's, so little accuracy lost."""

PHOTOS_NEEDED: Final = 200
"""Photos on which two releases have to be compared before the new one is put to use."""

SURELY: Final = 0.01
"""A head is surely worse where so great a loss has at most this probability by chance. There are four heads, so one
release in 25 that is as good as the one in use is refused nevertheless, and promoted with `--worse`."""


def promote(
    model_dir: Path,
    version: str,
    *,
    new_classes: bool = False,
    worse: bool = False,
    uncompared: bool = False,
    tell: Callable[[str], object] = str,
) -> Release:
    """Make a release the one in use, in one atomic step. `tell` gets what the comparison found, line by line.

    Raises ReleaseError when its 8-bit network strays from the float one, or its scores are missing; and, unless the flag
    for it is given, when its classes differ from those in use, when it is surely worse, or when too few photos say so.
    """
    if not in_use.is_name(version):
        raise ReleaseError(f"{version!r} is no release's name. `python -m model list` shows which there are.")
    take_over(model_dir)
    release = load(in_use.folder(model_dir, version))
    _check_scores(release)
    before, used = _used(model_dir, tell)
    flags = {"--new-classes": new_classes, "--worse": worse, "--uncompared": uncompared}
    if used and used.version != version:
        _check_against(release, used, flags, tell)
    given = [flag for flag, is_given in flags.items() if is_given]
    use(model_dir, before, version, " ".join(["promote", *given]))
    return release


def command(model_dir: Path, release: Release) -> str:
    """The command that puts a release to use, with what other categories than those in use need. Never with `--worse`."""
    words = ["python -m model promote", release.version]
    with contextlib.suppress(InUseError, ReleaseError):
        used = load(in_use.folder(model_dir, in_use.version(model_dir)))
        if _other_classes(release, used):
            words.append("--new-classes")
            heads = _heads_in_common(release, used)
            if held_out_answers.in_common(_held_out(release), _held_out(used), heads) < PHOTOS_NEEDED:
                words.append("--uncompared")
    return " ".join(words)


def rollback(model_dir: Path, *, tell: Callable[[str], object] = str) -> Release:
    """Return to the release that was in use before, in one atomic step; once more, to the one before that.

    Releases that are gone or damaged are passed over; `tell` gets a line for each. Before all others comes the shipped
    default. Raises ReleaseError.
    """
    take_over(model_dir)
    try:
        used = in_use.version(model_dir)
    except InUseError:
        # all the more reason to return to another
        used = ""
    try:
        earlier = promotions.before(model_dir, used)
    except InUseError as error:
        raise ReleaseError(str(error)) from error
    default = in_use.default(model_dir)
    shipped = named(default) if is_shipped(default) else ""
    for version in [*reversed(earlier), shipped]:
        if version in ("", used):
            continue
        try:
            release = load(in_use.folder(model_dir, version))
        except ReleaseError as error:
            tell(f"{version} is passed over. {error}")
            continue
        use(model_dir, used, version, "rollback")
        return release
    raise ReleaseError("There is no release to return to: `python -m model promote VERSION` chooses one.")


def _used(model_dir: Path, tell: Callable[[str], object]) -> tuple[str, Release | None]:
    """The name of the release in use, and itself; "" and None where there is none to compare with."""
    before = ""
    try:
        before = in_use.version(model_dir)
        return before, load(in_use.folder(model_dir, before))
    except (InUseError, ReleaseError) as error:
        tell(f"Compared with nothing. {error}")
        return before, None


def _check_scores(release: Release) -> None:
    """Refuse a release without scores, or with an 8-bit network that is not the float one's equal."""
    scores, agreement = release.metrics.get("scores", {}), release.metrics.get("agreement", {})
    for head in release.classes.heads:
        if head not in scores or head not in agreement:
            raise ReleaseError(
                f"{release.version} does not say how well its {head} head does: export it again with "
                "`python -m model export`, which measures it."
            )
        same, lost = agreement[head]["same"], agreement[head]["lost"]
        if same < MIN_AGREEMENT or lost > MAX_LOSS:
            raise ReleaseError(
                f"{release.version} is refused: its 8-bit {head} head answers like the float one on {same:.1%} of "
                f"the photos and loses {100 * lost:.2f} points; {MIN_AGREEMENT:.1%} and {100 * MAX_LOSS:.1f} points "
                "are allowed. Export it with --float, or calibrate it on more photos."
            )


def _check_against(
    release: Release, used: Release, flags: Mapping[str, bool], tell: Callable[[str], object]
) -> None:
    """Refuse what is to be feared of a release beside the one in use, unless the flag for it says that it is known."""
    objections = {"--new-classes": _other_classes(release, used)}
    if not _same_network(release, used):
        new, old = _held_out(release), _held_out(used)
        heads = _heads_in_common(release, used)
        table, number = held_out_answers.compare(new, old, heads), held_out_answers.in_common(new, old, heads)
        for line in _as_text(table, used.version, release.version):
            tell(line)
        objections["--worse"] = _worse(release, used, table)
        objections["--uncompared"] = _too_few(release, used, number, bool(new), bool(old))
    refused = {flag: why for flag, why in objections.items() if why and not flags[flag]}
    if refused:
        wanted = [flag for flag in flags if flags[flag] or flag in refused]
        raise ReleaseError(
            f"{' '.join(refused.values())} {used.version} stays in use. If that is what you want: "
            f"`python -m model promote {release.version} {' '.join(wanted)}`."
        )


def _other_classes(release: Release, used: Release) -> str:
    """How its classes differ from those in use; nothing when they are the same."""
    new, old = release.classes, used.classes
    if new.same_names(old):
        return ""
    told = {head: set(new.names(head)) if head in new.heads else set() for head in HEADS}
    known = {head: set(old.names(head)) if head in old.heads else set() for head in HEADS}
    added = sorted(set().union(*(told[head] - known[head] for head in HEADS)))
    gone = sorted(set().union(*(known[head] - told[head] for head in HEADS)))
    return (
        f"{release.version} has different categories from {used.version} (new: {', '.join(added) or 'none'}; gone: "
        f"{', '.join(gone) or 'none'})."
    )


def _same_network(release: Release, used: Release) -> bool:
    """Whether only thresholds and temperatures differ: then there is nothing to compare."""
    network = "model.onnx"
    return in_use.checksums(release.folder)[network] == in_use.checksums(used.folder)[network]


def _held_out(release: Release) -> HeldOutAnswers:
    """Its answers to photos that it has not learned from; nothing when it came without them."""
    if held_out_answers.FILE not in in_use.checksums(release.folder):
        return {}
    try:
        return held_out_answers.read(release.folder)
    except (KeyError, OSError, ValueError) as error:
        raise ReleaseError(
            f"{release.folder / held_out_answers.FILE} cannot be read ({error}): export the release again."
        ) from error


def _alike(head: str, new: Classes, old: Classes) -> bool:
    """Whether both answer with this head, and tell the same classes apart there."""
    return head in new.heads and head in old.heads and set(new.names(head)) == set(old.names(head))


def _heads_in_common(new: Release, old: Release) -> list[str]:
    return [head for head in HEADS if _alike(head, new.classes, old.classes)]


def _as_text(table: Mapping[str, Compared], old: str, new: str) -> list[str]:
    """The comparison, for people: right answers on photos that neither release has learned from."""
    if not table:
        return []
    width = max(len(old), len(new), len("in use"))
    rows = [
        f"{head:<12}{row.photos:>7}  {row.old:>{width}.3f}  {row.new:>{width}.3f}"
        f"{'  surely worse' if row.p_worse <= SURELY else ''}"
        for head, row in table.items()
    ]
    return [f"{'right':<12}{'photos':>7}  {old:>{width}}  {new:>{width}}", *rows]


def _worse(release: Release, used: Release, table: Mapping[str, Compared]) -> str:
    """Which heads are surely worse than those in use."""
    told = [
        f"{head} {row.new:.1%} instead of {row.old:.1%} right on {row.photos} photos"
        for head, row in table.items()
        if row.p_worse <= SURELY
    ]
    if not told:
        return ""
    return (
        f"{release.version} is worse than {used.version} on photos that neither has learned from, and not by chance: "
        f"{'; '.join(told)}."
    )


def _too_few(release: Release, used: Release, number: int, has_new: bool, has_old: bool) -> str:
    """Why nobody knows which of the two is better; nothing when enough photos say so."""
    if number >= PHOTOS_NEEDED:
        return ""
    without = [one.version for one, has in ((release, has_new), (used, has_old)) if not has]
    why = f" {' and '.join(without)} came without held-out answers." if without else ""
    return (
        f"{release.version} can be compared with {used.version} on {number} photos only, and {PHOTOS_NEEDED} are needed: "
        f"labelled photos that both were tested on and neither has learned from.{why}"
    )
