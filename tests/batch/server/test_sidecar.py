"""The sidecar's life beside the night: real processes, with a small release."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from api_answers import Failed, Predicted
from batch.server.sidecar import Sidecar, SidecarDownError
from settings import ROOT
from tests import small_release
from tests.api.conftest import picture
from tests.fake_sidecar import FakeSidecar


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    small_release.make(folder)
    return folder


@pytest.fixture(autouse=True)
def _release(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_DIR", str(model_dir))


def processes_of(sidecar: Sidecar) -> list[psutil.Process]:
    assert sidecar._process is not None
    parent = psutil.Process(sidecar._process.pid)
    return [parent, *parent.children(recursive=True)]


def wait_until_gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return alive


def test_it_starts_answers_and_leaves_no_process_behind(tmp_path: Path) -> None:
    with Sidecar(log_dir=tmp_path) as sidecar:
        assert sidecar.make_ready().model_version == "small-1"
        answers = sidecar.client.predict([picture("red"), b"no photo"])
        first, second = answers.results
        assert isinstance(first, Predicted)
        assert first.prediction.sub.name == "t-shirt"
        assert isinstance(second, Failed)
        assert "photo" in second.error.detail
        processes = processes_of(sidecar)
    assert wait_until_gone(processes, 1) == []


def test_it_listens_on_loopback_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_HOST", "0.0.0.0")
    with Sidecar(log_dir=tmp_path) as sidecar:
        listening = [
            connection.laddr.ip
            for process in processes_of(sidecar)
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
    assert set(listening) == {"127.0.0.1"}


def test_a_killed_server_is_started_again(tmp_path: Path) -> None:
    with Sidecar(log_dir=tmp_path) as sidecar:
        sidecar.kill(sidecar.client)
        sidecar.make_ready()
        assert isinstance(sidecar.client.predict([picture()]).results[0], Predicted)


def test_it_is_started_again_however_often_as_long_as_it_answers_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.server.sidecar.COMMAND", (sys.executable, "-S", "-c", "pass"))
    monkeypatch.setattr("batch.server.sidecar.PAUSES", (0,) * 5)
    sidecar = Sidecar(log_dir=tmp_path)
    for _ in range(201):
        sidecar._start()
        sidecar.worked()
    for _ in range(5):
        sidecar._start()
    with pytest.raises(SidecarDownError, match="ended 5 times in a row"):
        sidecar._start()
    sidecar.stop()


def test_a_killed_worker_comes_back_by_itself(tmp_path: Path) -> None:
    with Sidecar(log_dir=tmp_path) as sidecar:
        processes_of(sidecar)[1].kill()
        sidecar.make_ready()
        assert isinstance(sidecar.client.predict([picture()]).results[0], Predicted)


def test_without_a_release_the_reason_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "nowhere"))
    started = time.monotonic()
    with pytest.raises(SidecarDownError, match="CURRENT"), Sidecar(log_dir=tmp_path):
        pass
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("file", ["CURRENT", "IN_USE", "small-1/SHA256SUMS"])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b\n"])
def test_a_damaged_release_is_told_at_once_and_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: bytes
) -> None:
    small_release.make(tmp_path)
    if file == "CURRENT":
        (tmp_path / "IN_USE").unlink()
    (tmp_path / file).write_bytes(content)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    with (
        pytest.raises(SidecarDownError, match=r"the model cannot be used: .*damaged.*python -m model"),
        Sidecar(log_dir=tmp_path),
    ):
        pass


def test_a_server_that_cannot_start_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_IMAGE_MEGAPIXELS", "many")
    monkeypatch.setattr("batch.server.sidecar.PAUSES", (0, 0))
    with pytest.raises(SidecarDownError, match="MAX_IMAGE_MEGAPIXELS=many"), Sidecar(log_dir=tmp_path):
        pass


def test_another_program_on_our_port_is_not_taken_for_our_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sidecar: FakeSidecar
) -> None:
    ports = iter([int(sidecar.url.rpartition(":")[2])])
    monkeypatch.setattr(
        "batch.server.sidecar._free_port", lambda free=_free_port: next(ports, None) or free()
    )
    with Sidecar(log_dir=tmp_path) as ours:
        assert ours.client.url != sidecar.url
        assert ours.make_ready().model_version == "small-1"


from batch.server.sidecar import _free_port  # noqa: E402 - the original, for the test above

OWNER = """
import sys, time
from pathlib import Path
from batch.server.sidecar import Sidecar
with Sidecar(log_dir=Path(sys.argv[1])) as sidecar:
    print(sidecar._process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_server_whose_batch_was_killed_ends_within_five_seconds(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    server = psutil.Process(int(owner.stdout.readline()))
    processes = [server, *server.children(recursive=True)]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert wait_until_gone(processes, 5) == []


@pytest.fixture(params=["gunicorn", "tornado"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server of either kind, by its URL."""
    port = _free_port()
    command = [sys.executable, "-m", "api", "--port", str(port), "--server", request.param]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if requests.get(f"{url}/health", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(15)


def test_both_web_servers_answer_the_same(server: str) -> None:
    assert requests.get(f"{server}/health", timeout=10).json()["status"] == "ready"
    answer = requests.post(f"{server}/predict", files={"file": picture("green")}, timeout=10).json()
    assert answer["sub"]["class"] == "pants"
    batch = [("files", (str(number), picture("blue"))) for number in range(64)]
    assert len(requests.post(f"{server}/predict/batch", files=batch, timeout=30).json()["results"]) == 64


def test_both_web_servers_refuse_a_body_that_is_too_large_with_an_answer(server: str) -> None:
    body = picture() + b"\0" * (80 * 1024 * 1024)
    response = requests.post(
        f"{server}/predict", data=body, headers={"Content-Type": "image/jpeg"}, timeout=30
    )
    assert response.status_code == 413
    assert requests.get(f"{server}/health", timeout=10).ok


FORBIDDEN = {"torch", "torchvision", "rembg", "sklearn", "scipy", "skimage", "numba", "pandas", "matplotlib"}


@pytest.mark.parametrize("module", ["api.serve", "batch.__main__", "batch.environment"])
def test_the_night_and_its_server_never_load_what_only_training_needs(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert FORBIDDEN.isdisjoint(found.stdout.split())


def test_the_environment_is_made_with_the_standard_library_alone() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import batch.environment"
    # -S: no site-packages, as on a machine where nothing is installed yet
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
