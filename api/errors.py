"""Errors as `application/problem+json` (RFC 9457), without a stack trace or a path in any of them."""

import logging
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from api.engine import BusyError
from api_answers import Problem, written

log = logging.getLogger("nightsort.api")

CODES = {"unsupported": 415, "unreadable": 422, "too_large": 413}
"""The HTTP status of what can be wrong with a photo."""

HOW = {
    "/predict": "Send one photo: curl -F file=@photo.jpg {}",
    "/predict/batch": "Send photos: curl -F files=@1.jpg -F files=@2.jpg {}",
}
"""What is said to those who ask in the wrong way."""

RETRY_SECONDS = 1


def problem(status: int, detail: str) -> Problem:
    """What is wrong, as RFC 9457 has it."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)


def problem_response(status: int, detail: str) -> Response:
    """A problem as a whole answer."""
    return Response(written(problem(status, detail)), status, content_type="application/problem+json")


def register(app: Flask) -> None:
    """Let every error of the app be answered as a problem."""
    app.register_error_handler(BusyError, lambda _: busy())
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(MethodNotAllowed, _wrong_method)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)


def busy() -> Response:
    """Too much to do just now."""
    response = problem_response(503, "Too many requests are waiting; come back a little later.")
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _not_found(_: NotFound) -> Response:
    return problem_response(404, f"There is nothing at {request.path}; / names what there is.")


def _wrong_method(error: MethodNotAllowed) -> Response:
    methods = sorted(error.valid_methods or ())
    asked = " and ".join(method for method in methods if method in ("GET", "POST"))
    how = HOW.get(request.path, "").format(request.base_url)
    response = problem_response(405, f"{request.path} is for {asked}. {how}".strip())
    response.headers["Allow"] = ", ".join(methods)
    return response


def _http_error(error: HTTPException) -> Response:
    response = problem_response(error.code or 500, error.description or "")
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def fault() -> Response:
    """Something that should not happen."""
    return problem_response(500, "The server has a fault; its log tells more.")


def _fault(error: Exception) -> Response:
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return fault()
