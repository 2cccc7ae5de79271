"""Errors as `application/problem+json` (RFC 9457), without a stack trace or a path in any of them."""

import json
import logging
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.engine import BusyError

log = logging.getLogger("nightsort.api")

CODES = {"unsupported": 415, "unreadable": 422, "too_large": 413}
"""The HTTP status of what can be wrong with a photo."""

DRAIN_BYTES = 64_000_000
"""So much of a body that is too large is read and dropped: a client that is still sending misses the answer."""

RETRY_SECONDS = 1


def problem(status: int, detail: str) -> dict[str, object]:
    """What is wrong, as RFC 9457 has it."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def problem_response(status: int, detail: str) -> Response:
    """A problem as a whole answer."""
    return Response(json.dumps(problem(status, detail)), status, content_type="application/problem+json")


def register(app: Flask) -> None:
    """Let every error of the app be answered as a problem."""
    app.register_error_handler(BusyError, _busy)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)


def _busy(_: BusyError) -> Response:
    response = problem_response(503, "Too many requests are waiting; come back a little later.")
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _too_large(error: RequestEntityTooLarge) -> Response:
    stream = request.environ["wsgi.input"]
    dropped = 0
    while dropped < DRAIN_BYTES and (chunk := stream.read(1 << 16)):
        dropped += len(chunk)
    return problem_response(413, error.description or "The request is too large.")


def _http_error(error: HTTPException) -> Response:
    response = problem_response(error.code or 500, error.description or "")
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def _fault(error: Exception) -> Response:
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return problem_response(500, "The server has a fault; its log tells more.")
