"""The commands for the people who review."""

import io
import sys
from collections.abc import Callable

import pytest

from batch.__main__ import main
from batch.pages import users
from tests.batch.pages.conftest import PASSWORD
from tests.batch.pages.sample_pages import Sample

Do = Callable[..., int]


@pytest.fixture
def do(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> Do:
    """A command as it is typed, with what is typed after it."""

    def command(*arguments: str, typed: str = "") -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        return main(list(arguments), sample.settings)

    return command


def test_people_are_added_listed_and_deleted(
    do: Do, sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do("users", "list") == 0
    assert do("users", "add", "Anna", "--lead", typed=f"{PASSWORD}\n") == 0
    assert do("users", "add", "Bert", typed=f"{PASSWORD}\n") == 0
    assert do("users", "list") == 0
    shown = capsys.readouterr().out
    assert "Nobody has been added." in shown
    assert "Anna  lead\nBert  reviewer\n" in shown
    assert users.check_password(users.read(sample.settings), "Anna", PASSWORD)
    assert do("users", "delete", "anna") == 0
    assert list(users.read(sample.settings).users) == ["Bert"]


def test_who_is_forgotten_is_named_by_a_number(do: Do, capsys: pytest.CaptureFixture[str]) -> None:
    do("users", "add", "Anna", typed=f"{PASSWORD}\n")
    assert do("users", "forget", "Anna") == 0
    assert "Anna is person 1 from now on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (("users",), ""),
        (("users", "add"), ""),
        (("users", "add", "Anna"), "short\n"),
        (("users", "add", "a\x1b[31m"), f"{PASSWORD}\n"),
        (("users", "delete", "Nobody"), ""),
        (("users", "paint", "Anna"), ""),
    ],
)
def test_wrong_usage_ends_with_2(do: Do, sample: Sample, arguments: tuple[str, ...], typed: str) -> None:
    assert do(*arguments, typed=typed) == 2
    assert not sample.settings.pages_secrets.exists()


def test_pages_that_strangers_could_use_do_not_start(do: Do, sample: Sample) -> None:
    sample.settings = sample.settings.model_copy(update={"pages_host": "0.0.0.0"})
    assert main(["pages"], sample.settings) == 2
