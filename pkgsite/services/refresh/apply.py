"""Stores facts in the packages' records. `None` means "unknown" and does not overwrite a known value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.clients.base import ActivityFacts, DownloadFacts, IndexFacts, ParticipantFacts, ReleaseFacts, RepoFacts
from pkgsite.models import Package, Release
from pkgsite.rules.repo_urls import repo_key
from pkgsite.rules.scores import score

BATCH_SIZE = 500  # packages per query; SQLite allows about 32,000 parameters

# Facts of the current release only; they are reset when the release changes.
RELEASE_FIELDS = (
    "released_at",
    "licences",
    "classifiers",
    "requires_python",
    "requires_dist",
    "supports_python3",
    "development_status",
    "vulnerabilities",
)

Facts = RepoFacts | ActivityFacts | ParticipantFacts | IndexFacts | DownloadFacts


def apply_facts(session: Session, package: Package, facts: Facts, *, now: datetime) -> None:
    """Store the facts from a source in a package's record."""
    match facts:
        case RepoFacts():
            _apply_repo_facts(package, facts, now)
        case ActivityFacts():
            package.commits_over_52 = list(facts.commits_over_52)
        case ParticipantFacts():
            if not facts.is_too_large:  # otherwise the known ones are still participants
                package.participants = list(facts.participants)
            package.participants_complete = facts.is_complete
            package.has_too_many_participants = facts.is_too_large
        case IndexFacts():
            _apply_index_facts(session, package, facts, now)
        case DownloadFacts():
            _set_known(package, {"pypi_downloads": facts.last_month})


def update_score(package: Package, *, now: datetime) -> None:
    """Recalculate a package's score from its facts."""
    package.score = score(
        stars=package.stars,
        last_commit_at=package.last_commit_at,
        supports_python3=package.supports_python3,
        now=now,
    )


def update_scores(session: Session, package_ids: Collection[int], *, now: datetime) -> None:
    """Recalculate the scores of these packages, `BATCH_SIZE` per query."""
    ids = sorted(package_ids)
    for start in range(0, len(ids), BATCH_SIZE):
        for package in session.scalars(select(Package).where(Package.id.in_(ids[start : start + BATCH_SIZE]))):
            update_score(package, now=now)


def _set_known(record: object, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if value is not None:
            setattr(record, name, value)


def _apply_repo_facts(package: Package, facts: RepoFacts, now: datetime) -> None:
    # The index's licence takes precedence over the code host's.
    is_from_host = not package.licences and package.licence in {None, package.repo_licence}
    licence = facts.licence if is_from_host else None
    _set_known(
        package,
        {
            "description": facts.description or None,  # an empty description keeps the index's summary
            "stars": facts.stars,
            "forks": facts.forks,
            "open_issues": facts.open_issues,
            "topics": None if facts.topics is None else list(facts.topics),
            "default_branch": facts.default_branch,
            "last_commit_at": facts.last_commit_at,
            "commit_count": facts.commit_count,
            "licence": licence,
            "repo_licence": facts.licence,
            "is_fork": facts.is_fork,
            "parent_url": facts.parent_url,
            "is_mirror": facts.is_mirror,
        },
    )
    if facts.has_issues is False:  # no issue tracker, so that there is no figure
        package.open_issues = None
    if facts.is_fork is False:
        package.parent_url = None
    if facts.homepage_url is not None:
        package.homepage_url = facts.homepage_url or None
    if facts.is_archived is not None:
        _apply_archiving(package, facts, now)
    if facts.web_url is not None:
        has_moved = repo_key(facts.web_url) != repo_key(package.repo_url)
        package.repo_moved_to = facts.web_url if has_moved else None


def _apply_archiving(package: Package, facts: RepoFacts, now: datetime) -> None:
    """Store when the repository was archived: the host's date, or else when this site noticed it."""
    if not facts.is_archived:
        package.archived_at, package.archived_at_from_host = None, None
    elif facts.archived_at is not None:
        package.archived_at, package.archived_at_from_host = facts.archived_at, True
    elif not package.archived_at_from_host:
        package.archived_at, package.archived_at_from_host = package.archived_at or now, False


def _apply_index_facts(session: Session, package: Package, facts: IndexFacts, now: datetime) -> None:
    if facts.version not in {None, package.pypi_version}:
        for name in RELEASE_FIELDS:  # the known values are those of another release
            setattr(package, name, None)
        package.licence = package.repo_licence
    _set_known(
        package,
        {
            "pypi_version": facts.version,
            "released_at": facts.released_at,
            "licence": facts.licence,
            "licences": _as_list(facts.licences),
            "classifiers": _as_list(facts.classifiers),
            "requires_python": facts.requires_python,
            "requires_dist": _as_list(facts.requires_dist),
            "supports_python3": facts.supports_python3,
            "development_status": facts.development_status,
            "project_urls": None if facts.project_urls is None else dict(facts.project_urls),
            "index_documentation_url": facts.documentation_url,
            "vulnerabilities": None
            if facts.vulnerabilities is None
            else [asdict(vulnerability) for vulnerability in facts.vulnerabilities],
            "index_status": facts.status,
            "index_status_reason": facts.status_reason,
        },
    )
    if not package.description and facts.summary:
        package.description = facts.summary
    _apply_releases(session, package, facts, now)


def _apply_releases(session: Session, package: Package, facts: IndexFacts, now: datetime) -> None:
    """Replace the package's releases by those of the index, or add the listed ones if the index does not list all."""
    if not facts.releases:
        return
    known = {row.number: row for row in session.scalars(select(Release).where(Release.package_id == package.id))}
    listed_numbers = {release.number for release in facts.releases}
    for number, row in known.items():
        if number not in listed_numbers and facts.has_all_releases:
            session.delete(row)
    for release in reversed(facts.releases):  # oldest first, for ascending ids
        row = known.get(release.number) or Release(package_id=package.id, number=release.number, created_at=now)
        _apply_release(row, release, facts)
        session.add(row)


def _apply_release(row: Release, release: ReleaseFacts, facts: IndexFacts) -> None:
    row.is_prerelease, row.yanked_reason = release.is_prerelease, release.yanked_reason
    values: dict[str, Any] = {
        "uploaded_at": release.uploaded_at,
        "requires_python": release.requires_python,
        "supports_python3": release.supports_python3,
    }
    if release.number == facts.version:  # the other facts are those of the current release
        values |= {
            "licence": facts.licence,
            "licences": _as_list(facts.licences),
            "development_status": facts.development_status,
        }
    _set_known(row, values)


def _as_list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)
