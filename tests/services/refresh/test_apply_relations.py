"""Facts about archiving, forks, issue trackers and websites in the packages' records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.clients.base import IndexFacts, ReleaseFacts, RepoFacts
from pkgsite.models import Release
from pkgsite.services.refresh.apply import apply_facts
from tests.factories import NOW, make_package

ARCHIVED_AT = datetime(2025, 3, 4, tzinfo=UTC)


def test_the_date_of_archiving_is_that_of_the_host(session: Session) -> None:
    package = make_package(session)
    apply_facts(session, package, RepoFacts(is_archived=True, archived_at=ARCHIVED_AT), now=NOW)
    assert (package.archived_at, package.archived_at_from_host) == (ARCHIVED_AT, True)
    apply_facts(session, package, RepoFacts(is_archived=True), now=NOW)
    assert (package.archived_at, package.archived_at_from_host) == (ARCHIVED_AT, True)
    apply_facts(session, package, RepoFacts(is_archived=False), now=NOW)
    assert (package.archived_at, package.archived_at_from_host) == (None, None)


def test_without_a_date_it_is_when_the_site_noticed(session: Session) -> None:
    package = make_package(session)
    apply_facts(session, package, RepoFacts(is_archived=True), now=NOW)
    apply_facts(session, package, RepoFacts(is_archived=True), now=NOW + timedelta(days=1))
    assert (package.archived_at, package.archived_at_from_host) == (NOW, False)
    apply_facts(session, package, RepoFacts(is_archived=True, archived_at=ARCHIVED_AT), now=NOW)
    assert (package.archived_at, package.archived_at_from_host) == (ARCHIVED_AT, True)


def test_a_repository_without_an_issue_tracker_loses_its_figure(session: Session) -> None:
    package = make_package(session, open_issues=0)
    apply_facts(session, package, RepoFacts(), now=NOW)
    assert package.open_issues == 0
    apply_facts(session, package, RepoFacts(has_issues=False), now=NOW)
    assert package.open_issues is None


def test_fork_mirror_and_website(session: Session) -> None:
    package = make_package(session)
    parent = "https://github.com/acme/original"
    facts = RepoFacts(is_fork=True, parent_url=parent, is_mirror=True, homepage_url="https://acme.example")
    apply_facts(session, package, facts, now=NOW)
    apply_facts(session, package, RepoFacts(), now=NOW)
    assert (package.is_fork, package.parent_url, package.is_mirror) == (True, parent, True)
    assert package.homepage_url == "https://acme.example"
    apply_facts(session, package, RepoFacts(is_fork=False, is_mirror=False, homepage_url=""), now=NOW)
    assert (package.is_fork, package.parent_url, package.is_mirror) == (False, None, False)
    assert package.homepage_url is None


def test_status_on_the_index(session: Session) -> None:
    package = make_package(session)
    apply_facts(session, package, index_facts("1.0", status="archived", status_reason="Use other."), now=NOW)
    assert (package.index_status, package.index_status_reason) == ("archived", "Use other.")
    apply_facts(session, package, index_facts("1.0", status="active", status_reason=""), now=NOW)
    assert (package.index_status, package.index_status_reason) == ("active", "")


def test_a_new_release_without_a_date_has_none(session: Session) -> None:
    package = make_package(session)
    apply_facts(session, package, index_facts("1.0"), now=NOW)
    assert package.released_at == NOW
    apply_facts(session, package, replace(index_facts("1.1"), released_at=None), now=NOW)
    assert package.released_at is None


def test_an_incomplete_list_of_releases_adds_to_the_known_ones(session: Session) -> None:
    package = make_package(session)
    apply_facts(session, package, index_facts("1.0", "0.9"), now=NOW)
    apply_facts(session, package, index_facts("1.1", has_all_releases=False), now=NOW)
    assert releases(session) == {"0.9", "1.0", "1.1"}
    apply_facts(session, package, index_facts("1.1", "1.0"), now=NOW)
    assert releases(session) == {"1.0", "1.1"}


def releases(session: Session) -> set[str]:
    session.flush()
    return set(session.scalars(select(Release.number)))


def index_facts(
    *versions: str, has_all_releases: bool = True, status: str | None = None, status_reason: str | None = None
) -> IndexFacts:
    return IndexFacts(
        name="x",
        version=versions[0],
        released_at=NOW,
        releases=tuple(ReleaseFacts(version, NOW, False, None, None, None) for version in versions),
        summary=None,
        licence=None,
        licences=None,
        classifiers=None,
        requires_python=None,
        supports_python3=None,
        development_status=None,
        documentation_url=None,
        project_urls=None,
        requires_dist=None,
        vulnerabilities=None,
        has_all_releases=has_all_releases,
        status=status,
        status_reason=status_reason,
    )
