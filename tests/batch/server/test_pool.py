"""Several servers for one night: who is asked, who is left out, who is taken back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from flask import Response, jsonify

from api_answers import Predicted
from batch.server.client import SidecarError
from batch.server.pool import Pool, ServerFailedError
from batch.server.remote import Remote
from batch.server.sidecar import SidecarDownError
from tests.fake_sidecar import FakeSidecar, photo


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds are the product's, only smaller."""
    monkeypatch.setattr("batch.server.sidecar.START_SECONDS", 1)
    monkeypatch.setattr("batch.server.pool.PAUSES", (0.02,))
    monkeypatch.setattr("batch.server.pool.PROOF_SECONDS", 2)


@pytest.fixture
def two() -> Iterator[tuple[FakeSidecar, FakeSidecar]]:
    with FakeSidecar() as one, FakeSidecar() as other:
        yield one, other


def pool_of(*servers: FakeSidecar) -> Pool:
    return Pool([Remote(server.url) for server in servers])


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come about")


def are_all_at_work(pool: Pool) -> bool:
    return all(member.term for member in pool._members)


def asked(server: FakeSidecar) -> int:
    """Requests about photos of ours, the probe left out."""
    return sum(photos[0].startswith(b"\xff\xd8") for photos in server.asked)


def refuse(_: Sequence[bytes]) -> Response:
    return Response("{}", 500)


def test_idle_servers_are_asked_by_turns(two: tuple[FakeSidecar, FakeSidecar]) -> None:
    with pool_of(*two) as pool:
        wait_until(lambda: are_all_at_work(pool))
        for number in range(10):
            (answer,) = pool.predict([photo(f"{number}")])
            assert isinstance(answer.result, Predicted)
    assert [asked(server) for server in two] == [5, 5]


def test_whoever_owes_the_fewest_photos_is_asked_next(two: tuple[FakeSidecar, FakeSidecar]) -> None:
    one, other = two
    let_go = threading.Event()
    one.behaviour = lambda _: refuse([]) if not let_go.wait(30) else None
    with pool_of(one, other) as pool:
        wait_until(lambda: are_all_at_work(pool))
        slow = threading.Thread(target=pool.predict, args=([photo("a"), photo("b")],))
        slow.start()
        wait_until(lambda: asked(one) == 1)
        for number in range(5):  # one photo at a time: it never owes as much
            pool.predict([photo(f"{number}")])
        let_go.set()
        slow.join()
    assert (asked(one), asked(other)) == (1, 5)


def test_the_night_begins_with_whoever_is_there(two: tuple[FakeSidecar, FakeSidecar]) -> None:
    one, _ = two
    with Pool([Remote("http://127.0.0.1:9"), Remote(one.url)]) as pool:
        assert len(pool.predict([photo("a"), photo("b")])) == 2


def test_without_anybody_each_is_named_with_its_reason(two: tuple[FakeSidecar, FakeSidecar]) -> None:
    one, other = two
    one.health.update(status="broken", detail="the release is damaged")
    other.token = "another"
    with (
        pytest.raises(SidecarDownError, match=r"no model server is left: .*damaged.*refused us \(401"),
        pool_of(one, other),
    ):
        pass


def test_a_password_in_an_address_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with (
        pytest.raises(SidecarDownError, match="no model server is left") as error,
        Pool([Remote("http://me:hush@127.0.0.1:9"), Remote("http://me:hush@127.0.0.1:11")]),
    ):
        pass
    assert "hush" not in str(error.value) + caplog.text


def test_one_that_fails_is_left_out_until_it_has_proved_itself(
    two: tuple[FakeSidecar, FakeSidecar],
) -> None:
    one, other = two
    with pool_of(one, other) as pool:
        wait_until(lambda: are_all_at_work(pool))
        golden = one.golden_checks
        one.behaviour = refuse
        with pytest.raises(ServerFailedError, match="500"):
            pool.predict([photo("a")])
        before = asked(one)
        for number in range(6):
            pool.predict([photo(f"{number}")])
        assert (asked(one) - before, asked(other)) == (0, 6)
        one.behaviour = None
        wait_until(lambda: are_all_at_work(pool))
        assert (
            one.golden_checks > golden
        )  # its golden photos, and then one that was asked for in the same way
        for number in range(4):
            pool.predict([photo(f"again {number}")])
        assert asked(one) - before == 2


def test_no_server_is_asked_before_it_has_passed_its_own_check(two: tuple[FakeSidecar, FakeSidecar]) -> None:
    one, other = two
    one.golden_behaviour = lambda _: jsonify(sound=False, detail="golden photo 3 is answered wrongly")
    with pool_of(one, other) as pool:
        for number in range(4):
            pool.predict([photo(f"{number}")])
        wait_until(lambda: one.golden_checks > 2)
        assert (one.asked, asked(other)) == ([], 4)
        one.golden_behaviour = None
        wait_until(lambda: are_all_at_work(pool))
        pool.predict([photo("a")])
        assert asked(one) == 1


def test_a_busy_server_rests_while_the_others_go_on(two: tuple[FakeSidecar, FakeSidecar]) -> None:
    one, other = two
    one.behaviour = lambda _: Response("{}", 503, headers={"Retry-After": "20"})
    with pool_of(one, other) as pool:
        wait_until(lambda: are_all_at_work(pool))
        with pytest.raises(SidecarError, match="overloaded"):
            pool.predict([photo("a")])
        for number in range(5):
            pool.predict([photo(f"{number}")])
    assert (asked(one), asked(other)) == (1, 5)


def test_a_server_that_was_only_busy_need_not_prove_itself_again_unless_it_has_another_release(
    two: tuple[FakeSidecar, FakeSidecar],
) -> None:
    one, _ = two
    with pool_of(one) as pool:
        for release, checks in (("fake-1", 1), ("fake-2", 2)):
            one.release = one.health["model_version"] = release
            one.behaviour = lambda _: Response("{}", 503, headers={"Retry-After": "0"})
            with pytest.raises(SidecarError, match="overloaded"):
                pool.predict([photo("a")])
            one.behaviour = None
            pool.predict([photo("a")])
            assert one.golden_checks == checks


def test_another_release_behind_the_same_address_has_to_be_sound_before_its_answers_count(
    two: tuple[FakeSidecar, FakeSidecar],
) -> None:
    one, _ = two
    with pool_of(one) as pool:
        assert pool.predict([photo("a")])[0].model_version == "fake-1"
        golden = one.golden_checks
        one.release = one.health["model_version"] = "fake-2"
        assert pool.predict([photo("b")])[0].model_version == "fake-2"
        pool.predict([photo("c")])
        assert one.golden_checks == golden + 1
        assert pool.versions == ["fake-1", "fake-2"]
        one.release = "fake-3"
        one.golden_behaviour = lambda _: jsonify(sound=False, detail="golden photo 3 is answered wrongly")
        with pytest.raises(ServerFailedError, match="golden photo 3"):
            pool.predict([photo("d")])


def test_a_server_in_doubt_has_to_read_the_formats_that_failed_and_its_last_answers_are_void(
    two: tuple[FakeSidecar, FakeSidecar],
) -> None:
    one, other = two
    with pool_of(one, other) as pool:
        wait_until(lambda: are_all_at_work(pool))
        answers = [pool.predict([photo(f"{number}")])[0] for number in range(2)]
        doubted = answers[0].term.member
        one.soundness = {"sound": False, "detail": "the HEIC sample cannot be read"}
        assert "the HEIC sample cannot be read" in pool.doubt(doubted, ["HEIC"])
        assert [answer.term.is_void for answer in answers] == [True, False]
        assert pool.has_others(doubted)
        one.soundness = {"sound": True, "detail": ""}
        wait_until(lambda: are_all_at_work(pool))
        assert one.checked[-1] == ["HEIC"]
        assert pool.doubt(doubted, ["HEIC"]) == ""
        wait_until(lambda: are_all_at_work(pool))
        assert not pool.predict([photo("x")])[0].term.is_void
