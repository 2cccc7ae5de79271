"""Whatever a command is given, it ends with a sentence and 0 or 2: every argument missing, wrong and of another kind."""

from collections.abc import Callable
from pathlib import Path

import click
import pytest
import torch

from model.__main__ import main
from model.commands import commands as defined
from model.training import runs
from tests import small_release

Make = Callable[..., Path]

QUICK = ["--epochs=0", "--serve-size=32", "--views=1", "--palette-epochs=1", "--init=none", "--folds=2"]


@pytest.fixture
def wrong(tmp_path: Path) -> dict[str, str]:
    """What a person may give by mistake, by what it is."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no weights, no table, no photo\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00file,background\n\x00")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "a.txt").write_text("text")
    return {
        "nothing": "",
        "not there": str(tmp_path / "nowhere"),
        "an empty folder": str(tmp_path / "empty"),
        "a folder without photos": str(tmp_path / "flat"),
        "a text": str(tmp_path / "notes.txt"),
        "no text": str(tmp_path / "binary.csv"),
        "a word": "many",
        "less than nothing": "-1",
        "zero": "0",
        "too much": "1000000000000",
        "no number": "nan",
        "without end": "inf",
        "a way out": "../..",
        "a long name": "n" * 300,
    }


@pytest.fixture
def commands(tmp_path: Path, make_photos: Make, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Every command with arguments that it can do with."""
    models = tmp_path / "releases"
    for version in ("one", "two"):
        small_release.make(models, version)
    monkeypatch.setenv("MODEL_DIR", str(models))
    monkeypatch.chdir(tmp_path)
    photos = make_photos(each=4)
    return {
        "train": ["--data", str(photos), "--run", str(tmp_path / "run"), *QUICK],
        "export": [str(tmp_path / "run"), "three", "--data", str(photos)],
        "prepare": [str(photos), "--to", str(tmp_path / "prepared")],
        "audit-labels": [str(photos), "--out", str(tmp_path / "labels")],
        "calibrate": ["three", "--from", str(photos)],
        "evaluate": [str(photos)],
        "compare": ["one", "two", str(photos)],
        "list": [],
        "promote": ["one"],
        "rollback": [],
        "lab": [],
    }


def with_argument(given: list[str], parameter: click.Parameter, value: str, position: int) -> list[str]:
    """The arguments with one of them replaced, or given as well."""
    if not isinstance(parameter, click.Option):
        return [value if i == position else part for i, part in enumerate(given)]
    option = parameter.opts[0]
    kept, skip = [], False
    for part in given:
        if not skip and part.partition("=")[0] != option:
            kept.append(part)
        skip = not skip and part == option
    if option == "--start":
        kept = [part for part in kept if not part.startswith("--init")]
    return [*kept, option] if parameter.is_flag else [*kept, f"{option}={value}"]


def ends(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It does, with a sentence where it refuses; anything that is raised fails the test with its traceback."""
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    assert code in (0, 2), arguments
    assert "Traceback" not in said.err
    assert code == 0 or said.err.strip(), arguments


def test_every_command_is_walked_through(commands: dict[str, list[str]]) -> None:
    assert set(commands) == set(defined.commands)


HALF_A_MINUTE = pytest.param("train", marks=pytest.mark.optional)


@pytest.mark.parametrize(
    "name",
    [
        "prepare",
        "audit-labels",
        "export",
        "calibrate",
        "evaluate",
        "compare",
        "list",
        "promote",
        "rollback",
        HALF_A_MINUTE,
    ],
)
def test_a_wrong_argument_gets_a_sentence(
    name: str,
    commands: dict[str, list[str]],
    wrong: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what can be done is done by others tests: here it is only found out whether it is begun with
    monkeypatch.setattr(runs, "learn", lambda plan, run: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr("model.__main__.ended", _begun(main.__globals__["ended"]))
    given = commands[name]
    for missing in range(len(given)):
        ends([name, *given[:missing], *given[missing + 1 :]], capsys)
    ends([name, *given, "--unknown"], capsys)
    positionals = 0
    for parameter in defined.commands[name].params:
        is_option = isinstance(parameter, click.Option)
        for kind, value in wrong.items():
            if kind == "a way out" and is_option:
                continue  # as a folder it is one: that of all tests
            ends([name, *with_argument(given, parameter, value, positionals)], capsys)
        positionals += not is_option


def _begun(ended: Callable[..., int]) -> Callable[..., int]:
    """Interruptions, which stand for a training that was begun, end with 0."""
    return lambda program, command: 0 if (code := ended(program, command)) == 130 else code


def test_the_lab_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'skimage'", name="skimage")

    monkeypatch.setattr("model.lab.__main__.main", missing)
    assert main(["lab", "extract", "photos"]) == 2
    assert "needs skimage: .venv/bin/python -m pip install -r requirements.txt" in capsys.readouterr().err


def test_a_fault_of_the_programs_own_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'model.nowhere'", name="model.nowhere")

    monkeypatch.setattr(defined.commands["list"], "callback", broken)
    with pytest.raises(ModuleNotFoundError):
        main(["list"])


@pytest.mark.optional
@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda run: (run / "run.json").write_text("{"), "There is no finished run"),
        (lambda run: (run / "run.json").write_text("[]"), "There is no finished run"),
        (lambda run: (run / "weights.safetensors").write_bytes(b"\x00"), "cannot be read"),
        (lambda run: (run / "weights.safetensors").unlink(), "cannot be read"),
        (lambda run: (run / "familiar.npz").write_bytes(b"PK"), "familiar.npz"),
        (lambda run: (run / "held_out.npz").write_bytes(b"PK"), "held_out.npz cannot be read"),
        (lambda run: (run / "held_out.npz").unlink(), "held_out.npz is missing"),
    ],
)
def test_a_damaged_run_is_not_exported(
    break_it: Callable[[Path], object],
    said: str,
    commands: dict[str, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    assert main(["train", *commands["train"]]) == 0
    break_it(tmp_path / "run")
    assert main(["export", *commands["export"]]) == 2
    assert said in capsys.readouterr().err
