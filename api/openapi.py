"""The interface, described in OpenAPI 3.1 (spec.openapis.org/oas/v3.1.0)."""

from typing import Any

from decoder import FORMATS
from model.classes import HEADS


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
            "/health": {
                "get": {
                    "summary": "Whether the server is ready; needs no token",
                    "security": [],
                    "responses": {"200": _json("Ready", "Health"), "503": _json("Not ready", "Health")},
                }
            },
            "/classes": {
                "get": {
                    "summary": "The classes of each head",
                    "responses": {"200": _json("Classes", "Classes"), **_problems(401, 503)},
                }
            },
            "/predict": {
                "post": {
                    "summary": "What is on one photo",
                    "requestBody": {"required": True, "content": _one_photo()},
                    "responses": {
                        "200": _json("The answer of every head", "Answer"),
                        **_problems(400, 401, 413, 415, 422, 500, 503),
                    },
                }
            },
            "/predict/batch": {
                "post": {
                    "summary": f"What is on up to {batch_photos} photos",
                    "requestBody": {"required": True, "content": _many_photos(batch_photos)},
                    "responses": {
                        "200": _json("A prediction or an error for each photo, in order", "Answers"),
                        **_problems(400, 401, 413, 500, 503),
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
                        **_problems(400, 401, 413, 415, 500, 503),
                    },
                }
            },
            "/stats": {
                "get": {
                    "summary": "What was answered since the start",
                    "responses": {"200": _json("Counts", "Stats"), **_problems(401)},
                }
            },
            "/metrics": {
                "get": {
                    "summary": "The same for Prometheus",
                    "responses": {
                        "200": {"description": "Prometheus' text format", "content": {"text/plain": {}}},
                        **_problems(401),
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This description",
                    "responses": {
                        "200": {"description": "OpenAPI", "content": {"application/json": {}}},
                        **_problems(401),
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _schemas() -> dict[str, Any]:
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    choice = _object({"class": {"type": "string"}, "probability": probability})
    head = _object(
        {
            **choice["properties"],
            "top": {"type": "array", "items": choice, "maxItems": 3},
            "probabilities": {"type": "object", "additionalProperties": probability},
        }
    )
    prediction = {
        **dict.fromkeys(HEADS, _ref("Head")),
        "needs_review": {"type": "boolean"},
        "review_reason": {"type": "string"},
        "measures": _object(
            {name: {"type": "number", "minimum": 0} for name in ("seconds", "brightness", "contrast")}
        ),
    }
    version = {"model_version": {"type": "string"}}
    result = {
        "oneOf": [_object({"prediction": _ref("Prediction")}), _object({"error": _ref("Problem")})],
    }
    return {
        "Head": head,
        "Prediction": _object(prediction),
        "Answer": _object({**version, **prediction}),
        "Answers": _object({**version, "results": {"type": "array", "items": result}}),
        "Classes": _object(
            {
                **version,
                "heads": _object({head: {"type": "array", "items": {"type": "string"}} for head in HEADS}),
                "main_of": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        ),
        "Health": _object(
            {
                "status": {"enum": ["ready", "starting", "broken"]},
                **version,
                "network": {"enum": ["as released", "signed weights", "float", ""]},
                "detail": {"type": "string"},
                "instance": {"type": "string"},
                "uptime_seconds": {"type": "number"},
            }
        ),
        "Formats": _object({"formats": {"type": "array", "items": {"enum": list(FORMATS)}}}),
        "Soundness": _object({"sound": {"type": "boolean"}, "detail": {"type": "string"}}),
        "Stats": _object(
            {
                "uptime_seconds": {"type": "number"},
                "requests": {"type": "object"},
                "photos": {"type": "object"},
                "predictions": {"type": "object"},
            }
        ),
        "Problem": _object(
            {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
            }
        ),
    }


def _one_photo() -> dict[str, Any]:
    base64 = _object({"image": {"type": "string", "contentEncoding": "base64"}})
    return {
        "multipart/form-data": {"schema": _object({"file": {"type": "string", "format": "binary"}})},
        "application/json": {"schema": base64},
        "image/*": {"schema": {"type": "string", "format": "binary"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }


def _many_photos(most: int) -> dict[str, Any]:
    files = {
        "type": "array",
        "minItems": 1,
        "maxItems": most,
        "items": {"type": "string", "format": "binary"},
    }
    return {"multipart/form-data": {"schema": _object({"files": files})}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}


def _problems(*statuses: int) -> dict[str, Any]:
    answer = {
        "description": "What is wrong",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    return {str(status): answer for status in statuses}
