"""`predict` and `serve`: a model at work on photos that nothing was extracted from."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient

from api import create_app
from api.engine import Engine
from api_settings import ApiSettings
from model.lab import RELEASES
from model.lab.__main__ import main
from model.lab.judging import predicting
from model.lab.judging.judges import named_judges
from model.lab.judging.predicting import Asker
from model.lab.judging.serving import make_app
from model.lab.photos.store import Store
from settings import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def frame_model(own_lab: Path, drawn: Path) -> Path:
    """A colour model that needs no mask."""
    order = ["train", "--out", str(own_lab), "--labels", str(drawn / "labels.csv"), "--task", "colour"]
    assert (
        main([*order, "--features", "colour-frame", "--model", "logistic", "--folds", "2", "--workers", "1"])
        == 0
    )
    return own_lab / "models" / "colour" / "colour-frame" / "logistic"


@pytest.fixture
def item_model(own_lab: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A background model that needs a mask, with the drawn photos' true masks in place of rembg's."""
    order = ["train", "--out", str(own_lab), "--labels", str(drawn / "labels.csv"), "--task", "background"]
    assert main([*order, "--model", "logistic", "--folds", "2", "--workers", "1"]) == 0
    monkeypatch.setattr(predicting, "open_session", lambda *_, **__: "session")
    monkeypatch.setattr(predicting, "item_mask", lambda _, pixels: np.full(pixels.shape[:2], 0, np.uint8))
    return own_lab / "models" / "background" / "background" / "logistic"


def test_predict_writes_the_answers_that_the_tables_give(
    frame_model: Path, own_lab: Path, drawn: Path, tmp_path: Path
) -> None:
    target = tmp_path / "answers.csv"
    assert (
        main(["predict", str(frame_model), str(drawn / "validation"), "--csv", str(target), "--workers", "2"])
        == 0
    )
    table = pd.read_csv(target, dtype={"file": str})
    (judge,) = named_judges([str(frame_model)])
    files = [f"validation/{file}" for file in table["file"]]
    assert len(files) == len(list((drawn / "validation").glob("*.jpg")))
    expected = judge.answers(None, Store(own_lab), files)
    assert list(table["colour"]) == [judge.classes[guess] for guess in expected.guesses]
    shown = table[[f"colour_p_{name}" for name in judge.classes]].to_numpy()
    assert shown == pytest.approx(expected.probabilities, abs=1e-3)
    assert table["colour_probability"].to_numpy() == pytest.approx(shown.max(1))


def test_predict_answers_several_tasks_at_once_and_prints_without_a_csv(
    frame_model: Path, item_model: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    order = ["predict", str(frame_model), str(item_model), str(drawn / "validation"), "--workers", "1"]
    assert main(order) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert {"file", "colour", "background", "background_p_acceptable"} <= set(table.columns)


def test_the_released_network_is_a_model_too(drawn: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for photo in sorted((drawn / "validation").glob("*.jpg"))[:2]:
        shutil.copy(photo, photos)
    assert main(["predict", "network", str(photos), "--csv", str(tmp_path / "a.csv"), "--workers", "1"]) == 0
    assert {"main", "sub", "background", "colour"} <= set(pd.read_csv(tmp_path / "a.csv").columns)


def test_a_file_that_is_no_photo_is_named_and_the_others_are_answered(
    frame_model: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(sorted((drawn / "validation").glob("*.jpg"))[0], photos / "good.jpg")
    (photos / "bad.jpg").write_text("no photo")
    assert (
        main(["predict", str(frame_model), str(photos), "--csv", str(tmp_path / "a.csv"), "--workers", "1"])
        == 3
    )
    assert list(pd.read_csv(tmp_path / "a.csv")["file"]) == ["good.jpg"]
    assert "bad.jpg: Not a readable photo" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "serve"])
def test_what_is_no_model_and_two_for_one_task_are_refused(
    command: str, frame_model: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = [str(drawn)] if command == "predict" else []
    assert main([command, str(tmp_path), *rest]) == 2
    assert "is no model" in capsys.readouterr().err
    assert main([command, str(frame_model), str(frame_model), *rest]) == 2
    assert "Two of these models answer colour" in capsys.readouterr().err


@pytest.fixture
def client(frame_model: Path) -> FlaskClient:
    return make_app(Asker(named_judges([str(frame_model)]), "u2netp")).test_client()


def photo_of(drawn: Path) -> bytes:
    return sorted((drawn / "validation").glob("*.jpg"))[0].read_bytes()


def test_serve_takes_a_photo_in_each_of_the_sidecars_three_ways(client: FlaskClient, drawn: Path) -> None:
    photo = photo_of(drawn)
    answers = [
        client.post("/predict", data={"file": (io.BytesIO(photo), "a.jpg")}),
        client.post("/predict", data=photo, content_type="image/jpeg"),
        client.post("/predict", json={"image": base64.b64encode(photo).decode()}),
        client.post("/predict", json={"image": "data:image/jpeg;base64," + base64.b64encode(photo).decode()}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({json.dumps(answer.get_json()["colour"]) for answer in answers}) == 1


def same_form(one: Any, other: Any) -> bool:
    """Whether two answers have the same keys and kinds of values, however many classes there are."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_form(one[key], other[key]) for key in one)
    return type(one) is type(other)


def test_serve_answers_in_the_sidecars_form(drawn: Path) -> None:
    settings = load(ApiSettings, model_dir=RELEASES)
    engine = Engine(settings)
    engine.load()
    sidecar = create_app(settings, engine)
    expected = (
        sidecar.test_client().post("/predict", data=photo_of(drawn), content_type="image/jpeg").get_json()
    )
    lab = make_app(Asker(named_judges(["network"]), "u2netp")).test_client()
    given = lab.post("/predict", data=photo_of(drawn), content_type="image/jpeg").get_json()
    for heads in ("main", "sub", "background", "colour"):
        assert given[heads] == expected[heads]
    extra = {key for key in expected if key not in given}
    assert not extra - {"clothing", "doubts", "thresholds"}, extra
    assert same_form({key: expected[key] for key in given}, given)


def test_heads_that_no_model_answers_are_absent_and_a_person_has_to_look(
    client: FlaskClient, drawn: Path
) -> None:
    answer = client.post("/predict", data=photo_of(drawn), content_type="image/jpeg").get_json()
    assert "colour" in answer
    assert not {"main", "sub", "background"} & set(answer)
    assert answer["needs_review"]
    assert "no precision" in answer["review_reason"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": b"no photo", "content_type": "image/jpeg"}, 422),
        ({"data": b""}, 400),
        ({"json": {"image": "%%%"}}, 400),
        ({"json": {"image": None}}, 400),
        ({"json": ["image"]}, 400),
        ({"data": {"photo": (io.BytesIO(b"x"), "a.jpg")}}, 400),
    ],
)
def test_what_is_no_photo_gets_a_problem_and_no_traceback(
    client: FlaskClient, sent: dict[str, Any], status: int
) -> None:
    answer = client.post("/predict", **sent)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["detail"]


def test_only_this_machine_is_answered(client: FlaskClient) -> None:
    assert client.get("/health", headers={"Host": "127.0.0.1:5050"}).status_code == 200
    assert client.get("/health", headers={"Host": "elsewhere.example:5050"}).status_code == 403


def test_serve_listens_on_loopback_alone(frame_model: Path, drawn: Path) -> None:
    order = [sys.executable, "-m", "model", "lab", "serve", str(frame_model), "--port", "0"]
    with subprocess.Popen(order, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            address = server.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            request = urllib.request.Request(address, photo_of(drawn), {"Content-Type": "image/jpeg"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert "colour" in json.load(answer)
        finally:
            server.kill()
