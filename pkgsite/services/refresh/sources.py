"""Which sources each package's facts come from, and which of them are asked first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packaging.utils import canonicalize_name
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from pkgsite.clients.base import Gateways
from pkgsite.models import HostState, Package, Release, SourceState, begin_write
from pkgsite.rules.freshness import Priority, Source
from pkgsite.rules.pypi_names import is_pypi_name, pypi_name
from pkgsite.rules.repo_urls import repo_ref

OF_REPO = (Source.REPO, Source.ACTIVITY, Source.PEOPLE)
OF_INDEX = (Source.INDEX, Source.DOWNLOADS)

# What each group of sources tells, as it stands where nobody has told it.
REPO_FACTS: dict[str, Any] = {
    "stars": None,
    "forks": None,
    "open_issues": None,
    "topics": None,
    "default_branch": None,
    "repo_licence": None,
    "repo_moved_to": None,
    "gone_at": None,
    "archived_at": None,
    "last_commit_at": None,
    "commit_count": None,
    "commits_over_52": [],
    "participants": [],
    "participants_complete": True,
}
INDEX_FACTS: dict[str, Any] = {
    "pypi_version": None,
    "released_at": None,
    "pypi_downloads": None,
    "licence": None,
    "licences": None,
    "classifiers": None,
    "requires_python": None,
    "requires_dist": None,
    "supports_python3": None,
    "development_status": None,
    "project_urls": None,
    "index_documentation_url": None,
    "vulnerabilities": None,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source of a package is found."""

    host: str
    target: str  # a repository's path in lower case, or a project's normalised name


def places(repo_url: str, pypi_url: str, gateways: Gateways) -> dict[Source, Place]:
    """Return where each source of a package with these addresses is found; those that nobody can tell are left out."""
    found: dict[Source, Place] = {}
    ref = repo_ref(repo_url, gateways.kinds)
    if ref:
        found |= dict.fromkeys(OF_REPO, Place(ref.host, ref.path.lower()))
    name = pypi_name(pypi_url)
    if is_pypi_name(name):
        hosts = {Source.INDEX: gateways.index_host, Source.DOWNLOADS: gateways.counts_host}
        found |= {source: Place(host, str(canonicalize_name(name))) for source, host in hosts.items() if host}
    return found


def sync_sources(
    session: Session, gateways: Gateways, *, now: datetime, package_ids: Collection[int] | None = None
) -> int:
    """Bring the sources in line with what people have written, and return how many packages had some to change.

    A source that is new or has moved is due at once. Facts go with the place that told them: where a package has no
    repository or project any more, or another one, what the old one told is unknown again.

    Args:
        gateways: The hosts that can be asked.
        package_ids: Look at these packages only; without it, at all.
    """
    begin_write(session)
    return arrange_sources(session, gateways, now=now, package_ids=package_ids)


def arrange_sources(
    session: Session, gateways: Gateways, *, now: datetime, package_ids: Collection[int] | None = None
) -> int:
    """Do what `sync_sources` does within a transaction that already writes."""
    packages = select(Package.id, Package.repo_url, Package.pypi_url, Package.hidden_at)
    states = select(SourceState.package_id, SourceState.source, SourceState.host, SourceState.target)
    if package_ids is not None:
        packages = packages.where(Package.id.in_(package_ids))
        states = states.where(SourceState.package_id.in_(package_ids))
    known: dict[int, dict[Source, Place]] = {}
    for package_id, source, host, target in session.execute(states):
        known.setdefault(package_id, {})[Source(source)] = Place(host, target)
    changed = 0
    for package_id, repo_url, pypi_url, hidden_at in session.execute(packages).all():
        wanted = {} if hidden_at else places(repo_url, pypi_url, gateways)
        if wanted != known.get(package_id, {}):
            _rearrange(session, package_id, known.get(package_id, {}), wanted, hidden_at is not None, now)
            changed += 1
    _know_hosts(session, gateways)
    return changed


def make_due(
    session: Session,
    *,
    priority: Priority,
    now: datetime,
    package_ids: Collection[int] | None = None,
    sources: Iterable[Source] | None = None,
    unless_fetched_since: datetime | None = None,
) -> int:
    """Make sources due now, and return how many were brought forward.

    Args:
        priority: What brings them forward; a higher one stays.
        package_ids: Of these packages only; without it, of all.
        sources: These only; without it, all.
        unless_fetched_since: Leave those that have been fetched since then.
    """
    due = update(SourceState).values(next_due_at=now, priority=priority)
    # What is being asked at this moment is brought forward too: the answer may be older than what brings it.
    is_asked = SourceState.claimed_until.is_not(None)
    due = due.where((SourceState.next_due_at > now) | (SourceState.priority < priority) | is_asked)
    due = due.where(SourceState.priority <= priority)
    if package_ids is not None:
        due = due.where(SourceState.package_id.in_(package_ids))
    if sources is not None:
        due = due.where(SourceState.source.in_(list(sources)))
    if unless_fetched_since is not None:
        due = due.where(SourceState.fetched_at.is_(None) | (SourceState.fetched_at < unless_fetched_since))
    return session.execute(due.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined,no-any-return]


def index_names(session: Session, host: str) -> list[str]:
    """Return the names of all projects that are read from this index."""
    names = select(SourceState.target).where(SourceState.host == host, SourceState.source == Source.INDEX)
    return list(session.scalars(names.distinct()))


def index_validators(session: Session, host: str) -> dict[str, str]:
    """Return what makes the next question for the index's serials cheap."""
    return session.scalar(select(HostState.validators).where(HostState.host == host)) or {}


def take_serials(
    session: Session, host: str, serials: Mapping[str, int] | None, validators: Mapping[str, str], *, now: datetime
) -> int:
    """Make projects due whose serial is another than ours, and return how many.

    Args:
        host: The index.
        serials: By normalised name; None: nothing has changed since the last time.
        validators: For the next question.
    """
    begin_write(session)
    states = select(SourceState.id, SourceState.target, SourceState.validators).where(
        SourceState.host == host, SourceState.source == Source.INDEX, SourceState.fetched_at.is_not(None)
    )
    changed = [
        state_id
        for state_id, target, ours in (session.execute(states) if serials is not None else ())
        if str((serials or {}).get(target)) != str(ours.get("serial"))
    ]
    for state_id in changed:
        session.execute(
            update(SourceState)
            .where(SourceState.id == state_id, SourceState.priority <= Priority.SERIAL)
            .values(next_due_at=now, priority=Priority.SERIAL)
        )
    session.execute(update(HostState).where(HostState.host == host).values(validators=dict(validators), checked_at=now))
    return len(changed)


def _rearrange(
    session: Session,
    package_id: int,
    known: Mapping[Source, Place],
    wanted: Mapping[Source, Place],
    hidden: bool,
    now: datetime,
) -> None:
    """Bring one package's sources in line."""
    session.execute(select(Package.id).where(Package.id == package_id).with_for_update())
    moved = [source for source in known if wanted.get(source) != known[source]]
    if moved:
        session.execute(delete(SourceState).where(SourceState.package_id == package_id, SourceState.source.in_(moved)))
    session.add_all(
        SourceState(package_id=package_id, source=source, host=place.host, target=place.target, next_due_at=now)
        for source, place in wanted.items()
        if known.get(source) != place
    )
    if hidden:
        return
    lost = (REPO_FACTS if Source.REPO in moved else {}) | (INDEX_FACTS if Source.INDEX in moved else {})
    if Source.INDEX in moved:
        session.execute(delete(Release).where(Release.package_id == package_id))
    if lost:
        session.execute(update(Package).where(Package.id == package_id).values(**lost, changed_at=now))


def _know_hosts(session: Session, gateways: Gateways) -> None:
    hosts = {*gateways.code_hosts, gateways.index_host, gateways.counts_host} - {""}
    there = set(session.scalars(select(HostState.host)))
    session.add_all(HostState(host=host) for host in sorted(hosts - there))
