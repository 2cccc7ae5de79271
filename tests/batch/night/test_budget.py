"""When a night has its model server check itself."""

from batch.night.budget import STRETCH, ErrorBudget


def budget_after(*outcomes: tuple[int, bool], share: float = 0.5) -> ErrorBudget:
    budget = ErrorBudget(share)
    for count, failed in outcomes:
        for _ in range(count):
            budget.count("JPEG", failed=failed)
    return budget


def test_few_photos_say_nothing() -> None:
    assert not budget_after((STRETCH - 1, True)).is_exceeded
    assert budget_after((STRETCH, True)).is_exceeded


def test_more_than_the_share_has_to_fail() -> None:
    assert not budget_after((50, False), (50, True), share=1).is_exceeded
    assert not budget_after(*[(1, False), (1, True)] * 50).is_exceeded
    assert budget_after(*[(1, False), (1, True)] * 50, (1, True)).is_exceeded


def test_a_server_that_goes_wrong_after_many_good_photos_is_noticed_soon() -> None:
    assert budget_after((10_000, False), (STRETCH, True)).is_exceeded


def test_after_a_check_another_stretch_has_to_fail() -> None:
    budget = budget_after((STRETCH, True))
    budget.renew()
    assert not budget.is_exceeded
    assert budget.formats == []


def test_the_formats_that_failed_are_named_once_each() -> None:
    budget = ErrorBudget(0.5)
    for photo_format, failed in (("PNG", True), ("JPEG", True), ("GIF", False), ("JPEG", True)):
        budget.count(photo_format, failed=failed)
    assert budget.formats == ["JPEG", "PNG"]
