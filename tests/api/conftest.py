"""What the tests of the sidecar share: a small release and a client of an app that serves it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from api import create_app
from api.engine import Engine
from api_settings import ApiSettings
from settings import load
from tests import small_release


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    small_release.make(folder)
    return folder


@pytest.fixture
def make_client(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    for name in ApiSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(ApiSettings.model_config, "env_file", None)

    def make(*, loaded: bool = True, **overrides: object) -> FlaskClient:
        settings = load(ApiSettings, **{"model_dir": model_dir, **overrides})
        engine = Engine(settings)
        if loaded:
            engine.load()
        return create_app(settings, engine).test_client()

    return make


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client()


def picture(colour: str = "red", kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    """A plain photo of one colour, as a file's bytes."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()
