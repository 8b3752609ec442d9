"""The sources of each package's facts, and their order in the refresh queue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packaging.utils import canonicalize_name
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from pkgsite.clients.base import Gateways
from pkgsite.models import DailySample, HostState, Package, Release, SourceState, begin_write
from pkgsite.rules.freshness import Priority, Source
from pkgsite.rules.pypi_names import is_pypi_name, parse_pypi_name
from pkgsite.rules.repo_urls import parse_repo_ref, repo_key
from pkgsite.services.refresh.apply import choose_description, choose_licence, update_score

REPO_SOURCES = (Source.REPO, Source.ACTIVITY, Source.PEOPLE)
INDEX_SOURCES = (Source.INDEX, Source.DOWNLOADS)

# The columns of each group of sources, with the values that mean "unknown".
REPO_FACT_DEFAULTS: dict[str, Any] = {
    "stars": None,
    "forks": None,
    "open_issues": None,
    "topics": None,
    "default_branch": None,
    "repo_description": None,
    "repo_licence": None,
    "repo_identity": None,
    "repo_moved_to": None,
    "missing_since": None,
    "archived_at": None,
    "archived_at_from_host": None,
    "is_fork": None,
    "parent_url": None,
    "is_mirror": None,
    "homepage_url": None,
    "last_commit_at": None,
    "commit_count": None,
    "commits_over_52": [],
    "participants": [],
    "participants_complete": True,
    "has_too_many_participants": False,
}
INDEX_FACT_DEFAULTS: dict[str, Any] = {
    "pypi_version": None,
    "released_at": None,
    "pypi_downloads": None,
    "index_summary": None,
    "licences": None,
    "classifiers": None,
    "requires_python": None,
    "requires_dist": None,
    "supports_python3": None,
    "development_status": None,
    "project_urls": None,
    "index_documentation_url": None,
    "vulnerabilities": None,
    "index_status": None,
    "index_status_reason": None,
}


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """The host and the resource that a source is fetched from."""

    host: str
    target: str  # a repository's path in lower case, or a project's normalised name


def source_locations(repo_url: str, pypi_url: str, gateways: Gateways) -> dict[Source, SourceLocation]:
    """Return the location of each source of a package with these URLs; sources without a known host are omitted."""
    locations: dict[Source, SourceLocation] = {}
    ref = parse_repo_ref(repo_url, gateways.host_kinds)
    if ref:
        locations |= dict.fromkeys(REPO_SOURCES, SourceLocation(ref.host, ref.path.lower()))
    name = parse_pypi_name(pypi_url)
    if is_pypi_name(name):
        hosts = {Source.INDEX: gateways.package_index_host, Source.DOWNLOADS: gateways.downloads_host}
        locations |= {
            source: SourceLocation(host, str(canonicalize_name(name))) for source, host in hosts.items() if host
        }
    return locations


def sync_sources(
    session: Session, gateways: Gateways, *, now: datetime, package_ids: Collection[int] | None = None
) -> int:
    """Update the sources after edits of the packages' URLs, and return the number of changed packages.

    A new or changed source is due immediately. When a repository or project is removed or replaced, the facts from the
    old one are reset to unknown.

    Args:
        gateways: The available hosts.
        package_ids: Packages to update; all by default.
    """
    begin_write(session)
    return sync_sources_in_transaction(session, gateways, now=now, package_ids=package_ids)


def sync_sources_in_transaction(
    session: Session, gateways: Gateways, *, now: datetime, package_ids: Collection[int] | None = None
) -> int:
    """Do the work of `sync_sources` in a write transaction that has already begun."""
    packages = select(Package.id, Package.repo_url, Package.pypi_url, Package.hidden_at)
    states = select(SourceState.package_id, SourceState.source, SourceState.host, SourceState.target)
    if package_ids is not None:
        packages = packages.where(Package.id.in_(package_ids))
        states = states.where(SourceState.package_id.in_(package_ids))
    current: dict[int, dict[Source, SourceLocation]] = {}
    for package_id, source, host, target in session.execute(states):
        current.setdefault(package_id, {})[Source(source)] = SourceLocation(host, target)
    changed = 0
    for package_id, repo_url, pypi_url, hidden_at in session.execute(packages).all():
        expected = {} if hidden_at else source_locations(repo_url, pypi_url, gateways)
        if expected != current.get(package_id, {}):
            _sync_package_sources(
                session, package_id, current.get(package_id, {}), expected, hidden_at is not None, now
            )
            changed += 1
    _add_missing_hosts(session, gateways)
    return changed


def packages_with_sources(session: Session, package_ids: Collection[int]) -> set[int]:
    """Return those of these packages that have sources."""
    ids = select(SourceState.package_id).where(SourceState.package_id.in_(package_ids))
    return set(session.scalars(ids.distinct()))


def make_due(
    session: Session,
    *,
    priority: Priority,
    now: datetime,
    package_ids: Collection[int] | None = None,
    sources: Iterable[Source] | None = None,
    unless_fetched_since: datetime | None = None,
) -> int:
    """Make sources due now, and return the number of changed sources.

    Args:
        priority: New priority; sources with a higher one are left unchanged.
        package_ids: Packages to change; all by default.
        sources: Sources to change; all by default.
        unless_fetched_since: Skip sources that have been fetched since then.
    """
    due = update(SourceState).values(next_due_at=now, priority=priority)
    # Includes claimed sources, because an active request may return older data.
    is_claimed = SourceState.claimed_until.is_not(None)
    due = due.where((SourceState.next_due_at > now) | (SourceState.priority < priority) | is_claimed)
    due = due.where(SourceState.priority <= priority)
    if package_ids is not None:
        due = due.where(SourceState.package_id.in_(package_ids))
    if sources is not None:
        due = due.where(SourceState.source.in_(list(sources)))
    if unless_fetched_since is not None:
        due = due.where(SourceState.fetched_at.is_(None) | (SourceState.fetched_at < unless_fetched_since))
    return session.execute(due.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined,no-any-return]


def index_names(session: Session, host: str) -> list[str]:
    """Return the names of all projects that are fetched from this index."""
    names = select(SourceState.target).where(SourceState.host == host, SourceState.source == Source.INDEX)
    return list(session.scalars(names.distinct()))


def index_validators(session: Session, host: str) -> dict[str, str]:
    """Return the validators for the next request for the index's serials."""
    return session.scalar(select(HostState.validators).where(HostState.host == host)) or {}


def apply_serials(
    session: Session, host: str, serials: Mapping[str, int] | None, validators: Mapping[str, str], *, now: datetime
) -> int:
    """Make the projects due whose serial has changed, and return their number.

    Args:
        host: Host name of the index.
        serials: Serials by normalised name; None if nothing has changed since the last request.
        validators: Validators for the next request.
    """
    begin_write(session)
    states = select(SourceState.id, SourceState.target, SourceState.validators).where(
        SourceState.host == host, SourceState.source == Source.INDEX, SourceState.fetched_at.is_not(None)
    )
    changed = [
        state_id
        for state_id, target, stored_validators in (session.execute(states) if serials is not None else ())
        if str((serials or {}).get(target)) != str(stored_validators.get("serial"))
    ]
    for state_id in changed:
        session.execute(
            update(SourceState)
            .where(SourceState.id == state_id, SourceState.priority <= Priority.UPSTREAM_CHANGE)
            .values(next_due_at=now, priority=Priority.UPSTREAM_CHANGE)
        )
    session.execute(update(HostState).where(HostState.host == host).values(validators=dict(validators), checked_at=now))
    return len(changed)


def _sync_package_sources(
    session: Session,
    package_id: int,
    current: Mapping[Source, SourceLocation],
    expected: Mapping[Source, SourceLocation],
    is_hidden: bool,
    now: datetime,
) -> None:
    """Replace the changed sources of a package, and reset the facts from them."""
    package = session.get_one(Package, package_id, with_for_update={"of": Package})
    changed_sources = [source for source in current if expected.get(source) != current[source]]
    if changed_sources:
        session.execute(
            delete(SourceState).where(SourceState.package_id == package_id, SourceState.source.in_(changed_sources))
        )
    session.add_all(
        SourceState(package_id=package_id, source=source, host=location.host, target=location.target, next_due_at=now)
        for source, location in expected.items()
        if current.get(source) != location
    )
    if is_hidden:
        return
    is_other_repo = Source.REPO in changed_sources or not _belongs_to(package.repo_identity, expected)
    if is_other_repo and _has_moved_to(package, expected):
        _accept_new_address(package, expected[Source.REPO])
        is_other_repo = False
    defaults = (REPO_FACT_DEFAULTS if is_other_repo else {}) | (
        INDEX_FACT_DEFAULTS if Source.INDEX in changed_sources else {}
    )
    if defaults:
        _reset_facts(package, defaults, now)
    if Source.INDEX in changed_sources:
        session.execute(delete(Release).where(Release.package_id == package_id))
        session.execute(update(DailySample).where(DailySample.package_id == package_id).values(downloads=None))


def _belongs_to(identity: Mapping[str, str] | None, expected: Mapping[Source, SourceLocation]) -> bool:
    """Return whether the facts are those of the expected repository, as far as its identity is known.

    They can be those of another one if the URL was edited while the package was hidden.
    """
    location = expected.get(Source.REPO)
    return not identity or not location or identity["target"] == f"{location.host}/{location.target}"


def _has_moved_to(package: Package, expected: Mapping[Source, SourceLocation]) -> bool:
    """Return whether the expected repository is the one that the package's repository has moved to."""
    return Source.REPO in expected and repo_key(package.repo_moved_to or "") == repo_key(package.repo_url)


def _accept_new_address(package: Package, location: SourceLocation) -> None:
    """Keep the facts of a repository whose URL has been replaced by the one that it has moved to."""
    package.repo_moved_to = None
    if package.repo_identity:
        package.repo_identity = {**package.repo_identity, "target": f"{location.host}/{location.target}"}


def _reset_facts(package: Package, defaults: Mapping[str, Any], now: datetime) -> None:
    """Reset the facts from a source that has been replaced, and what was chosen or calculated from them."""
    for name, value in defaults.items():
        setattr(package, name, copy(value))
    package.declared = None
    choose_description(package)
    choose_licence(package)
    update_score(package, now=now)
    package.changed_at = now


def _add_missing_hosts(session: Session, gateways: Gateways) -> None:
    hosts = {*gateways.code_hosts, gateways.package_index_host, gateways.downloads_host} - {""}
    known_hosts = set(session.scalars(select(HostState.host)))
    session.add_all(HostState(host=host) for host in sorted(hosts - known_hosts))
