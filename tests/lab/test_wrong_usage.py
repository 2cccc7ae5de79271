"""What a person can do wrong gets one sentence and exit code 2, whichever command it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model.lab import LabError
from model.lab.__main__ import main
from model.lab.commands import lab
from model.lab.photos import masks

ROOT = Path(__file__).parents[2]
NO_RELEASE = ["--releases", "none"]


def complaint(order: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main(order)
    error = capsys.readouterr().err
    assert code == 2, order
    assert error.strip(), order
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize("command", lab.commands)
def test_a_command_without_its_arguments_says_what_is_missing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    complaint([command], capsys)


@pytest.mark.parametrize(
    "order",
    [
        ["train", "--task", "background", "--labels", "{labels}", "--out", "{lab}", "--folds", "1"],
        ["train", "--task", "background", "--labels", "{labels}", "--out", "{lab}", "--workers", "none"],
        ["train", "--task", "background", "--labels", "{labels}", "--out", "{lab}", "--group", "owner"],
        ["train", "--task", "shape", "--labels", "{labels}", "--out", "{lab}"],
        ["train", "--task", "background", "--labels", "{photo}", "--out", "{lab}"],
        ["train", "--task", "background", "--labels", "{empty}", "--out", "{lab}"],
        ["train", "--task", "background", "--labels", "{labels}", "--out", "{drawn}"],
        ["train", "--task", "colour", "--labels", "{labels}", "--out", "{lab}", "--features", "smell"],
        ["evaluate", "--labels", "{labels}", "--out", "{lab}", "--judge", "network", *NO_RELEASE],
        ["evaluate", "--labels", "{labels}", "--out", "{lab}", "--judge", "network"],
        ["evaluate", "--labels", "{labels}", "--out", "{lab}", "--judge", "{drawn}"],
        ["evaluate", "--labels", "{labels}", "--out", "{lab}", "--judge", "{damaged}"],
        ["compare", "{drawn}", "--labels", "{labels}", "--out", "{lab}", *NO_RELEASE],
        ["compare", "{drawn}", "--labels", "{labels}", "--out", "{lab}", "--tasks", "shape"],
        ["compare", "{drawn}", "--labels", "{labels}", "--out", "{lab}", "--held-out", "nowhere/"],
        ["report", "{drawn}/none", "--labels", "{labels}", "--out", "{lab}"],
        ["report", "{drawn}", "--labels", "{drawn}/none.csv", "--out", "{lab}"],
        ["explain", "{labels}", "--out", "{lab}", "--mask", "{labels}"],
        ["explain", "{photo}", "--out", "{lab}", "--mask", "{labels}"],
        ["extract", "{drawn}/none", "--out", "{lab}/new"],
        ["extract", "{photo}", "--out", "{lab}/new"],
        ["measure", "{drawn}", "--out", "{drawn}"],
        ["colour", "{drawn}", "--out", "{drawn}/none"],
        ["filter", "{lab}", "{labels}", "--out", "{lab}"],
        ["filter", "{drawn}", "{labels}", "--out", "{lab}/new"],
        ["download", "{labels}", "--out", "{lab}/new"],
        ["download", "{photo}", "--out", "{lab}/new"],
        ["download", "{labels}", "--out", "{lab}/new", "--pause", "-1"],
        ["predict", "{labels}", "{drawn}"],
        ["predict", "network", "{drawn}/none"],
        ["serve", "network", "--port", "70000"],
        ["serve", "network", *NO_RELEASE],
    ],
)
def test_a_wrong_argument_gets_a_sentence(
    order: list[str], own_lab: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, damaged = tmp_path / "empty.csv", tmp_path / "damaged"
    empty.touch()
    damaged.mkdir()
    (damaged / "facts.json").write_text("{")
    photo = sorted((drawn / "train").glob("*.jpg"))[0]
    names = {"labels": drawn / "labels.csv", "drawn": drawn, "lab": own_lab, "photo": photo}
    complaint([part.format(**names, empty=empty, damaged=damaged) for part in order], capsys)


def test_without_a_network_a_missing_mask_model_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline:
        def new_session(self, *_: object, **__: object) -> None:
            raise OSError("Name or service not known")

    monkeypatch.setitem(sys.modules, "rembg", Offline())
    with pytest.raises(LabError, match="Set U2NET_HOME"):
        masks.open_session("u2netp", threads=1)


NIGHT = """
import sys
class Night:
    def find_spec(self, name, path=None, target=None):
        if name in {"matplotlib", "pandas", "rembg", "scipy", "skimage", "sklearn", "skops", "torch"}:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Night())
from model.__main__ import main
assert main(["lab", "--help"]) == 0
for command in ORDERS:
    assert main(["lab", *command.split()]) == 2, command
"""

LABELS = "--labels labels.csv"
ORDERS = [
    "download photos.csv --out photos",
    "extract . --out new",
    "filter . labels.csv --out new",
    "measure .",
    "colour .",
    f"train {LABELS} --task background",
    "predict network .",
    "serve network",
    f"evaluate {LABELS} --judge network",
    f"compare . {LABELS}",
    f"report . {LABELS}",
    "explain photo.jpg",
]


def test_in_the_nights_environment_every_command_says_how_to_install_the_rest() -> None:
    assert [order.split()[0] for order in ORDERS] == list(lab.commands)
    program = f"ORDERS = {ORDERS}\n{NIGHT}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(": .venv/bin/python -m pip install -r requirements.txt") == len(ORDERS)
