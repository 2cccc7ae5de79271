"""A data folder with photos that wait, and its pages as a client sees them."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient

from batch.pages import create_app, users
from batch.pages.users import Role
from tests.batch.pages.sample_pages import Sample, make

PASSWORD = "a long enough password"

Pages = Callable[..., "Reader"]


class Reader:
    """Somebody's browser: asks by the right name, from the right page."""

    def __init__(self, client: FlaskClient, host: str = "127.0.0.1:8000", scheme: str = "http") -> None:
        self.client, self.host = client, host
        self.origin = f"{scheme}://{host}"

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers={"Host": self.host, "Accept": "text/html", **_named(headers)})

    def json(self, path: str, **headers: str) -> Any:
        return self.client.get(
            path, headers={"Host": self.host, "Accept": "application/json", **_named(headers)}
        )

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        sent = {"Host": self.host, "Origin": self.origin, "Accept": "text/html", **_named(headers)}
        return self.client.post(path, data=data, headers={k: v for k, v in sent.items() if v})

    def send(self, path: str, content: Any, **headers: str) -> Any:
        sent = {"Host": self.host, "Origin": self.origin, "Accept": "application/json", **_named(headers)}
        return self.client.post(path, json=content, headers={k: v for k, v in sent.items() if v})

    def sign_in(self, name: str, password: str = PASSWORD) -> Any:
        return self.post("/sign-in", {"name": name, "password": password})


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make(tmp_path_factory.mktemp("sample"), photos=12)


@pytest.fixture
def sample(template: Sample, tmp_path: Path) -> Sample:
    """A data folder of one's own, made once and copied."""
    shutil.copytree(template.settings.data_dir, tmp_path / "data")
    places = {
        "data_dir": tmp_path / "data",
        "log_dir": tmp_path / "logs",
        "pages_secrets": tmp_path / "secrets.json",
    }
    return Sample(template.settings.model_copy(update=places), template.truth)


@pytest.fixture
def reader(sample: Sample) -> Reader:
    """On this machine, with nobody to sign in."""
    return Reader(create_app(sample.settings).test_client())


@pytest.fixture
def add(sample: Sample) -> Callable[..., None]:
    def add_user(name: str, role: Role = Role.REVIEWER, password: str = PASSWORD) -> None:
        users.add(sample.settings, name, role, password)

    return add_user


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """As strong as they are otherwise, the tests would take minutes."""
    monkeypatch.setattr(users, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=64))
    users._nobody.cache_clear()
