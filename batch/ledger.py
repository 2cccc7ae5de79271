"""The ledger: what is known of every photo ever swept, in one SQLite file. It is the truth; CSVs are exports.

A photo's row is written before the photo is moved (`filed` false) and marked after the move is on disk
(`filed` true), so that whatever dies in between, the next run knows what was meant and finishes it.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

VERSION = 1
APPLICATION_ID = 0x4E535254  # "NSRT": tells our file from any other SQLite file

Status = Literal["processed", "review", "failed", "duplicate"]


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


@dataclass
class Row:
    """One photo: first the columns of the CSV, in its order, then what only the ledger keeps."""

    file_name: str
    main_category: str = ""
    main_category_probability: float | None = None
    sub_category: str = ""
    sub_category_probability: float | None = None
    background_quality: str = ""
    background_quality_probability: float | None = None
    colour: str = ""
    colour_probability: float | None = None
    needs_review: bool = False
    review_reason: str = ""
    status: Status = "failed"
    error: str = ""
    moved_to: str = ""
    sha256: str = ""
    run_id: str = ""
    processed_at: str = ""
    model_version: str = ""
    duplicate_of: str = ""
    source: bytes = b""
    """The exact path below `incoming`, as the file system has it."""
    size: int = 0
    mtime_ns: int = 0
    probabilities: str = ""
    """Every class's probability of every head, as JSON."""
    filed: bool = False
    superseded: bool = False
    """Put back or corrected since: another row counts now."""
    id: int | None = field(default=None, compare=False)


COLUMNS = [column.name for column in fields(Row) if column.name != "id"]
CSV_COLUMNS = COLUMNS[: COLUMNS.index("source")]
_FLAGS = {"needs_review", "filed", "superseded"}


@dataclass
class Run:
    """One night: when it was, how it went."""

    run_id: str
    started_at: str
    finished_at: str = ""
    exit_code: int | None = None
    model_version: str = ""
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    message: str = ""


_SCHEMA = f"""
CREATE TABLE photos (
    id INTEGER PRIMARY KEY,
    {", ".join(COLUMNS)}
);
CREATE INDEX photos_predicted ON photos (sha256) WHERE status IN ('processed', 'review') AND NOT superseded;
CREATE INDEX photos_run ON photos (run_id);
CREATE INDEX photos_unfiled ON photos (id) WHERE NOT filed;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, started_at TEXT, finished_at TEXT, exit_code INTEGER,
    model_version TEXT, seconds REAL, counts TEXT, message TEXT
);
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


class Ledger:
    """An open ledger.

    >>> with Ledger(Path("data/ledger.sqlite3")) as ledger:
    ...     ledger.record([Row(file_name="a.jpg")])
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger, making it when there is none.

        Raises:
            LedgerError: it is damaged, of a newer version, no ledger at all, or cannot be written.
        """
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.row_factory = sqlite3.Row
            self._open()
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"the ledger {path} cannot be used ({error}). Move it aside and put a back-up in its place, "
                "or let `python -m batch doctor` look at it; until then no photo is touched."
            ) from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything recorded is on disk already."""
        self._db.close()

    def _open(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise LedgerError(f"{self.path} is not a Nightsort ledger; set LEDGER to another path.")
        if version > VERSION:
            raise LedgerError(
                f"the ledger {self.path} was written by a newer Nightsort (version {version}, this one knows "
                f"{VERSION}). Update the program; no photo was touched."
            )
        # WAL with a full sync at every commit: a power cut takes back no committed row (sqlite.org/wal.html)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if not tables:
            self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")

    def record(self, rows: Iterable[Row], *, filed: Iterable[int] = ()) -> None:
        """Write new rows (their `id` is set) and mark earlier ones as filed, in one transaction."""
        marks = ", ".join(f":{name}" for name in COLUMNS)
        with _transaction(self._db) as db:
            for row in rows:
                row.id = db.execute(
                    f"INSERT INTO photos ({', '.join(COLUMNS)}) VALUES ({marks})",  # our own names
                    asdict(row),
                ).lastrowid
            db.executemany("UPDATE photos SET filed = 1 WHERE id = ?", [(number,) for number in filed])

    def move_elsewhere(self, row: Row) -> None:
        """Change where a photo that is not filed yet is to go."""
        with _transaction(self._db) as db:
            db.execute("UPDATE photos SET moved_to = ? WHERE id = ?", (row.moved_to, row.id))

    def withdraw(self, row: Row) -> None:
        """Forget a row whose photo could not be filed because it is no longer there as it was."""
        with _transaction(self._db) as db:
            db.execute("DELETE FROM photos WHERE id = ? AND NOT filed", (row.id,))

    def predicted(self, sha256: str) -> Row | None:
        """The current row of a photo with these bytes that has a prediction."""
        return self._one(
            "SELECT * FROM photos WHERE sha256 = ? AND status IN ('processed', 'review') AND NOT superseded"
            " ORDER BY id LIMIT 1",
            sha256,
        )

    def failed_in_run(self, run_id: str, sha256: str) -> Row | None:
        """The row of a photo with these bytes that has failed in this run."""
        return self._one(
            "SELECT * FROM photos WHERE run_id = ? AND sha256 = ? AND status = 'failed' LIMIT 1",
            run_id,
            sha256,
        )

    def unfiled(self) -> list[Row]:
        """Photos that are recorded, but whose move is not known to be done."""
        return list(self._rows("SELECT * FROM photos WHERE NOT filed ORDER BY id"))

    def filed_rows(self, *, after: int = 0, run_id: str | None = None) -> Iterator[Row]:
        """The current rows of filed photos with an id above `after`, oldest first; of one run, if named."""
        condition, values = ("AND run_id = ?", (run_id,)) if run_id else ("", ())
        return self._rows(
            f"SELECT * FROM photos WHERE id > ? AND filed AND NOT superseded {condition} ORDER BY id",
            after,
            *values,
        )

    def start_run(self, run: Run) -> None:
        """Note that a run has begun; its id is made unique by a suffix if need be."""
        base, number = run.run_id, 2
        while self._db.execute("SELECT 1 FROM runs WHERE run_id = ?", (run.run_id,)).fetchone():
            run.run_id, number = f"{base}-{number}", number + 1
        self._save_run(run)

    def end_run(self, run: Run) -> None:
        """Note how a run ended."""
        self._save_run(run)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        found = self._db.execute("SELECT * FROM runs ORDER BY started_at, rowid")
        return [Run(**{**dict(row), "counts": json.loads(row["counts"])}) for row in found]

    def note(self, key: str) -> str:
        """A value kept under a key, or `""`."""
        found = self._db.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
        return str(found[0]) if found else ""

    def set_note(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        with _transaction(self._db) as db:
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    def _save_run(self, run: Run) -> None:
        values = asdict(run) | {"counts": json.dumps(run.counts)}
        marks = ", ".join(f":{name}" for name in values)
        with _transaction(self._db) as db:
            db.execute(f"INSERT OR REPLACE INTO runs ({', '.join(values)}) VALUES ({marks})", values)

    def _one(self, query: str, *values: object) -> Row | None:
        return next(self._rows(query, *values), None)

    def _rows(self, query: str, *values: object) -> Iterator[Row]:
        return (_row(found) for found in self._db.execute(query, values))


def _row(found: sqlite3.Row) -> Row:
    values: dict[str, Any] = dict(found)
    values.update({name: bool(values[name]) for name in _FLAGS})
    return Row(**values)


class _transaction:  # noqa: N801 - used as a word, like the library's own context managers
    """All or nothing; takes the write lock at once, so that a reader never turns into a failed writer."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
