"""Released models: folders that are never changed, and one line that names the one in use.

    release = current(Path("model/releases"))

A release folder holds `model.onnx`, `weights.safetensors`, `classes.json`, `metrics.json`, `card.md`, `recipe.toml`,
`held_out.csv`, `golden/` and `SHA256SUMS`, which is checked whenever the release is loaded (`sha256sum -c` reads it too).
Which one is in use, `in_use.py` says.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import in_use
from in_use import CHECKSUMS, InUseError
from model.serving.classes import Classes, ClassesError
from model.serving.familiar import FILE, Familiar
from model.serving.promotions import take_over
from model.user_errors import UserError


class ReleaseError(UserError):
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
    """The release in use. Raises ReleaseError."""
    # a folder that may not be written to says the same the next time
    with contextlib.suppress(OSError):
        take_over(model_dir)
    return load(in_use.folder(model_dir, version_in_use(model_dir)))


def version_in_use(model_dir: Path) -> str:
    """The name of the release in use. Raises ReleaseError."""
    try:
        return in_use.version(model_dir)
    except InUseError as error:
        raise ReleaseError(str(error)) from error


def load(folder: Path) -> Release:
    """Read and check a release folder. Raises ReleaseError when anything is missing or changed."""
    if not folder.is_dir():
        raise ReleaseError(f"There is no release {folder}. `python -m model list` shows which there are.")
    if problem := in_use.damage(folder):
        raise ReleaseError(
            f"The release {folder} is damaged ({problem}): restore the folder, or `python -m model rollback`."
        )
    try:
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
    found = (path for place in in_use.places(model_dir) if place.is_dir() for path in place.iterdir())
    return sorted({path.name for path in found if (path / CHECKSUMS).is_file()})


def seal(folder: Path) -> None:
    """Write the checksums of a finished release folder."""
    lines = [
        f"{in_use.checksum(path)}  {path.relative_to(folder).as_posix()}\n" for path in _contents(folder)
    ]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _contents(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
