"""The lab's models behind HTTP, in the sidecar's form: for trying them where a program expects `python -m api`.

    app = make_app(Asker(named_judges(["runs/lab/models/background/background/svc"]), "u2netp"))

Not the sidecar: one photo at a time, no limits but a size, no metrics, and only for this very machine. What a request may
look like and what is answered is the sidecar's (`api/`, which is not imported: it is above `model`); a head that no
model answers is not there.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from flask import Flask, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException

from model.lab import LabError
from model.lab.judging.judges import Answers, Judge, NetworkJudge
from model.lab.judging.predicting import Asker
from model.serving.preprocess import PhotoError

MOST_BYTES: Final = 64_000_000
"""The largest body of a request."""

NO_PROMISE: Final = "a model of the lab promises no precision"
"""Why every photo is for review: the lab's models have no thresholds chosen for a promise."""

LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


def make_app(asker: Asker) -> Flask:
    """Return the Flask application: `GET /health`, `GET /classes`, `POST /predict`."""
    app = Flask("model.lab")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    one_at_a_time = threading.Lock()
    version = " + ".join(dict.fromkeys(judge.name for judge in asker.judges))

    @app.before_request
    def refuse_other_names() -> None:
        # a page in this machine's browser could otherwise reach the server by a name of its own
        if request.host.rpartition(":")[0] not in LOCAL_NAMES and request.host not in LOCAL_NAMES:
            abort(403, "Only this machine is answered.")

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="ready", model_version=version, detail="")

    @app.get("/classes")
    def classes() -> Response:
        heads = {head_name(judge): judge.classes for judge in asker.judges}
        return jsonify(model_version=version, heads=heads)

    @app.post("/predict")
    def predict() -> Response:
        content = sent_photo()
        with tempfile.TemporaryDirectory() as scratch, one_at_a_time:
            path = Path(scratch) / "photo"
            path.write_bytes(content)
            return jsonify(model_version=version, **answer(asker, path))

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        return problem(error.code or 500, error.name, error.description or "")

    @app.errorhandler(PhotoError)
    def unreadable(error: PhotoError) -> Response:
        return problem(422, "Not a readable photo", str(error))

    @app.errorhandler(LabError)
    def unanswered(error: LabError) -> Response:
        return problem(500, "No answer", str(error))

    return app


def sent_photo() -> bytes:
    """Return the photo of a request: multipart `file`, a raw image body, or JSON with base64 `image`."""
    content = b""
    if request.mimetype == "multipart/form-data":
        content = request.files["file"].read() if "file" in request.files else b""
    elif request.mimetype == "application/json":
        sent = request.get_json()
        text = sent.get("image") if isinstance(sent, dict) else None
        try:
            content = base64.b64decode(str(text or "").rpartition(";base64,")[2], validate=True)
        except (binascii.Error, ValueError):
            abort(400, "`image` is not valid base64.")
    else:
        content = request.get_data()
    if not content:
        abort(400, "Send a photo: multipart field `file`, a raw image body, or JSON with base64 `image`.")
    return content


def answer(asker: Asker, photo: Path) -> dict[str, Any]:
    """Return what is sent for a photo: each judge's answer, whether a person should look, and the measures."""
    started = time.perf_counter()
    view = asker.view(photo)
    heads = {head_name(judge): as_json(judge, judge.answer(view)) for judge in asker.judges}
    networks = [judge for judge in asker.judges if isinstance(judge, NetworkJudge)]
    said = networks[0].network.predict(photo) if networks else None
    light = view.pixels[::8, ::8].astype(np.float32)
    return {
        **heads,
        "needs_review": said.needs_review if said else True,
        "review_reason": said.review_reason if said else NO_PROMISE,
        "measures": {
            "seconds": round(time.perf_counter() - started, 4),
            "brightness": round(float(light.mean()), 1),
            "contrast": round(float(light.std()), 1),
        },
    }


def head_name(judge: Judge) -> str:
    """Return what a judge's answers are called: its labels' column, whose name a task may have changed."""
    return judge.column


def as_json(judge: Judge, given: Answers) -> dict[str, Any]:
    """Return one head's answer as the sidecar sends it: its choice, the top three, all probabilities."""
    guess = int(given.guesses[0])
    values = [round(float(value), 4) for value in given.probabilities[0]]
    by_name = dict(zip(judge.classes, values, strict=True))
    top = sorted(by_name, key=lambda name: -by_name[name])[:3]
    return {
        "class": judge.classes[guess],
        "probability": values[guess],
        "top": [{"class": name, "probability": by_name[name]} for name in top],
        "probabilities": by_name,
    }


def problem(status: int, title: str, detail: str) -> Response:
    """Return an error as RFC 9457 has it."""
    response = jsonify(type="about:blank", title=title, status=status, detail=detail)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response
