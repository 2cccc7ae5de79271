"""The ledger: what is known of every photo ever swept, in one SQLite file. It is the truth; CSVs are exports.

A photo's row is written before the photo is moved (`filed` false) and marked after the move is on disk
(`filed` true), so that whatever dies in between, the next run knows what was meant and finishes it.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

VERSION = 2
APPLICATION_ID = 0x4E535254  # "NSRT": tells our file from any other SQLite file

Status = Literal["processed", "review", "failed", "duplicate"]


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


class DamagedLedgerError(LedgerError):
    """The file is no whole SQLite database any more."""


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
    measures: str = ""
    """What the sidecar measured while it answered (seconds, brightness, contrast), as JSON."""
    filed: bool = False
    superseded: bool = False
    """Put back or corrected since: another row counts now."""
    id: int | None = field(default=None, compare=False)
    ctime_ns: int | None = field(default=None, compare=False)
    """When the file's contents, name or rights last changed; of use to this run only, so it is not kept."""
    inode: tuple[int, int] | None = field(default=None, compare=False)
    """Device and inode of a file that has other names, too; not kept either."""
    companions: tuple[str, ...] | None = field(default=None, compare=False)
    """The names of the files that go with it, where they are known; not kept: a later run looks again."""


_NOT_KEPT = ("id", "ctime_ns", "inode", "companions")
COLUMNS = [column.name for column in fields(Row) if column.name not in _NOT_KEPT]
_JSON_OF_RUNS = ("counts", "settings", "summary")
CSV_COLUMNS = COLUMNS[: COLUMNS.index("source")]
_INSERT = (
    f"INSERT INTO photos (id, {', '.join(COLUMNS)}) VALUES (:id, {', '.join(f':{name}' for name in COLUMNS)})"
)
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
    settings: dict[str, str] = field(default_factory=dict)
    """What it was told."""
    summary: dict[str, Any] = field(default_factory=dict)
    """What it saw (`batch.summary`), small enough to keep for ever."""


@dataclass
class Act:
    """Something done to a filed photo later: put back, archived, deleted. Written before it is done."""

    action: Literal["requeue", "archive", "delete"]
    photo_id: int
    source: str
    """Where the photo lay, relative to `DATA_DIR`."""
    target: str = ""
    """Where it goes, relative to `DATA_DIR` unless absolute; nothing for a deleted one."""
    at: str = ""
    done: bool = False
    id: int | None = field(default=None, compare=False)


_ACTS = """
CREATE TABLE acts (
    id INTEGER PRIMARY KEY, action TEXT, photo_id INTEGER, source TEXT, target TEXT, at TEXT, done INTEGER
);
CREATE INDEX acts_undone ON acts (id) WHERE NOT done;
CREATE INDEX acts_photo ON acts (photo_id);
"""

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
    model_version TEXT, seconds REAL, counts TEXT, message TEXT, settings TEXT, summary TEXT
);
{_ACTS}
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

_UPGRADES = {
    1: f"""
ALTER TABLE photos ADD COLUMN measures DEFAULT '';
ALTER TABLE runs ADD COLUMN settings TEXT DEFAULT '{{}}';
ALTER TABLE runs ADD COLUMN summary TEXT DEFAULT '{{}}';
{_ACTS}
PRAGMA user_version = 2;
""",
}
"""What brings a ledger of each older version one version further."""


class Ledger:
    """An open ledger.

    >>> with Ledger(Path("data/ledger.sqlite3")) as ledger:
    ...     ledger.record([Row(file_name="a.jpg")])
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger, making it when there is none.

        Raises:
            DamagedLedgerError: it is no whole database any more.
            LedgerError: it is of a newer version, no ledger at all, or cannot be written.
        """
        self.path = path
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.row_factory = sqlite3.Row
        try:
            self._open()
        except sqlite3.OperationalError as error:  # the disk, the rights, another program
            self._db.close()
            raise LedgerError(
                f"the ledger {path} cannot be opened ({error}); no photo was touched"
            ) from error
        except sqlite3.DatabaseError as error:  # what the file holds
            self._db.close()
            raise DamagedLedgerError(
                f"the ledger {path} is damaged ({error}). Put a back-up in its place, or let `python -m batch doctor "
                "--fix` make a new one from predictions.csv; until then no photo is touched"
            ) from error
        except LedgerError:
            self._db.close()
            raise

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
        for older in range(version, VERSION) if tables else ():
            self._db.executescript(f"BEGIN IMMEDIATE;{_UPGRADES[older]}COMMIT;")

    def record(self, rows: Iterable[Row], *, filed: Iterable[int] = ()) -> None:
        """Write new rows (their `id` is set) and mark earlier ones as filed, in one transaction."""
        rows = list(rows)
        with self._transaction() as db:
            last = db.execute("SELECT coalesce(max(id), 0) FROM photos").fetchone()[0]
            for number, row in enumerate(rows, last + 1):
                row.id = number
            db.executemany(_INSERT, map(vars, rows))
            db.executemany("UPDATE photos SET filed = 1 WHERE id = ?", [(number,) for number in filed])

    def move_elsewhere(self, row: Row, before: str) -> None:
        """Change where a photo that is not filed yet is to go; its duplicates point there too."""
        with self._transaction() as db:
            db.execute("UPDATE photos SET moved_to = ? WHERE id = ?", (row.moved_to, row.id))
            db.execute(
                "UPDATE photos SET duplicate_of = ? WHERE duplicate_of = ? AND sha256 = ? AND NOT filed",
                (row.moved_to, before, row.sha256),
            )

    def set_mtime(self, row: Row) -> None:
        """Note when a photo that is not filed yet was changed last: it was touched since it was recorded."""
        with self._transaction() as db:
            db.execute("UPDATE photos SET mtime_ns = ? WHERE id = ?", (row.mtime_ns, row.id))

    def withdraw(self, rows: Iterable[Row]) -> None:
        """Forget rows whose photos could not be filed, in one transaction."""
        with self._transaction() as db:
            db.executemany("DELETE FROM photos WHERE id = ? AND NOT filed", [(row.id,) for row in rows])

    def predicted(self, sha256: str) -> Row | None:
        """The current row of a photo with these bytes that has a prediction."""
        return self._one(
            "SELECT * FROM photos WHERE sha256 = ? AND status IN ('processed', 'review') AND NOT superseded"
            " AND moved_to != '' ORDER BY id LIMIT 1",  # a deleted photo is nobody's first
            sha256,
        )

    def check(self) -> list[str]:
        """What SQLite finds wrong when it reads the whole file; nothing if all is well."""
        try:
            found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def all_rows(self) -> Iterator[Row]:
        """Every row there is, superseded and unfiled ones too, oldest first."""
        return self._rows("SELECT * FROM photos ORDER BY id")

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

    def newest_rows(self, *, after: int) -> dict[str, int]:
        """The runs that have filed rows with an id above `after`, and the highest such id of each."""
        found = self._read("SELECT run_id, max(id) FROM photos WHERE id > ? AND filed GROUP BY run_id", after)
        return {str(run_id): int(number) for run_id, number in found}

    def start_run(self, run: Run) -> None:
        """Note that a run has begun; its id is made unique by a suffix if need be."""
        base, number = run.run_id, 2
        while self._read("SELECT 1 FROM runs WHERE run_id = ?", run.run_id):
            run.run_id, number = f"{base}-{number}", number + 1
        self._save_run(run)

    def end_run(self, run: Run) -> None:
        """Note how a run ended."""
        self._save_run(run)

    def runs(self, since: str = "") -> list[Run]:
        """All runs, or those that started at this moment (as `started_at` has it) or later; oldest first."""
        found = self._read("SELECT * FROM runs WHERE started_at >= ? ORDER BY started_at, rowid", since)
        return [_run(row) for row in found]

    def last_run(self) -> Run | None:
        """The run that started last."""
        found = self._read("SELECT * FROM runs ORDER BY started_at DESC, rowid DESC LIMIT 1")
        return next((_run(row) for row in found), None)

    def runs_without_summary(self) -> list[Run]:
        """Runs that died before they could sum up what they saw, or come from before there were summaries."""
        found = self._read(
            "SELECT * FROM runs WHERE (exit_code IS NULL AND message = '')"
            " OR (summary = '{}' AND json_extract(counts, '$.swept') > 0) ORDER BY started_at, rowid"
        )
        return [_run(row) for row in found]

    def matching(self, condition: str, *values: object) -> Iterator[Row]:
        """The current rows of filed photos that an SQL condition of our own picks, oldest first."""
        return self._rows(
            f"SELECT * FROM photos WHERE filed AND NOT superseded AND ({condition}) ORDER BY id", *values
        )

    def plan(self, acts: Iterable[Act]) -> None:
        """Write down what is about to be done to photos (each gets its `id`), in one transaction.

        A photo that is put back loses its place in the CSV at once.
        """
        with self._transaction() as db:
            for act in acts:
                act.id = db.execute(
                    "INSERT INTO acts (action, photo_id, source, target, at, done) "
                    "VALUES (:action, :photo_id, :source, :target, :at, :done)",
                    asdict(act),
                ).lastrowid
                if act.action == "requeue":
                    db.execute("UPDATE photos SET superseded = 1 WHERE id = ?", (act.photo_id,))

    def finish(self, acts: Iterable[Act]) -> None:
        """Note that planned acts are done: where an archived photo lies now, that a deleted one lies nowhere."""
        with self._transaction() as db:
            for act in acts:
                db.execute("UPDATE acts SET done = 1, target = ? WHERE id = ?", (act.target, act.id))
                if act.action != "requeue":
                    db.execute("UPDATE photos SET moved_to = ? WHERE id = ?", (act.target, act.photo_id))

    def undo(self, act: Act) -> None:
        """Forget a planned act that cannot be done; the photo's row counts again."""
        with self._transaction() as db:
            db.execute("DELETE FROM acts WHERE id = ?", (act.id,))
            if act.action == "requeue":
                db.execute("UPDATE photos SET superseded = 0 WHERE id = ?", (act.photo_id,))

    def unfinished_acts(self) -> list[Act]:
        """Acts that are planned, but not known to be done."""
        found = self._read("SELECT * FROM acts WHERE NOT done ORDER BY id")
        return [Act(**{**dict(row), "done": bool(row["done"])}) for row in found]

    def row(self, number: int) -> Row | None:
        """The row with this id."""
        return self._one("SELECT * FROM photos WHERE id = ?", number)

    def acted_on(self) -> dict[str, str]:
        """The runs whose photos were put back, archived or deleted, and when last."""
        found = self._read(
            "SELECT run_id, max(at) FROM acts JOIN photos ON photos.id = photo_id GROUP BY run_id"
        )
        return {str(run_id): str(moment) for run_id, moment in found}

    def acts_on_run(self, run_id: str) -> dict[str, int]:
        """How many photos of a run have been put back, archived or deleted since."""
        found = self._read(
            "SELECT action, count(*) FROM acts JOIN photos ON photos.id = photo_id "
            "WHERE run_id = ? AND done GROUP BY action",
            run_id,
        )
        return {str(action): int(count) for action, count in found}

    def note(self, key: str) -> str:
        """A value kept under a key, or `""`."""
        found = self._read("SELECT value FROM notes WHERE key = ?", key)
        return str(found[0][0]) if found else ""

    def set_note(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    def _save_run(self, run: Run) -> None:
        values = asdict(run)
        values |= {name: json.dumps(values[name]) for name in _JSON_OF_RUNS}
        marks = ", ".join(f":{name}" for name in values)
        with self._transaction() as db:
            db.execute(f"INSERT OR REPLACE INTO runs ({', '.join(values)}) VALUES ({marks})", values)

    def _one(self, query: str, *values: object) -> Row | None:
        with self._explained():
            found = self._db.execute(query, values).fetchone()
        return _row(found) if found else None

    def _rows(self, query: str, *values: object) -> Iterator[Row]:
        with self._explained():
            for found in self._db.execute(query, values):
                yield _row(found)

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._explained():
            return self._db.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; takes the write lock at once, so that a reader never turns into a failed writer."""
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Let what SQLite says become a sentence for people."""
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(
                f"the ledger {self.path} cannot be read or written ({error}). If its disk is full, make room; "
                "otherwise `python -m batch doctor` says what is wrong. What is done is kept, the rest stays in incoming"
            ) from error


def _run(found: sqlite3.Row) -> Run:
    return Run(**{**dict(found), **{name: json.loads(found[name]) for name in _JSON_OF_RUNS}})


def _row(found: sqlite3.Row) -> Row:
    values: dict[str, Any] = dict(found)
    values.update({name: bool(values[name]) for name in _FLAGS})
    return Row(**values)
