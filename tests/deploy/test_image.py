"""The Dockerfile, its lists of packages, and the image's entry point; tests/deploy/test_walk.py builds and runs it."""

import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

import this_python
from deploy.image import healthcheck
from settings import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IMAGE = ROOT / "deploy" / "image"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="containers run Linux")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_one_exact_version_and_names_no_host() -> None:
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", base)
    begins = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert set(begins) - set(stages) == {"${PYTHON_IMAGE}"}


def test_every_package_of_the_night_is_installed_by_its_checksum() -> None:
    for install in re.findall(r"install --no-cache-dir (.*?)(?=&&|\n[A-Z#\n])", DOCKERFILE, re.DOTALL):
        assert "--require-hashes" in install or "/app/requirements.txt" in install
    locked = (IMAGE / "sbom.lock").read_text("utf-8")
    assert (IMAGE / "sbom.txt").read_text("utf-8").strip() + " \\" in locked


def test_the_image_runs_as_nobody_special_and_says_which_version_it_is() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last
    assert f"ARG VERSION={this_python.VERSION}\n" in last
    assert "\nFROM program AS train\n" in DOCKERFILE


def test_packages_for_training_are_installed_by_a_python_that_has_pip() -> None:
    after = DOCKERFILE.partition(" AS program\n")[2]
    assert "ENV PATH=/opt/venv/bin:$PATH" in after
    assert re.findall(r"(\S+) -m pip ", after) == ["/usr/local/bin/python"]


@pytest.mark.parametrize(
    ("words", "port"),
    [
        (["python", "-m", "api", ""], "5000"),
        (["/sbin/docker-init", "--", "nightsort", "sidecar", ""], "5000"),
        (["/sbin/docker-init", "--", "nightsort", "pages", ""], "8000"),
        (["python", "-m", "batch", "schedule", ""], ""),
    ],
)
def test_the_health_check_asks_the_server_that_runs(
    monkeypatch: pytest.MonkeyPatch, words: list[str], port: str
) -> None:
    for name in ("PORT", "API_PORT", "PAGES_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert healthcheck.port_of(words) == port
    monkeypatch.setenv("PORT", "8080")
    assert healthcheck.port_of(words) == {"5000": "8080"}.get(port, port)
    monkeypatch.setenv("API_PORT", "5001")
    assert healthcheck.port_of(words) == {"5000": "5001"}.get(port, port)


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """The entry point in a tree of its own; its python says what it was asked, and ends with CODE."""
    path = tmp_path / "app" / "deploy" / "image" / "entry.sh"
    path.parent.mkdir(parents=True)
    shutil.copy(IMAGE / "entry.sh", path)
    (tmp_path / "app" / "model" / "releases").mkdir(parents=True)
    (tmp_path / "app" / "model" / "releases" / "CURRENT").write_text("r1\n")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(
        "#!/bin/sh\n"
        "trap 'echo finishing; exit 143' TERM\n"
        'echo "$PWD: $* API_HOST=${API_HOST:-} PAGES_HOST=${PAGES_HOST:-}"\n'
        'for _ in $(seq "${TENTHS:-0}"); do sleep 0.1; done\n'
        'exit "${CODE:-0}"\n'
    )
    python.chmod(0o755)
    return path


def start(entry: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    state = entry.parents[3] / "state"
    path = f"{entry.parents[3] / 'bin'}{os.pathsep}{os.environ['PATH']}"
    places = {"PATH": path, "MODEL_DIR": str(state / "releases"), "PAGES_SECRETS": str(state / "secrets")}
    return subprocess.Popen(
        [entry, *arguments],
        env={**places, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "-m batch run API_HOST= "),
        (["night", "--wait"], "-m batch run --wait API_HOST= "),
        (["sidecar", "--port", "80"], "-m api --port 80 API_HOST=0.0.0.0 "),
        (["schedule"], "-m batch schedule API_HOST= "),
        (["users", "add", "Anna B"], "-m batch users add Anna B API_HOST= "),
        (["--version"], "-m batch --version API_HOST= "),
        (["model", "list"], "-m model list API_HOST= "),
    ],
)
def test_each_command_becomes_the_program(entry: Path, arguments: list[str], said: str) -> None:
    with start(entry, *arguments) as process:
        assert said in process.communicate()[0]
        assert process.returncode == 0


def test_the_releases_in_the_image_are_found_beside_ones_own_whatever_was_there(entry: Path) -> None:
    state = entry.parents[3] / "state" / "releases"
    for _ in range(2):
        start(entry, "night").communicate()
        assert (state / "shipped" / "CURRENT").read_text() == "r1\n"
    (state / "shipped").unlink()
    (state / "shipped").symlink_to("/where/an/older/image/had/them")
    start(entry, "night").communicate()
    assert (state / "shipped" / "CURRENT").is_file()
    start(entry, "night", MODEL_DIR=str(entry.parents[2] / "model" / "releases")).communicate()
    assert [path.name for path in (entry.parents[2] / "model" / "releases").iterdir()] == ["CURRENT"]


@pytest.mark.parametrize(("code", "told"), [("0", 0), ("3", 0), ("75", 0), ("1", 1), ("2", 2), ("130", 130)])
def test_to_a_scheduler_a_night_with_failed_photos_or_beside_another_is_no_failure(
    entry: Path, code: str, told: int
) -> None:
    process = start(entry, "job", CODE=code)
    process.communicate()
    assert process.returncode == told
    process = start(entry, "night", CODE=code)
    process.communicate()
    assert process.returncode == int(code)


def test_a_job_that_is_told_to_end_lets_the_night_end_in_order(entry: Path) -> None:
    process = start(entry, "job", TENTHS="600")
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert "finishing" in process.communicate()[0]
    assert process.returncode == 143


def test_pages_wait_for_their_first_user_instead_of_starting_again_and_again(entry: Path) -> None:
    process = start(entry, "pages")
    assert process.stdout
    assert "nightsort users add NAME" in process.stdout.readline()
    time.sleep(0.1)
    assert process.poll() is None
    (entry.parents[3] / "state" / "secrets").write_text("{}")
    assert "-m batch pages API_HOST= PAGES_HOST=0.0.0.0" in process.communicate()[0]
    assert "PAGES_HOST=127.0.0.1" in start(entry, "pages", PAGES_HOST="127.0.0.1").communicate()[0]
