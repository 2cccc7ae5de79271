"""A sidecar without a model: it reads its answer out of the photo, and misbehaves on demand."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

JPEG = b"\xff\xd8\xff"

Behaviour = Callable[[Sequence[bytes]], Response | None]


CheckBehaviour = Callable[[list[str]], Response | None]


def photo(
    text: str,
    *,
    sub: str = "t-shirt",
    doubt: bool = False,
    broken: bool = False,
    unsupported: bool = False,
    doubts: str = "",
) -> bytes:
    """Bytes that begin like a JPEG and tell the fake sidecar what to answer; `doubts` are those that move nothing."""
    state = "broken" if broken else "unsupported" if unsupported else ""
    return JPEG + "|".join([text, sub, "doubt" if doubt else "", state, doubts]).encode()


class FakeSidecar:
    """Answers like the real one. `behaviour`, when set, may answer a request for photos in its place.

    `check_behaviour` may do so for `/check`; `soundness` is what that answers otherwise.
    """

    def __init__(self, port: int = 0) -> None:
        self.asked: list[list[bytes]] = []
        self.behaviour: Behaviour | None = None
        self.checked: list[list[str]] = []
        """The formats of each `/check`."""
        self.check_behaviour: CheckBehaviour | None = None
        self.soundness: dict[str, Any] = {"sound": True, "detail": ""}
        self.health: dict[str, Any] = {"status": "ready", "model_version": "fake-1", "instance": ""}
        self.token = ""
        app = Flask("fake")
        app.add_url_rule("/health", view_func=lambda: jsonify(self.health))
        app.before_request(self._refuse_strangers)
        app.add_url_rule("/classes", "classes", lambda: jsonify(CLASSES))
        app.add_url_rule("/check", view_func=self._check, methods=["POST"])
        app.add_url_rule("/predict/batch", view_func=self._predict, methods=["POST"])
        self._server = make_server("127.0.0.1", port, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> "FakeSidecar":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def photos_asked(self) -> list[bytes]:
        return [photo for photos in self.asked for photo in photos]

    def _refuse_strangers(self) -> Response | None:
        knows = request.headers.get("Authorization") == f"Bearer {self.token}"
        return Response("{}", 401) if self.token and request.path != "/health" and not knows else None

    def _check(self) -> Response:
        formats = list(request.get_json()["formats"])
        self.checked.append(formats)
        answer = self.check_behaviour(formats) if self.check_behaviour else None
        return answer or jsonify(self.soundness)

    def _predict(self) -> Response:
        photos = [file.read() for file in request.files.getlist("files")]
        self.asked.append(photos)
        answer = self.behaviour(photos) if self.behaviour else None
        return answer or jsonify(model_version="fake-1", results=[_result(photo) for photo in photos])


MAIN_OF = {"t-shirt": "upperwear", "pants": "bottomwear", "shoes": "footwear"}

CLASSES = {
    "model_version": "fake-1",
    "heads": {
        "main": list(MAIN_OF.values()),
        "sub": list(MAIN_OF),
        "background": ["unacceptable", "acceptable"],
        "colour": ["red"],
    },
    "main_of": dict(MAIN_OF),
}
"""What `/classes` answers."""


def _result(content: bytes) -> dict[str, Any]:
    if not content.startswith(JPEG):
        return {"error": {"status": 415, "detail": "This is no photo."}}
    _, sub, doubt, state, doubts, *_ = content.removeprefix(JPEG).decode("utf-8", "replace").split("|")
    if state.startswith("broken"):
        return {"error": {"status": 422, "detail": "The photo is damaged."}}
    if state.startswith("unsupported"):
        return {"error": {"status": 415, "detail": "This kind of JPEG is not supported."}}
    return {
        "prediction": {
            "main": _head(MAIN_OF[sub], 0.9876),
            "sub": _head(sub, 0.5 if doubt else 0.9),
            "background": _head("acceptable", 0.75),
            "colour": _head("red", 0.6666),
            "needs_review": bool(doubt),
            "review_reason": "category uncertain (50 %)" if doubt else "",
            "doubts": doubts,
        }
    }


def _head(name: str, probability: float) -> dict[str, Any]:
    choice = {"class": name, "probability": probability}
    return {**choice, "top": [choice], "probabilities": {name: probability}}
