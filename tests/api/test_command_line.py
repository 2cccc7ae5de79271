"""`python -m api` by itself: what it says before it serves."""

from pathlib import Path

import pytest

import settings
from api import serve
from api.__main__ import main
from api_settings import ApiSettings
from batch.settings import BatchSettings

LINES = [
    "MAX_IMGE_MB=80",  # mistyped
    "SETTLE_SECONDS=5",  # the night's
    "api_port=5001",
    "DEVICE",
    "TZ=UTC",
    "API_TOKEN hush",
]
SAID = [
    "MAX_IMGE_MB in .env is no setting; is MAX_IMAGE_MB meant?",
    "DEVICE in .env has no value; write DEVICE=value.",
    "Line 6 of .env cannot be read; write NAME=value.",
]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own `.env`, and nothing that is served."""
    (tmp_path / ".env").write_text("\n".join(LINES))
    monkeypatch.setitem(ApiSettings.model_config, "env_file", tmp_path / ".env")
    for kind in ("gunicorn", "alone"):
        monkeypatch.setattr(serve, f"serve_{kind}", lambda *_, **__: None)


def test_lines_of_dot_env_that_set_nothing_are_told_when_it_is_started_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert main([]) == 0
    assert caplog.messages == SAID


def test_the_night_that_it_is_started_by_says_so_itself(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["--until-stdin-closes"]) == 0
    assert caplog.messages == []


def test_without_the_list_of_all_settings_no_name_is_called_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path)  # somebody has renamed .env.example to .env
    assert main([]) == 0
    assert caplog.messages == SAID[1:]


def test_the_example_names_the_settings_of_all_packages() -> None:
    fields = {name.upper() for kind in (ApiSettings, BatchSettings) for name in kind.model_fields}
    assert settings.documented() == fields
