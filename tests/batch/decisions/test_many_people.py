"""Several people, or tabs, in several threads: none gets another's photo, none decides what another has decided."""

import secrets
import threading
from collections import Counter
from collections.abc import Callable

from batch.decisions import desk, leases, queue
from batch.decisions.queue import Filter, Sort
from batch.records.ledger import Ledger
from batch.records.verdict import verdict_of
from tests.batch.decisions.conftest import Desk
from tests.fake_sidecar import photo

PHOTOS = 48


def test_tabs_of_one_person_in_threads_decide_each_photo_once(make_desk: Callable[..., Desk]) -> None:
    a_desk = make_desk({f"order {n % 3}/{n}.jpg": photo(str(n), doubt=True) for n in range(PHOTOS)})
    seen, failures = Counter[int](), list[BaseException]()

    def review(everything: bool) -> None:
        try:
            with Ledger(a_desk.settings.ledger_path) as ledger:
                while True:
                    page = leases.take(ledger, secrets.token_hex(4), Filter(), Sort.DOUBTFUL, limit=3)
                    wishes = [(row.id or 0, verdict_of(row)) for row in page.photos]
                    if not wishes:
                        return
                    seen.update(number for number, _ in wishes)
                    if everything:
                        results = desk.decide_all(a_desk.settings, ledger, wishes, by="ada")
                        assert all(isinstance(one, desk.Decided) for one in results)
                    else:
                        for number, verdict in wishes:
                            desk.decide(a_desk.settings, ledger, number, verdict, by="ada")
        except BaseException as error:  # noqa: BLE001 - for the test to see
            failures.append(error)

    threads = [threading.Thread(target=review, args=(n % 2 == 0,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(seen.values()) == [1] * PHOTOS
    assert len(a_desk.ledger.acts("action = 'decide'")) == PHOTOS
    assert queue.counts(a_desk.ledger).total == 0
    assert len(a_desk.night.files()) == PHOTOS
