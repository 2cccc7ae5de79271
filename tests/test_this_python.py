"""Started with a Python that cannot run it, each program says what to type instead."""

import subprocess
import sys

import pytest

from settings import ROOT


@pytest.mark.parametrize(
    "arguments", ["batch run", "batch config", "api --help", "model list", "model train"]
)
def test_a_python_without_our_packages_is_told_the_right_command(arguments: str) -> None:
    # -S: no site-packages, as with the system's own Python
    done = subprocess.run(
        [sys.executable, "-S", "-m", *arguments.split()],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "lacks what this program needs (No module named " in done.stderr
    assert f".venv/bin/python -m {arguments.split()[0]} " in done.stderr
    assert "./full_batch.sh" in done.stderr


@pytest.mark.parametrize("package", ["batch", "api", "model"])
def test_an_old_python_is_told_which_one_is_needed(package: str) -> None:
    program = f"import runpy, sys; sys.version_info = (3, 10, 12); runpy.run_module({package!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Nightsort needs Python 3.11 or newer")


def test_a_fault_of_our_own_is_not_taken_for_a_missing_package() -> None:
    program = "import sys; sys.modules['batch.config'] = None; from batch.__main__ import main; main(['run'])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "ModuleNotFoundError" in done.stderr
    assert "lacks what this program needs" not in done.stderr


def test_the_lab_without_its_packages_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "from model.__main__ import main; sys.exit(main(['lab', 'download', 'photos.csv', '--out', 'photos']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "python -m model lab: this command needs pandas: .venv/bin/python -m pip install -r requirements.txt\n"
    )


def test_a_package_that_is_missing_only_when_a_command_runs_is_told_as_well() -> None:
    program = "import sys; sys.modules['pydantic'] = None; from batch.__main__ import main; main(['history'])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "lacks what this program needs" in done.stderr
