"""A photo's story, people's names, and the CSV that follows."""

import json
import logging
from pathlib import Path

import pytest

from batch.decisions import desk, exports, story
from batch.decisions.forget import forget
from batch.records import csv_files, moments
from batch.records.schema import CSV_NOTE
from batch.records.verdict import Verdict
from tests.batch.conftest import Do
from tests.batch.decisions.conftest import PANTS, SHIRT, Desk


def told(a_desk: Desk, name: str) -> list[str]:
    found = story.of_photo(a_desk.ledger, a_desk.id(name))
    assert found
    return [" ".join(filter(None, (event.kind, event.decision, event.by))) for event in found.events]


def test_a_story_tells_all_that_happened_in_time(a_desk: Desk, do: Do) -> None:
    a_desk.undo(a_desk.decide("b.jpg", SHIRT).receipt)
    a_desk.decide("b.jpg", SHIRT, by="bob")
    shirts = a_desk.data / "processed/upperwear/t-shirt"
    (shirts / "b.jpg").rename(a_desk.data / "review" / "b.jpg")
    assert do("requeue", "--failed") == 0
    assert do("requeue", "--photo", "b.jpg") == 0
    assert a_desk.night.run() == 0
    told_of = told(a_desk, "b.jpg")
    assert told_of[0] == "answered"
    assert [line for line in told_of if line != "answered"] == [
        "decided corrected ada",
        "undone ada",
        "decided corrected bob",
        "moved by hand",
        "put back",
    ]
    found = story.of_photo(a_desk.ledger, a_desk.id("b.jpg"))
    assert found
    first, last = found.rows
    assert (first.superseded, last.superseded) == (True, False)
    decided = next(event for event in found.events if event.kind == "decided")
    assert (decided.source, decided.target) == ("review/b.jpg", "processed/upperwear/t-shirt/b.jpg")
    assert decided.taken_back
    assert decided.changed["sub_category"] == "t-shirt"
    answered = found.events[0]
    assert (answered.row.sub_category, answered.row.model_version) == ("pants", "fake-1")
    assert answered.target == "review/b.jpg"


def test_there_is_no_story_of_no_photo(a_desk: Desk) -> None:
    assert story.of_photo(a_desk.ledger, 4711) is None


# predictions.csv


def sub_of(a_desk: Desk, name: str) -> str:
    return next(line["sub_category"] for line in a_desk.night.csv() if line["file_name"] == name)


def test_the_csv_follows_when_nobody_has_decided_for_a_minute(a_desk: Desk) -> None:
    a_desk.decide("b.jpg", SHIRT)
    assert sub_of(a_desk, "b.jpg") == "pants"
    assert exports.state(a_desk.ledger).changes > 0
    last = moments.local(a_desk.row("b.jpg").decided_at).timestamp()
    assert exports.follow(a_desk.settings, a_desk.ledger, now=last + 30) is False
    assert exports.follow(a_desk.settings, a_desk.ledger, now=last + 70) is True
    assert sub_of(a_desk, "b.jpg") == "t-shirt"
    state = exports.state(a_desk.ledger, now=last + 5000)
    assert (state.changes, state.is_due) == (0, False)
    assert state.written_at


def test_the_csv_follows_after_a_quarter_of_an_hour_of_decisions_without_a_pause(a_desk: Desk) -> None:
    a_desk.decide("b.jpg", SHIRT)
    note = csv_files._mark(a_desk.ledger) | {"first": "2026-11-25T10:00:00Z", "last": "2026-11-25T10:14:59Z"}
    a_desk.ledger.set_note(CSV_NOTE, json.dumps(note))
    first = moments.local(str(note["first"])).timestamp()
    assert not exports.state(a_desk.ledger, now=first + 899).is_due
    assert exports.state(a_desk.ledger, now=first + 900).is_due


def test_what_is_decided_while_the_csv_is_written_is_not_taken_for_written(
    a_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_desk.decide("b.jpg", SHIRT)
    original = csv_files.write_csv

    def write(*values: object) -> int:
        last = original(*values)  # type: ignore[arg-type]
        a_desk.decide("c.jpg", PANTS)
        return last

    monkeypatch.setattr(csv_files, "write_csv", write)
    csv_files.update_csv(a_desk.ledger, a_desk.settings.csv_path)
    monkeypatch.undo()
    assert exports.state(a_desk.ledger).changes > 0
    csv_files.update_csv(a_desk.ledger, a_desk.settings.csv_path)
    assert sub_of(a_desk, "c.jpg") == "pants"


def test_a_csv_that_is_open_elsewhere_is_told_of(a_desk: Desk) -> None:
    a_desk.decide("b.jpg", SHIRT)
    a_desk.settings.csv_path.unlink()
    a_desk.settings.csv_path.mkdir()
    with pytest.raises(csv_files.ExportError, match="cannot be written"):
        exports.follow(a_desk.settings, a_desk.ledger, now=9e9)


@pytest.mark.parametrize("how", ["night", "export"])
def test_a_night_and_export_bring_the_csv_up_to_date(a_desk: Desk, do: Do, how: str) -> None:
    a_desk.decide("b.jpg", Verdict(no_clothing=True))
    assert (a_desk.night.run() if how == "night" else do("export")) == 0
    (line,) = [line for line in a_desk.night.csv() if line["file_name"] == "b.jpg"]
    assert (line["decision"], line["decided_by"], line["sub_category"]) == ("no clothing", "ada", "")


def test_the_csv_of_a_run_stays_the_nights_own_record(a_desk: Desk, do: Do) -> None:
    (run_csv,) = a_desk.settings.predictions.glob("*.csv")
    before = run_csv.read_text("utf-8")
    a_desk.decide("b.jpg", Verdict(cannot_tell=True))
    a_desk.decide("sure.jpg", Verdict("upperwear", "t-shirt", colour="blue"))
    assert do("export", "--xlsx", "all") == 0
    assert run_csv.read_text("utf-8") == before


# Names of people


def test_a_forgotten_name_stands_nowhere_any_more(a_desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    name = "Zoë-Ada von Überall"
    kept = a_desk.decide("b.jpg", SHIRT, by=name)
    a_desk.decide("c.jpg", PANTS, by="bob", over="")
    a_desk.undo(a_desk.decide("sure.jpg", PANTS, by=name).receipt, by=name)
    a_desk.decide("order 7/a.jpg", PANTS, by=name)
    a_desk.decide("order 7/a.jpg", SHIRT, by="bob", over=desk.newest(a_desk.ledger, name))
    assert a_desk.night.run() == 0
    assert forget(a_desk.settings, a_desk.ledger, name) == "person 1"
    assert forget(a_desk.settings, a_desk.ledger, "bob") == "person 2"
    assert a_desk.row("b.jpg").decided_by == "person 1"
    assert a_desk.row("order 7/a.jpg").decided_by == "person 2"
    assert a_desk.undo(kept.receipt, by="person 1").row.decision == ""
    a_desk.ledger.close()
    assert name not in caplog.text
    assert holders(a_desk.data.parent, name) == []


def holders(folder: Path, name: str) -> list[Path]:
    forms = [name.encode(), name.encode("unicode_escape"), json.dumps(name)[1:-1].encode()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


def test_forgetting_nobody_forgets_nobody(a_desk: Desk) -> None:
    a_desk.decide("b.jpg", SHIRT)
    with pytest.raises(ValueError, match="nobody"):
        forget(a_desk.settings, a_desk.ledger, "")
    forget(a_desk.settings, a_desk.ledger, "a stranger")
    assert a_desk.row("b.jpg").decided_by == "ada"
