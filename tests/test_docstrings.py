"""Every example in every docstring and on every page of the docs runs."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import feedback
import ml_backend
import sampling

_SCRIPTS = {"feedback.__main__", "feedback.store.migrations.env"}  # do something when imported
MODULES = sorted(
    module.name
    for package in (ml_backend, sampling, feedback)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if module.name not in _SCRIPTS
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

    assert doctest.testmod(import_module(name), optionflags=flags).failed == 0


def test_examples_on_pages_run():
    pages = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    run = [doctest.testfile(str(page), module_relative=False, encoding="utf-8") for page in pages]

    assert sum(one.failed for one in run) == 0
    assert sum(one.attempted for one in run) > 5
