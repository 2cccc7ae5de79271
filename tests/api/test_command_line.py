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


def port_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The port on which it would listen."""
    found: list[ApiSettings] = []
    for kind in ("gunicorn", "alone"):
        monkeypatch.setattr(serve, f"serve_{kind}", lambda settings, **_: found.append(settings))
    assert main(list(arguments)) == 0
    return found[0].api_port


def test_the_port_is_the_one_that_the_platform_sets_unless_we_set_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8080")
    assert port_of(monkeypatch) == 5001  # of .env
    (tmp_path / ".env").write_text("")
    monkeypatch.setenv("PORT", "8080")
    assert port_of(monkeypatch) == 8080
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("API_PORT", "5002")
    assert port_of(monkeypatch) == 5002
    monkeypatch.setenv("PORT", "8080")
    assert port_of(monkeypatch, "--port", "5003") == 5003


@pytest.mark.parametrize("wrong", ["0", "70000", "tcp://10.0.0.1:80", "\u0665"])
def test_a_port_of_the_platform_that_is_none_is_refused_unless_ours_beats_it(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", wrong)
    assert port_of(monkeypatch) == 5001
    monkeypatch.setenv("PORT", wrong)
    (tmp_path / ".env").write_text("")
    assert main([]) == 2
    assert f"PORT={wrong}: it has to be a number" in capsys.readouterr().err


def test_the_example_names_the_settings_of_all_packages() -> None:
    fields = {name.upper() for kind in (ApiSettings, BatchSettings) for name in kind.model_fields}
    assert settings.documented() == fields
