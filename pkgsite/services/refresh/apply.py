"""Stores facts in the packages' records.

A fact that a response does not mention keeps its known value; one that the response states to be empty is cleared.
Values that users have entered are never changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, is_dataclass
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

# The columns of the facts, by name of the fact.
REPO_COLUMNS = {
    "description": "repo_description",
    "stars": "stars",
    "forks": "forks",
    "open_issues": "open_issues",
    "topics": "topics",
    "default_branch": "default_branch",
    "last_commit_at": "last_commit_at",
    "commit_count": "commit_count",
    "licence": "repo_licence",
    "is_fork": "is_fork",
    "parent_url": "parent_url",
    "is_mirror": "is_mirror",
}
INDEX_COLUMNS = {
    "version": "pypi_version",
    "released_at": "released_at",
    "summary": "index_summary",
    "licences": "licences",
    "classifiers": "classifiers",
    "requires_python": "requires_python",
    "requires_dist": "requires_dist",
    "supports_python3": "supports_python3",
    "development_status": "development_status",
    "project_urls": "project_urls",
    "documentation_url": "index_documentation_url",
    "vulnerabilities": "vulnerabilities",
    "status": "index_status",
    "status_reason": "index_status_reason",
}
DOWNLOAD_COLUMNS = {"last_month": "pypi_downloads"}

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
            _set_stated(package, DOWNLOAD_COLUMNS, facts)


def update_score(package: Package, *, now: datetime) -> None:
    """Recalculate a package's score from its facts."""
    package.score = score(
        stars=package.stars,
        last_commit_at=package.last_commit_at,
        supports_python3=package.supports_python3,
        now=now,
    )
    package.scored_at = now


def update_scores(session: Session, package_ids: Collection[int], *, now: datetime) -> None:
    """Recalculate the scores of these packages, `BATCH_SIZE` per query."""
    ids = sorted(package_ids)
    for start in range(0, len(ids), BATCH_SIZE):
        for package in session.scalars(select(Package).where(Package.id.in_(ids[start : start + BATCH_SIZE]))):
            update_score(package, now=now)


def unstated_columns(package: Package, facts: Facts) -> set[str]:
    """Return the columns with known values that these facts, which have just been stored, do not mention."""
    match facts:
        case RepoFacts():
            columns = REPO_COLUMNS
        case IndexFacts():
            columns = INDEX_COLUMNS
        case DownloadFacts():
            columns = DOWNLOAD_COLUMNS
        case _:
            return set()
    return {
        column
        for name, column in columns.items()
        if getattr(facts, name) is None and name not in facts.empty and getattr(package, column) is not None
    }


def choose_description(package: Package) -> None:
    """Set the description: the repository's own takes precedence over the project's summary."""
    package.description = package.repo_description or package.index_summary or ""


def choose_licence(package: Package) -> None:
    """Set the main licence: the index's takes precedence over the code host's."""
    package.licence = package.licences[0] if package.licences else package.repo_licence


def _set_stated(
    package: Package, columns: Mapping[str, str], facts: RepoFacts | IndexFacts | DownloadFacts
) -> Collection[str]:
    """Set the columns of the facts that the response states, even to be empty; return the names of these facts."""
    stated = [name for name in columns if getattr(facts, name) is not None or name in facts.empty]
    for name in stated:
        setattr(package, columns[name], _storable(getattr(facts, name)))
    return stated


def _storable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [asdict(item) if is_dataclass(item) and not isinstance(item, type) else item for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _apply_repo_facts(package: Package, facts: RepoFacts, now: datetime) -> None:
    stated = _set_stated(package, REPO_COLUMNS, facts)
    if "description" in stated:
        choose_description(package)
    if "licence" in stated:
        choose_licence(package)
    if not package.pypi_url:
        package.declared = None  # there is no project whose facts would replace it
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
    is_other_release = facts.version != package.pypi_version and (facts.version or "version" in facts.empty)
    if is_other_release:  # the known values are those of another release
        for name in RELEASE_FIELDS:
            setattr(package, name, None)
    stated = _set_stated(package, INDEX_COLUMNS, facts)
    package.declared = None
    if "summary" in stated:
        choose_description(package)
    if is_other_release or "licences" in stated:
        choose_licence(package)
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
    empty: Collection[str] = ()
    if release.number == facts.version:  # the other facts are those of the current release
        empty = facts.empty
        values |= {
            "licence": facts.licence,
            "licences": _as_list(facts.licences),
            "development_status": facts.development_status,
        }
    for name, value in values.items():
        if value is not None or name in empty:
            setattr(row, name, value)


def _as_list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)
