"""The file with the people who may sign in, and the key of their sessions."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from batch.pages import users
from batch.pages.users import Keeper, Role, SecretsError, UserError
from batch.settings import BatchSettings
from settings import load

PASSWORD = "a long enough password"


@pytest.fixture
def settings(tmp_path: Path) -> BatchSettings:
    return load(BatchSettings, data_dir=tmp_path / "data", pages_secrets=tmp_path / "keys" / "secrets.json")


def test_there_is_no_file_until_somebody_is_added(settings: BatchSettings) -> None:
    assert users.read(settings).users == {}
    assert not settings.pages_secrets.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_only_its_owner_can_read_the_file(settings: BatchSettings) -> None:
    before = os.umask(0)
    try:
        users.add(settings, "Anna", Role.LEAD, PASSWORD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings.pages_secrets.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_a_file_that_others_can_read_is_refused(settings: BatchSettings) -> None:
    users.add(settings, "Anna", Role.LEAD, PASSWORD)
    settings.pages_secrets.chmod(0o640)
    with pytest.raises(SecretsError, match="chmod 600"):
        users.read(settings)


def test_passwords_are_not_in_it(settings: BatchSettings) -> None:
    users.add(settings, "Anna", Role.LEAD, PASSWORD)
    content = settings.pages_secrets.read_text("utf-8")
    assert PASSWORD not in content
    assert "$argon2id$" in content


def test_it_never_lies_among_the_photos(tmp_path: Path) -> None:
    settings = load(BatchSettings, data_dir=tmp_path, pages_secrets=tmp_path / "below" / "secrets.json")
    with pytest.raises(SecretsError, match="DATA_DIR"):
        users.add(settings, "Anna", Role.LEAD, PASSWORD)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(tmp_path)
    settings = load(
        BatchSettings, data_dir=tmp_path, pages_secrets=tmp_path / "elsewhere" / "link" / "s.json"
    )
    with pytest.raises(SecretsError, match="DATA_DIR"):
        users.read(settings)


def test_a_second_add_changes_password_and_role_and_keeps_the_key(settings: BatchSettings) -> None:
    assert users.add(settings, "Anna", Role.REVIEWER, PASSWORD)
    before = users.read(settings)
    assert not users.add(settings, "anna", Role.LEAD, "another long password")
    after = users.read(settings)
    assert after.key == before.key
    assert list(after.users) == ["Anna"]
    assert after.users["Anna"].role is Role.LEAD
    assert users.check_password(after, "Anna", "another long password")
    assert not users.check_password(after, "Anna", PASSWORD)


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\x1b[31m", "a\u202eb", "Person 7"])
def test_a_name_that_cannot_be_shown_is_refused(settings: BatchSettings, name: str) -> None:
    with pytest.raises(UserError):
        users.add(settings, name, Role.REVIEWER, PASSWORD)


@pytest.mark.parametrize("password", ["short", "x" * 1001])
def test_a_password_is_neither_short_nor_endless(settings: BatchSettings, password: str) -> None:
    with pytest.raises(UserError):
        users.add(settings, "Anna", Role.REVIEWER, password)


def test_names_are_one_however_they_are_written(settings: BatchSettings) -> None:
    users.add(settings, "Zoe\u0308  B", Role.REVIEWER, PASSWORD)
    assert list(users.read(settings).users) == ["Zoë B"]
    assert users.check_password(users.read(settings), "zoë b", PASSWORD)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"key": "a", "users": [{}]}', "\x00"])
def test_a_damaged_file_is_said_to_be_so(settings: BatchSettings, content: str) -> None:
    users.add(settings, "Anna", Role.REVIEWER, PASSWORD)
    settings.pages_secrets.write_text(content)
    with pytest.raises(SecretsError, match="damaged"):
        users.read(settings)


def test_the_pages_notice_a_change_at_once(settings: BatchSettings) -> None:
    keeper = Keeper(settings)
    assert not keeper.now().users
    users.add(settings, "Anna", Role.REVIEWER, PASSWORD)
    assert list(keeper.now().users) == ["Anna"]
    users.delete(settings, "Anna")
    assert not keeper.now().users


def test_who_is_not_there_cannot_be_deleted(settings: BatchSettings) -> None:
    with pytest.raises(UserError, match="no such user"):
        users.delete(settings, "Anna")


def test_nothing_else_is_left_beside_the_file(settings: BatchSettings) -> None:
    users.add(settings, "Anna", Role.REVIEWER, PASSWORD)
    json.loads(settings.pages_secrets.read_text("utf-8"))
    assert sorted(path.name for path in settings.pages_secrets.parent.iterdir()) == [
        ".secrets.json.lock",
        "secrets.json",
    ]
