"""Photos that look alike stand together, the doubtful ones first."""

from batch.pages.alike import AT_ONCE, together
from batch.records.ledger import Row


def row(name: str, sub: str = "hat", sketch: int = 0) -> Row:
    return Row(name, sub_category=sub, sketch=bytes([sketch % 256] * 32 + [1] * 32) if sketch else b"")


def names(rows: list[Row]) -> str:
    return "".join(one.file_name for one in together(rows))


def test_similar_ones_follow_each_other_from_the_least_sure_on() -> None:
    assert (
        names([row("a", sketch=90), row("b", sketch=-90), row("c", sketch=90), row("d", sketch=-90)])
        == "acbd"
    )


def test_those_without_a_sketch_stay_as_they_come() -> None:
    assert names([row("a"), row("b"), row("c")]) == "abc"


def test_no_category_is_mixed_with_another() -> None:
    assert names([row("a", "hat", 90), row("b", "hat", -90), row("c", "shoes", 90)]) == "abc"


def test_no_sure_one_comes_before_many_doubtful_ones() -> None:
    doubtful = [row(chr(65 + number), sketch=-90) for number in range(AT_ONCE)]
    assert names([*doubtful, row("z", sketch=-90)]).endswith("z")
