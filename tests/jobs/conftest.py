"""A site in a world of fake hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from pkgsite.jobs import refresh
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite


@pytest.fixture
def fake_hosts(serve_app: Callable[[Any], str]) -> FakeHosts:
    return FakeHosts(serve_app)


@pytest.fixture
def site(fake_hosts: FakeHosts, make_app: Callable[..., Flask]) -> RefreshedSite:
    return RefreshedSite(make_app(**fake_hosts.settings()), fake_hosts)


@pytest.fixture(autouse=True)
def _no_request_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no second between two questions: on loopback nobody is spared by it."""
    monkeypatch.setattr(refresh, "REQUEST_INTERVALS_S", {})
