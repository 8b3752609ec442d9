"""Runs commands in the test's process, against a fake site on loopback."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from pkgsite import cli
from pkgsite.clients.http import Timeouts
from tests.fakes.v4_site import FakeV4Site


@pytest.fixture
def run_command(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A function that runs `flask` with these arguments; it retries without waiting."""
    monkeypatch.setattr(cli, "TIMEOUTS", Timeouts(read_timeout_s=10, attempts=3, backoff_s=0, jitter_s=0))

    def invoke(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=arguments)

    return invoke


@pytest.fixture
def fake_site() -> FakeV4Site:
    """A site with two categories, five grids and eleven packages, three per page, including invalid records."""
    site = FakeV4Site(max_per_page=3)
    site.add_category(1, "apps")
    site.add_category(2, "frameworks")
    for grid_id, slug in enumerate(("caching", "C#", "two__words", "Upper", "ünïcode"), start=5):
        site.add_grid(grid_id, slug)
    site.add_package(11, "#", grids=(6, 5))
    site.add_package(12, "django__q", category=2, grids=(5, 6, 7))
    site.add_package(13, "Django-CMS", grids=(8,), documentation_url=None, last_updated=None, commits_over_52=[])
    site.add_package(14, "master", grids=(9, 8, 7, 6, 5), participants=[])
    site.add_package(15, "ünïcode", pypi_version=None, repo_url="http://dead.example/", participants=["Ünïcode 包"])
    site.add_package(16, "long", title="x" * 101)
    site.add_package(17, "stranger", category=99)
    site.add_package(18, "lonely", grids=(5, 77, 6))
    site.add_package(19, "untimely", created="2014-02-18 at nine")
    site.add_package(20, "MASTER")
    site.add_package(21, "last", repo_url="http://dead.example/")
    return site
