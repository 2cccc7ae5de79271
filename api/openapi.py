"""The interface, described in OpenAPI 3.1 (spec.openapis.org/oas/v3.1.0); what is answered, by `api_answers`."""

import functools
from typing import Any

from pydantic.json_schema import models_json_schema

from api_answers import Answer, Answers, Classes, Health, Problem, Routes, Soundness, Stats
from decoder import FORMATS

REFERENCE = "#/components/schemas/{model}"

FILE = {"type": "string", "format": "binary"}
PHOTO = {**FILE, "minLength": 1}

SKETCH: dict[str, Any] = {
    "name": "sketch",
    "in": "query",
    "description": "Whether to answer what a photo looks like, too",
    "schema": {"type": "boolean", "default": False},
}

ALWAYS = (400, 413, 431, 500)
"""What any request may be answered: it is malformed, too large, its header is too large, or the server has a fault."""


@functools.cache
def document(batch_photos: int) -> dict[str, Any]:
    """The description that `/openapi.json` answers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightsort sidecar",
            "version": "1",
            "description": "Answers what is on product photos.",
        },
        "security": [{"token": []}, {}],
        "paths": {
            "/": {"get": _get("What there is", _json("A sentence for each route", "Routes"))},
            "/health": {
                "get": {
                    "summary": "Whether the server is ready; needs no token",
                    "security": [],
                    "responses": {
                        "200": _json("Ready", "Health"),
                        **_problems(*ALWAYS),
                        "503": _json("Not ready", "Health"),
                    },
                }
            },
            "/classes": {"get": _get("The classes of each head", _json("Classes", "Classes"), 503)},
            "/predict": {
                "post": {
                    "summary": "What is on one photo",
                    "parameters": [SKETCH],
                    "requestBody": {"required": True, "content": _one_photo()},
                    "responses": {
                        "200": _json("The answer of every head", "Answer"),
                        **_problems(*ALWAYS, 401, 408, 415, 422, 503),
                    },
                }
            },
            "/predict/batch": {
                "post": {
                    "summary": f"What is on up to {batch_photos} photos",
                    "parameters": [SKETCH],
                    "requestBody": {"required": True, "content": _many_photos()},
                    "responses": {
                        "200": _json("A prediction or an error for each photo, in order", "Answers"),
                        **_problems(*ALWAYS, 401, 408, 503),
                    },
                }
            },
            "/check": {
                "post": {
                    "summary": "Whether the server itself is sound: its golden photos, and a sample of each format",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _ref("Formats")}},
                    },
                    "responses": {
                        "200": _json("Whether it is, or what is wrong", "Soundness"),
                        **_problems(*ALWAYS, 401, 408, 415, 503),
                    },
                }
            },
            "/stats": {"get": _get("What was answered since the start", _json("Counts", "Stats"))},
            "/metrics": {
                "get": _get(
                    "The same for Prometheus",
                    {"description": "Prometheus' text format", "content": {"text/plain": {}}},
                )
            },
            "/openapi.json": {
                "get": _get(
                    "This description", {"description": "OpenAPI", "content": {"application/json": {}}}
                )
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _get(summary: str, answer: dict[str, Any], *more_problems: int) -> dict[str, Any]:
    responses = {"200": answer, **_problems(*ALWAYS, 401, *more_problems)}
    return {"summary": summary, "responses": responses}


def _schemas() -> dict[str, Any]:
    answers = (Routes, Health, Classes, Answer, Answers, Soundness, Stats, Problem)
    _, found = models_json_schema([(kind, "serialization") for kind in answers], ref_template=REFERENCE)
    formats = _object({"formats": {"type": "array", "items": {"enum": list(FORMATS)}}})
    return {**found["$defs"], "Formats": formats}


def _one_photo() -> dict[str, Any]:
    base64 = {
        "type": "string",
        "contentEncoding": "base64",
        "minLength": 4,
        "pattern": "^(data:.*;base64,)?[A-Za-z0-9+/]+={0,2}$",
    }
    forms = [_object({"file": PHOTO}), _object({"image": {"anyOf": [PHOTO, base64]}})]
    return {
        "multipart/form-data": {"schema": {"oneOf": forms}},
        "application/json": {"schema": _object({"image": base64})},
        "image/*": {"schema": PHOTO},
        "application/octet-stream": {"schema": PHOTO},
    }


def _many_photos() -> dict[str, Any]:
    # an empty one, as any that cannot be read, has an error of its own in the answer
    files = {"type": "array", "minItems": 1, "items": FILE}
    return {"multipart/form-data": {"schema": _object({"files": files})}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=name)}


def _json(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}


def _problems(*statuses: int) -> dict[str, Any]:
    answer = {
        "description": "What is wrong",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    return {str(status): answer for status in statuses}
