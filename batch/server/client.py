"""Talking to the sidecar over HTTP: one request, one answer or one clear exception."""

import base64
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

import requests
import urllib3

from api_answers import Answers, Classes, Health, Sent, Soundness, read

S = TypeVar("S", bound=Sent)

CONNECT_SECONDS = 5
ANSWER_SECONDS = 120
"""Longer than the sidecar's own bound for one photo, so that it is the sidecar that gives up first."""

ANSWER_BYTES = 64_000_000
"""More than any sound answer: a thousand photos' come to 2 MB."""


class SidecarError(Exception):
    """The sidecar did not answer as it should; asking again may help."""


class SidecarHangsError(SidecarError):
    """The sidecar took the request and gave no answer in time."""


class SidecarBusyError(SidecarError):
    """The sidecar has too much to do; `seconds` is how long it asks us to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the model server is overloaded")
        self.seconds = seconds


class RefusedError(Exception):
    """The sidecar refuses to work for us (a wrong token, a wrong address); asking again does not help."""


class Client:
    """A connection to one sidecar; may be used from several threads.

    >>> Client("http://127.0.0.1:5000").health().status  # doctest: +SKIP
    'ready'
    """

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        credentials, _, host = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=host).geturl().rstrip("/")
        """Its address; a user and password in it are sent in a header, and shown nowhere."""
        self._headers = {"Accept-Encoding": "identity"}
        if credentials:
            basic = base64.b64encode(unquote_to_bytes(credentials)).decode()
            self._headers["Authorization"] = f"Basic {basic}"
        elif token:
            self._headers["Authorization"] = f"Bearer {token}"

    def health(self, seconds: float = 5) -> Health:
        """Ask how it is.

        Raises:
            SidecarError: no answer, or none of our server's.
        """
        content = self._send("GET", "/health", seconds).body
        try:
            return read(Health, content)
        except ValueError as error:
            raise SidecarError(f"{self.url} does not answer as a model server does ({error})") from error

    def main_of(self) -> dict[str, str]:
        """The main category of each sub-category that the release in use tells apart.

        Raises:
            SidecarError: no answer, or none of our server's.
        """
        try:
            return read(Classes, self._send("GET", "/classes", CONNECT_SECONDS).body).main_of
        except ValueError as error:
            raise SidecarError(f"{self.url} does not say which categories there are ({error})") from error

    def predict(
        self, photos: Sequence[bytes], seconds: float | None = None, *, sketch: bool = False
    ) -> Answers:
        """Ask about photos (the files' bytes); results come in the same order, one for each.

        With `sketch` also what each looks like, of a server that can say it.

        Raises:
            SidecarBusyError: it asks us to wait.
            SidecarHangsError: no answer within `seconds` (`ANSWER_SECONDS`).
            SidecarError: no answer, or not the one that was agreed.
            RefusedError: it will never answer this client.
        """
        form = _Form(photos)
        path = "/predict/batch?sketch=true" if sketch else "/predict/batch"
        response = self._send("POST", path, seconds or ANSWER_SECONDS, form, form.CONTENT_TYPE)
        self._require_success(response)
        answers = _read(Answers, response)
        if len(answers.results) != len(photos):
            raise SidecarError(
                f"the model server answered {len(answers.results)} results for {len(photos)} photos"
            )
        return answers

    def check(self, formats: Sequence[str], seconds: float | None = None) -> Soundness:
        """Have it answer its golden photos again, and a sample of each of these formats.

        Raises:
            SidecarBusyError, SidecarHangsError, SidecarError, RefusedError: as `predict` does.
        """
        question = json.dumps({"formats": list(formats)}).encode()
        response = self._send("POST", "/check", seconds or ANSWER_SECONDS, question, "application/json")
        if response.status in (404, 405):
            return Soundness(
                sound=False, detail="it is of an older version, which cannot be asked to check itself"
            )
        self._require_success(response)
        return _read(Soundness, response)

    def _require_success(self, response: "_Response") -> None:
        if response.status in (429, 503):
            raise SidecarBusyError(_seconds(response.headers.get("Retry-After", "")))
        if response.status in (401, 403, 404, 405):
            raise RefusedError(
                f"the model server at {self.url} refused us ({_in_words(response.status)}); "
                "check API_URL and API_TOKEN"
            )
        if response.status != 200:
            raise SidecarError(f"the model server answered {_in_words(response.status)}")

    def _send(
        self,
        method: str,
        path: str,
        seconds: float,
        content: "_Form | bytes | None" = None,
        content_type: str = "",
    ) -> "_Response":
        """One request on a connection of its own, which `requests` does not promise to share between threads."""
        deadline = time.monotonic() + seconds
        try:
            with requests.Session() as session:
                # photos go to no proxy that the environment happens to name
                session.trust_env = False
                response = session.request(
                    method,
                    self.url + path,
                    headers=self._headers | ({"Content-Type": content_type} if content_type else {}),
                    data=content,
                    timeout=(CONNECT_SECONDS, seconds),
                    allow_redirects=False,
                    stream=True,
                )
                return _Response(response.status_code, response.headers, _body(response, deadline))
        except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise SidecarHangsError(f"no answer from the model server within {seconds:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise SidecarError(
                f"no answer from the model server at {self.url} ({_root_cause(error)})"
            ) from error


class _Form:
    """Photos as a multipart form that is sent piece by piece, so that no photo is copied into one large body."""

    BOUNDARY = secrets.token_hex(16)
    """Of this process: no photo holds what nobody could know when it was taken."""
    CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
    _HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="photo"\r\n\r\n'.encode()
    _END = f"--{BOUNDARY}--\r\n".encode()

    def __init__(self, photos: Sequence[bytes]) -> None:
        self._photos = photos

    def __len__(self) -> int:
        """Its size in bytes, which `requests` sends ahead."""
        around = len(self._HEAD) + len(b"\r\n")
        return sum(len(photo) + around for photo in self._photos) + len(self._END)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces to send."""
        for photo in self._photos:
            yield self._HEAD
            yield photo
            yield b"\r\n"
        yield self._END


class _Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


def _body(response: requests.Response, deadline: float) -> bytes:
    """The answer's body, bounded in time (it may come in drops) and in size."""
    body = bytearray()
    while chunk := response.raw.read1(1 << 16):
        body += chunk
        if time.monotonic() > deadline:
            raise requests.ReadTimeout
        if len(body) > ANSWER_BYTES:
            raise SidecarError("the model server's answer does not end")
    return bytes(body)


def _read(kind: type[S], response: _Response) -> S:
    try:
        return read(kind, response.body)
    except ValueError as error:
        raise SidecarError(f"the model server's answer is not in the agreed form ({error})") from error


def _seconds(text: str) -> float:
    return min(30.0, float(text)) if re.fullmatch("[0-9]+", text) else 1.0


def _in_words(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status in list(HTTPStatus) else str(status)


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
