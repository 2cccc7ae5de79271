"""Talking to the sidecar over HTTP: one request, one answer or one clear exception."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

CONNECT_SECONDS = 5
ANSWER_SECONDS = 180
"""Longer than the sidecar's own bound for one photo, so that it is the sidecar that gives up first."""


class SidecarError(Exception):
    """The sidecar did not answer as it should; asking again may help."""


class SidecarBusyError(SidecarError):
    """The sidecar has too much to do; `seconds` is how long it asks us to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the model server is overloaded")
        self.seconds = seconds


class RefusedError(Exception):
    """The sidecar refuses to work for us (a wrong token, a wrong address); asking again does not help."""


@dataclass(frozen=True)
class Answer:
    """What the sidecar says of one photo: `prediction` as `/predict` gives it, or the reason it has none."""

    prediction: dict[str, Any] | None = None
    error: str = ""
    model_version: str = ""


@dataclass(frozen=True)
class Health:
    """What `/health` says."""

    ready: bool
    broken: bool
    """It will not become ready by waiting: the release is unsound."""
    instance: str
    model_version: str
    detail: str


class Client:
    """A connection to one sidecar; may be used from several threads.

    >>> Client("http://127.0.0.1:5000").health().ready
    True
    """

    def __init__(self, url: str, token: str = "", answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._answer_seconds = answer_seconds
        self._local = threading.local()

    def health(self, seconds: float = 5) -> Health:
        """Ask how it is.

        Raises:
            SidecarError: no answer, or none of our server's.
        """
        found = self._json(self._send("GET", "/health", seconds))
        return Health(
            ready=found.get("status") == "ready",
            broken=found.get("status") == "broken",
            instance=str(found.get("instance", "")),
            model_version=str(found.get("model_version", "")),
            detail=str(found.get("detail", "")),
        )

    def predict(self, photos: Sequence[bytes]) -> list[Answer]:
        """Ask about photos (the files' bytes); answers come in the same order, one for each.

        Raises:
            SidecarBusyError: it asks us to wait.
            SidecarError: no answer, or not the one that was agreed.
            RefusedError: it will never answer this client.
        """
        files = [("files", (str(number), photo)) for number, photo in enumerate(photos)]
        response = self._send("POST", "/predict/batch", self._answer_seconds, files=files)
        if response.status_code == 503:
            raise SidecarBusyError(_seconds(response.headers.get("Retry-After", "")))
        if response.status_code in (401, 403, 404, 405):
            raise RefusedError(
                f"the model server at {self.url} refused us ({response.status_code} {response.reason}); "
                "check API_URL and API_TOKEN"
            )
        if response.status_code != 200:
            raise SidecarError(f"the model server answered {response.status_code} {response.reason}")
        found = self._json(response)
        try:
            answers = [_answer(result, str(found["model_version"])) for result in found["results"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise SidecarError(f"the model server's answer is not in the agreed form ({error!r})") from error
        if len(answers) != len(photos):
            raise SidecarError(f"the model server answered {len(answers)} results for {len(photos)} photos")
        return answers

    def _send(self, method: str, path: str, seconds: float, **content: Any) -> requests.Response:
        try:
            return self._session().request(
                method,
                self.url + path,
                headers=self._headers,
                timeout=(CONNECT_SECONDS, seconds),
                allow_redirects=False,
                **content,
            )
        except requests.RequestException as error:
            raise SidecarError(
                f"no answer from the model server at {self.url} ({_root_cause(error)})"
            ) from error

    def _session(self) -> requests.Session:
        """A session for each thread: `requests` does not promise to share one (psf/requests#2766)."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = (
                False  # photos go to no proxy that the environment happens to name
            )
        session: requests.Session = self._local.session
        return session

    @staticmethod
    def _json(response: requests.Response) -> dict[str, Any]:
        try:
            found = response.json()
        except requests.JSONDecodeError as error:
            raise SidecarError("the model server's answer is no JSON") from error
        if not isinstance(found, dict):
            raise SidecarError("the model server's answer is not in the agreed form")
        return found


def _answer(result: dict[str, Any], model_version: str) -> Answer:
    if "error" in result:
        return Answer(error=str(result["error"]["detail"]), model_version=model_version)
    heads = result["prediction"]
    for head in ("main", "sub", "background", "colour"):
        if not isinstance(heads[head]["class"], str) or not 0 <= heads[head]["probability"] <= 1:
            raise TypeError(head)
    return Answer(prediction=heads, model_version=model_version)


def _seconds(text: str) -> float:
    return min(30.0, float(text)) if text.isdigit() else 1.0


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
