"""The demo: drawn photos through the real night and a real server, into a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch.demo import demo
from batch.demo.drawings import Drawing
from batch.records.ledger import Ledger, Row
from tests import small_release
from tests.batch.conftest import Night


@pytest.fixture
def own(make_night: Callable[..., Night], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """A night with a real server and a small release; drawing less keeps the test short."""
    small_release.make(tmp_path / "releases")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "releases"))
    monkeypatch.setattr(demo, "draw_demo_photos", _draw_few)
    return make_night(api_url=())


def _draw_few(folder: Path) -> list[Drawing]:
    from tests.api.conftest import picture

    folder.mkdir(parents=True)
    (folder / "red.jpg").write_bytes(picture("red"))
    (folder / "blue.png").write_bytes(picture("blue", "PNG"))
    (folder / "broken.jpg").write_bytes(picture("red")[:200])
    return [
        Drawing("red.jpg", "upperwear", "t-shirt", "acceptable", "red"),
        Drawing("blue.png", "footwear", "shoes", "acceptable", "red"),
        Drawing("broken.jpg", "", "", "", ""),
    ]


def rows_of(own: Night) -> list[Row]:
    with Ledger(own.settings.data_dir / "demo" / "ledger.sqlite3") as ledger:
        return list(ledger.filed_rows())


def test_it_draws_sorts_and_shows_the_table(own: Night, capsys: pytest.CaptureFixture[str]) -> None:
    from batch.logs import set_up

    set_up(own.settings.log_dir)
    assert demo.demo(own.settings) == 0
    out = capsys.readouterr().out
    assert "The failed files (1) are broken on purpose" in out
    assert "upperwear/t-shirt" in out
    assert "footwear/shoes" in out
    assert "Of 2 drawn garments right: sub-category 2, background" in out
    assert (own.settings.data_dir / "demo" / "processed" / "upperwear" / "t-shirt" / "red.jpg").exists()


def test_it_touches_nobodys_photos(own: Night) -> None:
    own.drop("mine.jpg", b"mine")
    demo.demo(own.settings)
    assert own.waiting() == ["mine.jpg"]
    assert not own.settings.csv_path.exists()


def test_it_can_be_shown_again_from_the_start(own: Night) -> None:
    demo.demo(own.settings)
    assert demo.demo(own.settings) == 0
    assert len(rows_of(own)) == 3


def test_a_file_that_fails_and_should_not_is_no_success(own: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "draw_demo_photos", lambda folder: _draw_few(folder)[:2])
    assert demo.demo(own.settings) == 3


def test_nobody_is_told_of_a_demo_and_its_report_names_no_setting_of_that(
    make_night: Callable[..., Night], own: Night, tmp_path: Path
) -> None:
    night = make_night(
        api_url=(),
        ping_url="https://hc.example/x",
        notify_urls="json://localhost/",
        metrics_file=tmp_path / "m",
    )
    assert demo.demo(night.settings) == 0
    with Ledger(night.settings.data_dir / "demo" / "ledger.sqlite3", look=True) as ledger:
        told = ledger.runs()[0].settings
    assert {"PING_URL", "NOTIFY_URLS", "METRICS_FILE"}.isdisjoint(told)
    assert not (tmp_path / "m").exists()


def test_it_never_empties_a_folder_that_it_did_not_make(own: Night) -> None:
    folder = own.settings.data_dir / "demo"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"mine")
    assert demo.demo(own.settings) == 1
    assert (folder / "holiday.jpg").read_bytes() == b"mine"


def test_a_demo_that_runs_already_is_not_disturbed(own: Night) -> None:
    from batch.lock import run_lock

    with run_lock(own.settings.data_dir / "demo"):
        assert demo.demo(own.settings) == 75
