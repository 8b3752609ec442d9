"""A site that refreshes from fake hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from pkgsite.jobs import refresh
from tests.conftest import KINDS, Templates
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite, populate_refreshed_site


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, database_templates: Templates) -> str:
    """The URL of a migrated database, empty or, for tests that use `refreshed_site`, with refreshed packages."""
    return database_templates.reused(
        request.param, populate_refreshed_site if "refreshed_site" in request.fixturenames else None
    )


@pytest.fixture
def fake_hosts(serve_app: Callable[[Any], str]) -> FakeHosts:
    return FakeHosts(serve_app)


@pytest.fixture
def site(fake_hosts: FakeHosts, make_app: Callable[..., Flask]) -> RefreshedSite:
    return RefreshedSite(make_app(**fake_hosts.settings()), fake_hosts)


@pytest.fixture
def refreshed_site(site: RefreshedSite) -> RefreshedSite:
    """A site with a package for each code host; all facts have been fetched."""
    site.adopt_index()
    return site


@pytest.fixture(autouse=True)
def _no_request_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send requests to the download counts without waiting."""
    monkeypatch.setattr(refresh, "REQUEST_INTERVALS_S", {})


@pytest.fixture(autouse=True)
def _no_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry database operations without waiting."""
    monkeypatch.setattr(refresh, "RETRY_DELAYS_S", (0.0,) * len(refresh.RETRY_DELAYS_S))
