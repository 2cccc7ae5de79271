"""How far a promise holds on nights of other mixtures: simulated from held-out photos of a run.

    python -m benchmarks.nights runs/fold/held_out.npz --run runs/fold

Half of the held-out groups set the temperatures, thresholds and distances, the other half are the nights' photos, and the
other way round. 200 nights for each line: the classes' shares are drawn anew (Dirichlet(1)), and a night of one kind of
photo has 0, 25, 50 or 100 % of another. A night's precision is that of all held-out photos weighted as its mixture, not of
300 drawn ones. Nights that file nothing are counted apart.
"""

import argparse
from pathlib import Path

import numpy as np

from model.releasing.evaluate import chosen as given
from model.releasing.export import judged_by_others
from model.releasing.nights import draw, fare
from model.training.held_out_scores import load_held_out
from model.training.labels import UNKNOWN
from model.training.run import load_run

NIGHTS = 200
SHARES = (0.0, 0.25, 0.5, 1.0)


def main() -> None:
    """Calibrate on one half, simulate on the other, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("held_out", type=Path, help="held_out.npz of a run that set groups aside")
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    parser.add_argument("--promise", type=float, default=0.97)
    chosen = parser.parse_args()
    run, held_out = load_run(chosen.run), load_held_out(chosen.held_out)
    if held_out.kinds is None or held_out.groups is None:
        raise SystemExit(f"{chosen.held_out} does not say of which kind its photos are.")
    probable, filed = judged_by_others(run, held_out, chosen.promise)
    right = given("sub", probable, run.classes) == held_out.labels["sub"]
    garment = held_out.labels["sub"] != UNKNOWN
    print(f"{'kind':<14}{'photos':>8}{'filed':>8}{'right':>8}   as they are")
    for kind in np.unique(held_out.kinds[garment]):
        here = garment & (held_out.kinds == kind)
        print(f"{kind:<14}{here.sum():>8}{filed[here].mean():>8.3f}{right[here & filed].mean():>8.3f}")
    _show(held_out.kinds, held_out.labels["sub"], filed, right, chosen.promise)


def _show(kinds: np.ndarray, subs: np.ndarray, filed: np.ndarray, right: np.ndarray, promise: float) -> None:
    """Print how often the promise is kept, for every pair of kinds and share of the second."""
    titles = "".join(f"{title:>9}" for title in ("nights", "nothing", "kept", "median", "worst 5%", "filed"))
    print(f"\n{'a night of':<14}{'with':<14}{'share':>7}{titles}")
    present = list(np.unique(kinds[subs != UNKNOWN]))
    for one in present:
        for other in present:
            for share in SHARES if one != other else (0.0,):
                if one == other or 0 < share < 1:
                    row = _fared(kinds, subs, filed, right, one, other, share, promise)
                    print(f"{one:<14}{other if share else '':<14}{share:>7.0%}{row}")


def _fared(
    kinds: np.ndarray,
    subs: np.ndarray,
    filed: np.ndarray,
    right: np.ndarray,
    one: str,
    other: str,
    share: float,
    promise: float,
) -> str:
    rng = np.random.default_rng(1)
    nights = np.zeros((NIGHTS, len(kinds)))
    for kind, part in ((one, 1 - share), (other, share)):
        here = (kinds == kind) & (subs != UNKNOWN)
        if part:
            nights[:, here] += part * draw(
                subs[here], np.arange(here.sum()), rng, nights=NIGHTS, resampled=False
            )
    precision, filed_share = fare(nights, filed, right)
    some = ~np.isnan(precision)
    kept = precision[some] >= promise
    low = np.quantile(precision[some], 0.05) if some.any() else np.nan
    return (
        f"{NIGHTS:>9}{int((~some).sum()):>9}{kept.mean() if some.any() else np.nan:>9.3f}"
        f"{np.median(precision[some]) if some.any() else np.nan:>9.3f}{low:>9.3f}{filed_share.mean():>9.3f}"
    )


if __name__ == "__main__":
    main()
