"""Photos reach the sidecar byte for byte, whatever bytes they have."""

import base64
import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import pytest
from flask import Response
from werkzeug.formparser import parse_form_data

from api_answers import Failed, Soundness
from batch.server.client import Client, SidecarBusyError, SidecarError
from tests.fake_sidecar import FakeSidecar, photo

PHOTOS = [
    b"",
    b"\r\n",
    b"--",
    b"\r\n--",
    b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n',
    bytes(range(256)) * 9_000,
    b"\xff\xd8" + b"\r\n--" * 40_000,
]


class Listener(BaseHTTPRequestHandler):
    """Reads a form as Flask's own parser does, notes what came, and answers no prediction."""

    got: ClassVar[list[tuple[str, str]]] = []
    sizes: ClassVar[list[tuple[str | None, str | None]]] = []
    authorised: ClassVar[list[str | None]] = []
    status = 500
    headers_sent: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        self.sizes.append((length, self.headers.get("Transfer-Encoding")))
        environ = {
            "wsgi.input": self.rfile,
            "CONTENT_TYPE": self.headers["Content-Type"],
            "CONTENT_LENGTH": length,
            "REQUEST_METHOD": "POST",
        }
        _, _, files = parse_form_data(environ)
        for name, file in files.items(multi=True):
            self.got.append((name, hashlib.sha256(file.read()).hexdigest()))
        self.authorised.append(self.headers.get("Authorization"))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Keep the tests' output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server that notes what it is sent."""
    Listener.got.clear()
    Listener.sizes.clear()
    Listener.authorised.clear()
    server = HTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_photos_arrive_in_order_and_byte_for_byte_in_a_form_that_any_parser_reads(url: str) -> None:
    with pytest.raises(SidecarError, match="500"):
        Client(url).predict(PHOTOS)
    assert Listener.got == [("files", hashlib.sha256(photo).hexdigest()) for photo in PHOTOS]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2), ("3600", 30), ("9" * 400, 30), ("0", 0), ("\u00b2", 1), ("-1", 1), ("1e9", 1), ("", 1), (" 2", 2),
     ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("nan", 1)],
)  # fmt: skip
def test_a_server_that_asks_us_to_wait_is_waited_for_a_bounded_time_whatever_it_says(
    url: str, monkeypatch: pytest.MonkeyPatch, header: str, seconds: float
) -> None:
    monkeypatch.setattr(Listener, "status", 503)
    monkeypatch.setattr(Listener, "headers_sent", {"Retry-After": header})
    with pytest.raises(SidecarBusyError) as busy:
        Client(url).predict([b""])
    assert busy.value.seconds == seconds


@pytest.mark.parametrize(
    ("before_host", "header"),
    [("", "Bearer token"), ("me:hush@", f"Basic {base64.b64encode(b'me:hush').decode()}"),
     ("me:h%E2%82%ACsh%40%2F@", f"Basic {base64.b64encode('me:h€sh@/'.encode()).decode()}"),
     ("hush@", f"Basic {base64.b64encode(b'hush').decode()}")],
)  # fmt: skip
def test_a_password_in_the_address_goes_into_a_header_and_nowhere_else(
    url: str, before_host: str, header: str
) -> None:
    client = Client(url.replace("//", f"//{before_host}"), "token")
    assert client.url == url
    with pytest.raises(SidecarError) as error:
        client.predict([b""])
    assert "hush" not in str(error.value)
    assert Listener.authorised == [header]


def test_nobody_at_an_address_with_a_password_is_told_without_it() -> None:
    with pytest.raises(
        SidecarError, match=r"no answer from the model server at http://127\.0\.0\.1:9 "
    ) as error:
        Client("http://me:hush@127.0.0.1:9/").health()
    assert "hush" not in str(error.value)


def test_the_size_of_a_form_is_told_in_advance(url: str) -> None:
    """A server can then refuse too much before it reads it."""
    with pytest.raises(SidecarError):
        Client(url).predict(PHOTOS)
    ((length, encoding),) = Listener.sizes
    assert int(length or 0) > sum(map(len, PHOTOS))
    assert encoding is None


def test_a_check_is_asked_with_the_formats_and_answered_with_what_is_wrong(sidecar: FakeSidecar) -> None:
    sidecar.soundness = {"sound": False, "detail": "the AVIF sample cannot be read"}
    assert Client(sidecar.url).check(["AVIF", "JPEG"]) == Soundness(
        sound=False, detail="the AVIF sample cannot be read"
    )
    assert sidecar.checked == [["AVIF", "JPEG"]]


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_knows_no_check_is_not_taken_for_sound(status: int, sidecar: FakeSidecar) -> None:
    sidecar.check_behaviour = lambda _: Response("{}", status)
    soundness = Client(sidecar.url).check(["JPEG"])
    assert not soundness.sound
    assert "older version" in soundness.detail


def test_an_error_of_one_photo_keeps_its_status(sidecar: FakeSidecar) -> None:
    answers = Client(sidecar.url).predict([b"no photo", photo("a", broken=True), photo("b")])
    statuses = [result.error.status if isinstance(result, Failed) else 0 for result in answers.results]
    assert statuses == [415, 422, 0]


@pytest.mark.parametrize("retry_after", ["\xb2", "-1", "soon", "1e9", ""])
def test_a_time_to_wait_that_is_no_number_is_a_second(retry_after: str, sidecar: FakeSidecar) -> None:
    sidecar.behaviour = lambda _: Response("{}", 503, headers={"Retry-After": retry_after})
    with pytest.raises(SidecarBusyError) as busy:
        Client(sidecar.url).predict([photo("a")])
    assert busy.value.seconds == 1


SKETCH = base64.b64encode(bytes(64)).decode()


def test_what_photos_look_like_is_asked_for_where_the_server_can_say_it(sidecar: FakeSidecar) -> None:
    sidecar.health["sketches"] = True
    sidecar.sketch = SKETCH
    client = Client(sidecar.url)
    assert client.health().sketches
    for asked, told in ((True, SKETCH), (False, None)):
        (result,) = client.predict([photo("a")], sketch=asked).results
        assert result.prediction
        assert result.prediction.sketch == told


def test_an_older_server_promises_nothing_and_makes_no_sketches(sidecar: FakeSidecar) -> None:
    del sidecar.health["review_precision"]
    health = Client(sidecar.url).health()
    assert (health.review_precision, health.sketches) == (0.0, False)


@pytest.mark.parametrize("promise", ["0.97", 1, -0.1, None])
def test_a_promise_that_is_none_is_a_fault_of_the_server(promise: object, sidecar: FakeSidecar) -> None:
    sidecar.health["review_precision"] = promise
    with pytest.raises(SidecarError, match="does not answer as a model server does"):
        Client(sidecar.url).health()


@pytest.mark.parametrize("sketch", ["", "AAAA", "no base64", 5, base64.b64encode(bytes(65)).decode()])
def test_a_sketch_that_is_none_is_a_fault_of_the_server(sketch: object, sidecar: FakeSidecar) -> None:
    sidecar.sketch = sketch
    with pytest.raises(SidecarError, match="not in the agreed form"):
        Client(sidecar.url).predict([photo("a")], sketch=True)
