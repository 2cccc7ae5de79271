"""How good two releases are for every kind of photo, on photos that a run has held out.

    python -m benchmarks.kinds runs/first 2026-11-25-1 2026-11-26 --data ../shared/clothing --data ../shared/elsewhere

The tables of `python -m model evaluate`, on the same photos for each release. Thresholds that a photo has helped to set
flatter: `thresholds by others` shows what the run's network files where each half of the groups is judged by what the other
half set.
Photos that an older release has learned from flatter it; which those are is not known.
"""

import argparse
from pathlib import Path

import numpy as np

from model.releasing.evaluate import judge
from model.releasing.export import judged_by_others
from model.releasing.kinds import as_table, by_kind
from model.releasing.onnx_network import scores_of
from model.serving import releases
from model.training import data
from model.training.held_out_scores import FILE, load_held_out, of_held_out
from model.training.run import load_run
from settings import ROOT


def main() -> None:
    """Print a table for each release, and one for the run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the run whose held-out photos are taken")
    parser.add_argument("releases", nargs="*", help="versions, or release folders")
    parser.add_argument("--data", type=Path, action="append", required=True, help="the run's data folders")
    parser.add_argument("--promise", type=float, default=0.97)
    chosen = parser.parse_args()
    run = load_run(chosen.run)
    held_out = load_held_out(chosen.run / FILE, run.classes)
    photos, _ = of_held_out(held_out, data.load_all(chosen.data, classes=run.classes))
    for name in chosen.releases:
        folder = Path(name) if Path(name).is_dir() else ROOT / "model" / "releases" / name
        release = releases.load(folder)
        scores = scores_of(release.network, data.serving_pixels(photos))
        probable, filed = judge(scores, release.classes, chosen.promise, release.familiar)
        _show(release.version, as_table(by_kind(probable, photos, release.classes, filed)))
    place = {checksum: i for i, checksum in enumerate(photos.sha256.tolist())}
    checksums = np.array([] if held_out.sha256 is None else held_out.sha256)
    here = np.isin(checksums, photos.sha256)
    rows = np.array([place[checksum] for checksum in checksums[here].tolist()])
    probable, filed = judged_by_others(run, held_out.take(here), chosen.promise)
    _show(
        f"the network of {chosen.run}, thresholds by others",
        as_table(by_kind(probable, photos.take(rows), run.classes, filed)),
    )


def _show(title: str, table: str) -> None:
    print(f"\n{title}\n{table}", flush=True)


if __name__ == "__main__":
    main()
