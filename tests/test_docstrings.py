"""The examples in docstrings are true; those that need photos or a server are marked as skipped there."""

import doctest
import importlib
import pkgutil

import pytest

import batch

MODULES = [
    *(found.name for found in pkgutil.walk_packages(batch.__path__, "batch.") if not found.ispkg),
    "api_answers",
    "logformat",
    "photo_formats",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_to_be_tried() -> None:
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) > 20
