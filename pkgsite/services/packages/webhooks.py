"""Webhooks of code hosts: a change of a repository requeues its package's sources.

No facts are taken from the payload. So a delayed, repeated or forged webhook can only bring forward a scheduled fetch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from pkgsite.clients.base import Gateways
from pkgsite.errors import Invalid, NotFound
from pkgsite.models import begin_write
from pkgsite.rules.freshness import Priority, Source
from pkgsite.services.packages.resolver import packages_of_repositories
from pkgsite.services.refresh.sources import make_due, packages_with_sources, sync_sources_in_transaction

# Activity and participants are fetched anyway once the repository has new commits. The package index is fetched if
# there may be a new release.
CHANGE_SOURCES = (Source.REPO,)
RELEASE_SOURCES = (Source.REPO, Source.INDEX)
GITHUB_EVENTS: Mapping[str, tuple[Source, ...]] = {
    "push": CHANGE_SOURCES,
    "create": CHANGE_SOURCES,  # a branch; for a tag, see `parse_github_change`
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
MAX_URL_LENGTH = 500


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """A change of a repository, from a webhook.

    Attributes:
        urls: The repository's URLs: the current one, then those before the change.
        sources: The sources to fetch again.
    """

    urls: tuple[str, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """The result of a webhook."""

    slugs: list[str]  # of the repository's packages
    requeued_count: int  # sources that were not due already


def parse_github_change(event: str, payload: Mapping[str, Any]) -> RepositoryChange | None:
    """Return the change in a GitHub webhook, or None for an irrelevant event.

    Raises:
        Invalid: The payload does not name a repository; the message is under "payload".
    """
    sources = GITHUB_EVENTS.get(event)
    if sources is None:
        return None
    if event in {"create", "delete"} and payload.get("ref_type") == "tag":
        sources = RELEASE_SOURCES
    # In most events, "url" is the API's; only if there is no "html_url", it is the page's.
    url = _text_at(payload, "repository", "html_url") or _text_at(payload, "repository", "url")
    return RepositoryChange((_require_url(url), *_previous_urls(payload, url)), sources)


def parse_gitlab_change(payload: Mapping[str, Any]) -> RepositoryChange | None:
    """Return the change in a GitLab webhook, or None for an irrelevant event.

    Raises:
        Invalid: The payload does not name a repository; the message is under "payload".
    """
    sources = GITLAB_EVENTS.get(_text_at(payload, "object_kind"))
    if sources is None:
        return None
    return RepositoryChange((_require_url(_text_at(payload, "project", "web_url")),), sources)


def apply_change(session: Session, change: RepositoryChange, gateways: Gateways, *, now: datetime) -> WebhookResult:
    """Make the sources of a changed repository's packages due with the highest priority, unless they are already.

    Args:
        session: The database session.
        change: The change of the repository.
        gateways: The hosts that sources are fetched from.
        now: The current time.

    Raises:
        NotFound: No package has this repository.
    """
    begin_write(session)
    packages = packages_of_repositories(session, change.urls, gateways)
    slugs = {ref.id: ref.slug for ref in next(filter(None, map(packages.get, change.urls)), [])}
    if not slugs:
        raise NotFound("Package")
    unplanned = slugs.keys() - packages_with_sources(session, slugs)  # no scheduler has run since they were added
    if unplanned:
        sync_sources_in_transaction(session, gateways, now=now, package_ids=unplanned)
    requeued_count = make_due(session, priority=Priority.WEBHOOK, now=now, package_ids=slugs, sources=change.sources)
    return WebhookResult(sorted(slugs.values()), requeued_count)


def _previous_urls(payload: Mapping[str, Any], url: str) -> list[str]:
    """Return the repository's URL before it was renamed or transferred, if the payload says so."""
    owner_url, _, name = url.rstrip("/").rpartition("/")
    root, _, owner = owner_url.rpartition("/")
    previous_name = _text_at(payload, "changes", "repository", "name", "from")
    previous_owner = _text_at(payload, "changes", "owner", "from", "user", "login") or _text_at(
        payload, "changes", "owner", "from", "organization", "login"
    )
    if not (previous_name or previous_owner):
        return []
    return [f"{root}/{previous_owner or owner}/{previous_name or name}"]


def _require_url(url: str) -> str:
    if not url or len(url) > MAX_URL_LENGTH:
        raise Invalid({"payload": ["The payload does not name a repository."]})
    return url


def _text_at(payload: object, *path: str) -> str:
    """Return the string at this path of a payload, or "" if there is none."""
    for name in path:
        payload = payload.get(name) if isinstance(payload, Mapping) else None
    return payload if isinstance(payload, str) else ""
