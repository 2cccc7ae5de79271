"""The sidecar's interface, as the design promises it."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import upload
from api.upload import BATCH_PHOTOS
from batch.records import sketches
from tests import small_release
from tests.api.conftest import picture


def send(client: FlaskClient, photo: bytes, name: str = "a.jpg") -> TestResponse:
    return client.post("/predict", data={"file": (io.BytesIO(photo), name)})


def send_many(client: FlaskClient, photos: list[bytes], address: str = "/predict/batch") -> TestResponse:
    files = [(io.BytesIO(photo), f"{number}.jpg") for number, photo in enumerate(photos)]
    return client.post(address, data={"files": files})


def assert_problem(response: TestResponse, status: int, words: str = "") -> None:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    content = json.loads(response.data)
    assert content["status"] == status
    assert set(content) == {"type", "title", "status", "detail"}
    assert words in content["detail"]


def test_predict_answers_every_head_with_its_choice_and_its_top_three(client: FlaskClient) -> None:
    answer = send(client, picture("red")).get_json()
    assert answer["model_version"] == "small-1"
    assert answer["needs_review"] is False
    for head, wanted in {
        "main": "upperwear",
        "sub": "t-shirt",
        "colour": "red",
        "background": "acceptable",
    }.items():
        assert answer[head]["class"] == wanted
        assert 0 <= answer[head]["probability"] <= 1
        assert answer[head]["top"][0] == {"class": wanted, "probability": answer[head]["probability"]}
        assert len(answer[head]["top"]) == min(3, len(answer[head]["probabilities"]))
        assert sum(answer[head]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("way", ["multipart", "multipart image", "multipart base64", "raw", "raw as curl calls it",
                                 "json", "data url", "form base64"])  # fmt: skip
def test_a_photo_may_come_in_every_promised_way(client: FlaskClient, way: str) -> None:
    photo = picture("green")
    text = base64.b64encode(photo).decode()
    form = "application/x-www-form-urlencoded"
    requests: dict[str, dict[str, Any]] = {
        "multipart": {"data": {"file": (io.BytesIO(photo), "a.jpg")}},
        "multipart image": {"data": {"image": (io.BytesIO(photo), "a.jpg")}},
        "multipart base64": {"data": {"image": text}, "content_type": "multipart/form-data"},
        "raw": {"data": photo, "content_type": "image/jpeg"},
        "raw as curl calls it": {"data": photo, "content_type": form},
        "json": {"json": {"image": text}},
        "data url": {"json": {"image": f"data:image/jpeg;base64,{text}"}},
        "form base64": {"data": {"image": text}, "content_type": form},
    }
    response = client.post("/predict", **requests[way])
    assert response.status_code == 200, response.data
    assert response.get_json()["sub"]["class"] == "pants"


def test_flasks_own_form_limits_do_not_stand_before_ours(client: FlaskClient) -> None:
    noisy = Path(__file__).read_bytes() * 400  # over 500 kB: Flask's limit for a form's field
    text = base64.b64encode(picture() + noisy).decode()
    assert len(text) > 2_000_000
    for request in (
        {"data": {"image": text}, "content_type": "multipart/form-data"},
        {"json": {"image": text}},
    ):
        assert client.post("/predict", **request).status_code == 200


def test_a_batch_answers_photo_by_photo_in_order(client: FlaskClient) -> None:
    answer = send_many(client, [picture("blue"), b"no photo", picture("red")]).get_json()
    assert answer["model_version"] == "small-1"
    first, second, third = answer["results"]
    assert first["prediction"]["sub"]["class"] == "shoes"
    assert second["error"]["status"] == 415
    assert third["prediction"]["sub"]["class"] == "t-shirt"


@pytest.mark.parametrize("number", [1, 64, BATCH_PHOTOS])
def test_a_batch_may_be_as_large_as_promised(client: FlaskClient, number: int) -> None:
    assert len(send_many(client, [picture()] * number).get_json()["results"]) == number


class TestSketches:
    """What a photo looks like, in 64 bytes, of a release that can say it."""

    @pytest.fixture
    def client(self, make_client: Callable[..., FlaskClient], tmp_path: Path) -> FlaskClient:
        small_release.make(tmp_path, sketches=True)
        return make_client(model_dir=tmp_path)

    def test_similar_photos_have_similar_ones(self, client: FlaskClient) -> None:
        assert client.get("/health").get_json()["sketches"] is True
        photos = [picture("red"), picture("crimson"), picture("blue")]
        results = send_many(client, photos, "/predict/batch?sketch=true").get_json()["results"]
        one, near, other = (sketches.decoded(result["prediction"]["sketch"]) for result in results)
        assert sketches.distance(one, near) < 0.5 * sketches.distance(one, other)
        single = client.post("/predict?sketch=true", data=photos[0], content_type="image/jpeg")
        assert sketches.decoded(single.get_json()["sketch"]) == one

    def test_they_come_only_where_they_are_asked_for(self, client: FlaskClient) -> None:
        for address in ("/predict/batch", "/predict/batch?sketch=false"):
            (result,) = send_many(client, [picture()], address).get_json()["results"]
            assert "sketch" not in result["prediction"]

    def test_asked_for_otherwise_they_are_refused_with_what_is_allowed(self, client: FlaskClient) -> None:
        assert_problem(send_many(client, [picture()], "/predict/batch?sketch=yes"), 400, "true or false")

    def test_a_photo_that_cannot_be_read_has_its_error_beside_the_others_sketches(
        self, client: FlaskClient
    ) -> None:
        answer = send_many(client, [b"no photo", picture()], "/predict/batch?sketch=true").get_json()
        first, second = answer["results"]
        assert first["error"]["status"] == 415
        assert second["prediction"]["sketch"]


def test_a_release_without_features_is_served_as_before_and_says_that_it_makes_no_sketches(
    client: FlaskClient,
) -> None:
    assert client.get("/health").get_json()["sketches"] is False
    asked = send_many(client, [picture("red")], "/predict/batch?sketch=true").get_json()["results"]
    plain = send_many(client, [picture("red")]).get_json()["results"]
    for result in (*asked, *plain):
        del result["prediction"]["measures"]
    assert asked == plain


def test_health_says_what_the_server_promises(make_client: Callable[..., FlaskClient]) -> None:
    assert make_client(review_precision=0.95).get("/health").get_json()["review_precision"] == 0.95


def test_a_batch_of_too_many_photos_is_refused_with_the_limit(client: FlaskClient) -> None:
    assert_problem(send_many(client, [b"x"] * (BATCH_PHOTOS + 1)), 413, str(BATCH_PHOTOS))


@pytest.mark.parametrize("number", [0])
def test_a_batch_without_photos_says_how_to_send_them(client: FlaskClient, number: int) -> None:
    assert_problem(send_many(client, []), 400, "`files`")


def test_what_cannot_be_read_is_told_apart(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(max_image_megapixels=0.01)
    assert_problem(send(client, b"%PDF-1.7"), 415)
    assert_problem(send(client, picture()[:300]), 422)
    assert_problem(send(client, picture(size=(200, 200))), 413)


def test_a_file_over_the_size_limit_is_refused(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(max_image_mb=0.001)
    large = picture() + b"\0" * 2000
    assert_problem(send(client, large), 413)
    assert_problem(client.post("/predict", data=b"\0" * 100_000, content_type="image/jpeg"), 413)
    assert send_many(client, [large]).get_json()["results"][0]["error"]["status"] == 413


def test_a_photo_of_the_largest_size_allowed_fits_into_a_request_in_every_promised_form(
    make_client: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here in small: a limit of 1 MB for all requests, and one of 2 MB for a photo."""
    monkeypatch.setattr(upload, "BATCH_BYTES", 1024 * 1024)
    client = make_client(max_image_mb=2)
    photo = picture("green")
    photo += b"\xff" * (2 * 1024 * 1024 - len(photo))  # which is all slashes in base64
    text = base64.b64encode(photo).decode()
    form = "application/x-www-form-urlencoded"
    requests: list[dict[str, Any]] = [
        {"data": {"file": (io.BytesIO(photo), "a.jpg")}},
        {"data": {"image": text}, "content_type": "multipart/form-data"},
        {"data": photo, "content_type": "image/jpeg"},
        {"json": {"image": text}},
        {"data": f'{{"image": "{text}"}}'.replace("/", "\\/"), "content_type": "application/json"},
        {"data": f"image={quote_plus(text)}", "content_type": form},
    ]
    for request in requests:
        response = client.post("/predict", **request)
        assert response.status_code == 200, response.data
    (answer,) = send_many(client, [photo]).get_json()["results"]
    assert answer["prediction"]["sub"]["class"] == "pants"


@pytest.mark.parametrize(
    "request_",
    [{}, {"data": b""}, {"json": {}}, {"json": []}, {"json": {"image": 7}}, {"json": {"image": "%%%"}},
     {"data": "{", "content_type": "application/json"}, {"data": {"other": "x"}, "content_type": "multipart/form-data"}],
)  # fmt: skip
def test_a_request_without_a_photo_says_how_to_send_one(
    client: FlaskClient, request_: dict[str, Any]
) -> None:
    assert_problem(client.post("/predict", **request_), 400)


def test_a_field_that_was_left_empty_is_no_second_photo(client: FlaskClient) -> None:
    form = b"".join(
        b'--B\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"file", b"a.jpg", picture("green")), (b"image", b"", b""))
    )
    response = client.post(
        "/predict", data=form + b"--B--\r\n", content_type="multipart/form-data; boundary=B"
    )
    assert response.status_code == 200, response.data
    assert response.get_json()["sub"]["class"] == "pants"


TEXT = base64.b64encode(picture()).decode()


@pytest.mark.parametrize(
    "request_",
    [
        {"data": {"file": [(io.BytesIO(picture()), "a.jpg"), (io.BytesIO(picture()), "b.jpg")]}},
        {"data": {"image": [(io.BytesIO(picture()), "a.jpg"), (io.BytesIO(picture()), "b.jpg")]}},
        {"data": {"file": (io.BytesIO(picture()), "a.jpg"), "image": (io.BytesIO(picture()), "b.jpg")}},
        {"data": {"file": (io.BytesIO(picture()), "a.jpg"), "image": TEXT}},
        {"data": {"image": [TEXT, TEXT]}, "content_type": "multipart/form-data"},
        {"data": {"image": [TEXT, TEXT]}, "content_type": "application/x-www-form-urlencoded"},
    ],
)
def test_of_two_photos_none_is_chosen_and_the_answer_says_where_several_go(
    client: FlaskClient, request_: dict[str, Any]
) -> None:
    assert_problem(client.post("/predict", **request_), 400, "/predict/batch")


def test_wrong_paths_and_methods_are_problems_that_say_what_is_right(client: FlaskClient) -> None:
    assert_problem(client.get("/nowhere"), 404, "/nowhere")
    for path in ("/predict", "/predict/batch"):
        for method in ("GET", "PUT", "DELETE", "BREW"):
            response = client.open(path, method=method)
            assert_problem(response, 405, f"curl -F file{'s' * (path == '/predict/batch')}=@")
            assert "POST" in response.headers["Allow"]
    response = client.post("/classes")
    assert_problem(response, 405, "GET")
    assert "GET" in response.headers["Allow"]


def test_the_front_page_names_every_route_and_where_they_are_described(client: FlaskClient) -> None:
    answer = client.get("/").get_json()
    assert answer["description"] == "/openapi.json"
    served = {rule.rule for rule in client.application.url_map.iter_rules()}
    assert {route.split()[1] for route in answer["routes"]} == served
    assert all(answer["routes"].values())


def test_a_fault_shows_neither_a_trace_nor_a_path(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(client.application.extensions["engine"], "answer", fail)
    response = send(client, picture())
    assert_problem(response, 500)
    assert b"secret" not in response.data


def test_a_full_queue_asks_to_come_back(client: FlaskClient) -> None:
    engine = client.application.extensions["engine"]
    places = 0
    while engine._places.acquire(blocking=False):
        places += 1
    response = send(client, picture())
    assert_problem(response, 503)
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get("/health").status_code == 200
    assert places >= 64


def test_health_tells_starting_from_ready(
    make_client: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_INSTANCE", "nonce")
    waiting = make_client(loaded=False)
    assert (waiting.get("/health").status_code, waiting.get("/health").get_json()["status"]) == (
        503,
        "starting",
    )
    assert_problem(send(waiting, picture()), 503)
    ready = make_client().get("/health")
    assert ready.status_code == 200
    assert ready.get_json()["status"] == "ready"
    assert ready.get_json()["instance"] == "nonce"
    assert (waiting.get("/health").get_json()["network"], ready.get_json()["network"]) == ("", "as released")


def test_a_release_that_gets_a_golden_photo_wrong_is_never_ready(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    from model.serving.releases import seal

    folder = small_release.make(tmp_path)
    (folder / "golden" / "golden.json").write_text('{"red.png": {"sub": "shoes"}}', "utf-8")
    seal(folder)
    client = make_client(model_dir=tmp_path)
    answer = client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "broken")
    assert "red.png" in answer.get_json()["detail"]
    assert_problem(send(client, picture()), 503)


def test_a_token_is_asked_for_everywhere_but_at_health(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(api_token="geheim")
    assert client.get("/health").status_code == 200
    for path in ("/classes", "/stats", "/metrics", "/openapi.json"):
        assert_problem(client.get(path), 401)
        assert client.get(path, headers={"Authorization": "Bearer geheim"}).status_code == 200
        assert_problem(client.get(path, headers={"Authorization": "Bearer wrong"}), 401)
    assert_problem(send(client, picture()), 401)


def test_classes_names_what_each_head_tells_apart(client: FlaskClient) -> None:
    answer = client.get("/classes").get_json()
    assert answer["heads"]["sub"] == ["pants", "shoes", "t-shirt"]
    assert answer["heads"]["background"] == ["acceptable", "unacceptable"]
    assert answer["main_of"]["shoes"] == "footwear"


def test_a_head_that_was_not_trained_is_absent_everywhere(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    small_release.make(tmp_path, heads=("main", "sub"))
    client = make_client(model_dir=tmp_path)
    answer = send(client, picture("red")).get_json()
    assert not {"background", "colour"} & set(answer)
    assert answer["sub"]["class"] == "t-shirt"
    assert set(client.get("/classes").get_json()["heads"]) == {"main", "sub"}
    assert client.get("/stats").get_json()["predictions"]["colour"] == {}
    assert 'head="colour",name' not in client.get("/metrics").get_data(as_text=True)
    document = client.get("/openapi.json").get_json()["components"]["schemas"]
    for schema in ("Answer", "Prediction"):
        assert {"main", "sub"} <= set(document[schema]["required"]), schema
        assert {"background", "colour"} <= set(document[schema]["properties"]), schema
        assert not {"background", "colour"} & set(document[schema]["required"]), schema


def test_the_answer_says_what_decided(make_client: Callable[..., FlaskClient], tmp_path: Path) -> None:
    small_release.make(tmp_path, sub_threshold=0.9)
    strict = send(make_client(model_dir=tmp_path, review_precision=0.995), picture("red")).get_json()
    lax = send(make_client(model_dir=tmp_path, review_precision=0.8), picture("red")).get_json()
    assert strict["thresholds"] == {"main": 0.0, "sub": 0.9}
    assert lax["thresholds"] == {"main": 0.0, "sub": 0.0}


def test_doubts_that_move_nothing_are_told_apart_from_reasons_for_review(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    small_release.make(tmp_path, doubts={"background": 1.1, "colour": 1.1})
    answer = send(make_client(model_dir=tmp_path), picture("red")).get_json()
    assert (answer["needs_review"], answer["review_reason"]) == (False, "")
    assert answer["doubts"].startswith("background uncertain (")
    assert ", colour uncertain (" in answer["doubts"]


def test_stats_and_metrics_count_what_was_answered(client: FlaskClient) -> None:
    send_many(client, [picture("red"), picture("red"), b"no photo"])
    stats = client.get("/stats").get_json()
    assert stats["photos"] == {"sure": 2, "unsupported": 1}
    assert stats["predictions"]["sub"] == {"t-shirt": 2}
    text = client.get("/metrics").get_data(as_text=True)
    assert 'nightsort_predictions_total{head="sub",name="t-shirt"} 2.0' in text
    assert "nightsort_request_seconds_bucket" in text


def test_openapi_promises_what_any_request_may_be_answered(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    for path, item in document["paths"].items():
        for operation in item.values():
            promised = set(operation["responses"])
            assert {"200", "400", "413", "431", "500"} <= promised, path
            assert ("401" in promised) is (path != "/health")


def test_flask_is_never_in_debug_mode(
    make_client: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert not make_client().application.debug


def test_openapi_describes_every_route_there_is(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    served = {
        (rule.rule, method)
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods or set()
        if method in ("GET", "POST")
    }
    assert described == served


def test_answers_are_never_guessed_at_or_cached(client: FlaskClient) -> None:
    headers = client.get("/health").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
