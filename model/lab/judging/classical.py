"""The classical models: how each is built, searched, fitted, checked on unseen groups, saved and loaded.

    model = fit("svc", rows, codes, groups, search="grid").model
    save(folder, model, facts); load(folder)

A further model is one entry in `CLASSIFIERS`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedGroupKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

from model.lab import LabError
from replacing import replacing

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Search = Literal["none", "grid", "random"]
Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

RANDOM_TRIES: Final = 12
"""How many settings a randomised search tries."""

INNER_FOLDS: Final = 3
"""Folds within a training part, to compare settings and to calibrate probabilities."""

SHUFFLED: Final = 250
"""Photos of each fold on which importance is measured."""

TRUSTED: Final = ("sklearn.", "numpy.", "scipy.", "model.lab.", "_loss.", "builtins.")
"""Packages whose classes a saved model may contain; anything else is refused on loading."""


class ScarceError(Exception):
    """A class has a single photo, or photos of a single sender: `code` says which class, `what` of which of the two."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(code, what)
        self.code, self.what = code, what


class Classifier(NamedTuple):
    """How to build a model from a seed, which settings a search tries, and what it is."""

    build: Callable[[int], Any]
    grid: dict[str, list[Any]]
    meaning: str


class BalancedMlp(MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that gives rare classes as much weight as frequent ones."""

    def fit(self, rows: npt.NDArray[np.float64], codes: Codes) -> BalancedMlp:
        """Fit with balanced sample weights."""
        super().fit(rows, codes, sample_weight=compute_sample_weight("balanced", codes))
        return self


def svc(seed: int, **settings: Any) -> CalibratedClassifierCV:
    """A support vector machine whose scores are turned into probabilities by Platt's sigmoid (1999)."""
    machine = SVC(class_weight="balanced", cache_size=400, random_state=seed, **settings)
    return CalibratedClassifierCV(machine, method="sigmoid", cv=INNER_FOLDS, ensemble=False)


def small_cnn(seed: int) -> Any:
    """The CNN on the background's picture; torch is imported only here."""
    from model.lab.judging.cnn import SmallCnn

    return SmallCnn(seed=seed)


CLASSIFIERS: Final[dict[str, Classifier]] = {
    "logistic": Classifier(
        lambda seed: LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000, random_state=seed),
        {"C": [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]},
        "logistic regression, L2",
    ),
    "svc": Classifier(
        lambda seed: svc(seed, C=3, gamma="scale"),
        {"estimator__C": [1, 3, 10, 30]},
        "support vector machine, RBF kernel: the fast mode, one setting that does well",
    ),
    "svc-full": Classifier(
        lambda seed: svc(seed, C=3, gamma="scale"),
        {
            "estimator__C": [0.3, 1, 3, 10, 30, 100],
            "estimator__gamma": ["scale", 0.003, 0.01, 0.03, 0.1],
            "estimator__kernel": ["rbf", "poly"],
        },
        "support vector machine: the full mode, searched over C, gamma and kernel",
    ),
    "forest": Classifier(
        lambda seed: RandomForestClassifier(
            300, min_samples_leaf=2, max_features="sqrt", class_weight="balanced", random_state=seed
        ),
        {"min_samples_leaf": [1, 2, 5, 10], "max_features": ["sqrt", 0.2, 0.5]},
        "random forest of 300 trees",
    ),
    "boosting": Classifier(
        lambda seed: HistGradientBoostingClassifier(
            max_iter=150,
            learning_rate=0.08,
            max_leaf_nodes=15,
            min_samples_leaf=8,
            l2_regularization=1.0,
            class_weight="balanced",
            random_state=seed,
        ),
        {
            "max_leaf_nodes": [7, 15, 31],
            "learning_rate": [0.04, 0.08, 0.15],
            "l2_regularization": [0.1, 1.0, 10.0],
        },
        "histogram gradient boosting",
    ),
    "mlp": Classifier(
        lambda seed: BalancedMlp((64,), alpha=1.0, max_iter=300, random_state=seed),
        {"hidden_layer_sizes": [(32,), (64,), (64, 32)], "alpha": [0.1, 1.0, 10.0]},
        "multilayer perceptron, one hidden layer of 64",
    ),
    "committee": Classifier(
        lambda seed: VotingClassifier(
            [(name, CLASSIFIERS[name].build(seed)) for name in ("logistic", "svc", "forest")], voting="soft"
        ),
        {"weights": [(1, 1, 1), (1, 2, 2), (0, 1, 1)]},
        "the mean of logistic, svc and forest",
    ),
    "cnn": Classifier(
        small_cnn, {"rate": [1e-3, 2e-3, 4e-3], "width": [16, 24]}, "small CNN on the set `picture`"
    ),
}


def build(name: str, seed: int = 0) -> Pipeline:
    """Return the untrained model: gaps filled with medians, columns standardised, then the model itself.

    Trees and the CNN take the columns as they are.
    """
    steps: list[tuple[str, Any]] = []
    if name != "cnn":
        steps.append(("gaps", SimpleImputer(strategy="median", keep_empty_features=True)))
    if name in ("logistic", "svc", "svc-full", "mlp", "committee"):
        steps.append(("scale", StandardScaler()))
    return Pipeline([*steps, ("model", classifier(name).build(seed))])


def classifier(name: str) -> Classifier:
    """Return how a model is built. Raises LabError for a name that is none of CLASSIFIERS."""
    if name not in CLASSIFIERS:
        raise LabError(f"There is no model {name!r}; there are: {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name]


class Fitted(NamedTuple):
    """A trained model, and what a search for its settings tried: None where there was no search.

    A row a try: the settings, `mean` and `deviation` of the balanced accuracy over the search's folds, and its `rank`.
    """

    model: Pipeline
    tries: pd.DataFrame | None


def fit(
    name: str,
    rows: npt.NDArray[np.float64],
    codes: Codes,
    groups: npt.NDArray[Any],
    search: Search,
    seed: int = 0,
) -> Fitted:
    """Train on all `rows` (n, columns), after a search for the best settings by balanced accuracy if one is wanted.

    The search's own folds keep groups together too.
    """
    model = build(name, seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        if search == "none":
            return Fitted(model.fit(rows, codes), None)
        grid = {f"model__{key}": values for key, values in CLASSIFIERS[name].grid.items()}
        cuts = splits(codes, groups, INNER_FOLDS, seed)
        settings = {"scoring": "balanced_accuracy", "cv": cuts, "error_score": "raise"}
        if search == "grid":
            searched = GridSearchCV(model, grid, **settings)
        else:
            tries = min(RANDOM_TRIES, int(np.prod([len(values) for values in grid.values()])))
            searched = RandomizedSearchCV(model, grid, n_iter=tries, random_state=seed, **settings)
        searched.fit(rows, codes)
        return Fitted(searched.best_estimator_, tries_table(searched.cv_results_))


def tries_table(results: dict[str, Any]) -> pd.DataFrame:
    """Return scikit-learn's `cv_results_` as the table of `Fitted`, the best try first."""
    settings = [
        {key.removeprefix("model__").removeprefix("estimator__"): repr(value) for key, value in tried.items()}
        for tried in results["params"]
    ]
    table = pd.DataFrame(settings).assign(
        mean=results["mean_test_score"], deviation=results["std_test_score"], rank=results["rank_test_score"]
    )
    return table.sort_values("rank", kind="stable", ignore_index=True)


def splits(codes: Codes, groups: npt.NDArray[Any], folds: int, seed: int = 0) -> list[Split]:
    """Return `folds` (train, test) index pairs: classes in like shares, each group wholly on one side.

    Without groups (all the same) the folds are only stratified. Raises ScarceError when a class has a single
    photo or group, so that some fold would not see it.
    """
    grouped = len(set(groups)) > 1
    counts = [
        len(set(groups[codes == code])) if grouped else int((codes == code).sum())
        for code in np.unique(codes)
    ]
    if min(counts) < 2:
        what = "sender" if grouped else "photo"
        raise ScarceError(int(np.unique(codes)[int(np.argmin(counts))]), what)
    folds = min(folds, *counts)
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    cutter = kind(folds, shuffle=True, random_state=seed)
    return list(cutter.split(np.zeros(len(codes)), codes, groups))


def class_probabilities(model: Any, rows: npt.NDArray[np.float64], classes: int) -> Probabilities:
    """Return probabilities (n, classes); classes that the model never met get 0."""
    known = np.zeros((len(rows), classes))
    known[:, model.classes_] = model.predict_proba(rows)
    return known


def settings(model: Pipeline, name: str) -> dict[str, Any]:
    """Return the values of what a search may set."""
    values = model.get_params()
    return {key: values[f"model__{key}"] for key in classifier(name).grid}


def losses_when_shuffled(
    model: Any, rows: npt.NDArray[np.float64], codes: Codes, columns: Sequence[str], seed: int = 0
) -> dict[str, float]:
    """Return how much balanced accuracy is lost when a feature's values are shuffled among the photos.

    This is permutation importance (Breiman 2001), one shuffle each on at most SHUFFLED photos: the mean over the folds
    makes up for it. A picture's pixels mean nothing one by one: they are shuffled together.
    """
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(rows))[:SHUFFLED]
    rows, codes = rows[chosen], codes[chosen]
    whole = recall_mean(codes, model.predict(rows))
    losses = {}
    for family, places in families(columns).items():
        shuffled = rows.copy()
        shuffled[:, places] = rows[random.permutation(len(rows))][:, places]
        losses[family] = whole - recall_mean(codes, model.predict(shuffled))
    return losses


def recall_mean(codes: Codes, guesses: Codes) -> float:
    """Return the balanced accuracy over the classes that occur."""
    return float(np.mean([(guesses[codes == code] == code).mean() for code in np.unique(codes)]))


def families(columns: Iterable[str]) -> dict[str, list[int]]:
    """Return which columns are shuffled together: each alone, but a picture's pixels as one."""
    together: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        together.setdefault("picture" if column.startswith("picture:") else column, []).append(place)
    return together


def save_model(folder: Path, model: Pipeline, facts: dict[str, Any]) -> None:
    """Write the model (skops; safetensors for the CNN: neither can run code on loading) and its facts."""
    folder.mkdir(parents=True, exist_ok=True)
    last = model.steps[-1][1]
    if hasattr(last, "state"):
        from safetensors.torch import save_file

        save_file(
            {key: value.contiguous() for key, value in last.state().items()}, folder / "model.safetensors"
        )
        facts = facts | {
            "cnn": last.get_params(),
            "epochs": last.epochs_,
            "codes": [int(code) for code in last.classes_],
        }
    else:
        import skops.io

        skops.io.dump(model, folder / "model.skops")
    with replacing(folder / "facts.json") as scratch:
        scratch.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


def load_facts(folder: Path) -> dict[str, Any]:
    """Return what is known about a saved model. Raises LabError when there is none."""
    if not (folder / "facts.json").is_file():
        raise LabError(f"{folder} holds no model: run `train` first.")
    try:
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise LabError(f"{folder / 'facts.json'} is damaged ({error}): train the model again.") from error
    return facts


def load_model(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return a saved model and its facts.

    Raises LabError when there is none, or when it contains anything but classes of the packages in TRUSTED.
    """
    facts = load_facts(folder)
    if "cnn" in facts:
        from safetensors.torch import load_file

        from model.lab.judging.cnn import SmallCnn

        return SmallCnn(**facts["cnn"]).with_state(
            facts["codes"], load_file(folder / "model.safetensors")
        ), facts
    import skops.io

    path = folder / "model.skops"
    if not path.is_file():
        raise LabError(f"{path} is missing: train the model again.")
    contents = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in contents if not name.startswith(TRUSTED)]
    if foreign:
        raise LabError(
            f"{path} contains {foreign[0]}, which is no part of a model of this lab: it is not loaded."
        )
    try:
        return skops.io.load(path, trusted=contents), facts
    except (ImportError, AttributeError) as error:
        raise LabError(f"{path} was saved by another version of this program: train it again.") from error
