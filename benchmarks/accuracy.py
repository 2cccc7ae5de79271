"""A whole night on labelled photos: is every file accounted for, and how many answers are right?

    python -m benchmarks.accuracy ../shared/clothing/validation --labels ../shared/clothing/labels.csv

Copies the photos (`<sub>/*.jpg`) into a scratch folder, sorts them as a night does, and compares
`predictions.csv` with the folders' names and, where given, with the columns `background` and `colour` of a
labels file (`?` is left out).
"""

import argparse
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from settings import ROOT

BACKGROUNDS = {"1": "acceptable", "0": "unacceptable"}


def main() -> None:
    """Run the night, count, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="a folder with one folder of photos for each sub-category")
    parser.add_argument("--labels", type=Path, help="a CSV with the columns file, background, colour")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        shutil.copytree(chosen.photos, data / "incoming", copy_function=shutil.copy)
        before = _checksums(data / "incoming")
        environment = os.environ | {
            "DATA_DIR": str(data),
            "LOG_DIR": f"{scratch}/logs",
            "SETTLE_SECONDS": "0",
        }
        subprocess.run([sys.executable, "-m", "batch", "run"], cwd=ROOT, env=environment, check=False)
        with (data / "predictions.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        filed = {row["moved_to"]: row["sha256"] for row in rows}
        there = {path: checksum for path, checksum in _checksums(data).items() if path in filed}
        print(
            f"\nphotos {len(before)}, rows {len(rows)}, left in incoming {len(_checksums(data / 'incoming'))}, ",
            end="",
        )
        same = sorted(before.values()) == sorted(there.values()) and there == filed
        print("every file accounted for by checksum" if same else "FILES ARE MISSING OR CHANGED")
        _compare(rows, _labels(chosen.labels, chosen.photos.name))


def _compare(rows: list[dict[str, str]], labels: dict[str, dict[str, str]]) -> None:
    """Print how many answers are right, head by head."""
    rows = [row for row in rows if row["sub_category"]]
    main_of = {row["sub_category"]: row["main_category"] for row in rows}
    pairs = {
        "main": [(main_of.get(_folder(row), "?"), row["main_category"]) for row in rows],
        "sub": [(_folder(row), row["sub_category"]) for row in rows],
        "background": [
            (BACKGROUNDS[labels[row["file_name"]]["background"]], row["background_quality"])
            for row in rows
            if labels.get(row["file_name"], {}).get("background") in BACKGROUNDS
        ],
        "colour": [
            (labels[row["file_name"]]["colour"], row["colour"])
            for row in rows
            if labels.get(row["file_name"], {}).get("colour", "?") != "?"
        ],
    }
    print(f"{'head':12} {'photos':>7} {'accuracy':>9} {'balanced':>9}")
    for head, answers in pairs.items():
        if answers:
            right = [wanted == given for wanted, given in answers]
            print(f"{head:12} {len(answers):7} {sum(right) / len(right):9.3f} {_balanced(answers):9.3f}")
    sure = [row for row in rows if row["needs_review"] == "false"]
    right_sure = sum(row["sub_category"] == _folder(row) for row in sure)
    print(
        f"filed without a person: {len(sure)} of {len(rows)}, of these {right_sure / max(1, len(sure)):.3f} right (sub)"
    )


def _balanced(answers: list[tuple[str, str]]) -> float:
    """The mean of the classes' recalls."""
    by_class: dict[str, list[bool]] = defaultdict(list)
    for wanted, given in answers:
        by_class[wanted].append(wanted == given)
    return sum(sum(right) / len(right) for right in by_class.values()) / len(by_class)


def _folder(row: dict[str, str]) -> str:
    return row["file_name"].partition("/")[0]


def _labels(path: Path | None, part: str) -> dict[str, dict[str, str]]:
    if path is None:
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"].removeprefix(f"{part}/"): row for row in csv.DictReader(file)}


def _checksums(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    main()
