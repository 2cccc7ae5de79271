"""What people decided becomes a folder to learn from: the right photos, rightly labelled and weighted, whatever happens."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batch.records.ledger import Decision, Ledger, Row, Run
from batch.settings import ArchiveFolderError
from batch.upkeep import corrections
from batch.upkeep.corrections import CorrectionsError
from model.releasing.own import FEWEST, adapt
from model.serving.releases import load as load_release
from model.training import data
from model.training.labels import NO_CLOTHING, UNKNOWN
from tests import small_release
from tests.batch.conftest import Do, Night
from tests.fake_sidecar import photo

RUN = "20261101T020000Z"
COLOURS = {"t-shirt": (200, 20, 20), "pants": (20, 200, 20), "shoes": (20, 20, 200)}


def drawn(sub: str, number: int) -> bytes:
    """A photo of its own of what the small release takes for this sub-category."""
    pixels = np.full((24, 24, 3), COLOURS[sub], np.uint8)
    pixels[0, 0] = number % 256, number // 256, 7
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


class Desk:
    """A data folder in which people have decided on photos."""

    def __init__(self, night: Night) -> None:
        self.night, self.folder, self.number = night, night.settings.data_dir.parent / "corrections", 0
        self.start(RUN)

    def start(self, run_id: str, *, audit_share: float = 0.01) -> None:
        self.run_id = run_id
        run = Run(run_id, "2026-11-01T02:00:00Z", model_version="r1")
        run.settings = {"AUDIT_SHARE": str(audit_share), "REVIEW_PRECISION": "0.97"}
        with Ledger(self.night.settings.ledger_path) as ledger:
            ledger.start_run(run)

    def decided(
        self,
        decision: str = "accepted",
        *,
        content: bytes | None = None,
        model: str = "review",
        audit: bool = False,
        **other: object,
    ) -> Row:
        """A photo that the model had given this status, and people this decision."""
        self.number += 1
        content = drawn("pants", self.number) if content is None else content
        place = f"processed/bottomwear/pants/{self.number}.png"
        path = self.night.settings.data_dir / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        row = Row(
            f"order 7/{self.number}.png", main_category="bottomwear", sub_category="pants", colour="green",
            background_quality="acceptable", status="processed", moved_to=place, run_id=self.run_id,
            sha256=hashlib.sha256(content).hexdigest(), model_version="r1", order="order 7", filed=True,
            decided_by="ada", decided_at=f"2026-11-01T08:00:{self.number % 60:02}Z" if decision else "",
            review_reason="audit" if audit else "",
            model_answer=json.dumps({"status": model, "main_category": "bottomwear", "sub_category": "pants"}),
            decision=Decision(decision),
        )  # fmt: skip
        for name, value in other.items():
            setattr(row, name, value)
        with Ledger(self.night.settings.ledger_path) as ledger:
            ledger.record([row])
        return row

    def change(self, row: Row, **columns: str) -> None:
        """Write something else into a row."""
        marks = ", ".join(f"{name} = ?" for name in columns)
        with Ledger(self.night.settings.ledger_path) as ledger, ledger.transaction():
            ledger.write(f"UPDATE photos SET {marks} WHERE id = ?", *columns.values(), row.id)

    def write(self) -> corrections.Written:
        with Ledger(self.night.settings.ledger_path, look=True) as ledger:
            return corrections.write(self.night.settings, ledger, self.folder)

    def table(self) -> dict[str, dict[str, str]]:
        """Checksum → its line."""
        with (self.folder / "labels.csv").open(encoding="utf-8", newline="") as file:
            return {Path(line["file"]).stem: line for line in csv.DictReader(file)}

    def files(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def desk(night: Night) -> Desk:
    return Desk(night)


def test_every_photo_is_copied_by_category_under_a_safe_name_and_described(desk: Desk) -> None:
    row = desk.decided(file_name='=cmd|" /C calc"!A0/../<b>.PNG', order="=1+1")
    desk.write()
    place = f"bottomwear/pants/{row.sha256}.png"
    assert desk.table()[row.sha256] == {
        "file": place, "main": "bottomwear", "sub": "pants", "background": "1", "colour": "green",
        "sender": "'=1+1", "weight": "1", "run": RUN, "release": "r1",
    }  # fmt: skip
    assert hashlib.sha256((desk.folder / place).read_bytes()).hexdigest() == row.sha256
    assert desk.files() == {place, "labels.csv", ".nightsort-corrections"}


def test_no_clothing_is_written_as_such_and_what_nobody_can_tell_is_left_out_and_counted(desk: Desk) -> None:
    none = desk.decided("no clothing", main_category="", sub_category="", colour="", background_quality="")
    desk.decided("cannot tell")
    written = desk.write()
    line = desk.table()[none.sha256]
    assert (line["main"], line["sub"], line["colour"], line["background"]) == ("none", "none", "?", "?")
    assert line["file"].startswith("no clothing/")
    assert str(written) == "1 photo, 1 of them to set thresholds by; left out: 1 of which nobody can tell"


def test_a_background_and_a_colour_count_only_where_a_person_saw_the_models_answer(desk: Desk) -> None:
    by_hand, audited = desk.decided("corrected", decided_by=""), desk.decided("audited", audit=True)
    desk.write()
    for row in (by_hand, audited):
        line = desk.table()[row.sha256]
        assert (line["sub"], line["background"], line["colour"]) == ("pants", "?", "?")


def test_a_reviewed_photo_stands_for_itself_an_audited_one_for_those_it_was_drawn_from(desk: Desk) -> None:
    reviewed = desk.decided()
    fair = desk.decided("audited", audit=True, model="processed")
    noticed = desk.decided("corrected", model="processed")
    desk.write()
    table = desk.table()
    assert table[fair.sha256]["weight"] == "100"
    assert table[reviewed.sha256]["weight"] == "1"
    assert table[noticed.sha256]["weight"] == "0", "it is there because it was wrong"


def test_an_audited_photo_has_no_weight_before_its_turn_comes(desk: Desk) -> None:
    """One that is moved by hand is known to be wrong: alone it would weigh as a hundred."""
    rows = sorted(
        (
            desk.decided("corrected", audit=True, model="processed", content=drawn("shoes", n))
            for n in range(3)
        ),
        key=lambda row: row.sha256,
    )
    desk.change(rows[1], decision="", decided_at="")
    desk.write()
    table = desk.table()
    assert [table[rows[number].sha256]["weight"] for number in (0, 2)] == ["100", "0"]
    assert rows[1].sha256 not in table


def test_the_same_bytes_come_once_with_what_was_said_last(desk: Desk) -> None:
    content = drawn("shoes", 1)
    desk.decided(content=content)
    last = desk.decided("corrected", content=content, main_category="footwear", sub_category="shoes")
    assert desk.write().photos == 1
    assert desk.table()[last.sha256]["sub"] == "shoes"


def test_a_photo_that_was_taken_away_or_changed_is_left_out_and_counted(desk: Desk) -> None:
    desk.decided()
    gone, changed, deleted = desk.decided(), desk.decided(), desk.decided(moved_to="")
    (desk.night.settings.data_dir / gone.moved_to).unlink()
    (desk.night.settings.data_dir / changed.moved_to).write_bytes(b"retouched")
    written = desk.write()
    assert (written.photos, written.left_out.total()) == (1, 3)
    assert not {gone.sha256, changed.sha256, deleted.sha256} & set(desk.table())


def test_a_second_call_brings_the_folder_up_to_date_and_keeps_its_copies(desk: Desk) -> None:
    kept, other = desk.decided(), desk.decided()
    desk.write()
    copy = desk.folder / f"bottomwear/pants/{kept.sha256}.png"
    before = copy.stat().st_mtime_ns, copy.stat().st_ino
    desk.change(other, main_category="footwear", sub_category="shoes")
    desk.write()
    assert (copy.stat().st_mtime_ns, copy.stat().st_ino) == before
    assert f"footwear/shoes/{other.sha256}.png" in desk.files()
    assert f"bottomwear/pants/{other.sha256}.png" not in desk.files()


def test_what_a_call_that_died_left_behind_is_completed(desk: Desk) -> None:
    rows = [desk.decided() for _ in range(3)]
    desk.write()
    whole = desk.files()
    first, second, _ = (desk.folder / f"bottomwear/pants/{row.sha256}.png" for row in rows)
    first.rename(f"{first}.copying")
    Path(f"{first}.copying").write_bytes(b"half")
    second.write_bytes(b"half")
    (desk.folder / ".labels.csv.new").write_text("file,ma")
    (desk.folder / "labels.csv").unlink()
    desk.write()
    assert desk.files() == whole
    for row in rows:
        content = (desk.folder / f"bottomwear/pants/{row.sha256}.png").read_bytes()
        assert hashlib.sha256(content).hexdigest() == row.sha256


@pytest.mark.parametrize("name", ["mine.jpg", "labels.csv", f"{'a' * 64}.jpg"])
def test_a_folder_with_other_things_in_it_is_refused_and_left_as_it_is(desk: Desk, name: str) -> None:
    desk.decided()
    desk.folder.mkdir()
    (desk.folder / name).write_text("mine")
    with pytest.raises(CorrectionsError, match="holds other things"):
        desk.write()
    assert desk.files() == {name}


def test_what_somebody_put_into_a_folder_of_ours_is_not_touched_either(desk: Desk) -> None:
    desk.decided()
    desk.write()
    (desk.folder / "bottomwear" / "mine.jpg").write_text("mine")
    with pytest.raises(CorrectionsError, match=r"mine\.jpg"):
        desk.write()


@pytest.mark.parametrize("name", ["incoming", "processed/x", "reports", "."])
def test_a_folder_of_the_nights_is_refused(desk: Desk, name: str) -> None:
    desk.decided()
    desk.folder = desk.night.settings.data_dir / name
    with pytest.raises(ArchiveFolderError):
        desk.write()


def test_before_anybody_has_decided_there_is_nothing_to_write(desk: Desk, do: Do) -> None:
    assert do("corrections", "--to", str(desk.folder)) == 1


def test_the_command_knows_what_was_moved_by_hand_since_the_night_and_changes_nothing_in_the_ledger(
    night: Night, do: Do, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    night.drop("a.jpg", photo("a", doubt=True))
    night.run()
    target = night.settings.data_dir / "processed" / "bottomwear" / "pants" / "a.jpg"
    target.parent.mkdir(parents=True)
    (night.settings.data_dir / "review" / "a.jpg").rename(target)
    with Ledger(night.settings.ledger_path, look=True) as ledger:
        before = list(ledger.all_rows())
    assert do("corrections", "--to", str(tmp_path / "out")) == 0
    assert "holds 1 photo, 1 of them to set thresholds by." in capsys.readouterr().out
    with Ledger(night.settings.ledger_path, look=True) as ledger:
        assert list(ledger.all_rows()) == before


@pytest.fixture
def circle(desk: Desk) -> Desk:
    """Enough decisions to set thresholds by: the small release is right, but for every tenth photo."""
    for number in range(FEWEST + 30):
        sub = list(COLOURS)[number % 3]
        truth = list(COLOURS)[(number + (number % 10 == 0)) % 3]
        main = dict(zip(small_release.SUBS, small_release.MAINS, strict=True))[truth]
        desk.decided(content=drawn(sub, number), sub_category=truth, main_category=main)
    for number in range(3):
        desk.decided("no clothing", content=drawn("shoes", 1000 + number), main_category="", sub_category="")
    desk.write()
    return desk


def test_training_reads_the_folder_as_it_is_alone_and_beside_another(circle: Desk, tmp_path: Path) -> None:
    alone = data.load(circle.folder, progress=False)
    assert set(alone.classes.subs) == set(COLOURS)
    assert set(alone.group) == {"order 7"}
    assert (alone.clothing == NO_CLOTHING).sum() == 3
    assert (alone.sub[alone.clothing == NO_CLOTHING] == UNKNOWN).all()
    for sub in ("dress", "pants"):
        for number in range(2):
            path = tmp_path / "A" / "train" / sub / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(drawn("pants", 2000 + number))
    both = data.load_all([tmp_path / "A", circle.folder], progress=False)
    assert set(both.classes.subs) == {*COLOURS, "dress"}
    assert len(both) == len(alone) + 4


def test_calibration_reads_the_folder_as_it_is(circle: Desk, tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    parent = load_release(small_release.make(releases))
    adapted = adapt(parent, circle.folder, out=releases, version="mine-1")
    assert adapted.metrics["calibrated"] == {"parent": "small-1", "photos": FEWEST + 33}
    before, after = (one.classes.threshold("sub", 0.97) for one in (parent, adapted))
    assert after > before, "every tenth photo was wrong: fewer may be filed"


def test_photos_without_a_weight_set_no_thresholds(desk: Desk, make_release: Callable[[], Path]) -> None:
    desk.decided()
    desk.decided("corrected", model="processed")
    desk.write()
    photos = data.load(desk.folder, classes=load_release(make_release()).classes, progress=False)
    assert sorted(photos.weight) == [0, 1]


@pytest.fixture
def make_release(tmp_path: Path) -> Callable[[], Path]:
    return lambda: small_release.make(tmp_path / "releases")
