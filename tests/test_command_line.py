"""What all command lines share: helps that teach, mistakes that get a sentence, and nothing loaded in vain."""

import subprocess
import sys

import click
import pytest

from command_line import Command, Group, Number, Whole, perform
from settings import ROOT


@click.group(cls=Group)
def shop() -> None:
    """Clothes, by the kilogram."""


@shop.command(exit_codes={0: "sold", 7: "sold out"}, one_of=("hats", "coats"), at_most_one_of=("red", "blue"))
@click.option("--hats", is_flag=True)
@click.option("--coats", is_flag=True)
@click.option("--red", is_flag=True)
@click.option("--blue", is_flag=True)
@click.option("--kilos", type=Number(0, 10), default=1)
@click.option("--pieces", type=Whole(1, 99), default=1)
def sell(hats: bool, coats: bool, red: bool, blue: bool, kilos: float, pieces: int) -> int:
    """Hand over what was asked for, in a bag, with a receipt that names every piece and what it weighs. Then smile.

    Example:

      shop sell --hats \\
          --kilos 2
    """
    return 0 if kilos <= 5 else 7


@shop.command()
def close() -> None:
    """Go home."""


def test_a_command_gives_its_exit_code_and_none_is_0() -> None:
    assert perform(shop, "shop", ["sell", "--hats"]) == 0
    assert perform(shop, "shop", ["sell", "--hats", "--kilos", "6"]) == 7
    assert perform(shop, "shop", ["close"]) == 0


def test_the_list_of_commands_keeps_their_order_and_their_whole_first_sentences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert perform(shop, "shop", ["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "sell Hand over what was asked for, in a bag, with a receipt that names every piece and what it weighs. close"
        in text
    )


def test_a_help_keeps_its_examples_as_they_are_and_ends_with_the_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert perform(shop, "shop", ["sell", "-h"]) == 0
    text = capsys.readouterr().out
    assert "\n    shop sell --hats \\\n        --kilos 2\n" in text
    assert text.endswith("Exit codes:\n  0  sold\n  7  sold out\n")


def test_a_mistyped_command_is_guessed_and_all_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(shop, "shop", ["clsoe"]) == 2
    said = capsys.readouterr().err
    assert "Did you mean 'close'?" in said
    assert "There are: sell, close." in said


def test_a_mistyped_option_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(shop, "shop", ["sell", "--kilso", "2"]) == 2
    assert "Did you mean '--kilos'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--hats", "--coats"], "--hats and --coats do not go together."),
        (["--hats", "--red", "--blue"], "--red and --blue do not go together."),
        ([], "One of these is needed: --hats, --coats."),
    ],
)
def test_what_cannot_go_together_and_what_is_missing_is_told(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert perform(shop, "shop", ["sell", *typed]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "-1", "10.5", "many", ""])
def test_a_number_is_within_its_limits(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(shop, "shop", ["sell", "--hats", f"--kilos={number}"]) == 2
    assert "'--kilos'" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "100", "1.5", "many", "²", "nan", ""])
def test_a_whole_number_is_one_and_within_its_limits(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(shop, "shop", ["sell", "--hats", f"--pieces={number}"]) == 2
    assert "'--pieces'" in capsys.readouterr().err


def test_a_mistake_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in (["\x1b[31mred"], ["sell", "--\x1b[31mred"], ["sell", "--kilos", "\x1b[31m\udcff"]):
        assert perform(shop, "shop", typed) == 2
        said = capsys.readouterr().err
        assert "\x1b" not in said
        assert "red" in said or "\\" in said


def test_a_command_alone_needs_no_group(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command(cls=Command, exit_codes={0: "done"})
    def alone() -> None:
        """Do it."""

    assert perform(alone, "alone", ["-h"]) == 0
    assert "0  done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "not_loaded"),
    [
        ("batch --help", ["pydantic", "requests", "numpy", "PIL"]),
        ("batch requeue --help", ["pydantic", "requests", "numpy", "PIL"]),
        ("batch config", ["PIL", "batch.demo", "batch.upkeep.doctor", "batch.night"]),
        ("model --help", ["torch", "numpy", "onnxruntime"]),
        ("model list", ["torch", "pandas", "matplotlib", "sklearn", "model.lab"]),
        ("model lab --help", ["torch", "numpy", "pandas"]),
        ("api --help", ["flask", "onnxruntime", "numpy"]),
    ],
)
def test_a_command_loads_nothing_that_only_others_need(typed: str, not_loaded: list[str]) -> None:
    package, *arguments = typed.split()
    program = (
        f"import sys; from {package}.__main__ import main; main({arguments})\n"
        f"print([name for name in {not_loaded} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
