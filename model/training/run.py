"""What a training leaves behind: the network, its classes, and how it came about, in a folder of its own.

save_run(Path("runs/first"), run)
load_run(Path("runs/first"))          # or a release's folder, to make another release of it
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors.torch import save_file

from model.network import Network, load_release, load_whole
from model.serving.classes import HEADS, Classes, WeightsError
from model.serving.familiar import FILE as FAMILIAR
from model.serving.familiar import Familiar
from model.serving.preprocess import INPUT_SIZE
from model.serving.releases import Release, load
from model.training import recipe_file
from model.training.data import Photos, fingerprint

LEARNED: Final = "learned.npy"
"""In a release's folder: the checksums of the photos that it has learned from."""


@dataclass(frozen=True)
class Run:
    """What training left behind: the network, and what the card says of how it came about."""

    network: Network
    classes: Classes
    story: dict[str, Any]
    size: int = INPUT_SIZE
    """Side at which the network sees photos in serving."""
    familiar: Familiar | None = None
    """What its training photos look like."""
    trained: tuple[str, ...] = HEADS
    """The heads that have learned anything; the others answer nothing."""
    learned: frozenset[str] | None = None
    """Checksums of the photos that it has learned from; None where that was not kept."""
    release: Release | None = None
    """The release that it was read from: its network stays bit for bit as it is."""
    data: tuple[str, ...] = ()
    """The data folders that it was made of."""
    record: dict[str, Any] = field(default_factory=dict)
    """What its recipe.toml holds; nothing where none was kept."""


def save_run(folder: Path, run: Run) -> None:
    """Keep a finished run: `weights.safetensors` (float32), `recipe.toml` and `run.json`."""
    state = {name: value.contiguous() for name, value in run.network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    recipe_file.write(folder, run.record)
    content = {
        "classes": json.loads(run.classes.to_json()),
        "story": run.story,
        "size": run.size,
        "trained": run.trained,
        "learned": None if run.learned is None else sorted(run.learned),
        "data": run.data,
    }
    (folder / "run.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if run.familiar:
        run.familiar.write(folder / FAMILIAR)


def load_run(folder: Path) -> Run:
    """Read a finished run, or a release, to make another one of it. Raises WeightsError when there is none."""
    if (folder / "classes.json").is_file():
        return _of_release(load(folder))
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        classes, story = Classes.from_json(json.dumps(content["classes"])), content["story"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"There is no finished run in {folder} ({error}): `python -m model train --run {folder}` makes one."
        ) from error
    network = load_whole(classes, folder / "weights.safetensors")
    seen = folder / FAMILIAR
    try:
        known = Familiar.read(seen) if seen.is_file() else None
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise WeightsError(f"{seen} cannot be read ({error}): remove the run, and train again.") from error
    learned = content.get("learned")
    return Run(
        network.eval(),
        classes,
        story,
        content.get("size", INPUT_SIZE),
        known,
        tuple(content.get("trained", HEADS)),
        None if learned is None else frozenset(learned),
        data=tuple(content.get("data", ())),
        record=recipe_file.read_if_there(folder),
    )


def _of_release(release: Release) -> Run:
    """A release as a run: what it was made from, and the network that it has."""
    story = dict(release.metrics["story"])
    story["made_from"] = [
        f"the network of release {release.version}, bit for bit as it was, which was made from:",
        *story.get("made_from", []),
    ]
    return Run(
        load_release(release.folder, release.classes),
        release.classes,
        story,
        release.metrics["size"],
        release.familiar,
        release.classes.heads,
        learned=_read_learned(release.folder),
        release=release,
        record=recipe_file.read_if_there(release.folder),
    )


def write_learned(folder: Path, learned: Collection[str]) -> None:
    """Keep in a release's folder from which photos it has learned, so that they are never held out of what begins with it.

    learned: SHA-256 of their files.
    """
    sums = sorted(bytes.fromhex(each) for each in learned)
    np.save(folder / LEARNED, np.frombuffer(b"".join(sums), np.uint8).reshape(-1, 32))


def _read_learned(folder: Path) -> frozenset[str] | None:
    """What `write_learned` kept; None for a release from before there was that. Raises WeightsError."""
    path = folder / LEARNED
    if not path.is_file():
        return None
    try:
        return frozenset(bytes(each).hex() for each in np.load(path, allow_pickle=False))
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}): copy the release anew.") from error


def with_notes(run: Run, notes: Sequence[str]) -> Run:
    """The run with more lines for the card, below what it was made from."""
    return replace(run, story=run.story | {"made_from": [*run.story.get("made_from", []), *notes]})


def story(photos: Photos, learn: np.ndarray, *, begins_with: str, teacher: Path | None) -> dict[str, Any]:
    """What a card says of how a run came about, beside its recipe."""
    made_from = [f"{len(learn)} photos (data {fingerprint(photos)[:12]})", begins_with]
    made_from += [f"{teacher.name}, having learned the same photos, as a teacher"] if teacher else []
    return {"made_from": made_from, "torch": torch.__version__}
