"""Nothing is sent home, and nothing is written outside the folders: by a night, and by a server that stays.

ONNX Runtime's packages send usage data unless told not to, and leave a device's number in the home folder.
"""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import certifi
import pytest
import requests

from batch.server.sidecar import _free_port
from settings import ROOT
from tests import small_release
from tests.api.conftest import picture

STAYS_SECONDS = 12
"""Left alone, ONNX Runtime asks for its host nine seconds after it was loaded."""

STRACE = (
    "strace", "-f", "-y", "-qq", "-s", "4096",
    "-e", "trace=connect,sendto,sendmsg,sendmmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,symlinkat,linkat",
)  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that would let everything out: a home, certificates, telemetry wished for."""
    small_release.make(tmp_path / "releases")
    for name in ("home", "tmp", "data/incoming"):
        (tmp_path / name).mkdir(parents=True)
    for colour in ("red", "green", "blue"):
        (tmp_path / "data" / "incoming" / f"{colour}.jpg").write_bytes(picture(colour))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "SSL_CERT_FILE": certifi.where(),
        "ORT_DISABLE_TELEMETRY": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATA_DIR": str(tmp_path / "data"),
        "LOG_DIR": str(tmp_path / "logs"),
        "MODEL_DIR": str(tmp_path / "releases"),
        "SETTLE_SECONDS": "0",
    }


def night(machine: dict[str, str], *before: str) -> None:
    done = subprocess.run(
        [*before, sys.executable, "-m", "batch", "run"], cwd=ROOT, env=machine, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 files: 3 filed" in done.stdout


def server(machine: dict[str, str], kind: str, *before: str) -> None:
    """A server by itself, which answers a photo and then stays for a while."""
    port = _free_port()
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "api", "--server", kind, "--port", str(port)],
        cwd=ROOT,
        env=machine,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert _answers(f"http://127.0.0.1:{port}/predict")
        time.sleep(STAYS_SECONDS)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _answers(url: str) -> bool:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if requests.post(url, files={"file": picture()}, timeout=60).ok:
                return True
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    return False


@pytest.mark.parametrize("what", ["night", "gunicorn", "tornado"])
def test_no_process_asks_for_a_host_connects_elsewhere_or_writes_elsewhere(
    machine: dict[str, str], tmp_path: Path, what: str
) -> None:
    """Without strace only the home folder is looked at."""
    trace = tmp_path / "trace"
    watched = (*STRACE, "-o", str(trace)) if shutil.which("strace") else ()
    if what == "night":
        night(machine, *watched)
    else:
        server(machine, what, *watched)
    assert list(Path(machine["HOME"]).rglob("*")) == []
    if not watched:
        return
    calls = trace.read_text("utf-8", "replace").splitlines()
    assert any("onnxruntime_pybind11" in call for call in calls)  # it was at work
    assert [call for call in calls if "/etc/resolv.conf" in call or "systemd/resolve" in call] == []
    assert {host for call in calls for host in _hosts(call)} <= {"127.0.0.1"}
    ours = [str(tmp_path / name) for name in ("data", "logs", "tmp")]
    assert [
        path for call in calls if (path := _written(call)) and not path.startswith((*ours, "/dev/"))
    ] == []


def _hosts(call: str) -> list[str]:
    return re.findall(r'(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"', call)


def _written(call: str) -> str:
    """The path of a file that was made, renamed or opened to be written; nothing for any other call."""
    if "= -1 " in call:
        return ""
    opened = re.search(r'openat\(\w+<([^>]*)>, "([^"]*)", [\w|]*(?:O_WRONLY|O_RDWR|O_CREAT)', call)
    made = re.search(r'(?:mkdirat|renameat2?|symlinkat|linkat)\(.*\w+<([^>]*)>, "([^"]*)"', call)
    if found := opened or made:
        return os.path.join(found[1], found[2])
    plain = re.search(
        r'(?:open\("([^"]*)", [\w|]*(?:O_WRONLY|O_RDWR|O_CREAT)|(?:mkdir|rename|creat)\(.*"([^"]*)")', call
    )
    return os.path.join(ROOT, plain[1] or plain[2]) if plain else ""


@pytest.mark.parametrize("package", ["api", "batch", "model", "benchmarks"])
def test_whichever_of_our_packages_is_imported_first_turns_it_off(package: str) -> None:
    code = (
        f"import os, sys, {package}; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"ORT_DISABLE_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["1", "False"]


def test_what_would_send_something_is_imported_only_where_it_has_been_turned_off() -> None:
    """In `model`, whose front page does so, and never in a program that stands by itself."""
    importers = {
        str(path.relative_to(ROOT))
        for folder in ("api", "batch", "model", "benchmarks", "tests", "deploy")
        for path in (ROOT / folder).rglob("*.py")
        if {"onnxruntime", "rembg"} & _imported(path)
    } | {path.name for path in ROOT.glob("*.py") if {"onnxruntime", "rembg"} & _imported(path)}
    assert importers
    assert all(name.startswith("model/") for name in importers), importers


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found
