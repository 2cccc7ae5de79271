"""All judges of a task on the same photos: how right they are, and what they cost."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from model.lab import LabError
from model.lab.judging.cost import Cost, measure_cost
from model.lab.judging.evaluation import judge_scores
from model.lab.judging.judges import ClassicalJudge, Judge
from model.lab.judging.tasks import Task
from model.lab.photos.parallel import progress
from model.lab.photos.store import Store
from replacing import replacing


def compare(task: Task, judges: Sequence[Judge], store: Store, photos: Path, costs: Costs) -> pd.DataFrame:
    """Return the table of one task, best balanced accuracy first.

    A judge is asked about its own classes only: one that was trained without some (`--drop`) has fewer photos.
    """
    if not judges:
        raise LabError(f"No judge answers the task {task.name!r} yet: `train` makes some.")
    rows = []
    for judge in progress(judges, f"compare {task.name}", len(judges)):
        own = task.answered(judge.classes)
        summary = judge_scores(judge, photos, store, own).summary()
        cost = costs.of(judge, own.files)
        facts = judge.facts if isinstance(judge, ClassicalJudge) else {}
        rows.append(
            {
                "task": task.name,
                "judge": judge.name,
                "sees the mask": "yes" if judge.needs_mask else "no",
                "balanced": summary["balanced_accuracy"],
                "balanced low": summary["balanced_accuracy_interval"][0],
                "balanced high": summary["balanced_accuracy_interval"][1],
                "accuracy": summary["accuracy"],
                "accuracy low": summary["accuracy_interval"][0],
                "accuracy high": summary["accuracy_interval"][1],
                "balanced, folds": facts.get("cross_validation", {}).get("balanced_accuracy"),
                "accuracy, folds": facts.get("cross_validation", {}).get("accuracy"),
                "training s": facts.get("seconds"),
                "ms a photo": 1000 * cost.seconds,
                "memory MB": cost.memory_mb,
                "classes": len(judge.classes),
                "photos": summary["photos"],
            }
        )
    return pd.DataFrame(rows).sort_values("balanced", ascending=False)


class Costs:
    """What judges cost, measured on `count` photos, and kept in a file by judge and what it is made of."""

    def __init__(self, path: Path, store: Store, photos: Path, count: int, releases: Path) -> None:
        self._path, self._photos, self._count, self._releases = path, photos, count, releases
        self._mask_model = str(store.mapping["model"].iloc[0])
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, judge: Judge, files: Sequence[str]) -> Cost:
        """Return the judge's cost, measuring it on the first of the files if it is not known yet; NaN for no photos."""
        if not self._count:
            return Cost(math.nan, math.nan)
        print_of = judge.facts["fingerprint"] if isinstance(judge, ClassicalJudge) else judge.name
        key = f"{judge.task} {judge.name} {print_of}"
        if key not in self._known:
            measured = measure_cost(
                judge, self._photos, files[: self._count], self._mask_model, self._releases
            )
            self._known[key] = measured._asdict()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as scratch:
                scratch.write_text(json.dumps(self._known, indent=1))
        return Cost(**self._known[key])


def network_verdict(table: pd.DataFrame, task: str) -> str:
    """Say how the network's head compares with the best classical model that sees the mask; "" without either."""
    rows = table[table["task"] == task]
    networks = rows[rows["judge"].str.startswith("network")]
    masked = rows[rows["sees the mask"] == "yes"]
    if networks.empty or masked.empty:
        return ""
    head, best = networks.iloc[0], masked.iloc[0]
    verdict = (
        f"{task}: the network's head has a balanced accuracy of {head['balanced']:.3f}, the best model that sees the mask "
        f"({best['judge']}) {best['balanced']:.3f}"
    )
    if head["photos"] == best["photos"]:
        verdict += f", on the same {int(head['photos'])} photos"
    ratio = best["ms a photo"] / head["ms a photo"]
    return verdict + ("." if math.isnan(ratio) else f"; the head takes 1/{ratio:.0f} of the processor time.")
