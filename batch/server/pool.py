"""The model servers that a night asks: the one that it starts itself, or those at API_URL.

A request goes to the server that owes the fewest photos. One that fails is left out, proves itself again in the
background, with longer and longer pauses, and takes part again once it has. So a server may die, hang, be replaced by
another release or come back in the middle of a night: what it owed is asked of whoever is there.
"""

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from api_answers import Failed, Health, Predicted
from batch.logs import log
from batch.server import sidecar
from batch.server.client import Client, RefusedError, SidecarBusyError, SidecarError, SidecarHangsError
from batch.server.remote import Remote
from batch.server.sidecar import Flag, Sidecar, SidecarDownError

BUSY_SECONDS = 600
"""How long an overloaded server is waited for."""

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds between the attempts of a server that is left out to prove itself; then the last one, to the night's end."""

OWN_PROOFS = 5
"""So often our own server may fail to prove itself in a row: nobody else will mend it."""

PROOF_SECONDS = 30
"""How long the answer to a probe or a check may take: the photos of other clients may stand before it."""

PROBE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
"""A white PNG of one pixel, which every sound server answers."""


class UnsoundError(SidecarError):
    """The server does not pass its own check."""


class ServerFailedError(SidecarError):
    """A server failed on a request, and is left out until it has proved itself again."""

    def __init__(self, term: "Term", problem: Exception) -> None:
        super().__init__(str(problem))
        self.term = term


@dataclass(eq=False)
class Member:
    """A server and how it stands."""

    server: Sidecar | Remote
    owes: int = 0
    """Photos that it has been asked about and has not answered."""
    last: int = 0
    """The number of the last request that it was given: of those that owe the same, the one that waits longest is next."""
    term: "Term | None" = None
    """Its time at work, while it takes part."""
    terms: int = 0
    sound_with: set[str] = field(default_factory=set)
    """The releases that it has been found sound with since it failed last."""
    void: int = 0
    """What it answered in so many terms counts for nothing."""
    doubted: list[str] = field(default_factory=list)
    """Formats of which it has to read a sample before it takes part."""
    problem: str = ""
    """Why it takes no part."""
    is_hopeless: bool = False
    """Waiting alone will not mend it."""
    since: float = 0.0
    """When it was left out, by the monotonic clock."""
    patience: float = 0.0
    """So many seconds from then it is waited for when no other takes part."""
    is_missed: bool = False
    """Whether people were told that it takes no part."""

    @property
    def is_worth_waiting(self) -> bool:
        """Whether it may soon take part again."""
        return not self.is_hopeless and time.monotonic() - self.since < self.patience


@dataclass(eq=False)
class Term:
    """A server's time at work, from its proof that it is sound until it fails."""

    member: Member
    client: Client
    number: int
    makes_sketches: bool
    """Whether it can say what photos look like."""

    @property
    def is_void(self) -> bool:
        """Whether what it answered counts for nothing: it was found unsound."""
        return self.number <= self.member.void


class Answered(NamedTuple):
    """What is said of one photo, which release said it, and whose it is."""

    result: Predicted | Failed
    model_version: str
    term: Term


class Pool:
    """Some servers, of which one at least takes part.

    >>> with Pool([Remote("http://a:5000"), Remote("http://b:5000")]) as pool:  # doctest: +SKIP
    ...     pool.predict([Path("photo.jpg").read_bytes()])
    """

    def __init__(self, servers: Sequence[Sidecar | Remote], interrupted: Flag | None = None) -> None:
        self.interrupted = interrupted or Flag()
        """Set it to have nobody wait for a server any longer."""
        self.versions: list[str] = []
        """The releases that took part, in the order in which they came."""
        self.promises: set[float] = set()
        """What their servers promise (REVIEW_PRECISION), as far as they say it."""
        self._members = [Member(server) for server in servers]
        self._requests = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._members)

    def __enter__(self) -> "Pool":
        """Start the server that is ours, and return when one takes part.

        Raises:
            SidecarDownError: none does.
        """
        try:
            with self._changed:
                for member in self._members:
                    self._bring_back(member, proof=False)
                self._wait_for_one()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server that is ours, whatever state it is in; those of others are left alone."""
        self.interrupted.set()
        for member in self._members:
            member.server.stop()

    def main_of(self) -> dict[str, str]:
        """The main category of each sub-category that the servers at work tell apart.

        Raises:
            SidecarError: one gives no answer.
        """
        found: dict[str, str] = {}
        for member in self._members:
            if term := member.term:
                found |= term.client.main_of()
        return found

    def predict(self, photos: Sequence[bytes]) -> list[Answered]:
        """Ask whoever owes the least about photos; answers come in the same order, one for each.

        Raises:
            SidecarBusyError: it has too much to do; it is left out for as long as it asks.
            ServerFailedError: it gave no answer, or not the one that was agreed, or a wrong one.
            SidecarDownError: no server takes part.
        """
        with self._turn(len(photos)) as term:
            try:
                answers = term.client.predict(photos, sketch=term.makes_sketches)
                self._trust(term, answers.model_version)
            except SidecarBusyError as busy:
                self._leave_out(term, str(busy), pause=busy.seconds, patience=BUSY_SECONDS, proof=False)
                raise
            except RefusedError as error:
                self._leave_out(term, str(error), is_hopeless=True)
                raise ServerFailedError(term, error) from error
            except SidecarError as error:
                if isinstance(error, SidecarHangsError):
                    term.member.server.kill(term.client)
                self._leave_out(term, str(error))
                raise ServerFailedError(term, error) from error
        term.member.server.worked()
        return [Answered(result, answers.model_version, term) for result in answers.results]

    def doubt(self, member: Member, formats: list[str]) -> str:
        """Have a server show that it is sound: its golden photos, and a sample of each of these formats.

        Returns why it does not, or nothing. What it has answered counts for nothing then, and it takes part again only
        when it has become sound.
        """
        with self._changed:
            member.doubted = formats
            if member.term:
                self._leave_out(member.term, "it is checked")
            while not member.term and member.is_worth_waiting:
                self._wait()
            if member.term:
                return ""
            member.void = member.terms
            return member.problem

    def has_others(self, member: Member) -> bool:
        """Whether the night can go on without this server."""
        others = [other for other in self._members if other is not member]
        return any(other.term or other.is_worth_waiting for other in others)

    @contextlib.contextmanager
    def _turn(self, photos: int) -> Iterator[Term]:
        """The server that owes the least; it owes these photos, too, meanwhile."""
        with self._changed:
            term = self._wait_for_one()
            self._requests += 1
            term.member.owes += photos
            term.member.last = self._requests
        try:
            yield term
        finally:
            with self._changed:
                term.member.owes -= photos

    def _wait_for_one(self) -> Term:
        while True:
            found = [member.term for member in self._members if member.term]
            if found:
                return min(found, key=lambda term: (term.member.owes, term.member.last))
            if not any(member.is_worth_waiting for member in self._members):
                raise SidecarDownError(self._why_none())
            self._wait()

    def _wait(self) -> None:
        """Until something changes, or a moment has passed."""
        if self.interrupted.is_set():
            raise SidecarDownError("interrupted")
        self._changed.wait(0.1)

    def _why_none(self) -> str:
        if len(self._members) > 1:
            problems = "; ".join(member.problem for member in self._members)
            return f"no model server is left: {problems}"
        (member,) = self._members
        if member.is_hopeless:
            return member.problem
        return f"the model server did not get ready within {sidecar.START_SECONDS} s: {member.problem}"

    def _trust(self, term: Term, version: str) -> None:
        """Make sure that a release which answers is one that the server was found sound with.

        Behind an address another release may begin to answer at any moment.
        """
        member = term.member
        if version not in member.sound_with:
            self._check(member, term.client, [])
            log.info("The model server%s answers with release %s now.", _at(member), version)
            self._note(member, version)

    def _note(self, member: Member, version: str) -> None:
        member.sound_with.add(version)
        if version not in self.versions:
            self.versions.append(version)

    def _leave_out(
        self,
        term: Term,
        problem: str,
        *,
        pause: float = 0.0,
        patience: float | None = None,
        proof: bool = True,
        is_hopeless: bool = False,
    ) -> None:
        """Let a server take no part until it has proved itself again; `proof`: by more than being ready."""
        member = term.member
        with self._changed:
            if member.term is not term:
                # another request has noticed before
                return
            member.term, member.problem, member.is_hopeless = None, problem, is_hopeless
            if proof:
                member.sound_with.clear()
            self._bring_back(member, pause=pause, patience=patience, proof=proof)

    def _bring_back(
        self, member: Member, *, pause: float = 0.0, patience: float | None = None, proof: bool
    ) -> None:
        if isinstance(member.server, Sidecar):
            # it gives up by itself, after some proofs
            patience = math.inf
        elif patience is None:
            patience = sidecar.START_SECONDS
        member.since, member.patience = time.monotonic(), pause + patience
        threading.Thread(target=self._prove, args=(member, pause, proof), daemon=True).start()

    def _prove(self, member: Member, pause: float, proof: bool) -> None:
        """Let a server prove itself, again and again until it does (runs in a thread of its own)."""
        is_ours = isinstance(member.server, Sidecar)
        pauses = itertools.chain([pause], PAUSES, itertools.repeat(PAUSES[-1]))
        for attempt, seconds in enumerate(pauses, 1):
            if self.interrupted.wait(seconds):
                return
            formats = member.doubted
            is_hopeless = is_ours and attempt == OWN_PROOFS
            try:
                client, health = self._proof_of(member, formats, proof=proof)
            except (SidecarDownError, UnsoundError, RefusedError) as error:
                is_hopeless, problem = True, str(error)
            except SidecarBusyError as busy:
                member.patience = max(member.patience, BUSY_SECONDS)
                problem = str(busy)
            except SidecarError as error:
                problem = str(error)
            except OSError as error:
                is_hopeless, problem = True, f"the model server cannot be started: {error}"
            except Exception as error:  # noqa: BLE001 - the night waits for this thread, and has to hear of it
                log.exception("A fault of the program while a model server proved itself")
                is_hopeless, problem = True, f"{type(error).__name__}: {error}"
            else:
                if self._admit(member, client, health, formats):
                    return
                continue
            self._remain_out(member, problem, is_hopeless=is_hopeless)
            if is_ours and is_hopeless:
                return

    def _proof_of(self, member: Member, formats: list[str], *, proof: bool) -> tuple[Client, Health]:
        """The connection to a server that is ready and sound, and what it says of itself.

        Raises:
            SidecarDownError, SidecarError, RefusedError: it is not.
        """
        health = member.server.make_ready()
        client = member.server.client
        # ours has answered its golden photos to get ready
        is_new = isinstance(member.server, Remote) and health.model_version not in member.sound_with
        if is_new or formats:
            self._check(member, client, formats)
        if proof:
            client.predict([PROBE], PROOF_SECONDS)
            member.server.worked()
        return client, health

    def _remain_out(self, member: Member, problem: str, *, is_hopeless: bool = False) -> None:
        with self._changed:
            member.problem, member.is_hopeless = problem, is_hopeless
            if len(self._members) > 1 and not member.is_missed:
                member.is_missed = True
                log.warning(
                    "The model server%s takes no part: %s. It is tried again and again.", _at(member), problem
                )
            self._changed.notify_all()

    def _admit(self, member: Member, client: Client, health: Health, formats: list[str]) -> bool:
        """Let a server take part, unless it has come to be doubted while it proved itself."""
        version = health.model_version
        with self._changed:
            if member.doubted != formats:
                return False
            member.terms += 1
            member.term = Term(member, client, member.terms, health.sketches)
            self.promises |= {health.review_precision} - {0.0}
            member.problem, member.is_hopeless, member.doubted = "", False, []
            self._note(member, version)
            if member.is_missed:
                member.is_missed = False
                log.info("The model server%s takes part again, with release %s.", _at(member), version)
            self._changed.notify_all()
            return True

    def _check(self, member: Member, client: Client, formats: list[str]) -> None:
        """Have a server check itself.

        Raises:
            UnsoundError: it does not pass.
            SidecarError, RefusedError: it gives no answer.
        """
        soundness = client.check(formats, PROOF_SECONDS)
        if not soundness.sound:
            raise UnsoundError(
                f"the model server{_at(member)} does not pass its own check: {soundness.detail}"
            )


def _at(member: Member) -> str:
    return f" at {member.server.name}" if isinstance(member.server, Remote) else ""


def pool_of(urls: Sequence[str], *, token: str, log_dir: Path, run_id: str) -> Pool:
    """The servers at these addresses; with none, one of our own."""
    interrupted = Flag()
    if not urls:
        return Pool(
            [Sidecar(log_dir=log_dir, token=token, run_id=run_id, interrupted=interrupted)], interrupted
        )
    return Pool([Remote(url, token) for url in urls], interrupted)
