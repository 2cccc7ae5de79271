"""`/check`: whether the server itself is sound, for a client whose photos fail one after the other."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

import decoder
from decoder import FORMATS
from model.serving.predictor import Predictor
from model.serving.releases import ReleaseError


def check(client: FlaskClient, *formats: str) -> dict[str, object]:
    response = client.post("/check", json={"formats": formats})
    assert response.status_code == 200, response.data
    found: dict[str, object] = response.get_json()
    return found


def test_a_sound_server_says_so_for_every_format(client: FlaskClient) -> None:
    assert check(client, *FORMATS) == {"sound": True, "detail": ""}
    assert check(client, "JPEG", "JPEG") == {"sound": True, "detail": ""}
    assert check(client) == {"sound": True, "detail": ""}


def test_a_decoder_that_reads_wrongly_is_told(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = decoder.read

    def green_where_it_is_heif(data: bytes, **how: Any) -> Image.Image:
        return Image.new("RGB", (32, 32), "green") if b"ftypheic" in data[:16] else real(data, **how)

    monkeypatch.setattr(decoder, "read", green_where_it_is_heif)
    assert check(client, "JPEG", "AVIF")["sound"] is True
    found = check(client, "JPEG", "HEIF")
    assert found["sound"] is False
    assert "HEIF" in str(found["detail"])


def test_a_decoder_that_does_not_work_at_all_is_told(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder.apart._HELPERS.end()
    monkeypatch.setattr(decoder.apart, "_PROGRAM", "raise SystemExit(1)")
    assert check(client, "JPEG", "PNG")["sound"] is True
    assert "does not start" in str(check(client, "AVIF")["detail"])


def test_golden_photos_that_are_answered_wrongly_are_told(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(_: Predictor) -> None:
        raise ReleaseError("Release x gets a golden photo wrong.")

    monkeypatch.setattr(Predictor, "check_golden", wrong)
    assert check(client, "JPEG") == {"sound": False, "detail": "Release x gets a golden photo wrong."}


@pytest.mark.parametrize(
    "body", ['{"formats": ["JPEG", "EPS"]}', '{"formats": "JPEG"}', '{"formats": [7]}', "{}", "[]", "{"]
)
def test_other_questions_are_refused(client: FlaskClient, body: str) -> None:
    response = client.post("/check", data=body, content_type="application/json")
    assert response.status_code == 400
    assert json.loads(response.data)["status"] == 400


def test_the_token_is_asked_for_here_too(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(api_token="secret")
    assert client.post("/check", json={"formats": []}).status_code == 401
    headers = {"Authorization": "Bearer secret"}
    assert client.post("/check", json={"formats": []}, headers=headers).status_code == 200


def test_a_server_without_a_model_cannot_be_checked(make_client: Callable[..., FlaskClient]) -> None:
    assert make_client(loaded=False).post("/check", json={"formats": []}).status_code == 503
