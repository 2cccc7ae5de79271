"""The command line: thin, and it says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from model.__main__ import main
from model.commands.group import ModelSettings
from tests import small_release


@pytest.fixture
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small_release.make(tmp_path, "one")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("command", [[], ["train"], ["export"], ["evaluate"], ["compare"], ["promote"]])
def test_help_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    assert len(capsys.readouterr().out) > 150


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote"]) == 2
    assert "Missing argument 'VERSION'" in capsys.readouterr().err


def test_list_promote_and_rollback(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_release.make(model_dir, "two")
    assert main(["list"]) == 0
    assert "* two" in capsys.readouterr().out
    assert main(["rollback"]) == 0
    assert "one is in use again" in capsys.readouterr().out
    assert main(["promote", "two"]) == 0
    assert (model_dir / "IN_USE").read_text() == "two\n"


def test_an_error_is_one_sentence_and_2(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "three"]) == 2
    assert capsys.readouterr().err.startswith("python -m model: There is no release")


def test_choosing_a_release_needs_no_torch(model_dir: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'sklearn', 'onnx', 'scipy', 'matplotlib'): sys.modules[name] = None\n"
        "from model.__main__ import main\nmain(['list']); sys.exit(main(['promote', 'one']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"MODEL_DIR": str(model_dir)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_learning_without_torch_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["train", "--data", str(tmp_path)]) == 2
    assert ".venv/bin/python -m pip install -r requirements.txt" in capsys.readouterr().err


def test_a_wrong_setting_is_one_sentence_and_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ModelSettings.model_config, "env_file", tmp_path / ".env")
    (tmp_path / ".env").write_bytes(b"MODEL_DIR=/mnt/Gr\xf6\xdfe\n")
    for command in (["list"], ["promote", "one"], ["rollback"], ["evaluate", "photos"]):
        assert main(command) == 2
        assert capsys.readouterr().err == f"{tmp_path / '.env'} is not UTF-8 text; save it as UTF-8.\n"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"../one"])
def test_a_folder_of_releases_that_cannot_be_read_is_one_sentence(
    model_dir: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_dir / "IN_USE").unlink()
    if content is None:
        (model_dir / "IN_USE").mkdir()
    else:
        (model_dir / "IN_USE").write_bytes(content)
    for command in (["evaluate", "photos"], ["list"]):
        assert main(command) == 2
        told, said = capsys.readouterr()
        assert said.startswith("python -m model: ")
        assert "IN_USE" in said
    assert "  one" in told  # the releases are listed all the same


def test_a_wrong_data_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", str(tmp_path / "nowhere"), "--run", str(tmp_path / "run")]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
