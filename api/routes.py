"""What the sidecar answers; `/` names it all."""

import base64
import functools
import hmac
import json
import os
import time
from typing import Any

from flask import Blueprint, Response, abort, current_app, request

from api.engine import Answered, Engine
from api.errors import CODES, problem, problem_response
from api.metrics import Metrics
from api.openapi import document
from api.upload import BATCH_PHOTOS, batch_bytes, many_photos, one_photo, photo_bytes
from api_answers import (
    Answer,
    Answers,
    Classes,
    Failed,
    Health,
    Predicted,
    Prediction,
    Routes,
    Sent,
    Soundness,
    written,
)
from api_settings import ApiSettings
from decoder import FORMATS, PhotoError
from model.serving.predictor import HeadAnswer, Predictor

blueprint = Blueprint("routes", __name__)

OPEN_PATHS = ("/health",)
"""Answered without a token, so that monitors need none."""

WORKING = ("routes.predict", "routes.predict_batch", "routes.check")
"""What works on photos: not before there is a model, nor when too many wait."""

UNUSED_BYTES = 65536
"""So large a body may be that is no photo."""

STARTED = time.time()


@blueprint.before_app_request
def check_header() -> None:
    """Refuse what its header alone decides: `front` asks this before it lets the body come."""
    if not (_has_token() or request.path in OPEN_PATHS):
        abort(401, "Send the API_TOKEN as `Authorization: Bearer …`.")
    if request.endpoint is None:
        return  # no such path, or not with this method, as Flask is about to say
    request.max_content_length = _most_bytes()
    if (request.content_length or 0) > request.max_content_length:
        abort(413, f"The request is too large; here it may have {request.max_content_length:,} bytes.")
    if request.endpoint in WORKING:
        _predictor()
        with _engine().place():
            pass


@blueprint.after_app_request
def add_safe_headers(response: Response) -> Response:
    """No guessing of types, no caching of answers."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/")
def index() -> Response:
    """What there is, in a sentence each, and where it is described."""
    routes = {
        f"{method.upper()} {path}": operation["summary"]
        for path, item in document(BATCH_PHOTOS)["paths"].items()
        for method, operation in item.items()
    }
    return _sent(
        Routes(routes=routes, description="/openapi.json", documentation="docs/api.md in Nightsort's folder")
    )


@blueprint.get("/health")
def health() -> Response:
    """Whether the server lives (it answers) and is ready (200) or not (503)."""
    engine = _engine()
    predictor = engine.predictor
    answer = Health(
        status="ready" if predictor else "broken" if engine.fault else "starting",
        model_version=predictor.release.version if predictor else "",
        network=predictor.form if predictor else "",
        review_precision=_settings().review_precision,
        sketches=predictor is not None and predictor.makes_sketches,
        detail=engine.fault,
        instance=os.environ.get("API_INSTANCE", ""),
        uptime_seconds=_uptime(),
    )
    return _sent(answer, 200 if predictor else 503)


@blueprint.get("/classes")
def classes() -> Response:
    """Which classes each head of the current release tells apart."""
    release = _predictor().release
    heads = {head: list(release.classes.names(head)) for head in release.classes.heads}
    return _sent(Classes(model_version=release.version, heads=heads, main_of=dict(release.classes.main_of)))


@blueprint.post("/predict")
def predict() -> Response:
    """What is on one photo: multipart `file`, a raw image body, or JSON with base64 `image`."""
    predictor, engine = _predictor(), _engine()
    with engine.place():
        (answer,) = _answer(engine, [one_photo()])
    if isinstance(answer, PhotoError):
        return problem_response(CODES[answer.code], str(answer))
    return _sent(Answer(**dict(as_sent(answer)), model_version=predictor.release.version))


@blueprint.post("/predict/batch")
def predict_batch() -> Response:
    """What is on many photos (multipart `files`); a photo that cannot be read gets an error of its own."""
    predictor, engine = _predictor(), _engine()
    with engine.place():
        answers = _answer(engine, many_photos())
    results: list[Predicted | Failed] = [
        Failed(error=problem(CODES[answer.code], str(answer)))
        if isinstance(answer, PhotoError)
        else Predicted(prediction=as_sent(answer))
        for answer in answers
    ]
    return _sent(Answers(model_version=predictor.release.version, results=results))


@blueprint.post("/check")
def check() -> Response:
    """Whether the server itself is sound: its golden photos, and a sample of each of the `formats` in a JSON object."""
    _predictor()
    content = request.get_json()
    formats = content.get("formats") if isinstance(content, dict) else None
    if not isinstance(formats, list) or not all(name in FORMATS for name in formats):
        abort(400, f'Send {{"formats": […]}}, each one of {", ".join(FORMATS)}.')
    with _engine().place():
        fault = _engine().check(list(dict.fromkeys(formats)))
    return _sent(Soundness(sound=not fault, detail=fault))


@blueprint.get("/stats")
def stats() -> Response:
    """What has been answered since the start, for people."""
    return _sent(_metrics().totals(_uptime()))


@blueprint.get("/metrics")
def prometheus() -> Response:
    """The same for Prometheus."""
    predictor = _engine().predictor
    version = predictor.release.version if predictor else ""
    return Response(_metrics().exposition(version), content_type=Metrics.CONTENT_TYPE)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """This interface, described."""
    return Response(_description(), content_type="application/json")


@functools.cache
def _description() -> str:
    return json.dumps(document(BATCH_PHOTOS))


def as_sent(answer: Answered) -> Prediction:
    """An answer as it is sent: every head's choice, its top three and all its probabilities, and the measures."""
    prediction = answer.prediction
    # checked in one go: to make each part of 64 photos' answers by itself takes a third longer
    return Prediction.model_validate(
        {
            **{head: _head_as_sent(answer) for head, answer in prediction.answers().items()},
            "needs_review": prediction.needs_review,
            "review_reason": prediction.review_reason,
            "doubts": prediction.doubts,
            "thresholds": prediction.thresholds,
            "measures": {
                "seconds": round(answer.seconds, 4),
                "brightness": round(answer.brightness, 1),
                "contrast": round(answer.contrast, 1),
            },
            **({"sketch": base64.b64encode(answer.sketch).decode()} if answer.sketch else {}),
        }
    )


def _head_as_sent(answer: HeadAnswer) -> dict[str, Any]:
    rounded = {name: round(value, 4) for name, value in answer.probabilities.items()}
    return {
        "class": answer.name,
        "probability": rounded[answer.name],
        "top": [{"class": name, "probability": rounded[name]} for name, _ in answer.top(3)],
        "probabilities": rounded,
    }


def _sent(answer: Sent, status: int = 200) -> Response:
    return Response(written(answer), status, content_type="application/json")


def _uptime() -> float:
    return round(time.time() - STARTED, 1)


def _answer(engine: Engine, photos: list[bytes]) -> list[Answered | PhotoError]:
    started = time.perf_counter()
    answers = engine.answer(photos, sketch=_wants_sketches())
    _metrics().count(answers, time.perf_counter() - started)
    return answers


def _wants_sketches() -> bool:
    """Whether the request asks for what photos look like, too."""
    asked = request.args.get("sketch", "false")
    if asked not in ("true", "false"):
        abort(400, "`sketch` is either true or false.")
    return asked == "true"


def _has_token() -> bool:
    """Whether the request may be answered: it has the token, or none is set."""
    token = _settings().api_token
    given = request.headers.get("Authorization", "")
    return token is None or hmac.compare_digest(given.encode(), f"Bearer {token.get_secret_value()}".encode())


def _most_bytes() -> int:
    """The largest body that the route takes."""
    if request.endpoint == "routes.predict":
        return photo_bytes(_settings().max_image_mb, request.mimetype)
    if request.endpoint == "routes.predict_batch":
        return batch_bytes(_settings().max_image_mb)
    return UNUSED_BYTES


def _predictor() -> Predictor:
    predictor = _engine().predictor
    if predictor is None:
        abort(503, _engine().fault or "The model is still loading.")
    return predictor


def _engine() -> Engine:
    engine: Engine = current_app.extensions["engine"]
    return engine


def _metrics() -> Metrics:
    metrics: Metrics = current_app.extensions["metrics"]
    return metrics


def _settings() -> ApiSettings:
    settings: ApiSettings = current_app.extensions["settings"]
    return settings
