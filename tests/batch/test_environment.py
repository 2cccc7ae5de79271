"""`full_batch.sh` from a fresh clone: the environment it makes, the lock it takes, where it can be started."""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import flask
import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from batch import environment
from batch.commands import commands
from batch.lock import run_lock
from settings import ROOT
from tests.fake_sidecar import FakeSidecar, photo
from this_python import VERSION

CODE = (
    "api",
    "batch",
    "model",
    "full_batch.sh",
    "requirements-serve.lock",
    *(path.name for path in ROOT.glob("*.py")),
)

BASE_PYTHON = str(getattr(sys, "_base_executable", sys.executable))
NO_NETWORK = {"PYTHON": BASE_PYTHON, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
PACKAGES = Path(flask.__file__).parents[1]
"""Where the packages of this test's own Python lie."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the shell script is for POSIX systems")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the program, in a path with blanks and an umlaut, without an environment."""
    folder = tmp_path / "my nightly Größe"
    folder.mkdir()
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "releases"))
        else:
            shutil.copy2(source, folder / name)
    return folder


@pytest.fixture
def ready_clone(clone: Path) -> Path:
    """The same with an environment that is ready: this test's own Python, so that nothing is installed."""
    make_environment(clone, "ready")
    return clone


def make_environment(clone: Path, stamp: str) -> None:
    """Stand in for an environment: its Python is the one that runs the tests, packages and all."""
    bin_folder = clone / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    python = bin_folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    if stamp == "ready":
        code = "from batch import environment; print(environment._stamp(), end='')"
        stamp = subprocess.run(
            [str(python), "-c", code], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
    (clone / ".venv" / "made-from").write_text(stamp)


def start(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start the script as cron does: from anywhere, with next to no environment and no terminal."""
    return subprocess.run(
        [str(clone / "full_batch.sh"), *arguments],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_ready_environment_needs_no_network_and_no_word(ready_clone: Path) -> None:
    done = start(ready_clone)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Done. No photo" in done.stdout
    assert "Python environment" not in done.stdout
    assert not (ready_clone / "logs" / "setup.log").exists()


def test_it_can_be_started_through_a_link_from_anywhere(ready_clone: Path, tmp_path: Path) -> None:
    link = tmp_path / "nightly"
    link.symlink_to(ready_clone / "full_batch.sh")
    done = subprocess.run([str(link)], cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (ready_clone / "data" / "predictions.csv").exists()


def test_a_second_start_ends_with_75_before_it_touches_the_environment(clone: Path) -> None:
    with run_lock(clone / "data"):
        done = start(clone)
    assert done.returncode == 75
    assert "another run" in done.stdout
    assert not (clone / ".venv").exists()


def test_the_lock_is_that_of_the_data_folder_named_in_dot_env(ready_clone: Path, tmp_path: Path) -> None:
    (ready_clone / ".env").write_text(f"DATA_DIR='{tmp_path / 'elsewhere'}'\n")
    with run_lock(tmp_path / "elsewhere"):
        assert start(ready_clone).returncode == 75
    assert start(ready_clone).returncode == 0
    with run_lock(ready_clone / "data"):
        assert start(ready_clone).returncode == 0


def test_help_needs_no_lock(ready_clone: Path) -> None:
    with run_lock(ready_clone / "data"):
        done = start(ready_clone, "--help")
    assert done.returncode == 0
    assert "--wait" in done.stdout


# --- every command through the script --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("", "run"),
        ("--if-missed", "run --if-missed"),  # as older crontabs have it
        ("--wait", "run --wait"),
        ("--wait --if-missed", "run --wait --if-missed"),
        ("--demo", "demo"),
        ("--demo --help", "demo --help"),
        ("--nonsense", "run --nonsense"),
        ("--help", "--help"),
        ("-h", "-h"),
        ("--wait --help", "run --wait --help"),
        ("health --json", "health --json"),
        ("requeue --photo --demo", "requeue --photo --demo"),
        ("prune --days 90 --delete --yes", "prune --days 90 --delete --yes"),
    ],
)
def test_without_a_command_it_is_the_night_and_a_command_is_passed_on(typed: str, command: str) -> None:
    assert environment.command_of(typed.split()) == command.split()


def test_every_command_works_through_the_script(ready_clone: Path) -> None:
    for name in commands.commands:
        done = start(ready_clone, name, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: python -m batch {name} "), name
    assert start(ready_clone, "history").stdout.startswith("run ")
    assert start(ready_clone, "health").returncode == 2  # as for Nagios: there is no release here
    assert start(ready_clone, "nonsense").returncode == 2


def test_what_only_looks_needs_no_lock_and_what_sorts_takes_it(ready_clone: Path) -> None:
    with run_lock(ready_clone / "data"):
        assert start(ready_clone, "history").returncode == 0
        assert start(ready_clone, "config", API_URL="http://127.0.0.1:9").returncode == 0
        for command in ("run", "sweep", "export"):
            assert start(ready_clone, command, API_URL="http://127.0.0.1:9").returncode == 75, command


def test_the_version_needs_no_environment(clone: Path) -> None:
    done = start(clone, "--version")
    assert (done.returncode, done.stdout) == (0, f"Nightsort {VERSION}\n")
    assert not (clone / ".venv").exists()
    command = [sys.executable, "-m", "batch", "--version"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said == done.stdout


def test_the_settings_can_be_looked_at_though_the_log_cannot_be_written(ready_clone: Path) -> None:
    (ready_clone / ".env").write_text("LOG_DIR=full_batch.sh\n")
    done = start(ready_clone, "config")
    assert done.returncode == 2
    assert "WRONG: LOG_DIR: " in done.stdout
    assert "The log cannot be written" in start(ready_clone).stderr


@pytest.mark.parametrize(
    "content", [b"DATA_DIR=da\0ta\n", "DATA_DIR=x\n".encode("utf-16"), b"DATA_DIR=\xff\n"]
)
def test_a_file_of_settings_that_is_no_text_is_told_before_anything_is_made(
    ready_clone: Path, content: bytes
) -> None:
    (ready_clone / ".env").write_bytes(content)
    done = start(ready_clone)
    assert done.returncode == 2
    assert "is not UTF-8 text" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (ready_clone / "data").exists()
    assert not (ready_clone / "logs").exists()


@pytest.mark.parametrize(
    "line",
    [
        "DATA_DIR=/x # mine", "DATA_DIR='/x y' # c", 'DATA_DIR="/x#y"#c', "export DATA_DIR=/x#y", "data_dir = /x ",
        "DATA_DIR=${HERE}/p", "DATA_DIR='${HERE}/p'", "DATA_DIR=${NOWHERE:-/d}/p", "DATA_DIR=", "DATA_DIR= # c",
        "\ufeffDATA_DIR=/x", "DATA_DIR=C:\\new", "#DATA_DIR=/x", "DATA_DIR=a'b'c", "DATA_DIR", 'DATA_DIR="/x y"z',
        "DATA_DIR=/x\nDATA_DIR=/y", "DATA_DIR=/a\u2028b", "A=1\rDATA_DIR=/x\r\nB=2", "MY_DATA_DIR=/x",
    ],
)  # fmt: skip
def test_a_setting_is_read_from_dot_env_as_the_night_reads_it(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{line}\n", "utf-8")
    monkeypatch.setenv("HERE", "/here")
    monkeypatch.setattr(environment, "ENV_FILE", path)
    assert environment.setting("DATA_DIR", "/default") == _as_dotenv_reads_it(path)


def _as_dotenv_reads_it(path: Path) -> str:
    """What python-dotenv, which the night reads its settings with, finds."""
    found = {name.upper(): value for name, value in dotenv_values(path, encoding="utf-8-sig").items()}
    return found.get("DATA_DIR") or "/default"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_of_crons_log_stops_no_night(ready_clone: Path) -> None:
    script = shlex.quote(str(ready_clone / "full_batch.sh"))
    done = subprocess.run(
        ["sh", "-c", f"{script} >/dev/full"], env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Done. No photo" in (ready_clone / "logs" / "nightsort.log").read_text("utf-8")


def test_a_wrong_option_or_setting_ends_with_2(ready_clone: Path) -> None:
    assert start(ready_clone, "--nonsense").returncode == 2
    done = start(ready_clone, SETTLE_SECONDS="soon")
    assert done.returncode == 2
    assert "SETTLE_SECONDS=soon" in done.stderr


def test_photos_keep_their_names_whatever_the_locale_says(
    ready_clone: Path, sidecar: FakeSidecar, latin_1: dict[str, str]
) -> None:
    names = ["Größe.jpg", "👗.jpg"]
    incoming = ready_clone / "data" / "incoming"
    incoming.mkdir(parents=True)
    for name in names:
        (incoming / name).write_bytes(photo(name))
    done = start(ready_clone, API_URL=sidecar.url, SETTLE_SECONDS="0", **latin_1)
    assert done.returncode == 0, done.stdout + done.stderr
    filed = {path.name for path in (ready_clone / "data").glob("processed/*/*/*")}
    assert filed == set(names)
    table = (ready_clone / "data" / "predictions.csv").read_text("utf-8")
    assert all(f"/{name}," in table for name in names)


# --- an environment that works is used -------------------------------------------------------------------


def real_environment(clone: Path, stamp: str = "ready") -> Path:
    """An environment as Python makes them, which finds the packages of this test's own Python."""
    venv = clone / ".venv"
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", str(venv)], check=True)
    (next(venv.glob("lib/python3*")) / "site-packages" / "packages.pth").write_text(f"{PACKAGES}\n")
    if stamp == "ready":
        code = "from batch import environment; print(environment._stamp(), end='')"
        stamp = subprocess.run(
            [sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
    (venv / "made-from").write_text(stamp)
    return venv


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or (path.is_file() and path.suffix != ".pyc")
    }


def beside(clone: Path) -> list[str]:
    """What lies beside `.venv` that has to do with it."""
    return sorted(path.name for path in clone.glob(".venv*") if path.name not in (".venv", ".venv.lock"))


def test_the_stamp_names_the_version_of_python_that_packages_are_made_for_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stamp = environment._stamp()
    monkeypatch.setattr(sys, "version_info", (*sys.version_info[:2], 99, "final", 0))
    assert environment._stamp() == stamp
    monkeypatch.setattr(sys, "version_info", (3, 99, 0, "final", 0))
    assert environment._stamp() != stamp


def test_one_that_is_out_of_date_sorts_the_night_when_it_cannot_be_renewed(clone: Path) -> None:
    venv = real_environment(clone, "python 3.11.0\nsha256 of what an older version needed\n")
    before = contents(venv)
    done = start(clone, **NO_NETWORK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "out of date" in done.stdout
    assert "Check the network" in done.stdout
    assert "Done. No photo" in done.stdout
    assert contents(venv) == before
    assert beside(clone) == []


def test_one_that_was_made_by_hand_sorts_the_night_where_nothing_can_be_made_beside_it(clone: Path) -> None:
    real_environment(clone, stamp="")
    (clone / ".venv.lock").mkdir()
    done = start(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "out of date" in done.stdout
    assert "Done. No photo" in done.stdout


def test_one_without_the_packages_is_not_used_and_the_message_says_what_to_do(clone: Path) -> None:
    venv = real_environment(clone)
    (next(venv.glob("lib/python3*")) / "site-packages" / "packages.pth").unlink()
    done = start(clone, **NO_NETWORK)
    assert done.returncode == 1
    assert "Not started: the environment in .venv could not be made: pip install ended with 1" in done.stdout
    assert "Check the network" in done.stdout
    assert beside(clone) == []


def test_python_without_venv_is_good_enough_for_an_environment_that_is_there(ready_clone: Path) -> None:
    python = ready_clone / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    done = start(ready_clone)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Done. No photo" in done.stdout


def _python_is_gone(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nonexistent/python3")


def _python_leads_to_itself(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(venv / "bin" / "python")


def _configuration_is_gone(venv: Path) -> None:
    (venv / "pyvenv.cfg").unlink()


@pytest.mark.parametrize("harm", [_python_is_gone, _python_leads_to_itself, _configuration_is_gone])
def test_one_whose_python_is_gone_uses_another_of_its_version_without_a_network(
    clone: Path, harm: object
) -> None:
    assert callable(harm)
    venv = real_environment(clone)
    harm(venv)
    done = start(clone, **NO_NETWORK)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "Done. No photo" in done.stdout
    assert not (venv / "bin" / "python").resolve().is_relative_to(clone)
    assert "Done. No photo" in start(clone).stdout  # and now by its own Python


def test_one_that_was_moved_with_its_project_works(clone: Path) -> None:
    real_environment(clone)
    elsewhere = clone.rename(clone.with_name("elsewhere"))
    assert "Done. No photo" in start(elsewhere, **NO_NETWORK).stdout


# --- an environment is made ------------------------------------------------------------------------------


@pytest.fixture
def wheel(clone: Path, tmp_path: Path) -> Path:
    """A package that stands in for all others, in a folder of its own, and locked in the clone."""
    path = tmp_path / "wheels" / "stand_in-1.0-py3-none-any.whl"
    path.parent.mkdir()
    facts = "stand_in-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("stand_in.pth", f"{PACKAGES}\n")
        # a script in Python, which pip compiles: that makes a folder among the programs
        file.writestr("stand_in-1.0.data/scripts/stand_in.py", "#!python\nprint()\n")
        file.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
        file.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{facts}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (clone / "requirements-serve.lock").write_text(f"stand-in==1.0 --hash=sha256:{digest}\n")
    return path


@pytest.fixture
def with_packages(wheel: Path) -> dict[str, str]:
    """What a start needs to find that package, which is all that a network is for."""
    return {"PYTHON": BASE_PYTHON, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}


@pytest.fixture
def silent_network() -> Iterator[socket.socket]:
    """A package index that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(200)
        yield server


def start_and_let_pip_wait(
    clone: Path, network: socket.socket
) -> tuple[subprocess.Popen[str], socket.socket]:
    """Start a set-up whose pip waits for the network; returns that call, too: it ends when pip does."""
    address = f"http://127.0.0.1:{network.getsockname()[1]}/simple"
    process = subprocess.Popen(
        [str(clone / "full_batch.sh")],
        env={
            "PYTHON": BASE_PYTHON, "PIP_INDEX_URL": address, "PIP_TIMEOUT": "500", "PIP_CONFIG_FILE": os.devnull
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    call, _ = network.accept()
    call.settimeout(100)
    return process, call


def has_ended(call: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        while call.recv(1024):
            pass
    return True


def test_whatever_is_set_outside_changes_nothing_of_what_is_installed_and_where(
    clone: Path, tmp_path: Path, with_packages: dict[str, str]
) -> None:
    poison = tmp_path / "poison"
    poison.mkdir()
    for name in ("venv", "pip", "ensurepip", "requests", "flask", "sitecustomize", "usercustomize"):
        (poison / f"{name}.py").write_text("raise SystemExit('poisoned')\n")
    elsewhere = str(tmp_path / "elsewhere")
    files = tmp_path / "pip.conf"
    files.write_text(
        f"[global]\nuser = true\nquiet = 3\nno-index = true\nfind-links = {with_packages['PIP_FIND_LINKS']}\n"
        f"[install]\ntarget = {elsewhere}\nno-deps = true\ndry-run = true\nno-binary = :all:\n"
    )
    poisoned = {
        "PIP_CONFIG_FILE": str(files),
        "PIP_TARGET": elsewhere, "PIP_PREFIX": elsewhere, "PIP_ROOT": elsewhere, "PIP_USER": "1",
        "PIP_NO_DEPS": "1", "PIP_DRY_RUN": "1", "PIP_IGNORE_INSTALLED": "1", "PIP_PYTHON": elsewhere,
        "PIP_CONSTRAINT": elsewhere, "PIP_REQUIREMENT": elsewhere, "PIP_EDITABLE": elsewhere,
        "PIP_ONLY_BINARY": ":none:", "PIP_NO_BINARY": ":all:", "PIP_REPORT": elsewhere, "PIP_LOG": "/proc/none",
        "PIP_QUIET": "3", "PIP_REQUIRE_HASHES": "0", "PIP_PLATFORM": "win32", "PIP_PYTHON_VERSION": "2.7",
        "PYTHONPATH": str(poison), "PYTHONSAFEPATH": "1", "PYTHONHOME": elsewhere, "PYTHONNOUSERSITE": "",
        "PYTHONUSERBASE": str(poison), "PYTHONSTARTUP": elsewhere, "PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "x",
        "PYTHONWARNINGS": "error", "PYTHONUTF8": "0", "VIRTUAL_ENV": elsewhere,
    }  # fmt: skip
    done = start(clone, PYTHON=BASE_PYTHON, **poisoned)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Done. No photo" in done.stdout
    assert not Path(elsewhere).exists()
    python = clone / ".venv" / "bin" / "python"
    assert {path.name for path in python.parent.iterdir()} >= {"python"}
    assert all(path.name.startswith("python") for path in python.parent.iterdir())
    installed = subprocess.run([str(python), "-m", "pip", "list"], capture_output=True, text=True, check=True)
    assert re.search(r"stand-in +1\.0", installed.stdout)
    assert beside(clone) == []

    again = start(clone, **poisoned)  # by its own Python now
    assert (again.returncode, again.stderr) == (0, "")
    assert "Done. No photo" in again.stdout


def test_what_the_night_starts_knows_nothing_of_pythons_variables_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"API_TOKEN": "secret", "PIP_INDEX_URL": "https://packages.example.org", "LC_ALL": "C"}
    for name, value in {
        **kept,
        "PYTHONPATH": "/poison",
        "PYTHONHASHSEED": "0",
        "VIRTUAL_ENV": "/other",
    }.items():
        monkeypatch.setenv(name, value)
    environment.clean_environment()
    assert {name: os.environ[name] for name in kept} == kept
    assert [name for name in os.environ if name.startswith("PYTHON")] == ["PYTHONUTF8"]
    assert "VIRTUAL_ENV" not in os.environ


def test_only_what_the_lock_names_is_installed(
    clone: Path, with_packages: dict[str, str], wheel: Path
) -> None:
    with zipfile.ZipFile(wheel, "a") as file:
        file.writestr("more.py", "")
    done = start(clone, **with_packages)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stdout
    assert not (clone / ".venv").exists()
    assert beside(clone) == []


def test_a_set_up_whose_python_is_killed_alone_ends_and_the_next_starts_go_on(
    clone: Path, with_packages: dict[str, str], silent_network: socket.socket
) -> None:
    process, call = start_and_let_pip_wait(clone, silent_network)
    process.kill()
    process.communicate()
    assert has_ended(call)
    assert not (clone / ".venv").exists()

    done = start(clone, **with_packages)
    assert done.returncode == 0, done.stdout + done.stderr
    assert beside(clone) == []
    again = start(clone)
    assert "Done. No photo" in again.stdout


def test_ctrl_c_ends_a_set_up_with_a_sentence(clone: Path, silent_network: socket.socket) -> None:
    process, call = start_and_let_pip_wait(clone, silent_network)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    assert has_ended(call)
    assert "interrupted" in said
    assert "Traceback" not in said
    assert beside(clone) == []


# --- and takes its place ---------------------------------------------------------------------------------


def test_a_finished_one_whose_start_died_before_it_was_in_place_is_used(clone: Path) -> None:
    real_environment(clone).rename(clone / ".venv.next")
    (clone / ".venv.new-1").mkdir()
    (clone / ".venv.old-1").mkdir()
    (clone / ".venv.old-1" / "made-from").touch()
    done = start(clone, **NO_NETWORK)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "Done. No photo" in done.stdout
    assert (clone / ".venv" / "bin" / "python").exists()
    assert beside(clone) == []


def test_one_that_is_in_use_on_windows_is_replaced_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv, coming = tmp_path / ".venv", tmp_path / ".venv.next"
    for name, folder in (("ROOT", tmp_path), ("VENV", venv), ("NEXT", coming)):
        monkeypatch.setattr(environment, name, folder)
    for folder in (venv, coming):
        folder.mkdir()
        (folder / "made-from").write_text(folder.name)

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "The process cannot access the file", str(path))

    with monkeypatch.context() as windows, (tmp_path / "log").open("w") as output:
        windows.setattr(Path, "rename", refuse)
        environment._take_up(output)
        assert (venv / "made-from").read_text() == ".venv"
        assert (coming / "made-from").read_text() == ".venv.next"
    with (tmp_path / "log").open("w") as output:
        environment._take_up(output)
    assert (venv / "made-from").read_text() == ".venv.next"
    assert beside(tmp_path) == []


# --- what is installed -----------------------------------------------------------------------------------

LOCK = (ROOT / "requirements-serve.lock").read_text("utf-8")


def pinned(text: str) -> list[Requirement]:
    lines = text.replace("\\\n", " ").splitlines()
    return [
        Requirement(line.split(" --hash")[0])
        for line in lines
        if line.strip() and not line.strip().startswith("#")
    ]


def locked_here() -> dict[str, str]:
    found = [entry for entry in pinned(LOCK) if entry.marker is None or entry.marker.evaluate()]
    return {canonicalize_name(entry.name): str(entry.specifier).removeprefix("==") for entry in found}


def test_the_lock_holds_every_pin() -> None:
    wanted = pinned((ROOT / "requirements-serve.txt").read_text("utf-8"))
    locked = {canonicalize_name(entry.name): entry for entry in pinned(LOCK)}
    for pin in wanted:
        entry = locked[canonicalize_name(pin.name)]
        assert (entry.specifier, str(entry.marker)) == (pin.specifier, str(pin.marker)), pin.name


def test_the_lock_holds_all_that_the_pins_need() -> None:
    here = locked_here()
    for name in here:
        for needed in map(Requirement, distribution(name).requires or []):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in here, f"{name} needs {needed}"
                assert needed.specifier.contains(here[canonicalize_name(needed.name)])


def test_every_package_of_the_lock_has_checksums_and_nothing_names_a_server() -> None:
    entries = [
        line for line in LOCK.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert len(entries) > 30
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in LOCK
    assert "index" not in LOCK


def test_every_package_is_imported_before_an_environment_is_used() -> None:
    belongs = packages_distributions()
    tried = {canonicalize_name(belongs[module][0]) for module in environment.MODULES}
    wanted = pinned((ROOT / "requirements-serve.txt").read_text("utf-8"))
    assert tried == {
        canonicalize_name(pin.name) for pin in wanted if pin.marker is None or pin.marker.evaluate()
    }
