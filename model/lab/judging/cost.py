"""What one judge costs: seconds per photo and memory, measured in a process of its own, one photo after the other."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model.lab import LabError
from model.lab.judging.judges import ClassicalJudge, Judge, NetworkJudge, open_network
from model.lab.photos.files import open_photo
from model.lab.photos.masks import item_mask, open_session
from model.lab.photos.view import View
from model.serving.preprocess import PhotoError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Cost(NamedTuple):
    """Processor seconds per photo, from the file's bytes to the answer, and the process's largest memory in MB."""

    seconds: float
    memory_mb: float


def measure_cost(judge: Judge, photos: Path, files: Sequence[str], mask_model: str, releases: Path) -> Cost:
    """Measure a judge on photos, in a fresh process with one thread.

    Everything a new photo needs is counted: reading, the mask where the judge sees one, features, the model. Raises
    LabError when the process fails.
    """
    where = (
        {"folder": str(judge.folder)} if isinstance(judge, ClassicalJudge) else {"releases": str(releases)}
    )
    order = {
        **where,
        "task": judge.task,
        "mask_model": mask_model,
        "photos": [str(photos / file) for file in files],
    }
    done = subprocess.run(
        [sys.executable, "-m", "model.lab.judging.cost", json.dumps(order)],
        capture_output=True,
        text=True,
        env={**os.environ, **ONE_THREAD},
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise LabError(
            f"The cost of {judge.name} could not be measured. {why} (--cost-photos 0 compares without costs.)"
        )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def cost_here(order: dict[str, Any]) -> Cost:
    """Measure in this very process. The first photo warms up and is not counted."""
    paths = [Path(path) for path in order["photos"]]
    ask = classical_asker(order) if "folder" in order else network_asker(order)
    ask(paths[0])
    started = time.process_time()
    for path in paths:
        ask(path)
    seconds = (time.process_time() - started) / len(paths)
    return Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def classical_asker(order: dict[str, Any]) -> Any:
    """Return a function that answers for a photo's path by a classical model."""
    judge = ClassicalJudge(Path(order["folder"]))
    session = open_session(order["mask_model"], threads=1) if judge.needs_mask else None

    def ask(path: Path) -> None:
        pixels = open_photo(path)
        mask = item_mask(session, pixels) if session else np.zeros(pixels.shape[:2], np.uint8)
        judge.answer(View(path, pixels, mask))

    return ask


def network_asker(order: dict[str, Any]) -> Any:
    """Return a function that answers for a photo's path by the network."""
    return NetworkJudge(open_network(Path(order["releases"])), order["task"]).answer_file


if __name__ == "__main__":
    try:
        print(json.dumps(cost_here(json.loads(sys.argv[1]))._asdict()))
    except (LabError, PhotoError, OSError) as problem:
        sys.exit(" ".join(str(problem).split()))
