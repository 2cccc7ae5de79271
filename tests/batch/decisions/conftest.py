"""A night whose photos people decide on: a release that names what they may answer, and an open ledger."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch.decisions import desk
from batch.records.ledger import Ledger, Row
from batch.records.verdict import Verdict
from batch.settings import BatchSettings
from settings import load
from tests.batch.conftest import Night
from tests.fake_sidecar import MAIN_OF, FakeSidecar, photo

SHIRT = Verdict(main="upperwear", sub="t-shirt")
PANTS = Verdict(main="bottomwear", sub="pants")


@dataclass
class Desk:
    """A night, its ledger, and somebody who decides."""

    night: Night
    ledger: Ledger

    @property
    def settings(self) -> BatchSettings:
        return self.night.settings

    @property
    def data(self) -> Path:
        return self.night.settings.data_dir

    def row(self, name: str) -> Row:
        (row,) = self.ledger.matching("file_name = ?", name)
        return row

    def id(self, name: str) -> int:
        return self.row(name).id or 0

    def decide(self, name: str, verdict: Verdict, by: str = "ada", over: str = "") -> desk.Decided:
        return desk.decide(self.settings, self.ledger, self.id(name), verdict, by=by, over=over)

    def undo(self, receipt: str, by: str = "ada") -> desk.Decided:
        return desk.undo(self.settings, self.ledger, receipt, by=by)


def say_what_the_release_answers(settings: BatchSettings) -> None:
    release = settings.model_dir / "fake-1"
    release.mkdir(parents=True)
    (settings.model_dir / "CURRENT").write_text("fake-1\n")
    classes = {
        "main_of": MAIN_OF,
        "backgrounds": ["acceptable", "unacceptable"],
        "colours": ["red", "blue"],
    }
    (release / "classes.json").write_text(json.dumps(classes))


@pytest.fixture
def make_desk(make_night: Callable[..., Night]) -> Iterator[Callable[..., Desk]]:
    """A desk with photos of the test's own, sorted by a night."""
    opened: list[Ledger] = []

    def make(photos: dict[str, bytes], **settings: object) -> Desk:
        night = make_night(**settings)
        say_what_the_release_answers(night.settings)
        for name, content in photos.items():
            night.drop(name, content)
        assert night.run() in (0, 3)
        opened.append(Ledger(night.settings.ledger_path))
        return Desk(night, opened[-1])

    yield make
    for ledger in opened:
        ledger.close()


PHOTOS = {
    "order 7/a.jpg": photo("a", doubt=True),
    "b.jpg": photo("b", sub="pants", doubt=True),
    "c.jpg": photo("c", doubt=True),
    "sure.jpg": photo("sure"),
}
"""Three photos that wait, one of them in an order, and a sure one."""


@pytest.fixture(scope="session")
def sorted_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with these photos, as a night has left it."""
    folder = tmp_path_factory.mktemp("sorted")
    with FakeSidecar() as fake:
        settings = load(
            BatchSettings,
            _env_file=None,
            data_dir=folder / "data",
            log_dir=folder / "logs",
            model_dir=folder / "releases",
            api_url=fake.url,
            settle_seconds=0,
            audit_share=0,
        )
        settings.make_folders()
        night = Night(settings)
        for name, content in PHOTOS.items():
            night.drop(name, content)
        assert night.run() == 0
    return folder / "data"


@pytest.fixture
def a_desk(make_night: Callable[..., Night], sorted_photos: Path) -> Iterator[Desk]:
    """A copy of that folder: as good as a night, and quicker."""
    night = make_night()
    say_what_the_release_answers(night.settings)
    shutil.copytree(sorted_photos, night.settings.data_dir, dirs_exist_ok=True)
    with Ledger(night.settings.ledger_path) as ledger:
        yield Desk(night, ledger)
