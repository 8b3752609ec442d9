"""A site in a world of fake hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from pkgsite.jobs import refresh
from tests.jobs.fake_hosts import Site, World


@pytest.fixture
def world(serve: Callable[[Any], str]) -> World:
    return World(serve)


@pytest.fixture
def site(world: World, make_app: Callable[..., Flask]) -> Site:
    return Site(make_app(**world.settings()), world)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no second between two questions: on loopback nobody is spared by it."""
    monkeypatch.setattr(refresh, "PAUSES_S", {})
