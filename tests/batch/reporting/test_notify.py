"""Who is told of a night, when, and with what: against servers that really listen."""

import base64
import json
import re
from collections.abc import Callable, Iterator

import pytest

from batch.lock import run_lock
from batch.records.ledger import Ledger
from tests.batch.conftest import Night
from tests.batch.reporting import listeners
from tests.batch.reporting.listeners import Listener
from tests.batch.reporting.test_health import sound_release
from tests.fake_sidecar import FakeSidecar, photo


@pytest.fixture
def web() -> Iterator[Listener]:
    with listeners.http() as listener:
        yield listener


@pytest.fixture
def mail() -> Iterator[Listener]:
    with listeners.smtp() as listener:
        yield listener


def ping(web: Listener) -> str:
    return f"http://127.0.0.1:{web.port}/ping/secret"


def webhook(web: Listener) -> str:
    return f"json://127.0.0.1:{web.port}/hook"


def messages(web: Listener) -> list[dict[str, str]]:
    return [json.loads(line.split(" ", 2)[2]) for line in web.received if line.startswith("POST /hook")]


def test_a_night_calls_at_its_start_and_at_its_end_with_the_exit_code(
    make_night: Callable[..., Night], web: Listener
) -> None:
    night = make_night(ping_url=ping(web))
    night.drop("a.jpg", photo("a"))
    night.run()
    assert web.received == ["GET /ping/secret/start", "GET /ping/secret/0"]


def test_a_failed_night_calls_with_its_exit_code(
    make_night: Callable[..., Night], web: Listener, sidecar: FakeSidecar
) -> None:
    night = make_night(ping_url=ping(web))
    sidecar.token = "another"
    night.drop("a.jpg", photo("a"))
    assert night.run() == 1
    assert web.received[-1] == "GET /ping/secret/1"


def test_a_run_that_is_locked_out_does_not_call(make_night: Callable[..., Night], web: Listener) -> None:
    night = make_night(ping_url=ping(web))
    with run_lock(night.settings.data_dir):
        night.run()
    assert web.received == []


def test_a_night_goes_on_when_nobody_answers_its_call_and_keeps_the_address_secret(
    make_night: Callable[..., Night], web: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    web.status = 500
    night = make_night(ping_url=ping(web))
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert len(web.received) == 6  # each is tried three times
    assert "PING_URL could not be called" in caplog.text
    assert "secret" not in caplog.text


def test_a_quiet_night_is_quiet(make_night: Callable[..., Night], web: Listener) -> None:
    night = make_night(notify_urls=webhook(web))
    sound_release(night)
    night.drop("a.jpg", photo("a"))
    night.run()
    assert messages(web) == []


def test_always_means_after_every_night(make_night: Callable[..., Night], web: Listener) -> None:
    night = make_night(notify_urls=webhook(web), notify_when="always")
    sound_release(night)
    night.drop("a.jpg", photo("a"))
    night.run()
    (message,) = messages(web)
    assert message["title"] == "Nightsort: done, 1 file, 0 % to review"
    assert "1 file: 1 filed, 0 to review (0 %)." in message["message"]
    assert "Nothing to do." in message["message"]


def test_a_night_that_went_wrong_is_told_with_its_reason(
    make_night: Callable[..., Night], web: Listener, sidecar: FakeSidecar
) -> None:
    night = make_night(notify_urls=webhook(web))
    sidecar.token = "another"
    night.drop("a.jpg", photo("a"))
    night.run()
    (message,) = messages(web)
    assert "NOT DONE" in message["title"]
    assert "API_TOKEN" in message["message"]


def test_health_that_worsens_is_told_once(make_night: Callable[..., Night], web: Listener) -> None:
    night = make_night(notify_urls=webhook(web))
    sound_release(night)
    for number in range(20):
        night.drop(f"{number}.txt", f"no photo {number}".encode())
    night.run()
    night.drop("a.jpg", photo("a"))
    night.run()  # health has become better on the whole date, or stayed: no message
    (message,) = messages(web)
    assert "CRITICAL failed: 20 of 20 photos failed" in message["message"]


def test_a_mail_arrives_with_the_report(make_night: Callable[..., Night], mail: Listener) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=night@example.org&to=you@example.org&mode=insecure"
    night = make_night(notify_urls=url, notify_when="always")
    sound_release(night)
    night.drop("a.jpg", photo("a"))
    night.run()
    (text,) = mail.received
    assert "Subject: Nightsort: done, 1 file, 0 % to review" in text
    with Ledger(night.settings.ledger_path) as ledger:
        run_id = ledger.runs()[-1].run_id
    assert f"{run_id}.html" in text
    attached = re.search(rf'filename="?{run_id}.*?\n\r?\n(.*?)\r?\n--', text, re.DOTALL)
    assert attached
    assert b"<!doctype html>" in base64.b64decode(attached[1])


def test_an_address_nobody_understands_is_a_line_in_the_log(
    make_night: Callable[..., Night], web: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    night = make_night(notify_urls=f"nonsense, {webhook(web)}", notify_when="always")
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert "address 1" in caplog.text
    assert len(messages(web)) == 1


@pytest.mark.parametrize(("setting", "told"), [(None, "0"), ("success", "0"), ("failure", "3")])
def test_whether_unreadable_files_make_a_failure_for_the_watcher_is_a_setting(
    make_night: Callable[..., Night], web: Listener, setting: str | None, told: str
) -> None:
    night = make_night(ping_url=ping(web), **({"ping_failed_photos": setting} if setting else {}))
    night.drop("a.jpg", photo("a"))
    night.drop("list.pdf", b"no photo")
    assert night.run() == 3
    assert web.received[-1] == f"GET /ping/secret/{told}"


def test_a_message_says_the_share_for_review_and_the_next_step(
    make_night: Callable[..., Night], web: Listener
) -> None:
    night = make_night(notify_urls=webhook(web), notify_when="always")
    sound_release(night)
    for number in range(3):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.drop("doubt.jpg", photo("d", doubt=True))
    night.drop("list.pdf", b"no photo")
    night.run()
    (message,) = messages(web)
    assert "25 % to review" in message["title"]
    assert "1 to review (25 %)" in message["message"]
    assert "- 1 to decide (in review/)" in message["message"]
    assert "- 1 to photograph or send again (in failed/)" in message["message"]


def test_a_message_about_a_failed_night_says_what_is_safe_and_what_to_do(
    make_night: Callable[..., Night], web: Listener, sidecar: FakeSidecar
) -> None:
    night = make_night(notify_urls=webhook(web))
    sidecar.token = "another"
    for number in range(3):
        night.drop(f"{number}.jpg", photo(str(number)))
    night.run()
    (message,) = messages(web)
    assert "3 photos are safe in incoming" in message["message"]
    assert "python -m batch logs last" in message["message"]
