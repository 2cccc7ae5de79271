"""A night with several servers, of which some are slow, die, come back with another release, or are sick."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from flask import Response, jsonify

from batch.records.ledger import Ledger
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo, prediction
from tests.faults.test_sidecar_faults import cut_off

PHOTOS = 120


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds are the product's, only smaller."""
    monkeypatch.setattr("batch.server.sidecar.START_SECONDS", 3)
    monkeypatch.setattr("batch.server.pool.PAUSES", (0.02,))
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 4)
    monkeypatch.setattr("batch.night.sweep.REQUESTS_IN_FLIGHT", 2)


@pytest.fixture
def other() -> Iterator[FakeSidecar]:
    with FakeSidecar() as fake:
        fake.release = fake.health["model_version"] = "fake-2"
        yield fake


@pytest.fixture
def shared(make_night: Callable[..., Night], sidecar: FakeSidecar, other: FakeSidecar) -> Night:
    """A night with many photos for two servers, of which one has another release."""
    night = make_night(api_url=f"{sidecar.url}, {other.url}")
    for number in range(PHOTOS):
        night.drop(f"{number:03}.jpg", photo(f"photo {number}"))
    return night


def assert_every_photo_has_one_row_and_one_place(night: Night) -> None:
    assert night.waiting() == []
    assert sorted(row.file_name for row in night.rows()) == [f"{number:03}.jpg" for number in range(PHOTOS)]
    assert sorted(row["file_name"] for row in night.csv()) == sorted(row.file_name for row in night.rows())
    assert sorted(night.files()) == sorted(row.moved_to for row in night.rows())


def releases(night: Night) -> Counter[str]:
    return Counter(row.model_version for row in night.rows())


def photos_of(server: FakeSidecar) -> set[bytes]:
    return {content for content in server.photos_asked() if content.startswith(b"\xff\xd8")}


def after(
    requests: int, what: Callable[[Sequence[bytes]], Response | None]
) -> Callable[..., Response | None]:
    """Do this from a request on; before it, answer."""
    count = [0]

    def behaviour(photos: Sequence[bytes]) -> Response | None:
        count[0] += 1
        return what(photos) if count[0] > requests else None

    return behaviour


def test_rows_say_which_release_answered_and_what_decided(
    shared: Night, sidecar: FakeSidecar, other: FakeSidecar
) -> None:
    limits = {"main": 0.1, "sub": 0.2}
    other.behaviour = lambda photos: jsonify(
        model_version="fake-2", results=[{"prediction": prediction(thresholds=limits)} for _ in photos]
    )
    assert shared.run() == 0
    assert_every_photo_has_one_row_and_one_place(shared)
    content = shared.files()
    for row in shared.rows():
        (server,) = [one for one in (sidecar, other) if content[row.moved_to] in photos_of(one)]
        assert row.model_version == server.release
        assert json.loads(row.thresholds) == (limits if server is other else {"main": 0.4, "sub": 0.6})
    assert min(releases(shared).values()) > PHOTOS / 10
    with Ledger(shared.settings.ledger_path) as ledger:
        assert set(ledger.runs()[-1].model_version.split(", ")) == {"fake-1", "fake-2"}


def test_a_slow_server_gets_fewer_requests_and_holds_nobody_up(
    shared: Night, sidecar: FakeSidecar, other: FakeSidecar
) -> None:
    def slow(_: Sequence[bytes]) -> None:
        time.sleep(0.3)

    sidecar.behaviour = slow
    assert shared.run() == 0
    assert_every_photo_has_one_row_and_one_place(shared)
    assert len(photos_of(sidecar)) < len(photos_of(other)) / 2


def test_one_is_killed_and_comes_back_with_another_release_in_the_middle_of_the_night(
    make_night: Callable[..., Night], tmp_path: Path
) -> None:
    with FakeSidecar() as stays, FakeSidecar() as dies:
        port = int(dies.url.rpartition(":")[2])
        replaced: list[FakeSidecar] = []

        def die(photos: Sequence[bytes]) -> Response:
            if not replaced:
                replaced.append(FakeSidecar.__new__(FakeSidecar))
                threading.Thread(target=replace).start()
            return cut_off(photos)

        def replace() -> None:
            dies._server.shutdown()
            dies._server.server_close()
            time.sleep(0.2)
            replaced[0] = FakeSidecar(port)
            replaced[0].release = replaced[0].health["model_version"] = "fake-2"
            replaced[0].__enter__()

        def unhurried(_: Sequence[bytes]) -> None:
            time.sleep(0.05)

        stays.behaviour = unhurried
        dies.behaviour = after(3, die)
        night = make_night(api_url=f"{stays.url},{dies.url}")
        for number in range(PHOTOS):
            night.drop(f"{number:03}.jpg", photo(f"photo {number}"))
        assert night.run() == 0
        assert_every_photo_has_one_row_and_one_place(night)
        content = night.files()
        new = photos_of(replaced[0])
        assert new
        for row in night.rows():
            assert row.model_version == ("fake-2" if content[row.moved_to] in new else "fake-1"), (
                row.file_name
            )
        assert replaced[0].golden_checks >= 1
        replaced[0].__exit__()


def test_a_rolling_update_behind_one_address_leaves_rows_of_both_releases(
    make_night: Callable[..., Night], sidecar: FakeSidecar
) -> None:
    night = make_night()
    for number in range(PHOTOS):
        night.drop(f"{number:03}.jpg", photo(f"photo {number}"))
    said: dict[bytes, str] = {}

    def by_turns(photos: Sequence[bytes]) -> None:
        if photos[0].startswith(b"\xff\xd8"):
            sidecar.release = "fake-2" if sidecar.release == "fake-1" else "fake-1"

    lock = threading.Lock()

    def answer(photos: Sequence[bytes]) -> None:
        with lock:
            by_turns(photos)
            said.update(dict.fromkeys(photos, sidecar.release))

    sidecar.behaviour = answer
    assert night.run() == 0
    assert_every_photo_has_one_row_and_one_place(night)
    assert set(releases(night)) == {"fake-1", "fake-2"}


def test_all_dead_is_as_with_one(shared: Night, sidecar: FakeSidecar, other: FakeSidecar) -> None:
    for server in (sidecar, other):
        server.behaviour = after(5, cut_off)
    assert shared.run() == 1
    with Ledger(shared.settings.ledger_path) as ledger:
        assert "no model server is left" in ledger.runs()[-1].message
    assert len(shared.rows()) + len(shared.waiting()) == PHOTOS
    for server in (sidecar, other):
        server.behaviour = None
    assert shared.run() == 0
    assert_every_photo_has_one_row_and_one_place(shared)


def test_a_photo_that_no_server_can_bear_fails_and_all_others_are_answered(
    shared: Night, sidecar: FakeSidecar, other: FakeSidecar
) -> None:
    shared.drop("050.jpg", photo("poison"))
    for server in (sidecar, other):
        server.behaviour = lambda photos: (
            Response("{}", 500) if any(b"poison" in content for content in photos) else None
        )
    assert shared.run() == 3
    assert_every_photo_has_one_row_and_one_place(shared)
    (failed,) = [row for row in shared.rows() if row.status == "failed"]
    assert (failed.file_name, failed.model_version) == ("050.jpg", "")


def test_a_sick_server_among_sound_ones_is_found_and_what_it_answered_last_is_asked_of_others(
    shared: Night, sidecar: FakeSidecar, other: FakeSidecar
) -> None:
    """It fails every photo, a third or half of all: too few for a budget of them all together."""
    damaged = {"error": {"status": 422, "detail": "The photo is damaged."}}
    sidecar.behaviour = lambda photos: (
        jsonify(model_version="fake-1", results=[damaged] * len(photos))
        if photos[0].startswith(b"\xff\xd8")
        else None
    )
    sidecar.soundness = {"sound": False, "detail": "the JPEG sample cannot be read"}
    assert shared.run() == 3
    assert_every_photo_has_one_row_and_one_place(shared)
    counts = Counter(row.status for row in shared.rows())
    assert 0 < counts["failed"] < 50
    assert sidecar.checked[0] == ["JPEG"]
    assert other.checked == []


def test_a_wrong_token_for_one_of_them_is_told_and_the_other_one_works(
    shared: Night, sidecar: FakeSidecar, other: FakeSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    other.token = "another"
    assert shared.run() == 0
    assert_every_photo_has_one_row_and_one_place(shared)
    assert photos_of(other) == set()
