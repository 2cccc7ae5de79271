"""A data folder of ledger version 3: people's decisions get their place, and nothing else changes."""

import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.decisions import desk, listing, queue, story
from batch.decisions.listing import Selection
from batch.decisions.queue import Filter, Sort
from batch.records import schema
from batch.records.ledger import Ledger, LedgerError
from batch.records.verdict import verdict_of
from settings import ROOT
from tests.batch.conftest import Examine, Night

OLD = Path(__file__).parent / "version-3.tar.gz"


@pytest.fixture
def old(make_night: Callable[..., Night], tmp_path: Path) -> Night:
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    return make_night(data_dir=tmp_path / "data")


def table(night: Night, name: str) -> list[dict[str, object]]:
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute(f"SELECT * FROM {name} ORDER BY 1")]
    db.close()
    return found


def test_every_row_and_act_is_kept(old: Night) -> None:
    photos, acts = table(old, "photos"), table(old, "acts")
    Ledger(old.settings.ledger_path).close()
    for before, name in ((photos, "photos"), (acts, "acts")):
        after = table(old, name)
        assert [{key: row[key] for key in before[0]} for row in after] == before
    assert {row["sketch"] for row in table(old, "photos")} == {b""}


def test_what_waited_waits_and_is_counted(old: Night) -> None:
    with Ledger(old.settings.ledger_path) as ledger:
        assert not ledger.queue_is_wrong()
        shown = queue.waiting(ledger, Filter(), Sort.DOUBTFUL).photos
        wanted = list(ledger.matching("status = 'review'"))
        assert sorted(row.file_name for row in shown) == sorted(row.file_name for row in wanted)
        found = queue.counts(ledger)
        assert (found.total, found.doubts) == (len(wanted), {"category uncertain": len(wanted)})
        assert listing.search(ledger, "img_4").photos[0].file_name == "IMG_4.jpg"


def test_what_was_moved_by_hand_is_decided_and_tells_its_story(old: Night) -> None:
    with Ledger(old.settings.ledger_path) as ledger:
        (row,) = listing.photos(ledger, Selection(decided=True), Sort.NEWEST).photos
        assert (row.decision, row.decided_by) == ("corrected", "")
        told = story.of_photo(ledger, row.id or 0)
        assert told
        assert [event.kind for event in told.events] == ["answered"]
        with pytest.raises(desk.AlreadyDecidedError) as refused:
            desk.decide(old.settings, ledger, row.id or 0, verdict_of(row), by="ada")
        done = desk.decide(
            old.settings, ledger, row.id or 0, verdict_of(row), by="ada", over=refused.value.receipt
        )
        assert done.row.decided_by == "ada"


def test_a_requeue_that_died_before_is_finished(old: Night) -> None:
    assert old.run() == 0
    with Ledger(old.settings.ledger_path) as ledger:
        assert ledger.unfinished_acts() == []
        assert len(list(ledger.all_rows())) == 15
    assert not old.waiting()


def test_the_pages_leave_what_older_programs_planned_to_the_night(old: Night) -> None:
    with Ledger(old.settings.ledger_path) as ledger:
        assert desk.recover(old.settings, ledger) == 0
        assert len(ledger.unfinished_acts()) == 1


def test_the_doctor_finds_nothing_wrong_after_a_night(old: Night, examine: Examine) -> None:
    assert old.run() == 0
    assert examine(old)[0] == 0


def test_two_that_open_it_at_once_bring_it_up_to_date_once(old: Night) -> None:
    code = "import sys; from pathlib import Path; from batch.records.ledger import Ledger; Ledger(Path(sys.argv[1])).close()"
    command = [sys.executable, "-c", code, str(old.settings.ledger_path)]
    for fresh in (False, True):
        if fresh:
            for path in old.settings.data_dir.glob("ledger.sqlite3*"):
                path.unlink()
        opened = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
        assert [process.wait() for process in opened] == [0, 0, 0]
        with Ledger(old.settings.ledger_path) as ledger:
            assert not ledger.queue_is_wrong()


def test_a_program_of_version_3_refuses_it_in_a_sentence(
    old: Night, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Ledger(old.settings.ledger_path).close()
    shutil.copy(old.settings.ledger_path, tmp_path / "copy.sqlite3")
    monkeypatch.setattr(schema, "VERSION", 3)
    for look in (False, True):
        with pytest.raises(LedgerError, match=r"newer Nightsort .* Update the program; no photo was touched"):
            Ledger(tmp_path / "copy.sqlite3", look=look)
