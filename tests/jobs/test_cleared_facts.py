"""Facts that a source no longer states: an empty field clears the fact, a missing field keeps it with its date."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from pkgsite.models import Package
from pkgsite.rules.freshness import Source
from pkgsite.rules.scores import score
from tests.fakes.v4_site import response
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite

REPO_URL = "https://github.com/example/project"

# Three responses of GitHub about one repository: https://github.com/sigmavirus24/github3.py, tests/cassettes,
# and the form without a licence of https://github.com/octokit/fixtures (hello-world); reduced.
GITHUB_REPOSITORY = {
    "id": 4464822,
    "node_id": "MDEwOlJlcG9zaXRvcnk0NDY0ODIy",
    "full_name": "example/project",
    "html_url": "https://github.com/example/project",
    "description": "A library",
    "stargazers_count": 3,
    "forks_count": 2,
    "archived": False,
    "default_branch": "master",
    "topics": [],
}
LICENCE = {"key": "bsd-3-clause", "name": 'BSD 3-clause "New" or "Revised" License', "spdx_id": "BSD-3-Clause"}
UNNAMED_LICENCE = {"key": "other", "name": "Other", "spdx_id": "NOASSERTION", "url": None}

# Two responses of PyPI about one project, from the releases 1.11.0 and 1.12.0 of six; reduced.
PYPI_INFO: dict[str, Any] = {
    "name": "example",
    "version": "1.0",
    "summary": "A library",
    "license": "MIT",
    "license_expression": None,
    "classifiers": [],
    "requires_python": None,
    "requires_dist": None,
    "docs_url": "http://pythonhosted.org/example/",
    "project_urls": {"Bug tracker": "https://old.example.org/bugs"},
    "yanked": False,
    "yanked_reason": None,
}


def release_files(version: str) -> dict[str, Any]:
    uploaded_at = {"1.0": "2017-09-17T18:46:53", "1.1": "2023-01-01T00:00:00"}[version]
    file = {"filename": "example.tar.gz", "packagetype": "sdist", "requires_python": None, "yanked": False}
    return file | {"upload_time": uploaded_at, "upload_time_iso_8601": f"{uploaded_at}.000000Z", "yanked_reason": None}


def project_response(info: dict[str, Any], *versions: str, serial: int) -> dict[str, Any]:
    releases = {version: [release_files(version)] for version in versions}
    return {"info": PYPI_INFO | info, "last_serial": serial, "releases": releases, "vulnerabilities": []}


class ScriptedHost:
    """A host that returns the given bodies by path, and 404 for all other paths."""

    def __init__(self) -> None:
        self.bodies: dict[str, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = self.bodies.get(environ["PATH_INFO"])
        respond = response("404 Not Found", {}) if body is None else response("200 OK", body)
        return respond(environ, start_response)


@pytest.fixture
def host() -> ScriptedHost:
    return ScriptedHost()


@pytest.fixture
def scripted_site(
    host: ScriptedHost, fake_hosts: FakeHosts, serve_app: Callable[[Any], str], make_app: Callable[..., Flask]
) -> RefreshedSite:
    """A site whose GitHub (without a token) and PyPI are the scripted host."""
    url = serve_app(host)
    settings = fake_hosts.settings() | {"CODE_HOSTS": f"github.com github {url}", "CODE_HOST_TOKENS": ""}
    settings |= {"PACKAGE_INDEX_URL": url, "ALLOWED_HOSTS_OUT": url.removeprefix("http://")}
    return RefreshedSite(make_app(**settings), fake_hosts)


def refresh_later(site: RefreshedSite, *sources: Source) -> Package:
    site.fake_hosts.clock_offset += timedelta(days=20)
    site.refresh(*sources)
    return site.package("one")


def serve_repository(host: ScriptedHost, **fields: Any) -> None:
    host.bodies["/repos/example/project"] = GITHUB_REPOSITORY | fields
    host.bodies["/repos/example/project/commits"] = []


def test_a_licence_that_github_can_no_longer_name_is_unknown(scripted_site: RefreshedSite, host: ScriptedHost) -> None:
    scripted_site.add_package("one", repo_url=REPO_URL)
    serve_repository(host, license=LICENCE)
    package = refresh_later(scripted_site, Source.REPO)
    assert (package.licence, package.repo_licence, package.description) == ("BSD-3-Clause", "BSD-3-Clause", "A library")
    serve_repository(host, license=UNNAMED_LICENCE)
    package = refresh_later(scripted_site, Source.REPO)
    assert (package.licence, package.repo_licence, package.description) == (None, None, "A library")
    serve_repository(host, license=None, description=None)
    package = refresh_later(scripted_site, Source.REPO)
    assert (package.licence, package.repo_licence, package.description) == (None, None, "")


def test_an_empty_description_leaves_the_summary_of_the_project(
    scripted_site: RefreshedSite, host: ScriptedHost
) -> None:
    scripted_site.add_package("one", repo_url=REPO_URL, pypi_url="example")
    serve_repository(host, license=LICENCE, description="A repository")
    host.bodies["/pypi/example/json"] = project_response({}, "1.0", serial=1)
    assert refresh_later(scripted_site).description == "A repository"
    serve_repository(host, license=None, description="")
    package = refresh_later(scripted_site)
    assert (package.description, package.licence) == ("A library", "MIT")


def test_project_without_links_any_more_has_none(scripted_site: RefreshedSite, host: ScriptedHost) -> None:
    scripted_site.add_package("one", pypi_url="example", documentation_url="https://docs.example.org/by-users")
    host.bodies["/pypi/example/json"] = project_response({}, "1.0", serial=1)
    package = refresh_later(scripted_site, Source.INDEX)
    assert package.index_documentation_url == "http://pythonhosted.org/example/"
    assert package.project_urls == {"Bug tracker": "https://old.example.org/bugs"}
    info = {"version": "1.1", "docs_url": None, "project_urls": None}
    host.bodies["/pypi/example/json"] = project_response(info, "1.0", "1.1", serial=2)
    package = refresh_later(scripted_site, Source.INDEX)
    assert (package.pypi_version, package.index_documentation_url, package.project_urls) == ("1.1", None, None)
    assert package.documentation_url == "https://docs.example.org/by-users"


def test_the_summary_of_a_new_release_replaces_the_old_one(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    fake_hosts.pypi.add("two")
    fake_hosts.pypi.release("two", "1.0", summary="One", project_urls={"Documentation": "https://docs.example.org/"})
    site.add_package("one", pypi_url="two")
    site.refresh()
    package = site.package("one")
    assert (package.description, package.index_documentation_url) == ("One", "https://docs.example.org/")
    fake_hosts.pypi.release("two", "2.0", summary="Two", project_urls=None)
    package = refresh_later(site)
    assert (package.pypi_version, package.description) == ("2.0", "Two")
    assert (package.index_documentation_url, package.project_urls) == (None, None)
    fake_hosts.pypi.release("two", "3.0", summary="", project_urls={})
    assert refresh_later(site).description == ""


CLEARED = [
    ({"summary": None}, {"description": ""}),
    ({"license_expression": None, "license": "", "classifiers": []}, {"licence": None, "licences": None}),
    ({"classifiers": []}, {"classifiers": [], "development_status": None}),
    ({"requires_dist": None}, {"requires_dist": None}),
    ({"project_urls": {}}, {"project_urls": None, "index_documentation_url": None}),
]


@pytest.mark.parametrize(("info", "expected"), CLEARED)
def test_a_field_of_the_same_release_that_is_empty_clears_the_fact(
    site: RefreshedSite, fake_hosts: FakeHosts, info: dict[str, Any], expected: dict[str, Any]
) -> None:
    project = add_project_with_all_facts(site, fake_hosts)
    before = site.package("one")
    assert all(getattr(before, name) != value for name, value in expected.items())
    project.info |= info
    package = refresh_later(site)
    assert {name: getattr(package, name) for name in expected} == expected


def test_a_field_that_is_missing_keeps_the_fact_and_its_date(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    project = add_project_with_all_facts(site, fake_hosts)
    names = ("description", "licence", "classifiers", "development_status", "requires_dist", "project_urls")
    before, fetched_at = site.package("one"), site.source_state("one", Source.INDEX).fetched_at
    assert fetched_at is not None
    project.fields = {"info": {"name": "two", "version": "1.0"}}
    package = refresh_later(site)
    assert {name: getattr(package, name) for name in names} == {name: getattr(before, name) for name in names}
    stated_at = site.source_state("one", Source.INDEX).stated_at or {}
    assert stated_at["classifiers"] == stated_at["project_urls"] == fetched_at.isoformat()
    project.fields = {"info": {"name": "two", "version": "1.0", "classifiers": []}}
    refresh_later(site)
    stated_at = site.source_state("one", Source.INDEX).stated_at or {}
    assert "classifiers" not in stated_at
    assert stated_at["project_urls"] == fetched_at.isoformat()


def add_project_with_all_facts(site: RefreshedSite, fake_hosts: FakeHosts) -> Any:
    project = fake_hosts.pypi.add(
        "two",
        summary="Two",
        classifiers=["Development Status :: 5 - Production/Stable"],
        project_urls={"Documentation": "https://docs.example.org/"},
    )
    fake_hosts.pypi.release("two", "1.0")
    site.add_package("one", pypi_url="two")
    site.refresh()
    return project


REST_FIELDS: list[tuple[str, str, str, Any]] = [
    ("gitlab.com", "license", "licence", None),
    ("gitlab.com", "topics", "topics", []),
    ("gitlab.com", "description", "description", ""),
    ("codeberg.org", "topics", "topics", []),
    ("codeberg.org", "description", "description", ""),
    ("codeberg.org", "licenses", "licence", None),
    ("bitbucket.org", "description", "description", ""),
]


@pytest.mark.parametrize(("host_name", "field", "column", "empty"), REST_FIELDS)
def test_an_empty_field_of_a_code_host_clears_the_fact(
    site: RefreshedSite, fake_hosts: FakeHosts, host_name: str, field: str, column: str, empty: Any
) -> None:
    fake = {"gitlab.com": fake_hosts.gitlab, "codeberg.org": fake_hosts.forgejo, "bitbucket.org": fake_hosts.bitbucket}
    repository = fake[host_name].repositories["ada/one"]
    repository.fields["licenses"] = ["MIT"]
    site.add_package("one", repo_url=f"https://{host_name}/ada/one")
    site.refresh(Source.REPO)
    assert getattr(site.package("one"), column)
    repository.fields[field] = [] if isinstance(empty, list) else None
    assert getattr(refresh_later(site, Source.REPO), column) == empty


def test_a_field_of_a_code_host_that_is_missing_keeps_the_fact(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url="https://gitlab.com/ada/one", open_issues=5)  # not included without a token
    package = refresh_later(site, Source.REPO)
    assert package.open_issues == 5


def test_downloads_that_are_no_longer_counted_are_unknown(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", pypi_url="one")
    site.refresh()
    assert site.package("one").pypi_downloads == 4321
    fake_hosts.download_counts.faults["/recent"] = response("200 OK", {"data": {"last_month": None}})
    assert refresh_later(site).pypi_downloads is None


def test_another_project_drops_all_facts_of_the_old_one(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    fake_hosts.github.add("ada/two", description=None, licence="BSD-3-Clause")
    add_project_with_all_facts(site, fake_hosts)
    site.update_package("one", repo_url="https://github.com/ada/two")
    site.sync_sources()
    before = refresh_later(site)
    assert (before.description, before.licence) == ("Two", "MIT")
    site.update_package("one", pypi_url="three", supports_python3=False, score=-5)
    site.sync_sources()
    package = site.package("one")
    index_facts = (
        *("pypi_version", "released_at", "pypi_downloads", "licences", "classifiers", "requires_python"),
        *("requires_dist", "supports_python3", "project_urls", "index_documentation_url", "index_summary"),
    )
    assert {getattr(package, name) for name in index_facts} == {None}
    assert (package.description, package.licence) == ("", "BSD-3-Clause")
    now = fake_hosts.now()
    assert package.score == score(
        stars=package.stars, last_commit_at=package.last_commit_at, supports_python3=None, now=now
    )


def test_another_repository_drops_the_description_and_licence_of_the_old_one(
    site: RefreshedSite, fake_hosts: FakeHosts
) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh()
    package = site.package("one")
    assert (package.description, package.licence) == ("Does one thing", "BSD-3-Clause")
    site.update_package("one", repo_url="https://github.com/ada/none")
    site.sync_sources()
    package = site.package("one")
    assert (package.description, package.licence, package.stars, package.repo_identity) == ("", None, None, None)
