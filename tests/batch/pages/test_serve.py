"""The pages behind their own server: at one address, within bounds, until told to end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.pages import serve
from batch.pages.serve import PagesError
from batch.records.ledger import Ledger, Row
from batch.settings import BatchSettings
from settings import ROOT, load
from tests.batch.pages.sample_pages import Sample


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def running(sample: Sample, port: int, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    settings = sample.settings
    environment = os.environ | {
        "DATA_DIR": str(settings.data_dir),
        "LOG_DIR": str(settings.log_dir),
        "PAGES_SECRETS": str(settings.pages_secrets),
        "PAGES_PORT": str(port),
    }
    command = [sys.executable, "-m", "batch", "pages"]
    pages = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert pages.stdout
    assert pages.stdout.readline() == f"The pages are at http://127.0.0.1:{port} - Ctrl-C ends them.\n"
    yield pages
    if pages.poll() is None:
        pages.kill()
    pages.wait()
    pages.stdout.close()


def ask(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends programs otherwise")
def test_they_say_their_address_answer_and_end_when_told_to(
    running: "subprocess.Popen[str]", sample: Sample, port: int
) -> None:
    page = ask(port, "/")
    assert page.status == 200
    assert b"Start the review" in page.read()
    assert ask(port, "/", Host="evil.example").status == 403
    with Ledger(sample.settings.ledger_path) as ledger:  # a CSV that is longer than a piece of it
        ledger.record(
            Row(f"{number}.jpg", run_id="long", filed=True, error="x" * 200) for number in range(3000)
        )
    table = ask(port, "/runs/all.csv")
    assert table.getheader("Transfer-Encoding") == "chunked"
    assert table.read().count(b"\n") > 3000
    late = socket.create_connection(("127.0.0.1", port))
    late.sendall(b"POST /review/decide HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n")
    assert late.recv(100).startswith(b"HTTP/1.1 4")
    late.close()
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0


def test_an_address_that_is_taken_is_said_to_be_so(port: int) -> None:
    settings = load(BatchSettings, pages_port=port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(PagesError, match="PAGES_PORT"):
            serve.serve(settings)


def test_no_browser_is_opened_where_nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert not serve._has_desktop()  # nobody's terminal


def test_what_keeps_the_csv_from_following_is_said_once(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch.pages import create_app
    from batch.records.csv_files import ExportError

    said: list[str] = []
    monkeypatch.setattr("batch.pages.serve.log.warning", lambda text, *given: said.append(text % given))
    reasons = iter(["it is open in a spreadsheet", "it is open in a spreadsheet", "the disk is full"])

    def follow(*_: object) -> None:
        raise ExportError(next(reasons))

    monkeypatch.setattr("batch.decisions.exports.follow", follow)
    app = create_app(sample.settings)
    for _ in range(3):
        serve._follow(app)
    assert [reason.rpartition(": ")[2] for reason in said] == [
        "it is open in a spreadsheet",
        "the disk is full",
    ]
