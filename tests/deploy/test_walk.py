"""The image itself: built from the Dockerfile, run with a read-only root by users without rights, killed, and measured."""

import csv
import json
import os
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from batch.demo.drawings import draw_demo_photos
from settings import ROOT
from tests import small_release
from tests.deploy.engine import IMAGE, PROGRAMS, Engine
from tests.deploy.ignored import enters

pytestmark = [pytest.mark.optional, pytest.mark.timeout(900)]

LARGEST = 400_000_000
SLOWEST = 300
HEALTH_CHECK = ("python", "/app/deploy/image/healthcheck.py")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        pytest.skip(f"needs {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("needs root: debootstrap makes the base image")
    made = Engine(Path(tempfile.mkdtemp(prefix="nightsort-image-")))
    try:
        made.build()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def root(engine: Engine) -> Path:
    return engine.mount()


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """What is mounted at /data and /state, and belongs to the user that the image is made for."""
    for folder in (tmp_path / "data" / "incoming", tmp_path / "state"):
        folder.mkdir(parents=True)
    give(tmp_path, 10001, 10001)
    return tmp_path


def give(folder: Path, user: int, group: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, group, follow_symlinks=False)


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + SLOWEST
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def answer(address: str) -> int:
    """The status of an answer; 0 while there is none."""
    try:
        with urlopen(address) as answered:
            return int(answered.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


def rows(places: Path) -> list[dict[str, str]]:
    with (places / "data" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def recorded(places: Path) -> int:
    ledger = places / "data" / "ledger.sqlite3"
    if not ledger.exists():
        return 0
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as database:
        try:
            return int(database.execute("SELECT count(*) FROM photos").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def drop(places: Path, number: int) -> None:
    """Photos for a night, each with bytes of its own."""
    draw_demo_photos(places / "drawn")
    drawn = sorted((places / "drawn").glob("*.jpg"))
    for i in range(number):
        content = drawn[i % len(drawn)].read_bytes()
        (places / "data" / "incoming" / f"{i:03}.jpg").write_bytes(content + f"{i}".encode())
    give(places / "data", 10001, 10001)


def test_its_files_are_the_program_and_small(root: Path) -> None:
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_symlink() or path.is_file())
    print(f"{size / 1e6:.0f} MB")
    assert size <= LARGEST
    inside = {
        path.relative_to(root / "app").as_posix()
        for path in (root / "app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    folders = ("api", "batch", "data", "decoder", "deploy", "docs", "logs", "model", "tests")
    there = [path for name in folders for path in (ROOT / name).rglob("*")] + list(ROOT.iterdir())
    names = {path.relative_to(ROOT).as_posix() for path in there if path.is_file()}
    assert inside == {name for name in names if enters(name)}


def test_the_list_of_contents_names_every_package_and_none_is_for_training(root: Path) -> None:
    listed = json.loads((root / "opt" / "sbom.cdx.json").read_text("utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    names = {component["name"].lower().replace("_", "-") for component in listed["components"]}
    installed = {
        path.name.split("-")[0].lower().replace("_", "-")
        for path in root.glob("opt/venv/lib/*/*/*.dist-info")
    }
    assert installed
    assert installed <= {name.replace(".", "-") for name in names} | names
    assert {"python", "libc6", "onnxruntime"} <= names
    assert not {"torch", "scikit-learn", "pip"} & installed


@pytest.mark.parametrize("user", ["10001:10001", "501:20"])
def test_the_demo_runs_as_any_user_and_writes_to_its_folders_alone(
    engine: Engine, places: Path, user: str
) -> None:
    give(places, *map(int, user.split(":")))
    name = f"demo-{user[:3]}"
    engine.run(name, "demo", places=places, user=user)
    assert engine.wait(name) == 0, engine.output(name)
    assert "Of 22 drawn garments right" in engine.output(name)
    assert {path.name for path in places.iterdir()} == {"data", "state"}
    assert {path.name for path in (places / "state").iterdir()} == {"logs", "releases"}


def test_a_night_that_is_killed_is_finished_by_the_next_and_each_photo_has_one_row(
    engine: Engine, places: Path
) -> None:
    drop(places, 200)
    settings = {"SETTLE_SECONDS": "0"}
    engine.run("killed", "job", places=places, env=settings)
    until(lambda: recorded(places) > 20)
    engine.podman("kill", "--signal", "KILL", "killed")
    assert engine.wait("killed") == 128 + signal.SIGKILL
    engine.run("next", "job", places=places, env=settings)
    assert engine.wait("next") == 0, engine.output("next")
    names = [row["file_name"] for row in rows(places)]
    assert sorted(names) == [f"{i:03}.jpg" for i in range(200)]
    assert all((places / "data" / row["moved_to"]).is_file() for row in rows(places))
    assert not list((places / "data" / "incoming").iterdir())


def test_a_clock_that_is_told_to_stop_ends_its_night_in_order(engine: Engine, places: Path) -> None:
    drop(places, 200)
    engine.run("clock", "schedule", places=places, env={"SETTLE_SECONDS": "0"})
    until(lambda: recorded(places) > 20)
    engine.podman("stop", "--time", str(SLOWEST), "clock")
    assert engine.wait("clock") == 0
    assert "The clock has ended." in engine.output("clock")
    assert 20 < len(rows(places)) + len(list((places / "data" / "incoming").iterdir())) == 200


def test_a_sidecar_wants_a_token_says_when_it_is_ready_and_is_asked_by_the_health_check(
    engine: Engine, places: Path
) -> None:
    engine.run("open", "sidecar", places=places)
    assert engine.wait("open") == 2
    assert "set API_TOKEN" in engine.output("open")
    port = free_port()
    engine.run("sidecar", "sidecar", places=places, env={"API_TOKEN": "a-long-random-text", "API_PORT": port})
    until(lambda: answer(f"http://127.0.0.1:{port}/health") == 200)
    engine.podman("exec", "sidecar", *HEALTH_CHECK)
    engine.run(
        "night",
        "job",
        places=places,
        env={"API_TOKEN": "a-long-random-text", "API_URL": f"http://127.0.0.1:{port}"},
    )
    assert engine.wait("night") == 0, engine.output("night")
    engine.podman("stop", "--time", "20", "sidecar")
    assert engine.wait("sidecar") == 0


def test_pages_wait_for_their_first_user_who_then_has_to_sign_in(engine: Engine, places: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = {"PAGES_PORT": port, "PAGES_URL": address, "PAGES_PLAIN_HTTP": "yes"}
    engine.run("pages", "pages", places=places, env=settings)
    until(lambda: "wait for their first user" in engine.output("pages"))
    engine.podman("exec", "pages", "sh", "-c", "echo a pass phrase of some length | nightsort users add Anna")
    until(lambda: answer(f"{address}/sign-in") == 200)
    assert answer(f"{address}/health") == 401
    engine.podman("exec", "pages", *HEALTH_CHECK)
    engine.podman("stop", "--time", "20", "pages")
    assert engine.wait("pages") == 0


def test_a_release_of_ones_own_is_put_to_use_beside_those_in_the_image(engine: Engine, places: Path) -> None:
    small_release.make(places / "state" / "releases", "mine-1")
    give(places, 10001, 10001)
    shipped = (ROOT / "model" / "releases" / "CURRENT").read_text("utf-8").split()[0]
    for i, (command, said) in enumerate(
        [("list", "* mine-1"), ("list", f"{shipped}  main"), ("rollback", shipped), ("list", f"* {shipped}")]
    ):
        engine.run(f"model-{i}", "model", command, places=places)
        assert engine.wait(f"model-{i}") == 0, engine.output(f"model-{i}")
        assert said in engine.output(f"model-{i}")


def test_the_image_says_what_it_is(engine: Engine) -> None:
    (image,) = json.loads(engine.podman("image", "inspect", IMAGE))
    assert image["User"] == "10001:10001"
    assert image["Healthcheck"]["Test"] == ["CMD", *HEALTH_CHECK]
    assert image["Config"]["Entrypoint"] == ["nightsort"]
    assert image["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert image["Labels"]["org.opencontainers.image.base.name"].startswith("python:3.")
