"""One fake host of each kind on loopback, and a site that refreshes its facts from them."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from pkgsite import create_app
from pkgsite.clients.gateways import TIMEOUTS, open_gateways
from pkgsite.clock import utc_now
from pkgsite.extensions import db, gateways
from pkgsite.jobs.refresh import Refresher, RefreshSummary
from pkgsite.models import HostState, Package, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import ALL_SOURCES, Claim, RefreshResult, SourceFilter
from pkgsite.services.refresh.sources import sync_sources
from tests.conftest import make_config, web_servers
from tests.factories import make_package
from tests.fakes.bitbucket import FakeBitbucket
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.pypi import FakePyPI
from tests.fakes.rest_host import FakeRepository, make_commits

FAST_TIMEOUTS = replace(TIMEOUTS, read_timeout_s=15, total_timeout_s=15, attempts=1)
STARTED_AT = utc_now()  # the repositories of all fake hosts of this process are the same
TOKEN = "ghp_for_tests_only"
REPOSITORIES = {
    "github.com": "https://github.com/ada/one",
    "gitlab.com": "https://gitlab.com/ada/one",
    "bitbucket.org": "https://bitbucket.org/ada/one",
    "codeberg.org": "https://codeberg.org/ada/one",
}


class FakeHosts:
    """The hosts, and the site's clock, which tests can move by `clock_offset`."""

    def __init__(self, serve_app: Callable[[Any], str]) -> None:
        self.github = FakeGitHub(TOKEN)
        self.github.add("ada/one")
        self.gitlab, self.bitbucket, self.forgejo = (
            kind(FakeRepository("ada/one", number, make_commits(60, seed=number, now=STARTED_AT)))
            for number, kind in enumerate((FakeGitLab, FakeBitbucket, FakeForgejo), 1)
        )
        self.pypi = FakePyPI()
        self.download_counts = FakePyPI()
        self.add_project("one")
        self.serve = serve_app
        self.clock_offset = timedelta(0)

    def settings(self) -> dict[str, str]:
        """Return the settings of a site that uses these hosts."""
        apis = {
            "github.com": f"github {self.serve(self.github)}",
            "gitlab.com": f"gitlab {self.serve(self.gitlab)}/api/v4",
            "bitbucket.org": f"bitbucket {self.serve(self.bitbucket)}/2.0",
            "codeberg.org": f"forgejo {self.serve(self.forgejo)}/api/v1",
        }
        index_url, downloads_url = self.serve(self.pypi), self.serve(self.download_counts)
        urls = [api.split()[1] for api in apis.values()] + [index_url, downloads_url]
        return {
            "CODE_HOSTS": ", ".join(f"{name} {api}" for name, api in apis.items()),
            "CODE_HOST_TOKENS": f"github.com={TOKEN}",
            "PACKAGE_INDEX_URL": index_url,
            "DOWNLOAD_COUNTS_URL": downloads_url,
            "ALLOWED_HOSTS_OUT": ",".join(urlsplit(url).netloc for url in urls),
        }

    def add_project(self, name: str) -> None:
        self.pypi.add(name, "1.0", "1.1", license_expression="MIT", docs_url=None)
        self.download_counts.add(name, "1.1", downloads=4321)

    def now(self) -> datetime:
        return utc_now() + self.clock_offset


class RefreshedSite:
    """A site with the fake hosts."""

    def __init__(self, app: Flask, fake_hosts: FakeHosts) -> None:
        self.app, self.fake_hosts = app, fake_hosts
        app.extensions["gateways"] = open_gateways(app.config, timeouts=FAST_TIMEOUTS)
        with app.app_context():
            self.gateways = gateways()

    def add_package_per_host(self) -> None:
        """Add a package for each code host; the first one is on the index too."""
        with self.app.app_context():
            for number, (host, url) in enumerate(REPOSITORIES.items()):
                make_package(
                    db.session(), f"at-{host}".replace(".", "-"), repo_url=url, pypi_url="" if number else "one"
                )
            db.session.commit()
        self.sync_sources()

    def add_package(self, slug: str, **fields: Any) -> int:
        with self.app.app_context():
            package_id = make_package(db.session(), slug, **fields).id
            db.session.commit()
        self.sync_sources()
        return package_id

    def update_package(self, slug: str, **fields: Any) -> None:
        with self.app.app_context():
            db.session.execute(update(Package).where(Package.slug == slug).values(**fields))
            db.session.commit()

    def sync_sources(self) -> int:
        with self.app.app_context():
            changed = sync_sources(db.session(), self.gateways, now=self.fake_hosts.now())
            db.session.commit()
            return changed

    def adopt_index(self) -> None:
        """Continue at this site's index, after a refresh from one at another port: its port is part of its name."""
        hosts = {
            Source.INDEX: self.gateways.package_index_host,
            Source.DOWNLOADS: self.gateways.downloads_host,
        }
        with self.app.app_context():
            for source, host in hosts.items():
                db.session.execute(update(SourceState).where(SourceState.source == source).values(host=host))
            db.session.commit()
        assert self.sync_sources() == 0

    def refresher(self, source_filter: SourceFilter = ALL_SOURCES, **options: Any) -> Refresher:
        return Refresher(self.app, self.gateways, source_filter=source_filter, clock=self.fake_hosts.now, **options)

    def refresh(self, *sources: Source) -> RefreshSummary:
        return self.refresher(SourceFilter(sources=sources or None)).run()

    def query_one(self, statement: Any) -> Any:
        """Return the only committed value or row of a query."""
        with self.app.app_context():
            value = db.session.execute(statement).scalars().one()
            db.session.expunge_all()
            return value

    def package(self, slug: str) -> Package:
        package: Package = self.query_one(select(Package).where(Package.slug == slug))
        return package

    def source_state(self, slug: str, source: Source) -> SourceState:
        is_of_package = SourceState.package_id == select(Package.id).where(Package.slug == slug).scalar_subquery()
        state: SourceState = self.query_one(select(SourceState).where(is_of_package, SourceState.source == source))
        return state

    def host_state(self, name: str) -> HostState:
        state: HostState = self.query_one(select(HostState).where(HostState.host == name))
        return state

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return every package's columns by slug, without the times of the refresh."""
        with self.app.app_context():
            packages = db.session.scalars(select(Package)).all()
            excluded = {"last_fetched_at", "changed_at"}
            names = [column.key for column in Package.__table__.columns if column.key not in excluded]
            return {package.slug: {name: getattr(package, name) for name in names} for package in packages}


def populate_refreshed_site(session: Session) -> None:
    """Add a package for each code host, and fetch its facts."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    url = engine.url.render_as_string(hide_password=False)
    with web_servers() as serve, tempfile.TemporaryDirectory() as folder:
        fake_hosts = FakeHosts(serve)
        site = RefreshedSite(create_app(make_config(url, Path(folder), **fake_hosts.settings())), fake_hosts)
        site.add_package_per_host()
        first = site.refresh()
        assert set(first.totals()) == {"fetched"}, first.failures


class ResultRecorder:
    """Collects the results of a refresh, from several threads."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Claim, RefreshResult]] = []
        self._lock = threading.Lock()

    def __call__(self, claim: Claim, result: RefreshResult) -> None:
        with self._lock:
            self.recorded.append((claim, result))
