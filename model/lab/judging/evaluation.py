"""What a judge's answers are worth: on photos it has not seen, or on the folds of its own cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from model.lab import LabError
from model.lab.judging.judges import ClassicalJudge, Judge
from model.lab.judging.tasks import Task
from model.lab.photos.store import Store
from model.scoring import Scores


def judge_scores(judge: Judge, photos: Path | None, store: Store, task: Task) -> Scores:
    """Ask the judge about those of the task's photos whose answer is one of its classes.

    Raises LabError when no photo is left to ask about.
    """
    task = task.answered(judge.classes)
    if not task.files:
        raise LabError(
            f"None of the photos with an answer that {judge.name} knows is held out: see --held-out."
        )
    answers = judge.answers(photos, store, task.files)
    return Scores(
        task.codes(judge.classes), answers.probabilities, judge.classes, task.groups, answers.guesses
    )


def fold_scores(judge: Judge, task: Task) -> tuple[Scores, Sequence[str]]:
    """Score a classical model's answers from its cross-validation, and return the files they are about."""
    if not isinstance(judge, ClassicalJudge):
        raise LabError("Only models that `train` made have folds; ask the network about held-out photos.")
    table = pd.read_csv(judge.folder / "answers.csv", dtype={"file": str})
    groups = dict(zip(task.files, task.groups, strict=True))
    probabilities = table[[f"p_{name}" for name in judge.classes]].to_numpy(float)
    about = Task(
        task.name,
        tuple(table["file"]),
        tuple(table["truth"]),
        tuple(groups.get(f, "") for f in table["file"]),
    )
    return Scores(about.codes(judge.classes), probabilities, judge.classes, about.groups), about.files


def mistakes(scores: Scores, files: Sequence[str], count: int = 25) -> pd.DataFrame:
    """Return the wrong answers given with the most confidence."""
    wrong = np.flatnonzero(~scores.right)
    worst = wrong[np.argsort(-scores.confidence[wrong], kind="stable")][:count]
    return pd.DataFrame(
        {
            "truth": [scores.names[place] for place in scores.labels[worst]],
            "answer": [scores.names[place] for place in scores.answers[worst]],
            "confidence": scores.confidence[worst],
        },
        index=pd.Index([files[place] for place in worst], name="file"),
    )
