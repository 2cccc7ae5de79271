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

    `check_behaviour` may do so for a `/check` about formats; `soundness` is what that answers otherwise.
    `golden_behaviour` may do so for one about the golden photos alone, which comes before each time at work.
    """

    def __init__(self, port: int = 0) -> None:
        self.asked: list[list[bytes]] = []
        self.behaviour: Behaviour | None = None
        self.checked: list[list[str]] = []
        """The formats of each `/check` about some."""
        self.check_behaviour: CheckBehaviour | None = None
        self.golden_checks = 0
        self.golden_behaviour: CheckBehaviour | None = None
        self.soundness: dict[str, Any] = {"sound": True, "detail": ""}
        self.health: dict[str, Any] = {"status": "ready", "model_version": "fake-1", "instance": ""}
        self.health["review_precision"] = 0.97
        self.sketch: object = None
        """What every photo looks like, where that is asked for."""
        self.release = "fake-1"
        """What it answers with."""
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
        if not formats:
            self.golden_checks += 1
            golden = self.golden_behaviour(formats) if self.golden_behaviour else None
            return golden or jsonify(sound=True, detail="")
        self.checked.append(formats)
        answer = self.check_behaviour(formats) if self.check_behaviour else None
        return answer or jsonify(self.soundness)

    def _predict(self) -> Response:
        photos = [file.read() for file in request.files.getlist("files")]
        self.asked.append(photos)
        answer = self.behaviour(photos) if self.behaviour else None
        results = [_result(photo) for photo in photos]
        for result in results:
            if request.args.get("sketch") == "true" and "prediction" in result:
                result["prediction"]["sketch"] = self.sketch
        return answer or jsonify(model_version=self.release, results=results)


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
    # photos of older versions' folders (tests/upgrade) say nothing of doubts
    told = [*content.removeprefix(JPEG).decode("utf-8", "replace").split("|"), ""]
    _, sub, doubt, state, doubts, *_ = told
    if state.startswith("broken"):
        return {"error": {"status": 422, "detail": "The photo is damaged."}}
    if state.startswith("unsupported"):
        return {"error": {"status": 415, "detail": "This kind of JPEG is not supported."}}
    review = {"needs_review": True, "review_reason": "category uncertain (50 %)"} if doubt else {}
    return {"prediction": prediction(sub, 0.5 if doubt else 0.9, doubts=doubts, **review)}


def prediction(sub: str = "t-shirt", probability: float = 0.9, /, **changes: Any) -> dict[str, Any]:
    """All that is said of a photo, but for the changes."""
    return {
        "main": _head(MAIN_OF[sub], 0.9876),
        "sub": _head(sub, probability),
        "background": _head("acceptable", 0.75),
        "colour": _head("red", 0.6666),
        "needs_review": False,
        "review_reason": "",
        "doubts": "",
        "thresholds": {"main": 0.4, "sub": 0.6},
        "measures": {"seconds": 0.003, "brightness": 170.2, "contrast": 84.3},
    } | changes


def _head(name: str, probability: float) -> dict[str, Any]:
    choice = {"class": name, "probability": probability}
    return {**choice, "top": [choice], "probabilities": {name: probability}}
