"""Deciding on a photo, and taking it back.

    decided = decide(settings, ledger, 4711, Verdict(main="bottomwear", sub="pants"), by="ada")
    undo(settings, ledger, decided.receipt, by="ada")

The row is written first, then the photo is moved to the folder of its answer, its companions with it; whoever dies in
between, the next decision, night or command finishes that. Nobody's decision is overwritten unless they have seen it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from batch.decisions import looks
from batch.files import acts, by_hand, filing, movers
from batch.files.companions import Folder, Kinds, Taken
from batch.records import moments
from batch.records.ledger import Act, Decision, Ledger, Row, differences
from batch.records.verdict import Verdict, as_the_model_had_it, category_of, verdict_of
from batch.records.verdict import decide as decided_row
from batch.settings import BatchSettings

TRIES, PAUSE_SECONDS = 40, 0.05
"""So often, and in such steps, a photo that somebody else is at work on is waited for."""

NO_RECEIPT = "0"
"""Of a decision that has no act of its own: it was made by an older version, or taken over from a CSV."""


class CannotDecideError(Exception):
    """A photo cannot be decided on; the message says why, for people. Nothing was changed."""


class AlreadyDecidedError(CannotDecideError):
    """Somebody has decided on the photo before, or since; for the page's 409."""

    def __init__(
        self, receipt: str, by: str, at: str, decision: str, theirs: Verdict, yours: Verdict | None
    ) -> None:
        """`by` is empty where the photo was moved in a file manager; `yours` is None where a decision was to be undone."""
        self.receipt, self.by, self.at, self.decision = receipt, by, at, decision
        self.theirs, self.yours = theirs, yours
        super().__init__(f"{by or 'Somebody'} has decided on this photo already ({decision}, {at}).")


class GoneError(CannotDecideError):
    """The photo is not there any more: taken away, worked on, put back, archived or deleted since."""


class UnknownAnswerError(CannotDecideError):
    """The verdict names a category, background or colour that there is none of."""


class BusyError(CannotDecideError):
    """Somebody is moving this very photo at this moment; trying again in a second helps."""


@dataclass(frozen=True)
class Decided:
    """What became of a decision."""

    receipt: str
    """For `undo`, and for `over`."""
    photo_id: int
    decision: Decision | Literal[""]
    """As it counts now: nothing once it was taken back."""
    row: Row
    """As it is now."""


@dataclass(frozen=True)
class Failed:
    """One of several decisions that could not be made."""

    photo_id: int
    error: CannotDecideError | filing.FilingError


@dataclass(frozen=True)
class Choices:
    """What a verdict may name."""

    main_of: dict[str, str]
    """The main category of each sub-category."""
    backgrounds: tuple[str, ...]
    colours: tuple[str, ...]


def decide(
    settings: BatchSettings,
    ledger: Ledger,
    photo_id: int,
    verdict: Verdict,
    *,
    by: str,
    over: str = "",
) -> Decided:
    """Let a person's answer count for a photo. The lease on it ends.

    The same answer by the same person once more (a page that sends again what it had no reply to) gives the first
    one's receipt. `over` is the receipt of somebody's decision which this one knowingly replaces.

    Raises:
        AlreadyDecidedError: somebody has decided, and `over` does not say that this was seen.
        GoneError, UnknownAnswerError, BusyError: see there.
        FilingError: the photo cannot be moved; nothing was changed.
        LedgerError: the ledger cannot be written.
    """
    (result,) = _decide(settings, ledger, [(photo_id, verdict)], by, over)
    if isinstance(result, Failed):
        raise result.error
    return result


def decide_all(
    settings: BatchSettings, ledger: Ledger, verdicts: Sequence[tuple[int, Verdict]], *, by: str
) -> list[Decided | Failed]:
    """The same for several photos at once (a grid that is accepted), in their order; one that fails stops no other.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    return _decide(settings, ledger, verdicts, by, "")


def undo(settings: BatchSettings, ledger: Ledger, receipt: str, *, by: str) -> Decided:
    """Take one's own decision back, exactly: place, row, reason; returns the row as it was before it.

    One that was taken back already is no error. An audit's second look is taken back the same way.

    Raises:
        AlreadyDecidedError: somebody has decided since.
        GoneError: the photo lies elsewhere since (put back, archived, deleted, moved).
        CannotDecideError: it is not this person's decision.
        BusyError, FilingError, LedgerError: as for `decide`.
    """
    if looks.is_receipt(receipt):
        return _take_back_look(ledger, receipt, by)

    def act_on(row: Row) -> Act | Decided:
        decision = _decision(ledger, receipt, by)
        if decision.undone:
            return Decided(receipt, decision.photo_id, row.decision, row)
        last = _last_decision(ledger, row)
        if last != receipt:
            raise _already(last, row, None)
        if row.moved_to != decision.target:
            raise GoneError("The photo lies elsewhere since: what was decided can be changed, not undone.")
        act = _act("undo", row, replace(row, **decision.was), by)
        act.target = decision.source if decision.moves else row.moved_to
        act.undoes = decision.id or 0
        return act

    (result,) = _do(settings, ledger, [(_decision(ledger, receipt, by).photo_id, act_on)])
    if isinstance(result, Failed):
        raise result.error
    return replace(result, receipt=receipt)


def newest(ledger: Ledger, by: str) -> str:
    """The receipt of a person's newest decision that still counts; nothing where there is none (left)."""
    query = "SELECT id, at FROM acts WHERE person = ? AND action = 'decide' AND NOT undone ORDER BY id DESC LIMIT 1"
    found = ledger.read(query, by)
    look, looked_at = looks.newest(ledger, by)
    if look and (not found or looked_at > found[0]["at"]):
        return look
    return str(found[0]["id"]) if found else ""


def choices(settings: BatchSettings, ledger: Ledger) -> Choices:
    """What a verdict may name: what the model answers, and the categories of photos that wait."""
    known = by_hand.answers_of_model(settings, ledger)
    waiting = ledger.read("SELECT name FROM tallies WHERE kind = 'category' AND number > 0")
    given = {sub: main for (name,) in waiting for main, _, sub in [str(name).partition("/")] if main and sub}
    return Choices(given | known.main_of, known.backgrounds, known.colours)


def recover(settings: BatchSettings, ledger: Ledger) -> int:
    """Finish what others had begun when they died; returns how many photos that were. For the start of the pages."""
    return acts.finish_dead(settings.data_dir, ledger, runs_locked=False)


def _decide(
    settings: BatchSettings, ledger: Ledger, verdicts: Sequence[tuple[int, Verdict]], by: str, over: str
) -> list[Decided | Failed]:
    known = choices(settings, ledger)

    def by_verdict(verdict: Verdict) -> "_ActOn":
        return lambda row: _act_of(ledger, row, verdict, known, by, over)

    return _do(settings, ledger, [(photo_id, by_verdict(verdict)) for photo_id, verdict in verdicts])


def _act_of(
    ledger: Ledger, row: Row, verdict: Verdict, known: Choices, by: str, over: str
) -> "Act | Decided":
    _check(verdict, row, known)
    if row.decision:
        last = _last_decision(ledger, row)
        same = decided_row(row, verdict, by=by, now=row.decided_at)
        if row.decided_by == by and not over and _with_verdict(row) == _with_verdict(same):
            return Decided(last, row.id or 0, row.decision, row)
        if over != last:
            raise _already(last, row, verdict)
    becomes = decided_row(row, verdict, by=by, now=moments.now())
    act = _act("decide", row, becomes, by)
    if not by_hand.fits(row.moved_to, becomes):
        act.target = (
            f"{filing.folder_of(becomes)}/{filing.readable(os.path.basename(os.fsdecode(row.source)))}"
        )
    return act


def _with_verdict(row: Row) -> tuple[Verdict, str]:
    return verdict_of(row), row.decision


_ActOn = Callable[[Row], Act | Decided]
"""What is to be done with a photo, by its row; or that it is done already. Raises CannotDecideError."""


def _do(
    settings: BatchSettings, ledger: Ledger, wishes: Sequence[tuple[int, _ActOn]]
) -> list[Decided | Failed]:
    """Write down and carry out, all together; each photo is tried again while somebody else is at work on it."""
    results: dict[int, Decided | Failed] = {}
    waiting = dict(enumerate(wishes))
    with movers.moving(ledger.path.parent) as owner:
        for attempt in range(TRIES):
            planned: list[tuple[int, Act, Row, list[str]]] = []
            reserved = {act.target for act in ledger.unfinished_acts()}
            for number, (photo_id, act_on) in waiting.items():
                try:
                    row = _current(settings, ledger, photo_id)
                    act = act_on(row)
                    if isinstance(act, Act):
                        act.owner = owner
                        companions = _choose_place(settings, ledger, act, row, reserved)
                        planned.append((number, act, row, companions))
                    else:
                        results[number] = act
                except BusyError as error:
                    if attempt == TRIES - 1:
                        results[number] = Failed(photo_id, error)
                except (CannotDecideError, filing.FilingError) as error:
                    results[number] = Failed(photo_id, error)
            written = {act.id for act in ledger.decide([(act, row) for _, act, row, _ in planned])}
            results |= _carry_out(settings, ledger, [one for one in planned if one[1].id in written])
            waiting = {number: wish for number, wish in waiting.items() if number not in results}
            if not waiting:
                break
            time.sleep(PAUSE_SECONDS)
    for number, (photo_id, _) in waiting.items():
        results[number] = Failed(photo_id, BusyError(_BUSY))
    return [results[number] for number in range(len(wishes))]


_BUSY = "Somebody is at work on this photo at this moment. Try again."


def _current(settings: BatchSettings, ledger: Ledger, photo_id: int) -> Row:
    """The row of a photo that lies where it says, as far as the ledger knows."""
    if ledger.acts("NOT done AND photo_id = ?", photo_id):
        acts.finish_dead(settings.data_dir, ledger, photo_id=photo_id, runs_locked=False)
        if ledger.acts("NOT done AND photo_id = ?", photo_id):
            raise BusyError(_BUSY)
    row = ledger.row(photo_id)
    if row is None:
        raise GoneError("There is no such photo.")
    if row.superseded:
        raise GoneError("The photo was put back into incoming: the next night sorts it again.")
    if not row.filed:
        raise BusyError("The night is just filing this photo. Try again.")
    if row.moved_to.partition("/")[0] not in filing.FOLDERS:
        raise GoneError("The photo was archived or deleted since.")
    return row


def _check(verdict: Verdict, row: Row, known: Choices) -> None:
    """Whether there is what a verdict names.

    Raises:
        UnknownAnswerError: there is not.
    """
    models = as_the_model_had_it(row)
    if not verdict.no_clothing and not verdict.cannot_tell:
        category = verdict.main, verdict.sub
        if not all(category) or (
            known.main_of.get(verdict.sub) != verdict.main
            and category not in (category_of(row), category_of(models))
        ):
            raise UnknownAnswerError(f"There is no category {verdict.main}/{verdict.sub}.")
    if verdict.background not in ("", models.background_quality, row.background_quality, *known.backgrounds):
        raise UnknownAnswerError(f"There is no background {verdict.background}.")
    if verdict.colour not in ("", models.colour, row.colour, *known.colours):
        raise UnknownAnswerError(f"There is no colour {verdict.colour}.")


def _act(action: Literal["decide", "undo"], row: Row, becomes: Row, by: str) -> Act:
    """An act that changes a row, and moves nothing yet."""
    was, became = differences(row, becomes)
    act = Act(action, row.id or 0, row.moved_to, row.moved_to, moments.now(), person=by)
    act.was, act.became = was, became
    return act


def _choose_place(
    settings: BatchSettings, ledger: Ledger, act: Act, row: Row, reserved: set[str]
) -> list[str]:
    """Let an act move its photo to a place that is free, and that no other act has chosen; returns its companions.

    Raises:
        GoneError: what lies at a photo's place that stays there is not the photo.
    """
    if not act.moves:
        if not filing.has_bytes_of(settings.data_dir / act.source, row):
            raise GoneError(_GONE)
        return []
    companions = acts.companions_of(
        settings.data_dir, ledger, act, lambda folder: Folder(folder, kinds=_KINDS.of(folder))
    )
    place = act.target.rpartition("/")[0]
    chosen = [other.rpartition("/")[2] for other in reserved if other.rpartition("/")[0] == place]

    def look(folder: str) -> Taken:
        taken = Taken(folder, kinds=_KINDS.of(folder))
        taken.add(chosen, claimed=True)  # nobody knows whether these have companions
        return taken

    name = os.path.basename(act.source)
    act.target = filing.free_place(settings.data_dir, act.target, reserved, name, companions, look)
    reserved.add(act.target)
    return companions


_KINDS = Kinds()
"""Who has companions, in the folders that decided photos are moved from and to."""

_GONE = "The photo is not where it was: somebody has taken it away, or changed it."


def _carry_out(
    settings: BatchSettings, ledger: Ledger, planned: Collection[tuple[int, Act, Row, list[str]]]
) -> dict[int, Decided | Failed]:
    """Move what is written down; what cannot be moved is forgotten."""
    failed: dict[int, Decided | Failed] = {}
    moved: dict[int, Act] = {}
    for number, act, _, companions in planned:
        if not act.moves:
            continue
        folders = [(settings.data_dir / place).parent for place in (act.source, act.target)]
        try:
            with _KINDS.moving(*folders) if not companions else contextlib.nullcontext():
                acts.carry_out(settings.data_dir, ledger, act, companions)
            moved[number] = act
        except acts.CannotActError:
            ledger.give_up(act)
            failed[number] = Failed(act.photo_id, GoneError(_GONE))
        except OSError as error:
            ledger.give_up(act)
            why = f"The photo cannot be moved to {os.path.dirname(act.target)}: {error.strerror}"
            failed[number] = Failed(act.photo_id, filing.FilingError(why))
    try:
        acts.complete(settings.data_dir, ledger, moved.values())
    except OSError as error:  # whoever comes next finds that they are moved, and finishes this
        why = (
            f"The photo cannot be brought to disk: {error.strerror}. The next decision or night tries again."
        )
        failed |= {number: Failed(act.photo_id, filing.FilingError(why)) for number, act in moved.items()}
    return failed | {number: _decided(ledger, act) for number, act, *_ in planned if number not in failed}


def _decided(ledger: Ledger, act: Act) -> Decided:
    row = ledger.row(act.photo_id)
    assert row is not None  # rows of filed photos are never deleted
    return Decided(str(act.id), act.photo_id, row.decision, row)


def _decision(ledger: Ledger, receipt: str, by: str) -> Act:
    """A person's own decision, by its receipt."""
    found = (
        ledger.acts("id = ? AND action = 'decide' AND person = ?", receipt, by) if receipt.isdecimal() else []
    )
    if not found:
        raise CannotDecideError("Only your own decisions can be taken back.")
    return found[0]


def _last_decision(ledger: Ledger, row: Row) -> str:
    """The receipt of the decision that counts for a photo."""
    found = ledger.read(
        "SELECT max(id) FROM acts WHERE photo_id = ? AND NOT undone"
        " AND (action = 'decide' OR (action = 'by hand' AND became != '{}'))",
        row.id,
    )
    return str(found[0][0] or NO_RECEIPT)


def _already(receipt: str, row: Row, yours: Verdict | None) -> AlreadyDecidedError:
    return AlreadyDecidedError(receipt, row.decided_by, row.decided_at, row.decision, verdict_of(row), yours)


def _take_back_look(ledger: Ledger, receipt: str, by: str) -> Decided:
    photo_id = looks.take_back(ledger, receipt, by)
    row = ledger.row(photo_id) if photo_id else None
    if row is None:
        raise CannotDecideError("Only your own decisions can be taken back.")
    return Decided(receipt, row.id or 0, row.decision, row)
