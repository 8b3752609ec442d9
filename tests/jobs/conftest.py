"""A site in a world of fake hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.jobs.world import Site, World


@pytest.fixture
def world(serve: Callable[[Any], str]) -> World:
    return World(serve)


@pytest.fixture
def site(world: World, make_app: Callable[..., Flask]) -> Site:
    return Site(make_app(**world.settings()), world)
