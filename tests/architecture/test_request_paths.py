"""How far five typical requests travel: the files and the statements that each takes, and its calls from file to file.

A change that makes a path longer has to raise its budget here, so that growth is noticed and deliberate.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.jobs import refresh
from pkgsite.models import Grid, Package
from pkgsite.services.importing.records import _advance_id_sequence
from tests.api.api_client import ApiClient
from tests.factories import fill_cell, make_feature, make_grid, make_package
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite
from tests.queries import recorded_queries
from tests.users import CsrfClient, make_user

CODE = str(Path(__file__).resolve().parents[2] / "pkgsite") + "/"


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a request may take; `statements` leaves out BEGIN."""

    files: int
    jumps: int
    statements: int


BUDGETS = {
    "page read": Budget(files=39, jumps=1100, statements=13),
    "API read": Budget(files=18, jumps=37, statements=3),
    "API PATCH": Budget(files=35, jumps=101, statements=14),
    "cell save": Budget(files=25, jumps=53, statements=10),
}
REFRESH_BUDGET = Budget(files=37, jumps=720, statements=100)
# PostgreSQL also asks whether anything is to be indexed, and takes an advisory lock.
POSTGRESQL_EXTRA_STATEMENTS = {"API PATCH": 2}


@dataclass
class Trace:
    """Records the project's files that a request runs through, and its calls from one of them to another."""

    files: set[str] = field(default_factory=set)
    jumps: int = 0

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> None:
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(CODE):
            return
        self.files.add(path.removeprefix(CODE))
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(CODE):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != path:
            self.jumps += 1


@dataclass
class Journeys:
    """A site with a package in a grid, and a method for each journey; those that save change the value each time."""

    api: ApiClient
    browser: CsrfClient
    calls: int = 0

    def page_read(self) -> int:
        return self.browser.get("/packages/p/django-one/").status_code

    def api_read(self) -> int:
        return self.api.get("packages/1/").status_code

    def api_patch(self) -> int:
        self.calls += 1
        return self.api.patch("packages/1/", {"title": f"One {self.calls}"}).status_code

    def cell_save(self) -> int:
        self.calls += 1
        data = {"text": f"yes {self.calls}", "version": str(self.calls)}
        response = self.browser.post("/grids/element/caching/1/20/", data, headers={"Accept": "application/json"})
        return response.status_code


@pytest.fixture
def journeys(app: Flask, session: Session) -> Journeys:
    package = make_package(session, id=1, repo_url="https://github.com/us/one", pypi_url="django-one")
    grid = make_grid(session, id=10, packages=(package,))
    fill_cell(session, make_feature(session, grid, id=20), package, "yes")
    for model in (Package, Grid):
        _advance_id_sequence(session, model)
    user = make_user(session, "ada")
    session.commit()
    return Journeys(ApiClient(app, session, user), CsrfClient(app, user))


@pytest.mark.parametrize("name", BUDGETS)
def test_a_request_stays_within_its_budget(app: Flask, session: Session, journeys: Journeys, name: str) -> None:
    request: Callable[[], int] = getattr(journeys, name.lower().replace(" ", "_"))
    assert request() == 200  # the first one fills caches
    trace = Trace()
    with recorded_queries(app) as statements:
        sys.setprofile(trace)
        try:
            status = request()
        finally:
            sys.setprofile(None)
    assert status == 200
    extra = POSTGRESQL_EXTRA_STATEMENTS.get(name, 0) if session.get_bind().dialect.name == "postgresql" else 0
    check_budget(trace, statements, BUDGETS[name], extra_statements=extra)


def test_a_refresh_stays_within_its_budget(
    make_app: Callable[..., Flask], serve_app: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "REQUEST_INTERVALS_S", {})
    fake_hosts = FakeHosts(serve_app)
    site = RefreshedSite(make_app(**fake_hosts.settings()), fake_hosts)
    site.add_package("one", repo_url="https://github.com/ada/one", pypi_url="one")
    trace = Trace()
    with recorded_queries(site.app) as statements:
        threading.setprofile(trace)  # each host has a thread of its own
        sys.setprofile(trace)
        try:
            summary = site.refresh()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    assert sum(summary.totals().values()) == 5  # the sources of a package on GitHub and PyPI
    check_budget(trace, statements, REFRESH_BUDGET)


def check_budget(trace: Trace, statements: list[str], budget: Budget, *, extra_statements: int = 0) -> None:
    assert len(statements) <= budget.statements + extra_statements, "\n".join(statements)
    assert len(trace.files) <= budget.files, sorted(trace.files)
    assert trace.jumps <= budget.jumps
