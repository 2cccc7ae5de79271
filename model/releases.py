"""Released models: folders that are never changed, and one line that names the one in use.

    release = current(Path("model/releases"))
    promote(Path("model/releases"), "2026-11-21")     # refuses a release that would do harm
    rollback(Path("model/releases"))                  # back to the one before

A release folder holds `model.onnx`, `weights.safetensors`, `classes.json`, `metrics.json`, `card.md`,
`golden/` and `SHA256SUMS`, which is checked whenever the release is loaded (`sha256sum -c` reads it too).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model.classes import Classes, ClassesError
from model.familiar import FILE, Familiar

CURRENT: Final = "CURRENT"
PREVIOUS: Final = "PREVIOUS"
CHECKSUMS: Final = "SHA256SUMS"

MIN_AGREEMENT: Final = 0.985
MAX_LOSS: Final = 0.005
"""What `promote` asks of the 8-bit network: as many answers like the float one's, so little accuracy lost."""

_NEEDED = ("model.onnx", "classes.json", "metrics.json", "card.md", "golden/golden.json")


class ReleaseError(Exception):
    """A release that cannot be used; the text says what is wrong and what to do."""


@dataclass(frozen=True)
class Release:
    """A release whose files are all there and unharmed.

    `golden` maps the golden photos' files to the answers they must get, head → class. `familiar` is what its training
    photos look like; None in a release from before there was that.
    """

    version: str
    folder: Path
    classes: Classes
    metrics: dict[str, Any]
    golden: dict[Path, dict[str, str]]
    familiar: Familiar | None = None

    @property
    def network(self) -> Path:
        """The exported network."""
        return self.folder / "model.onnx"


def current(model_dir: Path) -> Release:
    """The release that CURRENT names. Raises ReleaseError."""
    return load(model_dir / _current_version(model_dir))


def load(folder: Path) -> Release:
    """Read and check a release folder. Raises ReleaseError when anything is missing or changed."""
    if not folder.is_dir():
        raise ReleaseError(f"There is no release {folder}. `python -m model list` shows which there are.")
    for name in (CHECKSUMS, *_NEEDED):
        if not (folder / name).is_file():
            raise ReleaseError(
                f"The release {folder} lacks {name}: restore the folder, or `python -m model rollback`."
            )
    try:
        _verify(folder)
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        golden = json.loads((folder / "golden" / "golden.json").read_text(encoding="utf-8"))
        known = Familiar.read(folder / FILE) if (folder / FILE).is_file() else None
        return Release(
            version=folder.name,
            folder=folder,
            classes=Classes.from_json((folder / "classes.json").read_text(encoding="utf-8")),
            metrics=metrics,
            golden={folder / "golden" / name: dict(answers) for name, answers in golden.items()},
            familiar=known,
        )
    except (ClassesError, KeyError, OSError, AttributeError, TypeError, ValueError) as error:
        raise ReleaseError(f"The release {folder} cannot be read: {error}") from error


def versions(model_dir: Path) -> list[str]:
    """The releases there are, oldest name first."""
    if not model_dir.is_dir():
        return []
    return sorted(path.name for path in model_dir.iterdir() if (path / CHECKSUMS).is_file())


def promote(model_dir: Path, version: str, *, new_classes: bool = False) -> Release:
    """Make a release the one in use, in one atomic step.

    Raises ReleaseError when its 8-bit network strays from the float one, its scores are missing, or its
    classes differ from those in use and `new_classes` is not given.
    """
    release = load(model_dir / version)
    _check_scores(release)
    before = _current_version(model_dir) if (model_dir / CURRENT).is_file() else None
    if before == version:
        return release
    if before is not None:
        _check_classes(release, model_dir / before, new_classes)
        _write_line(model_dir / PREVIOUS, before)
    _write_line(model_dir / CURRENT, version)
    return release


def rollback(model_dir: Path) -> Release:
    """Return to the release that was in use before the last `promote`, in one atomic step."""
    previous = model_dir / PREVIOUS
    version = previous.read_text(encoding="utf-8").strip() if previous.is_file() else ""
    if not version or version == _current_version(model_dir):
        raise ReleaseError("There is no release to return to: `python -m model promote VERSION` chooses one.")
    release = load(model_dir / version)
    _write_line(model_dir / CURRENT, version)
    return release


def seal(folder: Path) -> None:
    """Write the checksums of a finished release folder."""
    lines = [f"{_checksum(path)}  {path.relative_to(folder).as_posix()}\n" for path in _contents(folder)]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _current_version(model_dir: Path) -> str:
    path = model_dir / CURRENT
    try:
        version = path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise ReleaseError(
            f"No release is in use ({path} is missing): `python -m model promote VERSION`."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} cannot be read ({error}): `python -m model promote VERSION`.") from error
    if not version or Path(version).name != version:
        raise ReleaseError(f"{path} must hold one line, a release's name; it holds {version!r}.")
    return version


def _verify(folder: Path) -> None:
    """Compare every file with its checksum; a file that has none does not count."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    listed = {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
    if unlisted := [name for name in _NEEDED if name not in listed]:
        raise ReleaseError(f"{folder / CHECKSUMS} does not list {unlisted[0]}: restore the folder.")
    for name, checksum in listed.items():
        path = folder / name
        if not path.is_file() or _checksum(path) != checksum:
            raise ReleaseError(
                f"The release {folder} is damaged ({name} is not what was released): restore the folder, or "
                "`python -m model rollback`."
            )


def _contents(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _check_classes(release: Release, before: Path, new_classes: bool) -> None:
    """Refuse other classes than those in use, unless they are wanted."""
    old = (
        Classes.from_json((before / "classes.json").read_text(encoding="utf-8")) if before.is_dir() else None
    )
    if old is not None and not new_classes and not release.classes.same_names(old):
        added = sorted(set(release.classes.subs) - set(old.subs))
        gone = sorted(set(old.subs) - set(release.classes.subs))
        raise ReleaseError(
            f"{release.version} has different categories from {before.name} (new: {', '.join(added) or 'none'}; gone: "
            f"{', '.join(gone) or 'none'}). If that is meant: `python -m model promote {release.version} --new-classes`."
        )


def _write_line(path: Path, line: str) -> None:
    """Replace a one-line file so that a reader sees the old line or the new one, never less."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
