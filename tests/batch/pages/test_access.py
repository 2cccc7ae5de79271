"""Who may ask for what: by which address, from which page, signed in or not."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from batch.pages import access, create_app, users
from batch.pages.access import Addresses, ExposureError, check_exposure
from batch.pages.users import Role
from batch.settings import BatchSettings
from settings import SettingError, load
from tests.batch.pages.conftest import PASSWORD, Reader
from tests.batch.pages.sample_pages import Sample

AddUser = Callable[..., None]


def reached_by(sample: Sample, host: str, scheme: str = "http", **overrides: object) -> Reader:
    """The pages with other settings, as somebody reaches them."""
    settings = sample.settings.model_copy(update=overrides)
    return Reader(create_app(settings).test_client(), host, scheme)


def url(text: str) -> Any:
    return load(BatchSettings, pages_url=text).pages_url


def test_on_this_machine_alone_nobody_has_to_sign_in(reader: Reader) -> None:
    assert reader.get("/").status_code == 200
    assert "Sign out" not in reader.get("/").text


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1:8000.evil.example", ""]
)
def test_a_request_by_another_name_is_refused(reader: Reader, host: str) -> None:
    assert reader.get("/", Host=host).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_every_name_of_this_machine_is_right(reader: Reader, host: str) -> None:
    assert reader.get("/", Host=host).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001"]
)
def test_a_request_from_another_sites_page_is_refused(reader: Reader, origin: str) -> None:
    assert reader.get("/", Origin=origin).status_code == 403
    assert reader.send("/review/decide", {}, Origin=origin).status_code == 403
    assert reader.post("/failed/all-again", Origin=origin).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_can_link_here_and_nothing_else(reader: Reader, site: str) -> None:
    assert reader.get("/", Sec_Fetch_Site=site, Sec_Fetch_Dest="document").status_code == 200
    for dest in ("image", "script", "iframe", "empty"):
        assert (
            reader.get("/review/photos?tab=abcdefgh", Sec_Fetch_Site=site, Sec_Fetch_Dest=dest).status_code
            == 403
        )
    assert reader.get("/", Sec_Fetch_Site="same-origin", Sec_Fetch_Dest="image").status_code == 200


def test_a_change_has_to_say_from_which_page_it_comes(reader: Reader) -> None:
    assert reader.send("/review/decide", {"id": 1}, Origin="").status_code == 403
    assert reader.post("/failed/all-again", Origin="").status_code == 403


def test_no_form_can_send_a_decision(reader: Reader) -> None:
    assert reader.post("/review/decide", {"id": "1"}).status_code == 400


@pytest.mark.parametrize("header", access.FORWARDING)
def test_a_proxy_that_nobody_has_told_of_is_noticed(reader: Reader, header: str) -> None:
    refused = reader.get("/", **{header: "10.0.0.7"})
    assert refused.status_code == 403
    assert "PAGES_URL" in refused.text


def test_once_there_is_a_user_everybody_signs_in_here_too(reader: Reader, add: AddUser) -> None:
    add("Anna")
    asked = reader.get("/runs?before=x")
    assert asked.status_code == 302
    assert asked.location == "/sign-in?to=/runs?before%3Dx"
    assert reader.json("/review/photos?tab=abcdefgh").status_code == 401
    assert reader.get("/picture/1/small", Accept="image/*").status_code == 401
    for shown in ("/sign-in", "/static/pages.css", "/report.css"):
        assert reader.get(shown).status_code == 200
    assert reader.sign_in("Anna").location == "/"
    assert "Anna" in reader.get("/").text


def test_a_name_is_found_in_any_case_and_a_password_only_as_it_is(reader: Reader, add: AddUser) -> None:
    add("Anna")
    assert reader.sign_in("anna", PASSWORD.upper()).status_code == 403
    assert reader.get("/").status_code == 302
    assert reader.sign_in(" ANNA ").status_code == 303


def test_after_the_sign_in_one_is_where_one_wanted_to_go(reader: Reader, add: AddUser) -> None:
    add("Anna")
    signed_in = reader.post("/sign-in", {"name": "Anna", "password": PASSWORD, "to": "/review?sub=pants"})
    assert signed_in.location == "/review?sub=pants"


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb"])
def test_but_never_on_another_site(reader: Reader, add: AddUser, to: str) -> None:
    add("Anna")
    assert reader.post("/sign-in", {"name": "Anna", "password": PASSWORD, "to": to}).location == "/"


def test_passwords_cannot_be_tried_without_end(
    reader: Reader, add: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("Anna")
    monkeypatch.setattr(users, "check_password", lambda *_: None)
    codes = [reader.sign_in("Anna", "wrong").status_code for _ in range(access.TRIES + 1)]
    assert codes == [403] * access.TRIES + [429]
    monkeypatch.undo()
    assert reader.sign_in("Anna").status_code == 429


def test_who_has_signed_in_stays_so_until_the_password_changes(reader: Reader, add: AddUser) -> None:
    add("Anna")
    reader.sign_in("Anna")
    assert reader.get("/").status_code == 200
    add("Anna", password="quite another password")
    assert reader.get("/").status_code == 302


def test_who_is_deleted_is_out_at_once(reader: Reader, add: AddUser, sample: Sample) -> None:
    add("Anna")
    add("Bert")
    reader.sign_in("Anna")
    users.delete(sample.settings, "Anna")
    assert reader.get("/").status_code == 302


def test_signing_out_ends_the_session(reader: Reader, add: AddUser) -> None:
    add("Anna")
    reader.sign_in("Anna")
    assert reader.post("/sign-out").location == "/sign-in"
    assert reader.get("/").status_code == 302


def test_a_session_cannot_be_made_up(reader: Reader, add: AddUser) -> None:
    add("Anna")
    reader.client.set_cookie("nightsort", "eyJuYW1lIjoiQW5uYSJ9.aaaa.bbbb", domain="127.0.0.1")
    assert reader.get("/").status_code == 302


def test_the_cookie_is_for_nobody_else(reader: Reader, add: AddUser) -> None:
    add("Anna")
    cookie = reader.sign_in("Anna").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


def test_what_concerns_many_photos_is_the_leads(reader: Reader, add: AddUser) -> None:
    add("Anna")
    add("Lena", Role.LEAD)
    reader.sign_in("Anna")
    assert reader.post("/failed/all-again").status_code == 403
    assert "Try all again" not in reader.get("/failed").text
    reader.sign_in("Lena")
    assert reader.post("/failed/all-again").status_code == 303


def test_every_answer_forbids_scripts_and_pictures_of_others(reader: Reader) -> None:
    for path in ("/", "/review", "/static/pages.css", "/nothing", "/picture/1/small"):
        headers = reader.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_has_a_style_or_a_script_of_its_own_or_of_another_host(reader: Reader) -> None:
    for path in (
        "/",
        "/review",
        "/review/grid",
        "/review/audit",
        "/runs",
        "/runs/last",
        "/photos/1",
        "/failed",
    ):
        page = reader.get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! type=\"module\" src=)", page), path
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page), path


def test_a_page_of_photos_is_kept_by_no_browser(reader: Reader) -> None:
    assert reader.get("/").headers["Cache-Control"] == "no-store"


def test_below_a_path_behind_a_proxy_every_address_has_that_path(sample: Sample, add: AddUser) -> None:
    add("Anna")
    reader = reached_by(sample, "example.org", "https", pages_url=url("https://example.org/photos/"))
    for asked in ("/photos/runs", "/runs"):  # as proxies pass it on: whole, or without the path
        assert reader.get(asked).location == "/photos/sign-in?to=/runs"
    signed_in = reader.post("/photos/sign-in", {"name": "Anna", "password": PASSWORD, "to": "/runs"})
    assert signed_in.location == "/photos/runs"
    assert "Secure" in signed_in.headers["Set-Cookie"]
    assert "Path=/photos/" in signed_in.headers["Set-Cookie"]


def test_no_forwarding_header_changes_an_address(sample: Sample, add: AddUser) -> None:
    add("Anna")
    reader = reached_by(sample, "example.org", "https", pages_url=url("https://example.org"))
    asked = reader.get(
        "/runs", X_Forwarded_Host="evil.example", X_Forwarded_Prefix="/evil", X_Forwarded_Proto="http"
    )
    assert asked.location == "/sign-in?to=/runs"


def test_users_who_are_gone_leave_no_door_open(sample: Sample, add: AddUser) -> None:
    add("Anna")
    reader = reached_by(sample, "example.org", "https", pages_url=url("https://example.org"))
    users.delete(sample.settings, "Anna")
    assert reader.get("/").status_code == 403


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"pages_host": "0.0.0.0"}, "users add"),
        ({"pages_url": "https://example.org"}, "users add"),
    ],
)
def test_strangers_cannot_reach_pages_without_users(overrides: dict[str, str], words: str) -> None:
    with pytest.raises(ExposureError, match=words):
        check_exposure(load(BatchSettings, **overrides), has_users=False)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"pages_host": "0.0.0.0"}, "PAGES_URL"),
        ({"pages_host": "0.0.0.0", "pages_url": "http://photos.lan:8000"}, "PAGES_PLAIN_HTTP"),
        ({"pages_url": "http://example.org"}, "PAGES_PLAIN_HTTP"),
    ],
)
def test_passwords_do_not_cross_the_network_unless_that_is_wanted(
    overrides: dict[str, str], words: str
) -> None:
    with pytest.raises(ExposureError, match=words):
        check_exposure(load(BatchSettings, **overrides), has_users=True)


def test_plain_http_is_warned_of_at_every_start() -> None:
    settings = load(
        BatchSettings, pages_host="0.0.0.0", pages_url="http://photos.lan:8000", pages_plain_http="yes"
    )
    assert "unencrypted" in check_exposure(settings, has_users=True)


def test_a_proxy_with_tls_and_users_is_all_that_is_needed() -> None:
    assert check_exposure(load(BatchSettings, pages_url="https://example.org/photos"), has_users=True) == ""


def test_an_address_with_a_password_in_it_is_refused() -> None:
    with pytest.raises(SettingError, match="PAGES_URL"):
        load(BatchSettings, pages_url="https://me:secret@example.org")


def test_the_address_that_is_shown_is_the_one_to_type() -> None:
    assert Addresses(load(BatchSettings)).shown == "http://127.0.0.1:8000"
    assert (
        Addresses(load(BatchSettings, pages_url="https://example.org/photos/")).shown
        == "https://example.org/photos"
    )


def test_an_ipv6_network_counts_as_one_that_tries(
    sample: Sample, add: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("Anna")
    monkeypatch.setattr(users, "check_password", lambda *_: None)
    reader = reached_by(sample, "example.org", "https", pages_url=url("https://example.org"))
    tries = [
        reader.post(
            "/sign-in", {"name": "x", "password": "y"}, X_Forwarded_For=f"1.2.3.4, 2001:db8::{number:x}"
        )
        for number in range(access.TRIES + 1)
    ]
    assert tries[-1].status_code == 429
    elsewhere = reader.post("/sign-in", {"name": "x", "password": "y"}, X_Forwarded_For="2001:db9::1")
    assert elsewhere.status_code == 403
