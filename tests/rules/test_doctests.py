"""The examples in the docstrings of the rules are correct."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import pkgsite.rules

MODULES = [
    module.name for module in pkgutil.walk_packages(pkgsite.rules.__path__, "pkgsite.rules.") if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_correct(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
