"""A small outside world: one host of each kind, all on loopback, and a site that refreshes its facts from them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import select

from pkgsite.clients.gateways import TIMEOUTS, open_gateways
from pkgsite.clock import utc_now
from pkgsite.extensions import db, gateways
from pkgsite.jobs.refresh import Refresher, RefreshSummary
from pkgsite.models import HostState, Package, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import ALL_SOURCES, Claim, RefreshResult, SourceFilter
from pkgsite.services.refresh.sources import sync_sources
from tests.factories import make_package
from tests.fakes.bitbucket import FakeBitbucket
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.pypi import FakePyPI
from tests.fakes.rest_host import FakeRepository, make_commits

FAST_TIMEOUTS = replace(TIMEOUTS, read_timeout_s=15, total_timeout_s=15, attempts=1)
TOKEN = "ghp_for_tests_only"
REPOSITORIES = {
    "github.com": "https://github.com/ada/one",
    "gitlab.com": "https://gitlab.com/ada/one",
    "bitbucket.org": "https://bitbucket.org/ada/one",
    "codeberg.org": "https://codeberg.org/ada/one",
}


class FakeHosts:
    """The hosts, their addresses, and the site's clock, which a test may move on."""

    def __init__(self, serve_app: Callable[[Any], str]) -> None:
        self.github = FakeGitHub(TOKEN)
        self.github.add("ada/one")
        now = utc_now()
        self.gitlab, self.bitbucket, self.forgejo = (
            kind(FakeRepository("ada/one", number, make_commits(60, seed=number, now=now)))
            for number, kind in enumerate((FakeGitLab, FakeBitbucket, FakeForgejo), 1)
        )
        self.pypi = FakePyPI()
        self.download_counts = FakePyPI()
        self.add_project("one")
        self.serve = serve_app
        self.clock_offset = timedelta(0)

    def settings(self) -> dict[str, str]:
        """Return the settings of a site in this world."""
        apis = {
            "github.com": f"github {self.serve(self.github)}",
            "gitlab.com": f"gitlab {self.serve(self.gitlab)}/api/v4",
            "bitbucket.org": f"bitbucket {self.serve(self.bitbucket)}/2.0",
            "codeberg.org": f"forgejo {self.serve(self.forgejo)}/api/v1",
        }
        index, counts = self.serve(self.pypi), self.serve(self.download_counts)
        addresses = [api.split()[1] for api in apis.values()] + [index, counts]
        return {
            "CODE_HOSTS": ", ".join(f"{name} {api}" for name, api in apis.items()),
            "CODE_HOST_TOKENS": f"github.com={TOKEN}",
            "PACKAGE_INDEX_URL": index,
            "DOWNLOAD_COUNTS_URL": counts,
            "ALLOWED_HOSTS_OUT": ",".join(urlsplit(address).netloc for address in addresses),
        }

    def add_project(self, name: str) -> None:
        self.pypi.add(name, "1.0", "1.1", license_expression="MIT", docs_url=None)
        self.download_counts.add(name, "1.1", downloads=4321)

    def now(self) -> datetime:
        return utc_now() + self.clock_offset


class RefreshedSite:
    """A site in a world."""

    def __init__(self, app: Flask, fake_hosts: FakeHosts) -> None:
        self.app, self.world = app, fake_hosts
        app.extensions["gateways"] = open_gateways(app.config, timeouts=FAST_TIMEOUTS)
        with app.app_context():
            self.gateways = gateways()

    def add_package_per_host(self) -> None:
        """Add a package for each code host, the first of which is on the index too, and find their sources."""
        with self.app.app_context():
            for number, (host, url) in enumerate(REPOSITORIES.items()):
                make_package(
                    db.session(), f"at-{host}".replace(".", "-"), repo_url=url, pypi_url="" if number else "one"
                )
            db.session.commit()
        self.sync_sources()

    def add_package(self, slug: str, **fields: Any) -> int:
        with self.app.app_context():
            number = make_package(db.session(), slug, **fields).id
            db.session.commit()
        self.sync_sources()
        return number

    def sync_sources(self) -> int:
        with self.app.app_context():
            changed = sync_sources(db.session(), self.gateways, now=self.world.now())
            db.session.commit()
            return changed

    def refresher(self, only: SourceFilter = ALL_SOURCES, **options: Any) -> Refresher:
        return Refresher(self.app, self.gateways, source_filter=only, clock=self.world.now, **options)

    def refresh(self, *sources: Source) -> RefreshSummary:
        return self.refresher(SourceFilter(sources=sources or None)).run()

    def query_one(self, statement: Any) -> Any:
        """Return the one value or row that a query finds, as it is committed."""
        with self.app.app_context():
            found = db.session.execute(statement).scalars().one()
            db.session.expunge_all()
            return found

    def package(self, slug: str) -> Package:
        found: Package = self.query_one(select(Package).where(Package.slug == slug))
        return found

    def source_state(self, slug: str, source: Source) -> SourceState:
        of_package = SourceState.package_id == select(Package.id).where(Package.slug == slug).scalar_subquery()
        found: SourceState = self.query_one(select(SourceState).where(of_package, SourceState.source == source))
        return found

    def host_state(self, name: str) -> HostState:
        found: HostState = self.query_one(select(HostState).where(HostState.host == name))
        return found

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return every package's record, less the times at which it was looked at."""
        with self.app.app_context():
            packages = db.session.scalars(select(Package)).all()
            left_out = {"last_fetched_at", "changed_at"}
            names = [column.key for column in Package.__table__.columns if column.key not in left_out]
            return {package.slug: {name: getattr(package, name) for name in names} for package in packages}


class ResultRecorder:
    """Gathers what a refresh reports, from several threads."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Claim, RefreshResult]] = []
        self._lock = threading.Lock()

    def __call__(self, claimed: Claim, result: RefreshResult) -> None:
        with self._lock:
            self.recorded.append((claimed, result))
