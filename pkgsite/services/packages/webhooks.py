"""What code hosts tell us at the moment of a change: the sources of the packages in question are asked again.

A webhook brings no facts: it says where to look. Thus one that is late, sent twice or made up by somebody who knows
the secret does no more than bring forward what is asked anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Package, SourceState, begin_write
from pkgsite.rules.freshness import Priority, Source
from pkgsite.rules.repo_urls import RepoRef, parse_repo_ref
from pkgsite.services.packages.records import VISIBLE
from pkgsite.services.refresh.sources import make_due

# Weeks and people follow by themselves when the repository shows new commits. The index is asked where a release may
# be on its way to it.
CHANGE_SOURCES = (Source.REPO,)
RELEASE_SOURCES = (Source.REPO, Source.INDEX)
GITHUB_EVENTS: Mapping[str, tuple[Source, ...]] = {
    "push": CHANGE_SOURCES,
    "create": CHANGE_SOURCES,  # of a branch; a tag may be a release
    "delete": CHANGE_SOURCES,
    "fork": CHANGE_SOURCES,
    "public": CHANGE_SOURCES,
    "repository": CHANGE_SOURCES,
    "star": CHANGE_SOURCES,
    "watch": CHANGE_SOURCES,
    "release": RELEASE_SOURCES,
}
GITLAB_EVENTS: Mapping[str, tuple[Source, ...]] = {
    "push": CHANGE_SOURCES,
    "tag_push": RELEASE_SOURCES,
    "release": RELEASE_SOURCES,
}
MAX_URL_LENGTH = 500  # an address of a repository that is longer is none that we know


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """What a webhook tells.

    Attributes:
        urls: Where the repository is found: its present address, and then those that it had before this change.
        sources: What is to be asked again.
    """

    urls: tuple[str, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """What came of a webhook."""

    slugs: list[str]  # the packages of this repository
    requeued_count: int  # sources that were brought forward; the others were due already


def parse_github_change(event: str, payload: Mapping[str, Any]) -> RepositoryChange | None:
    """Return what a webhook of GitHub tells, or None where nothing here follows from such an event.

    Raises:
        Invalid: the payload names no repository; the words are under "payload".
    """
    sources = GITHUB_EVENTS.get(event)
    if sources is None:
        return None
    if event in {"create", "delete"} and payload.get("ref_type") == "tag":
        sources = RELEASE_SOURCES
    # Most events have the API's address as "url"; where there is no other, it is the page's, as it once was.
    url = _text_at(payload, "repository", "html_url") or _text_at(payload, "repository", "url")
    return RepositoryChange((_require_url(url), *_previous_urls(payload, url)), sources)


def parse_gitlab_change(payload: Mapping[str, Any]) -> RepositoryChange | None:
    """Return what a webhook of GitLab tells, or None where nothing here follows from such an event.

    Raises:
        Invalid: the payload names no repository; the words are under "payload".
    """
    sources = GITLAB_EVENTS.get(_text_at(payload, "object_kind"))
    return (
        None if sources is None else RepositoryChange((_require_url(_text_at(payload, "project", "web_url")),), sources)
    )


def apply_change(
    session: Session, change: RepositoryChange, kinds: Mapping[str, str], *, now: datetime
) -> WebhookResult:
    """Make what a webhook is about due, before all else; what is due by a webhook already stays as it is.

    Args:
        change: What it tells.
        kinds: The code hosts that repositories are read from, by name.
        now: The present instant.

    Raises:
        NotFound: no package of the site has this repository.
    """
    begin_write(session)
    refs = [ref for ref in (parse_repo_ref(url, kinds) for url in change.urls) if ref]
    found = next(filter(None, (_packages_at(session, ref) for ref in refs)), {})
    if not found and refs:
        found = _packages_moved_to(session, refs[0])
    if not found:
        raise NotFound("Package")
    requeued_count = make_due(session, priority=Priority.WEBHOOK, now=now, package_ids=found, sources=change.sources)
    return WebhookResult(sorted(found.values()), requeued_count)


def _packages_at(session: Session, ref: RepoRef) -> dict[int, str]:
    """Return the slugs, by id, of the packages whose repository this is."""
    package_ids = select(SourceState.package_id).where(
        SourceState.source == Source.REPO, SourceState.host == ref.host, SourceState.target == ref.path.lower()
    )
    return _slugs(session, Package.id.in_(package_ids))


def _packages_moved_to(session: Session, ref: RepoRef) -> dict[int, str]:
    """Return the packages whose repository has been renamed to this one, though people have not written it yet."""
    return _slugs(session, func.lower(Package.repo_moved_to) == f"https://{ref.key}")


def _slugs(session: Session, condition: ColumnElement[bool]) -> dict[int, str]:
    rows = session.execute(select(Package.id, Package.slug).where(condition, VISIBLE))
    return {row.id: row.slug for row in rows}


def _previous_urls(payload: Mapping[str, Any], url: str) -> list[str]:
    """Return the address from which the repository has just moved away, as far as the payload tells."""
    start, _, present = url.rstrip("/").rpartition("/")
    root, _, owner = start.rpartition("/")
    name_before = _text_at(payload, "changes", "repository", "name", "from")
    owner_before = _text_at(payload, "changes", "owner", "from", "user", "login") or _text_at(
        payload, "changes", "owner", "from", "organization", "login"
    )
    if not (name_before or owner_before):
        return []
    return [f"{root}/{owner_before or owner}/{name_before or present}"]


def _require_url(url: str) -> str:
    if not url or len(url) > MAX_URL_LENGTH:
        raise Invalid({"payload": ["The payload does not name a repository."]})
    return url


def _text_at(payload: object, *path: str) -> str:
    """Return the text at this place of a payload; empty where there is none, whatever is there in its stead."""
    for name in path:
        payload = payload.get(name) if isinstance(payload, Mapping) else None
    return payload if isinstance(payload, str) else ""
