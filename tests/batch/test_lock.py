"""The lock of a run, where what is handed over to it is not what it should be."""

import os
from pathlib import Path

import pytest

from batch.lock import HANDED_OVER, LOCK_NAME, LockHeldError, refuse_if_at_work, run_lock


@pytest.mark.parametrize("number", ["²", "٣", "-1", "x", "", "1" * 30, "999999", "3.0", " 3"])
def test_a_number_that_is_no_open_file_of_ours_means_a_lock_of_ones_own(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HANDED_OVER, number)
    with run_lock(tmp_path):
        assert HANDED_OVER not in os.environ
        with pytest.raises(LockHeldError):
            refuse_if_at_work(tmp_path)
    refuse_if_at_work(tmp_path)


@pytest.mark.parametrize("holder", ["²", "", "not a number", "12 34", "x" * 50])
def test_who_holds_it_is_named_only_where_it_is_a_number(holder: str, tmp_path: Path) -> None:
    with run_lock(tmp_path):
        (tmp_path / LOCK_NAME).write_text(holder, "utf-8")
        with pytest.raises(LockHeldError, match=r"^another run is at work on"):
            refuse_if_at_work(tmp_path)
