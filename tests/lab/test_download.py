"""Downloads from a server on this machine that misbehaves in every way a server can."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from model.lab import LabError
from model.lab.__main__ import main
from model.lab.photos.download import Manners, Wanted, download, read_wanted, retry_after, safe_name

QUICK = Manners(pause=0, backoff=0.01, timeout=1, longest=2, max_mb=0.5, tries=3)


def photo(kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 40)).save(stream, kind)
    return stream.getvalue()


@dataclass
class Diary:
    """What the server saw."""

    hits: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    running: int = 0
    most: int = 0
    robots: str = ""


@dataclass
class Server:
    url: str
    diary: Diary

    def wanted(self, *paths: str) -> list[Wanted]:
        return [Wanted(safe_name(path), self.url + path, {"colour": "red"}) for path in paths]


@pytest.fixture
def server() -> Iterator[Server]:
    diary, lock = Diary(), threading.Lock()

    class Misbehaving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                diary.hits[self.path] += 1
                if self.path != "/robots.txt":
                    diary.starts.append(time.monotonic())
                    diary.running += 1
                    diary.most = max(diary.most, diary.running)
            try:
                self.behave()
            except OSError:
                pass  # the other side has hung up, as some of these tests want
            finally:
                with lock:
                    diary.running -= self.path != "/robots.txt"

        def behave(self) -> None:
            path = self.path
            if path == "/robots.txt":
                self.answer(200 if diary.robots else 404, diary.robots.encode())
            elif path.startswith("/busy-twice"):
                self.answer(503 if diary.hits[path] < 3 else 200, photo(), {"Retry-After": "0"})
            elif path == "/always-busy":
                self.answer(429, b"", {"Retry-After": "0"})
            elif path == "/page":
                self.answer(200, b"<!DOCTYPE html><p>Please log in")
            elif path == "/huge":
                self.answer(200, b"\xff\xd8\xff" + bytes(2_000_000))
            elif path == "/cut-off":
                self.answer(200, photo()[:200], {"Content-Length": str(len(photo()))})
            elif path == "/half-photo":
                self.answer(200, photo()[: len(photo()) // 2])
            elif path == "/silent":
                time.sleep(1.6)
            elif path == "/drip":
                self.drip()
            elif path == "/moved":
                self.answer(301, b"", {"Location": "/fine.jpg"})
            elif path == "/round-and-round":
                self.answer(302, b"", {"Location": "/round-and-round"})
            elif path == "/to-a-file":
                self.answer(302, b"", {"Location": "file:///etc/hostname"})
            elif path.startswith("/slow"):
                time.sleep(0.1)
                self.answer(200, photo())
            elif path.startswith("/gone"):
                self.answer(404, b"")
            else:
                self.answer(200, photo("PNG" if path.endswith("png") else "JPEG"))

        def drip(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b"x" * 70_000 if _ == 0 else b"x" * 10)
                self.wfile.flush()
                time.sleep(0.1)

        def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield Server(f"http://127.0.0.1:{listener.server_port}", diary)
    listener.shutdown()
    listener.server_close()


def test_photos_arrive_with_the_suffix_of_what_they_are(server: Server, tmp_path: Path) -> None:
    fetched, failed = download(server.wanted("/a", "/b.png"), tmp_path, QUICK)
    assert (fetched, failed) == (2, {})
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".csv") == [
        "_a.jpg",
        "_b.png.png",
    ]
    labels = pd.read_csv(tmp_path / "labels.csv")
    assert list(labels.columns) == ["file", "colour"]
    assert set(labels["file"]) == {"_a.jpg", "_b.png.png"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/page", "a web page came instead of a photo"),
        ("/huge", "larger than 0.5 MB"),
        ("/half-photo", "no photo"),
        ("/gone", "answered 404"),
        ("/always-busy", "answered 429"),
        ("/silent", "connection failed"),
        ("/cut-off", "connection failed"),
        ("/drip", "not there after"),
        ("/round-and-round", "more than 5 redirects"),
        ("/to-a-file", "no http or https address"),
    ],
)
def test_what_fails_is_named_with_its_reason_and_leaves_no_file(
    server: Server, tmp_path: Path, path: str, reason: str
) -> None:
    quick = replace(QUICK, tries=1) if path in ("/silent", "/drip") else QUICK
    fetched, failed = download(server.wanted(path, "/fine.jpg"), tmp_path, quick)
    assert fetched == 1
    assert reason in failed[safe_name(path)]
    table = pd.read_csv(tmp_path / "failed.csv")
    assert list(table["id"]) == [safe_name(path)]
    assert {path.name for path in tmp_path.iterdir()} == {"_fine.jpg.jpg", "labels.csv", "failed.csv"}


def test_a_busy_server_is_asked_again_and_a_missing_photo_is_not(server: Server, tmp_path: Path) -> None:
    fetched, _ = download(server.wanted("/busy-twice", "/gone"), tmp_path, QUICK)
    assert fetched == 1
    assert server.diary.hits["/busy-twice"] == 3
    assert server.diary.hits["/gone"] == 1


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    assert download(server.wanted("/moved"), tmp_path, QUICK)[0] == 1


def test_robots_are_respected_and_asked_once(server: Server, tmp_path: Path) -> None:
    server.diary.robots = "User-agent: *\nDisallow: /private\n"
    fetched, failed = download(server.wanted("/private/1", "/private/2", "/open"), tmp_path, QUICK)
    assert fetched == 1
    assert all("robots.txt" in reason for reason in failed.values())
    assert server.diary.hits["/robots.txt"] == 1
    assert "/private/1" not in server.diary.hits


def test_a_host_gets_no_more_than_its_share_at_a_time(server: Server, tmp_path: Path) -> None:
    paths = [f"/slow{number}" for number in range(10)]
    assert download(server.wanted(*paths), tmp_path, QUICK, at_once=8)[0] == 10
    assert server.diary.most <= QUICK.per_host


def test_there_is_a_pause_between_two_requests_to_a_host(server: Server, tmp_path: Path) -> None:
    download(server.wanted("/1", "/2", "/3", "/4"), tmp_path, replace(QUICK, pause=0.15))
    starts = sorted(server.diary.starts)
    assert starts[-1] - starts[0] >= 3 * 0.15 - 0.05


def test_what_is_there_is_not_fetched_again_and_what_failed_is(server: Server, tmp_path: Path) -> None:
    wanted = server.wanted("/fine.jpg", "/gone")
    download(wanted, tmp_path, QUICK)
    fetched, failed = download(wanted, tmp_path, QUICK)
    assert (fetched, list(failed)) == (0, ["_gone"])
    assert server.diary.hits["/fine.jpg"] == 1
    assert server.diary.hits["/gone"] == 2
    assert list(pd.read_csv(tmp_path / "labels.csv")["file"]) == ["_fine.jpg.jpg"]


def test_the_command_reports_and_exits_with_3_when_some_failed(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text(f"id,url,colour\n1,{server.url}/a.jpg,red\n2,{server.url}/gone,blue\n")
    assert (
        main(["download", str(tmp_path / "list.csv"), "--out", str(tmp_path / "photos"), "--pause", "0"]) == 3
    )
    text = capsys.readouterr().out
    assert "1 photos fetched" in text
    assert "2: the server answered 404" in text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,link\n", "needs the columns id and url"),
        ("id,url\nA,x\na,y\n", "there twice"),
        (None, "There is no file"),
    ],
)
def test_a_list_that_cannot_be_used_is_explained(text: str | None, complaint: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "list.csv").write_text(text)
    with pytest.raises(LabError, match=complaint):
        read_wanted(tmp_path / "list.csv")


def test_an_id_never_leaves_the_folder() -> None:
    assert safe_name("../../etc/passwd") == "_.._etc_passwd"
    assert safe_name("blue shirt/1") == "blue_shirt_1"
    assert safe_name("").startswith("unnamed")


def test_retry_after_may_be_seconds_or_a_date_or_nonsense() -> None:
    assert retry_after("7") == 7
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("soon") == 0
    assert retry_after(None) == 0
