"""A release knows what its training photos look like, and says when a photo does not."""

from pathlib import Path

import numpy as np
import pytest

from model.releasing.calibrate import FAR, with_reach
from model.serving.familiar import Familiar
from model.training.familiarity import fit


def photos(n: int, seed: int, world: int = 99) -> tuple[np.ndarray, np.ndarray]:
    """Features of two kinds of photos with two classes each, around places of their own."""
    rng = np.random.default_rng(seed)
    strata = rng.integers(0, 4, n)
    places = np.random.default_rng(world).normal(0, 3, (4, 64))
    return places[strata] + rng.normal(0, 1, (n, 64)), np.array(["home", "shop"])[strata // 2]


def learned() -> Familiar:
    return with_reach(fit(*photos(2000, 0)), photos(4000, 1)[0])


def test_a_photo_is_of_the_kind_of_those_it_lies_among() -> None:
    features, kinds = photos(500, 2)
    assert (learned().look(features).kind == kinds).mean() > 0.95


def test_few_photos_like_those_of_training_are_too_far_and_others_all() -> None:
    like = learned().look(photos(20_000, 3)[0])
    assert like.far.mean() == pytest.approx(FAR, abs=0.004)
    assert 0.01 < like.edge.mean() < 0.03
    assert not (like.far & ~like.edge).any()
    assert learned().look(photos(500, 4, world=7)[0]).far.mean() > 0.99


def test_without_held_out_photos_nothing_is_too_far() -> None:
    assert not fit(*photos(500, 0)).look(photos(100, 4, world=7)[0]).edge.any()


@pytest.mark.parametrize("names", [["home"], ["home", "shop", "worn"]])
def test_there_may_be_one_kind_or_several(names: list[str]) -> None:
    rng = np.random.default_rng(0)
    of = rng.integers(0, len(names), 300)
    features = rng.normal(0, 1, (300, 64)) + 5 * np.eye(64)[of]
    assert (fit(features, np.array(names)[of]).look(features).kind == np.array(names)[of]).mean() > 0.95


def test_what_is_kept_says_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    familiar = learned()
    familiar.write(tmp_path / "familiar.npz")
    again = Familiar.read(tmp_path / "familiar.npz")
    features = photos(300, 5)[0]
    before, after = familiar.look(features), again.look(features)
    assert (before.kind == after.kind).all()
    assert np.allclose(before.distance, after.distance, rtol=1e-5)


def test_similar_photos_have_similar_sketches() -> None:
    rng = np.random.default_rng(0)
    familiar = fit(np.abs(rng.normal(0, 1, (60, 512))), np.repeat("home", 60))
    one = np.abs(rng.normal(0, 1, (1, 512)))
    near, other = one + rng.normal(0, 0.1, (1, 512)), np.abs(rng.normal(0, 1, (1, 512)))
    sketches = familiar.sketch(np.concatenate([one, near, other])).astype(int)
    assert sketches.shape == (3, 64)
    assert np.linalg.norm(sketches[0] - sketches[1]) < 0.5 * np.linalg.norm(sketches[0] - sketches[2])
