"""What a night does when its sidecar refuses, hangs, drips, lies, dies, or cannot bear one photo."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Response, request

from batch.records.ledger import Ledger
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo, prediction
from tests.faults import sick_server


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds are the product's, only smaller."""
    monkeypatch.setattr("batch.server.sidecar.START_SECONDS", 1)
    monkeypatch.setattr("batch.server.pool.PAUSES", (0.05, 0.1))
    monkeypatch.setattr("batch.server.pool.PROOF_SECONDS", 0.5)
    monkeypatch.setattr("batch.server.client.ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("batch.server.pool.BUSY_SECONDS", 1)
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 8)


@pytest.fixture
def full(night: Night) -> Night:
    """A night with forty photos."""
    for number in range(40):
        night.drop(f"{number:02}.jpg", photo(f"photo {number}"))
    return night


def assert_untouched(night: Night, photos: int = 40) -> None:
    assert len(night.waiting()) == photos
    assert night.csv() == []
    assert night.files() == {}


def assert_all_predicted(night: Night, photos: int = 40) -> None:
    assert night.waiting() == []
    assert [row["status"] for row in night.csv()] == ["processed"] * photos
    assert len(night.files()) == photos


def test_a_server_that_refuses_connections_stops_the_night_before_it_begins(
    make_night: Callable[..., Night],
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        night = make_night(api_url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        night.drop("a.jpg", photo("a"))
        assert night.run() == 1
    assert_untouched(night, 1)


def status(code: int, **headers: str) -> Callable[[Sequence[bytes]], Response]:
    return lambda _: Response("{}", code, headers=headers)


def cut_off(_: Sequence[bytes]) -> Response:
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response("too late")


def hang(_: Sequence[bytes]) -> Response:
    time.sleep(2)
    return Response("too late")


def drip(_: Sequence[bytes]) -> Response:
    def drops() -> Iterator[bytes]:
        for _ in range(30):
            time.sleep(0.1)
            yield b" "

    return Response(drops(), content_type="application/json")


def shorter_than_it_says(_: Sequence[bytes]) -> Response:
    return Response(b'{"model_version": "fake-1", "res', headers={"Content-Length": "5000"})


def answers(**changes: Any) -> Callable[[Sequence[bytes]], Response]:
    """Answers in the right form, but for the changes."""
    one = {"prediction": prediction(**changes)}
    return lambda photos: Response(json.dumps({"model_version": "fake-1", "results": [one] * len(photos)}))


def sub(**changes: Any) -> dict[str, Any]:
    """A sub-category in the right form, but for the changes."""
    return {**prediction()["sub"], **changes}


def without(name: str) -> Callable[[Sequence[bytes]], Response]:
    """Answers that lack a field."""
    one = {"prediction": {key: value for key, value in prediction().items() if key != name}}
    return lambda photos: Response(json.dumps({"model_version": "fake-1", "results": [one] * len(photos)}))


FAULTS: dict[str, Callable[[Sequence[bytes]], Response]] = {
    "500": status(500),
    "502": status(502),
    "a redirect": status(302, Location="http://127.0.0.1:1/"),
    "cut off": cut_off,
    "hangs": hang,
    "drips": drip,
    "shorter than it says": shorter_than_it_says,
    "HTML": lambda _: Response("<html>It works!</html>"),
    "null": lambda _: Response("null"),
    "a list": lambda _: Response("[]"),
    "no UTF-8": lambda _: Response(b'{"results": "\xff\xfe"}'),
    "deep": lambda _: Response("[" * 100_000),
    "too few": lambda _: Response('{"model_version": "fake-1", "results": []}'),
    "results of another kind": lambda _: Response('{"model_version": "fake-1", "results": 7}'),
    "a version that is no text": lambda photos: Response(
        json.dumps({"model_version": 7, "results": [{"error": {"detail": "x", "status": 422}}] * len(photos)})
    ),
    "no sub": answers(sub=None),
    "nothing about review": without("needs_review"),
    "no thresholds": without("thresholds"),
    "no clear word about review": answers(needs_review="no"),
    "a prediction and an error": lambda photos: Response(
        json.dumps(
            {
                "model_version": "fake-1",
                "results": [{"prediction": prediction(), "error": {"detail": "x"}}] * len(photos),
            }
        )
    ),
    "a probability over 1": answers(sub=sub(probability=1.5)),
    "a probability that is no number": answers(sub=sub(probability=float("nan"))),
    "a probability as text": answers(sub=sub(probability="0.5")),
    "another class's probability that is none": answers(sub=sub(probabilities={"pants": -1})),
    "a measure that is no number": answers(
        measures={"seconds": 1, "brightness": float("inf"), "contrast": 1}
    ),
    "an error without a status": lambda photos: Response(
        json.dumps({"model_version": "fake-1", "results": [{"error": {"detail": "x"}}] * len(photos)})
    ),
    "a status that is none": lambda photos: Response(
        json.dumps(
            {
                "model_version": "fake-1",
                "results": [{"error": {"detail": "x", "status": "415"}}] * len(photos),
            }
        )
    ),
    "half a character": answers(sub=sub(**{"class": "\ud800"})),
    "half a character in the reason": answers(review_reason="\udfff"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_never_answers_rightly_stops_the_night_and_nothing_is_filed(
    fault: str, full: Night, sidecar: FakeSidecar
) -> None:
    sidecar.behaviour = FAULTS[fault]
    started = time.monotonic()
    assert full.run() == 1
    assert time.monotonic() - started < 20
    assert_untouched(full)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_a_retry_and_no_photo(
    fault: str, full: Night, sidecar: FakeSidecar
) -> None:
    left = [3]

    def at_first(photos: Sequence[bytes]) -> Response | None:
        left[0] -= 1
        return FAULTS[fault](photos) if left[0] >= 0 else None

    sidecar.behaviour = at_first
    assert full.run() == 0
    assert_all_predicted(full)


@pytest.mark.parametrize("code", [429, 503])
def test_an_overloaded_server_is_given_the_time_that_it_asks_for(
    code: int, full: Night, sidecar: FakeSidecar
) -> None:
    asked: list[float] = []

    def overloaded(photos: Sequence[bytes]) -> Response | None:
        asked.append(time.monotonic())
        return Response("{}", code, headers={"Retry-After": "1"}) if len(asked) == 1 else None

    sidecar.behaviour = overloaded
    assert full.run() == 0
    assert_all_predicted(full)


def test_a_server_that_stays_overloaded_stops_the_night(full: Night, sidecar: FakeSidecar) -> None:
    sidecar.behaviour = status(503, **{"Retry-After": "1"})
    assert full.run() == 1
    assert_untouched(full)


def test_a_server_whose_release_breaks_during_the_night_is_not_waited_for(
    full: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.server.pool.BUSY_SECONDS", 600)

    def breaks(_: Sequence[bytes]) -> Response:
        sidecar.health["status"] = "broken"
        return Response("{}", 503)

    sidecar.behaviour = breaks
    assert full.run() == 1
    assert_untouched(full)


def test_the_one_photo_that_the_server_cannot_bear_fails_and_the_others_are_predicted(
    full: Night, sidecar: FakeSidecar
) -> None:
    full.drop("20 bad.jpg", photo("poison"))
    sidecar.behaviour = lambda photos: (
        Response("{}", 500) if any(b"poison" in content for content in photos) else None
    )
    assert full.run() == 3
    rows = {row["file_name"]: row for row in full.csv()}
    assert "fails on this photo" in rows.pop("20 bad.jpg")["error"]
    assert {row["status"] for row in rows.values()} == {"processed"}
    assert len(rows) == 40
    with_poison = [photos for photos in sidecar.asked if any(b"poison" in content for content in photos)]
    assert [len(photos) for photos in with_poison] == [8, 8, 1, 1]


@pytest.fixture
def sick(night: Night) -> Night:
    """A night with sixty photos that all fail."""
    for number in range(60):
        night.drop(f"{number:02}.jpg", photo(f"photo {number}", broken=True))
    return night


CHECK_FAULTS: dict[str, Callable[[list[str]], Response]] = {
    "unknown": lambda _: Response("{}", 404),
    "500": lambda _: Response("{}", 500),
    "refused": lambda _: Response("{}", 401),
    "busy": lambda _: Response("{}", 503, headers={"Retry-After": "1"}),
    "cut off": lambda _: cut_off([]),
    "hangs": lambda _: hang([]),
    "HTML": lambda _: Response("<html>It works!</html>"),
    "a list": lambda _: Response("[]"),
    "nothing said": lambda _: Response("{}"),
    "no clear answer": lambda _: Response('{"sound": "yes", "detail": ""}'),
    "a detail that is no text": lambda _: Response('{"sound": true, "detail": 7}'),
    "half a character": lambda _: Response('{"sound": false, "detail": "\\ud800"}'),
    "not sound": lambda _: Response('{"sound": false, "detail": "golden photo 3 is answered wrongly"}'),
}


@pytest.mark.parametrize("fault", CHECK_FAULTS)
def test_while_nobody_can_tell_that_the_server_is_sound_no_failed_photo_is_filed(
    fault: str, sick: Night, sidecar: FakeSidecar
) -> None:
    sidecar.check_behaviour = CHECK_FAULTS[fault]
    assert sick.run() == 1
    assert all(row["status"] == "failed" for row in sick.csv())
    assert len(sick.csv()) < 50
    assert len(sick.csv()) + len(sick.waiting()) == 60
    with Ledger(sick.settings.ledger_path) as ledger:
        ended = ledger.last_run()
    assert ended is not None
    assert "ERROR_BUDGET" in ended.message
    assert ended.finished_at


@pytest.mark.parametrize("fault", sorted(set(CHECK_FAULTS) - {"unknown", "refused", "not sound"}))
def test_a_check_that_fails_once_is_asked_for_again(fault: str, sick: Night, sidecar: FakeSidecar) -> None:
    sidecar.check_behaviour = lambda formats: (
        CHECK_FAULTS[fault](formats) if len(sidecar.checked) == 1 else None
    )
    assert sick.run() == 3
    assert sick.waiting() == []
    assert len(sidecar.checked) == 2


def test_the_check_is_about_the_formats_that_failed(night: Night, sidecar: FakeSidecar) -> None:
    for number in range(30):
        night.drop(f"{number:02}.jpg", photo(f"photo {number}", broken=True))
        night.drop(f"{number:02}.png", b"\x89PNG\r\n\x1a\n" + bytes([number]))
        night.drop(f"{number:02}.gif", b"GIF89a" + bytes([number]))

    def two_fail(photos: Sequence[bytes]) -> Response:
        damaged = {"error": {"status": 422, "detail": "The photo is damaged."}}
        fine = {"prediction": prediction()}
        results = [fine if content.startswith(b"GIF") else damaged for content in photos]
        return Response(json.dumps({"model_version": "fake-1", "results": results}))

    sidecar.behaviour = two_fail
    assert night.run() == 3
    assert sidecar.checked[0] == ["JPEG", "PNG"]


def test_a_server_that_did_not_start_leaves_a_finished_row(own_server: Callable[..., Night]) -> None:
    night = own_server("stillborn")
    assert night.run() == 1
    with Ledger(night.settings.ledger_path) as ledger:
        ended = ledger.last_run()
    assert ended is not None
    assert (ended.exit_code, bool(ended.finished_at)) == (1, True)
    assert "I cannot start." in ended.message


@pytest.fixture
def own_server(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Night]:
    """A night with forty photos that starts its own, sick, server."""

    def make(sickness: str = "") -> Night:
        monkeypatch.setattr("batch.server.sidecar.COMMAND", sick_server.COMMAND)
        monkeypatch.setattr("batch.server.sidecar.START_SECONDS", 60)
        monkeypatch.setattr("batch.server.sidecar.PAUSES", (0, 0, 0.1, 0.2, 0.4))
        monkeypatch.setattr("batch.server.client.ANSWER_SECONDS", 1.5)
        monkeypatch.setattr("batch.server.pool.PROOF_SECONDS", 10)
        monkeypatch.setenv("SICKNESS", sickness)
        monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
        night = make_night(api_url=())
        for number in range(40):
            night.drop(f"{number:02}.jpg", photo(f"photo {number + 100}"))
        return night

    return make


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "starts").read_text().splitlines())


def test_a_photo_that_kills_the_server_is_isolated_and_no_bystander_is_blamed(
    own_server: Callable[..., Night], tmp_path: Path
) -> None:
    night = own_server()
    night.drop("00 bad.jpg", photo("poison"))  # the first of its request: nothing works before it
    assert night.run() == 3
    rows = {row["file_name"]: row for row in night.csv()}
    assert rows.pop("00 bad.jpg")["status"] == "failed"
    assert [row["status"] for row in rows.values()] == ["processed"] * 40
    assert starts(tmp_path) <= 5  # the first one, and after each of: the request, the request alone, 1, 1


def test_many_photos_that_kill_the_server_are_each_set_aside_and_the_night_goes_on(
    own_server: Callable[..., Night], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 16)
    night = own_server()
    killers = [f"{number:02} bad.jpg" for number in range(0, 16, 2)]
    for name in killers:
        night.drop(name, photo(f"poison {name}"))
    assert night.run() == 3
    rows = {row["file_name"]: row for row in night.csv()}
    for name in killers:
        assert rows[name]["status"] == "failed"
        assert "The model server fails on this photo" in rows.pop(name)["error"]
    assert [row["status"] for row in rows.values()] == ["processed"] * 40
    # two for each killer, two for each of the requests in flight while one was there, and the first one
    assert starts(tmp_path) <= 2 * len(killers) + 2 * 3 + 1
    assert night.waiting() == []


def test_photos_that_kill_the_server_one_after_the_other_do_not_count_as_its_own_deaths(
    own_server: Callable[..., Night],
) -> None:
    """It answers a probe in between: so often it may be started again."""
    night = own_server()
    for path in night.incoming.iterdir():
        path.unlink()
    for number in range(4):
        night.drop(f"{number}.jpg", photo(f"poison {number}"))
    assert night.run() == 3
    assert [row["status"] for row in night.csv()] == ["failed"] * 4
    assert night.waiting() == []


def test_a_photo_that_makes_the_server_hang_is_isolated_too(own_server: Callable[..., Night]) -> None:
    night = own_server()
    night.drop("21 bad.jpg", photo("tar"))
    assert night.run() == 3
    rows = {row["file_name"]: row for row in night.csv()}
    assert "no answer" in rows.pop("21 bad.jpg")["error"]
    assert [row["status"] for row in rows.values()] == ["processed"] * 40


@pytest.mark.parametrize("sickness", ["stillborn", "dies of every photo"])
def test_a_server_that_dies_at_every_start_is_given_up(
    sickness: str, own_server: Callable[..., Night], tmp_path: Path
) -> None:
    night = own_server(sickness)
    assert night.run() == 1
    assert_untouched(night)
    assert 4 <= starts(tmp_path) <= 5  # the last one may be ended before it counts itself


def test_what_is_done_when_the_server_dies_for_good_is_kept_and_the_next_night_does_the_rest(
    own_server: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = own_server("dies once and for all")
    monkeypatch.setattr("batch.night.sweep.REQUESTS_IN_FLIGHT", 1)
    night.drop("later/a.jpg", photo("photo 50"))
    assert night.run() == 1
    done = night.csv()
    assert len(done) + len([name for name in night.waiting() if name.endswith(".jpg")]) == 41
    assert len(done) == len(night.files()) > 0
    monkeypatch.setenv("SICKNESS", "")
    assert night.run() == 0
    assert night.csv()[: len(done)] == done
    assert_all_predicted(night, 41)


def test_an_interrupted_night_does_not_wait_for_an_answer_that_does_not_come(
    full: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.server.client.ANSWER_SECONDS", 600)
    monkeypatch.setattr("batch.night.sweep.END_SECONDS", 0.5)
    sidecar.behaviour = hang
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    assert full.run() == 143
    assert time.monotonic() - started < 5
    assert_untouched(full)


def test_an_interrupted_night_does_not_wait_for_a_check_that_does_not_come(
    sick: Night, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.server.client.ANSWER_SECONDS", 600)
    monkeypatch.setattr("batch.night.sweep.END_SECONDS", 0.5)

    def interrupt_and_hang(_: list[str]) -> Response:
        os.kill(os.getpid(), signal.SIGTERM)
        return hang([])

    sidecar.check_behaviour = interrupt_and_hang
    assert sick.run() == 143
    assert len(sick.csv()) < 50
    assert len(sick.csv()) + len(sick.waiting()) == 60
