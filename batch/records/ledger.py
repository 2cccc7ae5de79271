"""The ledger: what is known of every photo ever swept, in one SQLite file. It is the truth; CSVs are exports.

A photo's row is written before the photo is moved (`filed` false) and marked after the move is on disk
(`filed` true), so that whatever dies in between, the next run knows what was meant and finishes it.
"""

import contextlib
import json
import shutil
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from batch.exits import NotDoneError
from batch.records import schema

Status = Literal["processed", "review", "failed", "duplicate"]
STATUSES: tuple[Status, ...] = get_args(Status)


class Decision(StrEnum):
    """What a person's answer is to the model's, as the column `decision` has it."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    NO_CLOTHING = "no clothing"
    AUDITED = "audited"
    CANNOT_TELL = "cannot tell"


DECISIONS: tuple[str, ...] = tuple(Decision)


class LedgerError(NotDoneError):
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
    doubts: str = ""
    order: str = ""
    """The first sub-folder below `incoming`, or nothing."""
    decided_by: str = ""
    """Who decided; nothing for a photo that was moved in a file manager, where nobody signs."""
    decided_at: str = ""
    decision: Decision | Literal[""] = ""
    """Nothing while nobody has decided."""
    source: bytes = b""
    """The exact path below `incoming`, as the file system has it."""
    size: int = 0
    mtime_ns: int = 0
    probabilities: str = ""
    """Every class's probability of every head, as JSON."""
    measures: str = ""
    """What the sidecar measured while it answered (seconds, brightness, contrast), as JSON."""
    thresholds: str = ""
    """The probabilities that the heads needed for the photo to be filed without a person, as JSON."""
    model_answer: str = ""
    """What the model had answered, as JSON (`MODEL_ANSWER`), once a person has decided otherwise or the same."""
    sketch: bytes = b""
    """What tells photos that look alike, of those that wait for a person."""
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
MODEL_ANSWER = (*COLUMNS[COLUMNS.index("main_category") : COLUMNS.index("error") + 1], "duplicate_of")
"""What a person's decision may change, and the ledger keeps of the model's answer."""
_MARKS = ", ".join(f":{name}" for name in COLUMNS)
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
"""Quoted: ORDER is a word of SQL's own."""
_INSERT = f"INSERT INTO photos (id, {_NAMES}) VALUES (:id, {_MARKS})"
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
    """What it saw (`batch.reporting.summary`), small enough to keep for ever."""


@dataclass
class Note:
    """A value that is kept under a key."""

    value: str


Action = Literal["requeue", "archive", "delete", "decide", "undo", "by hand"]


@dataclass
class Act:
    """Something done to a filed photo later: put back, archived, deleted, decided on. Written before it is done."""

    action: Action
    photo_id: int
    source: str
    """Where the photo lay, relative to `DATA_DIR`."""
    target: str = ""
    """Where it goes, relative to `DATA_DIR` unless absolute; nothing for a deleted one."""
    at: str = ""
    done: bool = False
    owner: str = ""
    """Who is doing it (`batch.files.movers`); somebody else finishes it only once that one is dead."""
    person: str = ""
    """Who decided, or took a decision back."""
    was: dict[str, Any] = field(default_factory=dict)
    """The columns of the row that a decision changes, as they were; its place is `source`."""
    became: dict[str, Any] = field(default_factory=dict)
    """The same columns as they are from then on."""
    undoes: int = 0
    """The decision that is taken back."""
    undone: bool = False
    id: int | None = field(default=None, compare=False)

    @property
    def moves(self) -> bool:
        """Whether the photo changes its place."""
        return self.source != self.target


class Ledger:
    """An open ledger.

    >>> with Ledger(Path("data/ledger.sqlite3")) as ledger:
    ...     ledger.record([Row(file_name="a.jpg")])
    """

    def __init__(self, path: Path, *, look: bool = False, scratch: bool = False) -> None:
        """Open the ledger, making it when there is none.

        With `look` it is only read, and the files stay byte for byte as they are: where there is none, or one of an
        older version, an empty or upgraded copy is looked at in its place. With `scratch` it is a copy whatever
        happens, which may be written to and is forgotten: for commands that only say what they would do.

        Raises:
            DamagedLedgerError: it is no whole database any more.
            LedgerError: it is of a newer version, no ledger at all, or cannot be opened.
        """
        self.path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._db = sqlite3.connect(":memory:")
        try:
            self._connect(look=look, scratch=scratch)
        except sqlite3.OperationalError as error:  # the disk, the rights, another program
            self.close()
            raise LedgerError(
                f"the ledger {path} cannot be opened ({error}); no photo was touched"
            ) from error
        except sqlite3.DatabaseError as error:  # what the file holds
            self.close()
            raise DamagedLedgerError(
                f"the ledger {path} is damaged ({error}). Put a back-up in its place, or let `python -m batch doctor "
                "--fix` make a new one from predictions.csv; until then no photo is touched"
            ) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything recorded is on disk already."""
        self._db.close()
        if self._folder:
            self._folder.cleanup()

    def _connect(self, *, look: bool, scratch: bool) -> None:
        if not look and not scratch:
            self._use(sqlite3.connect(self.path, isolation_level=None, timeout=30))
            # WAL with a full sync at every commit: a power cut takes back no committed row (sqlite.org/wal.html)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._bring_up_to_date()
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.executescript(schema.noting_changes(CSV_COLUMNS))
            return
        if self.path.exists():
            self._use(_open_to_look(self.path) or self._copy())
        if scratch or self._version() < schema.VERSION:
            if not self._folder:
                self._use(self._copy())
            self._bring_up_to_date()

    def _use(self, db: sqlite3.Connection) -> None:
        """Work on this database from now on.

        Raises:
            LedgerError: it is not ours, or of a newer version.
        """
        if db is not self._db:
            self._db.close()
        self._db = db
        db.row_factory = sqlite3.Row
        # for comparing names: `é` may be one character or two, depending on who wrote it (unicode.org/reports/tr15)
        db.create_function("nfc", 1, lambda text: unicodedata.normalize("NFC", text), deterministic=True)
        application = db.execute("PRAGMA application_id").fetchone()[0]
        if self._has_tables() and application != schema.APPLICATION_ID:
            raise LedgerError(f"{self.path} is not a Nightsort ledger; set LEDGER to another path.")
        if self._version() > schema.VERSION:
            raise LedgerError(
                f"the ledger {self.path} was written by a newer Nightsort (version {self._version()}, this one knows "
                f"{schema.VERSION}). Update the program; no photo was touched."
            )

    def _copy(self) -> sqlite3.Connection:
        """A copy of the database in a folder for temporary files, which goes when this ledger is closed."""
        self._folder = tempfile.TemporaryDirectory(prefix="nightsort-")
        path = Path(self._folder.name) / "ledger.sqlite3"
        wal = self.path.with_name(f"{self.path.name}-wal")
        if self._has_tables():
            copy = sqlite3.connect(path, isolation_level=None)
            self._db.backup(copy)
            return copy
        if wal.exists():  # and its -shm does not, so nobody has it open
            shutil.copyfile(wal, path.with_name(f"{path.name}-wal"))
            shutil.copyfile(self.path, path)
        return sqlite3.connect(path, isolation_level=None)

    def _bring_up_to_date(self) -> None:
        """Make the tables, or add what this version has and the ledger has not; another process may do so just now."""
        try:
            self._make_or_upgrade()
        except sqlite3.OperationalError:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if not self._has_tables() or self._version() != schema.VERSION:
                raise

    def _make_or_upgrade(self) -> None:
        if not self._has_tables():
            self._db.executescript(f"BEGIN IMMEDIATE;{schema.fresh(COLUMNS)}COMMIT;")
        elif self._version() < schema.VERSION:
            columns = "".join(
                f'ALTER TABLE {table} ADD COLUMN "{name}" DEFAULT {value};'
                for table, added in schema.ADDED.items()
                if (there := self._columns(table))
                for name, value in added.items()
                if name not in there
            )
            steps = "".join(step for version, step in schema.STEPS.items() if version > self._version())
            for function in (schema.mere_doubts, schema.without_doubts):
                self._db.create_function(function.__name__, 1, function)
            self._db.executescript(
                f"BEGIN IMMEDIATE;{columns}{steps}PRAGMA user_version = {schema.VERSION};COMMIT;"
            )

    def _columns(self, table: str) -> set[str]:
        return {str(column["name"]) for column in self._db.execute(f"PRAGMA table_info({table})")}

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _has_tables(self) -> bool:
        return bool(self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def record(self, rows: Iterable[Row], *, filed: Iterable[int] = ()) -> None:
        """Write new rows (their `id` is set) and mark earlier ones as filed, in one transaction."""
        with self.transaction() as db:
            _insert(db, list(rows))
            db.executemany("UPDATE photos SET filed = 1 WHERE id = ?", [(number,) for number in filed])

    def take_over(self, rows: list[Row], runs: Iterable[Run]) -> None:
        """Write rows of photos that were filed before, and the runs that they are of, in one transaction.

        A row that has the same place until now counts no longer.
        """
        with self.transaction() as db:
            db.executemany(
                "UPDATE photos SET superseded = 1 WHERE moved_to = ? AND moved_to != '' AND NOT superseded",
                [(row.moved_to,) for row in rows],
            )
            _insert(db, rows)
            for run in runs:
                if not db.execute("SELECT 1 FROM runs WHERE run_id = ?", (run.run_id,)).fetchone():
                    _insert_run(db, run)

    def keys_of_run(self, run_id: str) -> set[tuple[str, str]]:
        """Name and checksum of every row that a run has written, whether it still counts or not."""
        found = self.read("SELECT file_name, sha256 FROM photos WHERE run_id = ?", run_id)
        return {(str(name), str(checksum)) for name, checksum in found}

    def move_elsewhere(self, row: Row, before: str) -> None:
        """Change where a photo that is not filed yet is to go; its duplicates point there too."""
        with self.transaction() as db:
            db.execute("UPDATE photos SET moved_to = ? WHERE id = ?", (row.moved_to, row.id))
            db.execute(
                "UPDATE photos SET duplicate_of = ? WHERE duplicate_of = ? AND sha256 = ? AND NOT filed",
                (row.moved_to, before, row.sha256),
            )

    def set_mtime(self, row: Row) -> None:
        """Note when a photo that is not filed yet was changed last: it was touched since it was recorded."""
        with self.transaction() as db:
            db.execute("UPDATE photos SET mtime_ns = ? WHERE id = ?", (row.mtime_ns, row.id))

    def withdraw(self, rows: Iterable[Row]) -> None:
        """Forget rows whose photos could not be filed, in one transaction."""
        with self.transaction() as db:
            db.executemany("DELETE FROM photos WHERE id = ? AND NOT filed", [(row.id,) for row in rows])

    def answered(self, sha256: str) -> list[Row]:
        """The current rows of photos with these bytes that have an answer and a place, oldest first."""
        return list(
            self.rows(
                "SELECT * FROM photos WHERE sha256 = ? AND NOT superseded AND status IN ('processed', 'review')"
                " AND moved_to != '' ORDER BY id",  # a deleted photo is nobody's first
                sha256,
            )
        )

    def current(self, sha256: str) -> list[Row]:
        """The current rows of filed photos with these bytes, whatever became of them, oldest first."""
        return list(
            self.rows(
                "SELECT * FROM photos WHERE sha256 = ? AND NOT superseded AND filed ORDER BY id", sha256
            )
        )

    def known_places(self, places: Iterable[str]) -> set[str]:
        """Those of these places (relative to `DATA_DIR`) that current rows name, filed or not yet."""
        found: set[str] = set()
        waiting = iter(places)
        while some := list(islice(waiting, 500)):
            marks = ", ".join("?" * len(some))
            query = (
                f"SELECT moved_to FROM photos WHERE NOT superseded AND moved_to COLLATE NOCASE IN ({marks})"
            )
            found.update(str(place) for (place,) in self.read(query, *some))
        return found

    def latest(self, number: int) -> list[Row]:
        """The current rows of the photos that were filed last, newest first; only those that have a place."""
        return list(
            self.rows(
                "SELECT * FROM photos WHERE filed AND NOT superseded AND moved_to != '' ORDER BY id DESC LIMIT ?",
                number,
            )
        )

    def last_promise(self) -> tuple[str, str]:
        """The release of the last run that asked one, and what it promised (REVIEW_PRECISION); nothing before there is."""
        found = self.read(
            "SELECT model_version, json_extract(settings, '$.REVIEW_PRECISION') FROM runs"
            " WHERE model_version != '' ORDER BY started_at DESC, rowid DESC LIMIT 1"
        )
        release, promise = found[0] if found else ("", "")
        return (str(release), str(promise)) if promise else ("", "")

    def promises(self) -> list[tuple[str, str]]:
        """Every release, with each promise that it made (REVIEW_PRECISION)."""
        found = self.read(
            "SELECT DISTINCT model_version, json_extract(settings, '$.REVIEW_PRECISION') AS promise FROM runs"
            " WHERE model_version != '' AND promise IS NOT NULL"
        )
        return [(str(release), str(promise)) for release, promise in found]

    def sample(self, release: str, promise: str) -> Iterator[tuple[int, str, bool]]:
        """The sure photos that people check, of a release and its promise: each one's id and decision, and whether main
        and sub-category are still what the model said.

        They come night by night, and within one by checksum. One that was put back counts if it was answered before,
        one that is deleted, too.
        """
        was = "coalesce(json_extract(nullif(model_answer, ''), '$.{0}'), {0})"
        found = self.read(
            f"SELECT id, decision, main_category = {was.format('main_category')}"
            f" AND sub_category = {was.format('sub_category')} FROM photos"
            " WHERE instr(review_reason, 'audit') AND model_version = ? AND filed"
            " AND coalesce(json_extract(nullif(model_answer, ''), '$.status'), '') != 'duplicate'"
            " AND status IN ('processed', 'review') AND (decision != '' OR (moved_to != '' AND NOT superseded))"
            " AND run_id IN (SELECT run_id FROM runs WHERE json_extract(settings, '$.REVIEW_PRECISION') = ?)"
            " ORDER BY run_id, sha256",
            release, promise,
        )  # fmt: skip
        for number, decision, is_same in found:
            yield int(number), str(decision), bool(is_same)

    def has_rows(self) -> bool:
        """Whether any photo was ever recorded."""
        return bool(self.read("SELECT 1 FROM photos LIMIT 1"))

    def categories(self) -> set[tuple[str, str]]:
        """Every main and sub-category that a photo has been given, by the model or by people."""
        found = self.read(
            "SELECT main_category, sub_category FROM photos WHERE status IN ('processed', 'review') UNION "
            "SELECT json_extract(model_answer, '$.main_category'), json_extract(model_answer, '$.sub_category') "
            "FROM photos WHERE model_answer != ''"
        )
        return {(str(main), str(sub)) for main, sub in found if main and sub}

    def follow(self, row: Row, before: Row, at: str) -> bool:
        """Write a row again whose photo people moved; its duplicates name the new place.

        False, and nothing is written, where the row has changed since it was read as `before`, or is at work on.
        """
        act = Act("by hand", row.id or 0, before.moved_to, row.moved_to, at, done=True)
        act.was, act.became = differences(before, row)
        with self.transaction() as db:
            if not _is_still(db, before):
                return False
            _insert_act(db, act)
            _set_columns(db, act.photo_id, act.became | {"moved_to": row.moved_to})
            _repoint(db, row.sha256, before.moved_to, row.moved_to)
            _point_to_firsts(db, [row.sha256])
        return True

    def lost_references(self) -> list[Row]:
        """Duplicates whose `duplicate_of` names no photo with the same bytes, though there may be one."""
        return list(self.rows(f"SELECT * FROM photos WHERE filed AND {schema.LOST} ORDER BY id"))

    def mend_references(self, checksums: Iterable[str]) -> None:
        """Let duplicates with these bytes that name a place without a row name the first that there is, if any."""
        with self.transaction() as db:
            _point_to_firsts(db, checksums)

    def waiting_at(self) -> list[tuple[str, str]]:
        """Where the photos lie that wait for a person, and when the model decided that they do (UTC)."""
        query = "SELECT moved_to, processed_at FROM photos WHERE id IN (SELECT id FROM waiting)"
        return [(str(place), str(moment)) for place, moment in self.read(query)]

    def queue_is_wrong(self) -> bool:
        """Whether the photos that wait are not those that the rows say, or are not counted right."""
        wanted = f"{schema.IN_WAITING.format('photos')} FROM photos WHERE {schema.WAITS.format('photos')}"
        kept = f"SELECT {schema.WAITING_COLUMNS} FROM waiting"
        counted = "SELECT coalesce(sum(number), 0) FROM tallies WHERE kind ="
        (wrong,) = self.read(
            f"SELECT EXISTS ({wanted} EXCEPT {kept}) OR EXISTS ({kept} EXCEPT {wanted}) OR EXISTS ("
            f" SELECT 1 FROM (SELECT count(*) AS number FROM waiting) WHERE number != ({counted} 'all')"
            f" OR number != ({counted} 'run') OR number != ({counted} 'category'))"
        )
        return bool(wrong[0])

    def make_queue(self) -> None:
        """Find and count the photos that wait anew."""
        with self.transaction() as db:
            db.execute("DELETE FROM waiting")
            db.execute("DELETE FROM tallies")
            db.execute(schema.FILL_WAITING)

    def folder_times(self) -> dict[str, int]:
        """The filing folders as they were last looked at: when each had changed last, in nanoseconds."""
        return {str(place): int(time) for place, time in self.read("SELECT place, mtime_ns FROM folders")}

    def set_folder_times(self, times: dict[str, int]) -> None:
        """Remember the filing folders as they are now; those that are not named are forgotten."""
        with self.transaction() as db:
            db.execute("DELETE FROM folders")
            db.executemany("INSERT INTO folders VALUES (?, ?)", times.items())

    def copy_to(self, path: Path) -> None:
        """Copy the whole ledger to a new file, in steps, so that a night at work is never held up for long.

        Raises:
            sqlite3.Error: the copy cannot be written, or is not sound.
        """
        with contextlib.closing(sqlite3.connect(path)) as target:
            self._db.backup(target, pages=2000)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)

    def check(self) -> list[str]:
        """What SQLite finds wrong when it reads the whole file; nothing if all is well."""
        try:
            found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def all_rows(self) -> Iterator[Row]:
        """Every row there is, superseded and unfiled ones too, oldest first."""
        return self.rows("SELECT * FROM photos ORDER BY id")

    def unfiled(self) -> list[Row]:
        """Photos that are recorded, but whose move is not known to be done."""
        return list(self.rows("SELECT * FROM photos WHERE NOT filed ORDER BY id"))

    def filed_rows(self, *, after: int = 0, run_id: str | None = None) -> Iterator[Row]:
        """The current rows of filed photos with an id above `after`, oldest first; of one run, if named."""
        condition, values = ("AND run_id = ?", (run_id,)) if run_id else ("", ())
        return self.rows(
            f"SELECT * FROM photos WHERE id > ? AND filed AND NOT superseded {condition} ORDER BY id",
            after,
            *values,
        )

    def exportable_rows(self, *, after: int = 0) -> Iterator[Row]:
        """The same for the CSV of all nights: up to the first photo that is still being filed, so that later calls with
        the last one's id find all others."""
        return self.rows(
            "SELECT * FROM photos WHERE id > ? AND filed AND NOT superseded"
            " AND id < coalesce((SELECT min(id) FROM photos WHERE NOT filed), 9e18) ORDER BY id",
            after,
        )

    def count_of_run(self, run_id: str) -> int:
        """How many current rows of filed photos a run has."""
        query = "SELECT count(*) FROM photos WHERE run_id = ? AND filed AND NOT superseded"
        return int(self.read(query, run_id)[0][0])

    def last_decided(self, run_id: str) -> str:
        """When a run decided its last photo, or `""`."""
        return str(
            self.read("SELECT coalesce(max(processed_at), '') FROM photos WHERE run_id = ?", run_id)[0][0]
        )

    def newest_rows(self, *, after: int) -> dict[str, int]:
        """The runs that have filed rows with an id above `after`, and the highest such id of each."""
        found = self.read("SELECT run_id, max(id) FROM photos WHERE id > ? AND filed GROUP BY run_id", after)
        return {str(run_id): int(number) for run_id, number in found}

    def start_run(self, run: Run) -> None:
        """Note that a run has begun; its id is made unique by a suffix if need be."""
        base, number = run.run_id, 2
        while self.read("SELECT 1 FROM runs WHERE run_id = ?", run.run_id):
            run.run_id, number = f"{base}-{number}", number + 1
        self._save_run(run)

    def end_run(self, run: Run) -> None:
        """Note how a run ended."""
        self._save_run(run)

    def runs(self, since: str = "") -> list[Run]:
        """All runs, or those that started at this moment (as `started_at` has it) or later; oldest first."""
        found = self.read("SELECT * FROM runs WHERE started_at >= ? ORDER BY started_at, rowid", since)
        return [_run(row) for row in found]

    def runs_before(self, moment: str, number: int) -> list[Run]:
        """So many runs that started before this moment (or simply the last ones), newest first."""
        found = self.read(
            "SELECT * FROM runs WHERE started_at < ? ORDER BY started_at DESC, rowid DESC LIMIT ?",
            moment or "9999",
            number,
        )
        return [_run(row) for row in found]

    def last_run(self) -> Run | None:
        """The run that started last."""
        found = self.read("SELECT * FROM runs ORDER BY started_at DESC, rowid DESC LIMIT 1")
        return next((_run(row) for row in found), None)

    def runs_without_summary(self) -> list[Run]:
        """Runs that died before they could sum up what they saw, or come from before there were summaries."""
        found = self.read(
            "SELECT * FROM runs WHERE (exit_code IS NULL AND message = '')"
            " OR (summary = '{}' AND json_extract(counts, '$.swept') > 0) ORDER BY started_at, rowid"
        )
        return [_run(row) for row in found]

    def matching(self, condition: str, *values: object) -> Iterator[Row]:
        """The current rows of filed photos that an SQL condition of our own picks, oldest first."""
        return self.rows(
            f"SELECT * FROM photos WHERE filed AND NOT superseded AND ({condition}) ORDER BY id", *values
        )

    def plan(self, acts: Iterable[Act]) -> list[Act]:
        """Write down what is about to be done to photos (each act gets its `id`), in one transaction.

        Returns those that were written down: not those of photos that are elsewhere by now, or at work on. A photo
        that is put back loses its place in the CSV at once.
        """
        planned = []
        with self.transaction() as db:
            for act in acts:
                there = db.execute(
                    "SELECT 1 FROM photos WHERE id = ? AND moved_to = ? AND NOT superseded",
                    (act.photo_id, act.source),
                ).fetchone()
                if not there or _is_at_work(db, act.photo_id):
                    continue
                _insert_act(db, act)
                planned.append(act)
                if act.action == "requeue":
                    db.execute("UPDATE photos SET superseded = 1 WHERE id = ?", (act.photo_id,))
        return planned

    def decide(self, decisions: Iterable[tuple[Act, Row]]) -> list[Act]:
        """Write down what people have decided, or taken back: rows change at once, their places with `finish`.

        Returns the acts that were written down: not those whose rows have changed since they were read as given, or
        are at work on.
        """
        written = []
        with self.transaction() as db:
            for act, before in decisions:
                if not _is_still(db, before):
                    continue
                act.done = not act.moves
                _insert_act(db, act)
                _set_columns(db, act.photo_id, act.became)
                if act.undoes:
                    db.execute("UPDATE acts SET undone = 1 WHERE id = ?", (act.undoes,))
                db.execute("DELETE FROM leases WHERE photo_id = ?", (act.photo_id,))
                _point_to_firsts(db, [before.sha256])
                written.append(act)
        return written

    def send_elsewhere(self, act: Act) -> None:
        """Change where a planned act moves its photo."""
        with self.transaction() as db:
            db.execute("UPDATE acts SET target = ? WHERE id = ?", (act.target, act.id))

    def finish(self, acts: Iterable[Act]) -> None:
        """Note that planned acts are done: where a photo lies now, that a deleted one lies nowhere.

        Duplicates of these photos name the new place, or another photo with the same bytes, or nothing. Should a power
        cut take it back, who finishes the acts finds that they are done.
        """
        with self.transaction(lasting=False) as db:
            checksums = []
            for act in acts:
                db.execute("UPDATE acts SET done = 1, target = ? WHERE id = ?", (act.target, act.id))
                if act.action != "requeue":
                    db.execute("UPDATE photos SET moved_to = ? WHERE id = ?", (act.target, act.photo_id))
                found = db.execute("SELECT sha256 FROM photos WHERE id = ?", (act.photo_id,)).fetchone()
                checksums.append(str(found[0]))
                if act.target and act.action != "requeue":
                    _repoint(db, checksums[-1], act.source, act.target)
            _point_to_firsts(db, checksums)

    def give_up(self, act: Act) -> None:
        """Forget a planned act that cannot be done; the photo's row counts again, as it was."""
        with self.transaction() as db:
            if not db.execute("DELETE FROM acts WHERE id = ? AND NOT done", (act.id,)).rowcount:
                return
            if act.action == "requeue":
                db.execute("UPDATE photos SET superseded = 0 WHERE id = ?", (act.photo_id,))
            _set_columns(db, act.photo_id, act.was)
            if act.undoes:
                db.execute("UPDATE acts SET undone = 0 WHERE id = ?", (act.undoes,))

    def unfinished_acts(self) -> list[Act]:
        """Acts that are planned, but not known to be done."""
        return self.acts("NOT done")

    def acts(self, condition: str, *values: object) -> list[Act]:
        """The acts that an SQL condition of our own picks, oldest first."""
        return [
            _act(found) for found in self.read(f"SELECT * FROM acts WHERE {condition} ORDER BY id", *values)
        ]

    def row(self, number: int) -> Row | None:
        """The row with this id."""
        return self._one("SELECT * FROM photos WHERE id = ?", number)

    def acted_on(self) -> dict[str, str]:
        """The runs whose photos were put back, archived or deleted, and when last."""
        found = self.read(
            "SELECT run_id, max(at) FROM acts JOIN photos ON photos.id = photo_id"
            " WHERE action IN ('requeue', 'archive', 'delete') GROUP BY run_id"
        )
        return {str(run_id): str(moment) for run_id, moment in found}

    def acts_on_run(self, run_id: str) -> dict[str, int]:
        """How many photos of a run have been put back, archived, deleted or decided on since."""
        found = self.read(
            "SELECT action, count(*) FROM acts JOIN photos ON photos.id = photo_id "
            "WHERE run_id = ? AND done AND NOT undone AND action != 'undo' GROUP BY action",
            run_id,
        )
        return {str(action): int(count) for action, count in found}

    def note(self, key: str) -> str:
        """A value kept under a key, or `""`."""
        found = self.read("SELECT value FROM notes WHERE key = ?", key)
        return str(found[0][0]) if found else ""

    def set_note(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    @contextlib.contextmanager
    def changing_note(self, key: str) -> Iterator["Note"]:
        """A note that is read and written in one transaction."""
        with self.transaction() as db:
            found = db.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
            note = Note(str(found[0]) if found else "")
            yield note
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, note.value))

    def _save_run(self, run: Run) -> None:
        with self.transaction() as db:
            _insert_run(db, run)

    def _one(self, query: str, *values: object) -> Row | None:
        with self._explained():
            found = self._db.execute(query, values).fetchone()
        return _row(found) if found else None

    def rows(self, query: str, *values: object) -> Iterator[Row]:
        """The photos that a query of our own picks; all of their columns have to be asked for."""
        with self._explained():
            for found in self._db.execute(query, values):
                yield _row(found)

    def read(self, query: str, *values: object) -> list[sqlite3.Row]:
        """What a query of our own finds."""
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def write(self, statement: str, *values: object) -> None:
        """Change something of one's own, within a transaction."""
        with self._explained():
            self._db.execute(statement, values)

    @contextlib.contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing; takes the write lock at once, so that a reader never turns into a failed writer.

        One that need not be `lasting` may be taken back by a power cut, as long as no later one has been written; by
        nothing else. It does not wait for the disk.
        """
        with self._explained():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
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


def _open_to_look(path: Path) -> sqlite3.Connection | None:
    """The database, opened so that nothing of it changes; None where SQLite knows no such way.

    SQLite's own read-only mode writes beside the file: it makes a WAL and its index where there are none, and
    repairs the index that a dead process left. So a file at rest is opened as immutable (sqlite.org/uri.html), and
    one with a WAL with an index that is not written to (`readonly_shm`, sqlite.org/wal.html#read_only_databases).
    """
    wal, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    if wal.exists() and not index.exists():
        return None
    how = "readonly_shm=1" if wal.exists() else "immutable=1"
    uri = f"{path.absolute().as_uri()}?mode=ro&{how}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)


def _insert(db: sqlite3.Connection, rows: list[Row]) -> None:
    """Add rows; each gets its `id`."""
    last = db.execute("SELECT coalesce(max(id), 0) FROM photos").fetchone()[0]
    for number, row in enumerate(rows, last + 1):
        row.id = number
    db.executemany(_INSERT, map(vars, rows))
    _point_to_firsts(db, (row.sha256 for row in rows if row.status in ("processed", "review")))


def _insert_run(db: sqlite3.Connection, run: Run) -> None:
    values = asdict(run)
    values |= {name: json.dumps(values[name]) for name in _JSON_OF_RUNS}
    marks = ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT OR REPLACE INTO runs ({', '.join(values)}) VALUES ({marks})", values)


def differences(before: Row, after: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns in which two rows of a photo differ, but for its place: as they were, and as they are."""
    names = [name for name in COLUMNS if name != "moved_to" and getattr(before, name) != getattr(after, name)]
    return {name: getattr(before, name) for name in names}, {name: getattr(after, name) for name in names}


def _is_still(db: sqlite3.Connection, row: Row) -> bool:
    """Whether a row is as it was read, and nobody is moving its photo. Whose duplicate it is does not matter here."""
    found = db.execute("SELECT * FROM photos WHERE id = ?", (row.id,)).fetchone()
    if found is None or _is_at_work(db, row.id):
        return False
    return replace(_row(found), duplicate_of=row.duplicate_of) == row


def _is_at_work(db: sqlite3.Connection, photo_id: int | None) -> bool:
    found = db.execute("SELECT 1 FROM acts WHERE photo_id = ? AND NOT done", (photo_id,)).fetchone()
    return found is not None


def _set_columns(db: sqlite3.Connection, photo_id: int, values: dict[str, Any]) -> None:
    if values:
        assignments = ", ".join(f'"{name}" = :{name}' for name in values)
        db.execute(f"UPDATE photos SET {assignments} WHERE id = :photo_id", {**values, "photo_id": photo_id})


def _insert_act(db: sqlite3.Connection, act: Act) -> None:
    """Add an act; it gets its `id`."""
    values = {**asdict(act), "was": json.dumps(act.was), "became": json.dumps(act.became)}
    del values["id"]
    marks = ", ".join(f":{name}" for name in values)
    act.id = db.execute(f"INSERT INTO acts ({', '.join(values)}) VALUES ({marks})", values).lastrowid


def _act(found: sqlite3.Row) -> Act:
    values: dict[str, Any] = dict(found)
    values |= {name: json.loads(values[name]) for name in ("was", "became")}
    return Act(**{**values, "done": bool(values["done"]), "undone": bool(values["undone"])})


def _repoint(db: sqlite3.Connection, sha256: str, before: str, after: str) -> None:
    """Let duplicates of a photo that was moved name its new place."""
    db.execute(
        "UPDATE photos SET duplicate_of = ? WHERE duplicate_of = ? AND duplicate_of != '' AND sha256 = ?"
        " AND NOT superseded",
        (after, before, sha256),
    )


def _point_to_firsts(db: sqlite3.Connection, checksums: Iterable[str]) -> None:
    """Let duplicates that name a place without a row name the oldest photo with the same bytes, or nothing."""
    db.executemany(
        f"UPDATE photos SET duplicate_of = coalesce(({schema.FIRST} ORDER BY first.id LIMIT 1), '')"
        f" WHERE sha256 = ? AND {schema.LOST}",
        [(checksum,) for checksum in checksums],
    )


def _run(found: sqlite3.Row) -> Run:
    return Run(**{**dict(found), **{name: json.loads(found[name]) for name in _JSON_OF_RUNS}})


def _row(found: sqlite3.Row) -> Row:
    values: dict[str, Any] = dict(found)
    values.update({name: bool(values[name]) for name in _FLAGS})
    return Row(**values)
