"""The ledger's tables in SQL: what makes a new one, what brings an older one up to date, and what its triggers keep."""

from collections.abc import Iterable

VERSION = 4
APPLICATION_ID = 0x4E535254  # "NSRT": tells our file from any other SQLite file

WAITS = (
    "{0}.status = 'review' AND {0}.decision = '' AND {0}.filed AND NOT {0}.superseded"
    " AND {0}.moved_to >= 'review/' AND {0}.moved_to < 'review0'"
)
"""Whether a row's photo waits for a person; for `format` with the row's name."""

_WAIT_BY = (
    "status, decision, filed, superseded, moved_to,"
    ' run_id, "order", main_category, sub_category, sub_category_probability, review_reason'
)
WAITING_COLUMNS = 'id, run_id, "order", main_category, sub_category, confidence, review_reason'
IN_WAITING = (
    'SELECT {0}.id, {0}.run_id, {0}."order", {0}.main_category, {0}.sub_category,'
    " coalesce({0}.sub_category_probability, 0), {0}.review_reason"
)
_TALLY = """
    INSERT INTO tallies (kind, name, number)
    SELECT kind, name, {1} FROM (
        SELECT 'all' AS kind, '' AS name
        UNION ALL SELECT 'run', {0}.run_id
        UNION ALL SELECT 'order', {0}."order"
        UNION ALL SELECT 'category', {0}.main_category || '/' || {0}.sub_category
        UNION ALL SELECT 'doubt', CASE instr(value, ' (') WHEN 0 THEN value ELSE substr(value, 1, instr(value, ' (') - 1) END
            FROM json_each('[' || replace(json_quote({0}.review_reason), ', ', '","') || ']')
    ) WHERE true
    ON CONFLICT (kind, name) DO UPDATE SET number = number + excluded.number;
"""

FILL_WAITING = (
    f"INSERT OR IGNORE INTO waiting ({WAITING_COLUMNS})"
    f" {IN_WAITING.format('photos')} FROM photos WHERE {WAITS.format('photos')};"
)

DECIDED = (
    """
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY, run_id TEXT, "order" TEXT, main_category TEXT, sub_category TEXT, confidence REAL,
    review_reason TEXT
);
CREATE INDEX IF NOT EXISTS waiting_doubtful ON waiting (
    confidence, id, run_id, "order", main_category, sub_category, review_reason
);
CREATE INDEX IF NOT EXISTS waiting_alike ON waiting (
    main_category, sub_category, confidence, id, run_id, "order", review_reason
);
CREATE INDEX IF NOT EXISTS waiting_order ON waiting ("order", confidence, id);
CREATE TABLE IF NOT EXISTS tallies (kind TEXT, name TEXT, number INTEGER, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (photo_id INTEGER PRIMARY KEY, holder TEXT, until REAL, purpose TEXT);
CREATE TABLE IF NOT EXISTS looks (
    id INTEGER PRIMARY KEY, photo_id INTEGER, kind TEXT, person TEXT, at TEXT, answer TEXT, agrees INTEGER, release TEXT
);
CREATE INDEX IF NOT EXISTS looks_photo ON looks (photo_id);
CREATE INDEX IF NOT EXISTS acts_person ON acts (person, id) WHERE action = 'decide' AND NOT undone;
DROP INDEX IF EXISTS photos_run;
DROP INDEX IF EXISTS photos_sha256;
CREATE INDEX IF NOT EXISTS photos_run ON photos (
    run_id, id, status, decision, sub_category, sub_category_probability
);
CREATE INDEX IF NOT EXISTS photos_sha256 ON photos (sha256);
CREATE INDEX IF NOT EXISTS photos_order ON photos ("order", id) WHERE "order" != '';
CREATE INDEX IF NOT EXISTS photos_name ON photos (
    replace(file_name, rtrim(file_name, replace(file_name, '/', '')), '') COLLATE NOCASE
);
CREATE INDEX IF NOT EXISTS photos_failed ON photos (run_id, id) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS photos_decided ON photos (run_id, id) WHERE decision != '';
CREATE INDEX IF NOT EXISTS photos_audit ON photos (model_version, run_id, sha256) WHERE instr(review_reason, 'audit');
CREATE INDEX IF NOT EXISTS photos_second ON photos (run_id, sha256)
    WHERE decision != '' AND instr(review_reason, 'audit') AND substr(sha256, 9, 3) < '19a';
CREATE INDEX IF NOT EXISTS photos_audit_open ON photos (run_id, sha256)
    WHERE decision = '' AND instr(review_reason, 'audit');
"""
    + f"""
CREATE TRIGGER IF NOT EXISTS waits_on_insert AFTER INSERT ON photos WHEN {WAITS.format("new")} BEGIN
    INSERT INTO waiting ({WAITING_COLUMNS}) {IN_WAITING.format("new")};
END;
CREATE TRIGGER IF NOT EXISTS waits_on_update AFTER UPDATE OF {_WAIT_BY} ON photos
WHEN ({WAITS.format("old")}) OR ({WAITS.format("new")}) BEGIN
    DELETE FROM waiting WHERE id = old.id;
    INSERT INTO waiting ({WAITING_COLUMNS}) {IN_WAITING.format("new")} WHERE {WAITS.format("new")};
END;
CREATE TRIGGER IF NOT EXISTS waits_on_delete AFTER DELETE ON photos WHEN {WAITS.format("old")} BEGIN
    DELETE FROM waiting WHERE id = old.id;
END;
CREATE TRIGGER IF NOT EXISTS tallied_on_insert AFTER INSERT ON waiting BEGIN {_TALLY.format("new", "1")} END;
CREATE TRIGGER IF NOT EXISTS tallied_on_delete AFTER DELETE ON waiting BEGIN {_TALLY.format("old", "-1")}
    DELETE FROM tallies WHERE kind = 'run' AND name = old.run_id AND number = 0;
    DELETE FROM tallies WHERE kind = 'order' AND name = old."order" AND number = 0;
    DELETE FROM leases WHERE photo_id = old.id;
END;
{FILL_WAITING}
"""
)
"""What people's decisions need: the photos that wait, counted by what they can be filtered by, whatever changes a row;
who looks at which; second looks; and what finds a photo."""

_BESIDE = """
CREATE TABLE IF NOT EXISTS acts (
    id INTEGER PRIMARY KEY, action TEXT, photo_id INTEGER, source TEXT, target TEXT, at TEXT, done INTEGER,
    owner TEXT DEFAULT '', person TEXT DEFAULT '', was TEXT DEFAULT '{}', became TEXT DEFAULT '{}',
    undoes INTEGER DEFAULT 0, undone INTEGER DEFAULT 0
);
CREATE INDEX IF NOT EXISTS acts_undone ON acts (id) WHERE NOT done;
CREATE INDEX IF NOT EXISTS acts_photo ON acts (photo_id);
CREATE TABLE IF NOT EXISTS folders (place TEXT PRIMARY KEY, mtime_ns INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS photos_place ON photos (moved_to COLLATE NOCASE) WHERE NOT superseded;
"""
"""What older versions do not have, beside columns."""


def fresh(columns: Iterable[str]) -> str:
    """What makes a new ledger, whose photos have these columns."""
    names = ", ".join(f'"{name}"' for name in columns)  # ORDER is a word of SQL's own
    return f"""
CREATE TABLE photos (id INTEGER PRIMARY KEY, {names});
CREATE INDEX IF NOT EXISTS photos_unfiled ON photos (id) WHERE NOT filed;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, started_at TEXT, finished_at TEXT, exit_code INTEGER,
    model_version TEXT, seconds REAL, counts TEXT, message TEXT, settings TEXT, summary TEXT
);
{_BESIDE}
{DECIDED}
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


CSV_NOTE = "csv"
"""The note about `predictions.csv` as it was left: a JSON object with the `last_id` in it, how many `changes` of rows
there have been, how many of these it has (`exported`), and `first` and `last`, when those it lacks were made."""


def noting_changes(csv_columns: Iterable[str]) -> str:
    """What lets a connection note changes of rows that the CSV has, and of which columns.

    Whoever changes such a row: it is noted in the same transaction, so that no death comes between, and counted, so that
    what changes while the CSV is written is not taken for written.
    """
    names = ", ".join(f'"{name}"' for name in csv_columns)
    return f"""
CREATE TEMP TRIGGER csv_changes AFTER UPDATE OF {names}, filed, superseded ON photos
WHEN old.filed OR new.id <= (SELECT json_extract(value, '$.last_id') FROM notes WHERE key = '{CSV_NOTE}')
BEGIN
    UPDATE notes SET value = json_set(
        value,
        '$.changes', coalesce(json_extract(value, '$.changes'), 0) + 1,
        '$.first', coalesce(json_extract(value, '$.first'), strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
        '$.last', strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
    ) WHERE key = '{CSV_NOTE}';
END;
"""


ADDED = {
    "photos": {
        **dict.fromkeys(
            ("measures", "thresholds", "doubts", "order", "decided_by", "decided_at", "decision", "model_answer"), "''"
        ),
        "sketch": "x''",
    },
    "runs": dict.fromkeys(("settings", "summary"), "'{}'"),
    "acts": {
        "owner": "''", "person": "''", "was": "'{}'", "became": "'{}'", "undoes": "0", "undone": "0",
    },
}  # fmt: skip
"""Columns that were not there in the first version, and what older rows have in them, as SQL has it."""

FIRST = (
    "SELECT moved_to FROM photos AS first WHERE first.sha256 = photos.sha256 AND NOT first.superseded"
    " AND first.status IN ('processed', 'review') AND first.moved_to != ''"
)
"""The places of the photos that a duplicate may be one of."""

LOST = (
    "status = 'duplicate' AND NOT superseded AND "
    f"duplicate_of IS NOT coalesce(({FIRST} AND first.moved_to = photos.duplicate_of), ({FIRST} ORDER BY first.id), '')"
)
"""Duplicates that name a place without a row, or nothing although there is a first one."""

STEPS = {
    3: f"""
DROP INDEX IF EXISTS photos_predicted;
{_BESIDE}
CREATE INDEX IF NOT EXISTS photos_sha256 ON photos (sha256);
UPDATE photos SET "order" = substr(file_name, 1, instr(file_name, '/') - 1) WHERE instr(file_name, '/');
UPDATE photos SET doubts = mere_doubts(review_reason), review_reason = without_doubts(review_reason)
    WHERE review_reason LIKE '%unsure%' OR instr(review_reason, ';');
UPDATE photos SET duplicate_of = coalesce(({FIRST} ORDER BY first.id LIMIT 1), '') WHERE {LOST};
""",
    4: DECIDED,
}
"""What makes a ledger of the version before into one of this version, once it has all columns."""


def is_mere_doubt(reason: str) -> bool:
    """Whether a doubt that older versions named among the reasons for review moves no photo."""
    return reason.startswith(("background unsure", "colour unsure"))


def mere_doubts(reasons: str) -> str:
    """Of the reasons that an older version gave, parted by `; `: those that moved nothing, as `doubts` has them."""
    return ", ".join(filter(is_mere_doubt, reasons.split("; ")))


def without_doubts(reasons: str) -> str:
    """The others, as `review_reason` has them."""
    return ", ".join(reason for reason in reasons.split("; ") if not is_mere_doubt(reason))
