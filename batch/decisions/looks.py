"""Second looks at photos of the audit, and looks at planted ones: kept beside the decisions, changing nothing."""

import json
from dataclasses import asdict
from typing import Literal

from batch.records import moments
from batch.records.ledger import Ledger, Row
from batch.records.verdict import Verdict, verdict_of

Kind = Literal["second", "planted"]


def add(ledger: Ledger, row: Row, kind: Kind, verdict: Verdict, by: str) -> str:
    """Keep what somebody said of a photo that counts as decided already; returns a receipt.

    The same person's answer to the same photo once more is the first one.
    """
    agrees = meant(verdict) == meant(verdict_of(row))
    with ledger.transaction() as db:
        known = db.execute(
            "SELECT id FROM looks WHERE photo_id = ? AND person = ? AND kind = ?", (row.id, by, kind)
        ).fetchone()
        number = known[0] if known else None
        if number is None:
            number = db.execute(
                "INSERT INTO looks (photo_id, kind, person, at, answer, agrees, release) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (row.id, kind, by, moments.now(), json.dumps(asdict(verdict)), agrees, row.model_version),
            ).lastrowid
        db.execute("DELETE FROM leases WHERE photo_id = ?", (row.id,))
    return f"l{number}"


def meant(verdict: Verdict) -> tuple[str, str, bool, bool]:
    """What has to be the same for two people to agree: the category, or that there is none."""
    return verdict.main, verdict.sub, verdict.no_clothing, verdict.cannot_tell


def is_receipt(receipt: str) -> bool:
    """Whether a receipt is one of a look."""
    return receipt[:1] == "l" and receipt[1:].isdecimal()


def take_back(ledger: Ledger, receipt: str, by: str) -> int | None:
    """Forget a person's own look; returns whose photo it was, None where there is no such look."""
    with ledger.transaction() as db:
        found = db.execute(
            "DELETE FROM looks WHERE id = ? AND person = ? RETURNING photo_id", (int(receipt[1:]), by)
        ).fetchone()
    return int(found[0]) if found else None


def newest(ledger: Ledger, by: str) -> tuple[str, str]:
    """The receipt of a person's newest look, and when that was; empty where there is none."""
    found = ledger.read("SELECT max(id), at FROM looks WHERE person = ?", by)
    return (f"l{found[0][0]}", str(found[0][1])) if found[0][0] else ("", "")
