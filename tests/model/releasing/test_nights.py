"""A promise is kept in most nights, whatever mixture of classes they bring."""

import numpy as np
import pytest

from model.releasing import nights
from model.releasing.calibrate import keep_promises


def world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n photos of three classes, the last of them rare and wrong more often at the same probability."""
    rng = np.random.default_rng(seed)
    strata = rng.choice(3, n, p=[0.5, 0.4, 0.1])
    sure = rng.beta(4, 1, n)
    wrong = np.array([0.3, 0.3, 2.0])[strata] * (1 - sure)
    return sure, rng.random(n) >= wrong, strata


def test_each_night_is_a_mixture_of_its_own_and_all_its_weights_add_up() -> None:
    strata, groups = np.repeat([0, 1, 2], [10, 5, 1]), np.arange(16) // 2
    drawn = nights.draw(strata, groups, np.random.default_rng(0), nights=2000)
    assert np.allclose(drawn.sum(1), 1)
    shares = np.stack([drawn[:, strata == s].sum(1) for s in range(3)])
    assert np.allclose(shares.mean(1), 1 / 3, atol=0.03)  # however many photos stand for a class
    assert shares.std(1).min() > 0.2


def test_photos_of_a_group_come_and_go_together() -> None:
    drawn = nights.draw(np.zeros(6), np.array([1, 1, 1, 2, 2, 2]), np.random.default_rng(0), nights=50)
    assert np.allclose(drawn[:, :3], drawn[:, :1])
    assert not np.allclose(drawn[:, 0], drawn[:, 5])


def test_the_photos_alone_count_where_they_are_not_drawn_anew() -> None:
    weights = np.array([1.0, 3.0])
    drawn = nights.draw(
        np.zeros(2), np.arange(2), np.random.default_rng(0), nights=3, weights=weights, resampled=False
    )
    assert np.allclose(drawn, [[0.25, 0.75]] * 3)


def test_a_night_that_files_nothing_has_no_precision() -> None:
    drawn = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    precision, filed = nights.fare(drawn, np.array([True, True, False]), np.array([True, False, False]))
    assert precision[0] == pytest.approx(0.5)
    assert np.isnan(precision[1])
    assert filed.tolist() == [1.0, 0.0]


def test_the_promise_is_kept_in_enough_new_nights_and_not_by_filing_nothing() -> None:
    """Fresh photos, other mixtures: what a threshold chosen on 2,000 photos does in them.

    One class is wrong seven times as often as the others; over 60 such worlds it is kept in 0.865 of the nights, give or
    take 0.02, and with a PRIOR of 5 or 10 in 0.87.
    """
    kept, shares = [], []
    for seed in range(12):
        sure, right, strata = world(2000, seed)
        drawn = nights.draw(strata, np.arange(2000), np.random.default_rng(seed))
        limit = keep_promises(sure, right, drawn, strata)[0.95]
        fresh, true, classes = world(20_000, 100 + seed)
        others = nights.draw(
            classes, np.arange(20_000), np.random.default_rng(seed), nights=200, resampled=False
        )
        precision, filed = nights.fare(others, fresh >= limit, true)
        kept.append(np.nanmean(precision >= 0.95))
        shares.append(filed.mean())
    assert np.mean(kept) >= 0.85
    assert np.mean(shares) > 0.1


def test_a_hard_class_raises_the_threshold_though_it_is_rare() -> None:
    sure, right, strata = world(4000, 3)
    one_class = nights.draw(np.zeros(4000), np.arange(4000), np.random.default_rng(0))
    any_mixture = nights.draw(strata, np.arange(4000), np.random.default_rng(0))
    as_found = keep_promises(sure, right, one_class, np.zeros(4000))[0.95]
    assert keep_promises(sure, right, any_mixture, strata)[0.95] > as_found + 0.02


def test_a_promise_that_few_photos_cannot_show_files_nothing() -> None:
    drawn = nights.draw(np.zeros(20), np.arange(20), np.random.default_rng(0))
    assert keep_promises(np.full(20, 0.99), np.ones(20, bool), drawn, np.zeros(20))[0.99] > 1


def test_one_stray_photo_in_a_class_of_few_does_not_send_all_the_others_to_a_person() -> None:
    """The surest answer of all is wrong, and its class has 20 photos: that alone is no reason to believe no other."""
    shares = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        strata = np.repeat(np.arange(10), [20, *[60] * 8, 100])
        sure = 1 - np.clip(rng.beta(0.35, 2.6, 600), 0, 0.9)
        right = rng.random(600) >= 0.7 * (1 - sure)
        right[:20], right[0], sure[0] = True, False, 0.9999
        drawn = nights.draw(strata, np.arange(600), np.random.default_rng(0))
        shares.append((sure >= keep_promises(sure, right, drawn, strata)[0.97]).mean())
    assert np.mean(shares) > 0.4


def test_a_class_of_few_photos_is_not_taken_at_its_word() -> None:
    """Three photos of a class, all right: that says little of how it fares on a night of nothing else."""
    rng = np.random.default_rng(0)
    sure = rng.beta(4, 1, 2000)
    right = rng.random(2000) >= 0.3 * (1 - sure)
    limits = []
    for few in (3, 600):
        strata = (np.arange(2000) < few).astype(int)
        right[:few] = True
        drawn = nights.draw(strata, np.arange(2000), np.random.default_rng(1))
        limits.append(keep_promises(sure, right, drawn, strata)[0.95])
    assert limits[0] > limits[1]


@pytest.mark.parametrize("of_a_group", [1, 20, 150])
def test_a_night_like_the_held_out_ones_is_called_odd_as_rarely_as_stated(of_a_group: int) -> None:
    """Groups in which odd photos come together; other groups than those that set the limit make the nights."""
    rng = np.random.default_rng(of_a_group)

    def groups_of(count: int) -> np.ndarray:
        rates = rng.beta(0.3, 12, count)
        return np.array(rng.random((count, of_a_group)) < rates[:, None])

    held_out = groups_of(400)
    limit = nights.odd_share(
        held_out.ravel(), np.full(held_out.size, "home"), np.repeat(np.arange(400), of_a_group)
    )
    needed = max(1, nights.ODD_NIGHT // of_a_group)
    fresh = [groups_of(needed).ravel()[: nights.ODD_NIGHT].mean() for _ in range(2000)]
    assert np.mean(np.array(fresh) > limit) <= 0.02
    assert limit < 0.5


def test_the_kind_with_the_oddest_nights_says_what_is_odd() -> None:
    odd = np.array([False] * 300 + [True] * 30 + [False] * 270)
    kinds, groups = np.repeat(["home", "worn"], 300), np.arange(600)
    assert nights.odd_share(odd, kinds, groups) > 0.1
    assert nights.odd_share(odd[:300], kinds[:300], groups[:300]) == 0
