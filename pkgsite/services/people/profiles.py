"""User profiles: the public pages, and the settings of what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, false, func, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, Invalid, NotFound
from pkgsite.models import Favourite, Grid, Identity, Package, Revision, User
from pkgsite.rules.links import CODE_HOSTS, profile_url, safe_url
from pkgsite.rules.paging import paginate
from pkgsite.rules.search.tokenizer import is_searchable_name
from pkgsite.services.browse import PackageListPage, PackageQuery
from pkgsite.services.changeset import PACKAGE
from pkgsite.services.packages.records import (
    VISIBLE,
    AnySelect,
    Ref,
    count_packages,
    load_records,
    select_packages,
    usage_counts,
)
from pkgsite.services.permissions import Viewer, require_login

MAX_LINKS = 10
MAX_LABEL_LENGTH = 50  # characters
MAX_URL_LENGTH = 200
PREVIEW_SIZE = 20  # packages or grids
PAGE_SIZE = 20


@dataclass(frozen=True, slots=True)
class ProfileLink:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """A user's account on a code host."""

    site: str
    login: str
    url: str | None


@dataclass(frozen=True, slots=True)
class ListPreview:
    """The first of `count` packages or grids."""

    count: int
    refs: list[Ref]


@dataclass(frozen=True, slots=True)
class ProfilePage:
    username: str
    role: str
    created_at: datetime
    links: list[ProfileLink]
    external_accounts: list[ExternalAccount]
    edit_count: int
    contributed: ListPreview
    added: ListPreview
    edited: ListPreview
    grids: ListPreview  # the grids that the user has changed
    favourites: ListPreview | None  # None if the viewer can't see them
    is_own: bool
    shares_favourites: bool


@dataclass(frozen=True, slots=True)
class ProfileListPage:
    """A page of one of a user's package lists."""

    username: str
    list_name: str
    list: PackageListPage


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """The settings of the viewer's own profile."""

    shares_favourites: bool
    links: list[ProfileLink]


def profile_page(session: Session, username: str, viewer: Viewer) -> ProfilePage:
    """Return everything on a user's profile page, in a fixed number of queries.

    Raises:
        NotFound: No active user has this name.
    """
    user = _require_user(session, username)
    identities = _identities(session, user.id)
    can_see_favourites = _can_see_favourites(user, viewer)
    edits = select(func.count()).where(Revision.user_id == user.id, Revision.head_id.is_(None))
    return ProfilePage(
        username=user.username,
        role=user.role,
        created_at=user.created_at,
        links=_links(user.links),
        external_accounts=[_external_account(identity) for identity in identities],
        edit_count=session.scalar(edits) or 0,
        contributed=_preview(session, _select_package_refs(_contributed_to(identities))),
        added=_preview(session, _select_package_refs(Package.created_by_id == user.id)),
        edited=_preview(session, _select_package_refs(_edited_by(user.id))),
        grids=_preview(session, _select_grids_changed_by(user.id)),
        favourites=_preview(session, _select_package_refs(_is_favourite_of(user.id))) if can_see_favourites else None,
        is_own=viewer.user_id == user.id,
        shares_favourites=user.shares_favourites,
    )


def profile_list(session: Session, username: str, list_name: str, viewer: Viewer, *, page: str) -> ProfileListPage:
    """Return a page of the packages that a user has contributed to, added, edited or marked as favourites.

    Raises:
        Forbidden: The user's favourites are private.
        NotFound: No active user has this name, or there is no such list.
    """
    user = _require_user(session, username)
    conditions = {  # by the name of the list in its URL
        "contributed": lambda: _contributed_to(_identities(session, user.id)),
        "added": lambda: Package.created_by_id == user.id,
        "edited": lambda: _edited_by(user.id),
        "favorites": lambda: _is_favourite_of(user.id),
    }
    if list_name not in conditions:
        raise NotFound("List")
    if list_name == "favorites" and not _can_see_favourites(user, viewer):
        raise Forbidden("This user's favourites are private.")
    condition = conditions[list_name]()
    paging = paginate(page, size=PAGE_SIZE, count=count_packages(session, condition))
    statement = select_packages().where(condition).order_by(func.lower(Package.title), Package.id)
    records = load_records(session, statement.limit(paging.page_size).offset(paging.offset))
    usage = usage_counts(session, [record.id for record in records])
    query = PackageQuery(page=str(paging.page_number))
    return ProfileListPage(user.username, list_name, PackageListPage(query, paging, records, usage))


def own_profile(session: Session, by: Viewer) -> OwnProfile:
    """Return the settings of the viewer's own profile."""
    user = session.get_one(User, require_login(by))
    return OwnProfile(user.shares_favourites, _links(user.links))


def update_profile(session: Session, *, by: Viewer, shares_favourites: bool, links: Sequence[ProfileLink]) -> None:
    """Update the viewer's own profile; empty links are ignored.

    Raises:
        Forbidden: The viewer is not logged in.
        Invalid: A link is invalid; the message is under "links-<index>-label" or "links-<index>-url".
    """
    user = session.get_one(User, require_login(by))
    problems: dict[str, list[str]] = {}
    valid_links: list[ProfileLink] = []
    for index, link in enumerate(links):
        if link.label.strip() or link.url.strip():
            valid_links.append(_validated_link(link, f"links-{index}", problems))
    if len(valid_links) > MAX_LINKS:
        problems["links"] = [f"You can add at most {MAX_LINKS} links."]
    if problems:
        raise Invalid(problems)
    user.shares_favourites = shares_favourites
    user.links = [{"label": link.label, "url": link.url} for link in valid_links]
    session.flush()


def _require_user(session: Session, username: str) -> User:
    user = session.scalar(select(User).where(func.lower(User.username) == username.lower(), User.is_active))
    if user is None:
        raise NotFound("User")
    return user


def _can_see_favourites(user: User, viewer: Viewer) -> bool:
    return user.shares_favourites or viewer.user_id == user.id


def _identities(session: Session, user_id: int) -> list[Identity]:
    return list(session.scalars(select(Identity).where(Identity.user_id == user_id).order_by(Identity.id)))


def _external_account(identity: Identity) -> ExternalAccount:
    host = f"{identity.provider}.com"
    return ExternalAccount(CODE_HOSTS.get(host, host), identity.login, profile_url(f"https://{host}/", identity.login))


def _links(raw_links: Sequence[Any]) -> list[ProfileLink]:
    """Return the stored links that have a safe URL."""
    links = [
        ProfileLink(str(link.get("label", "")), str(link.get("url", "")))
        for link in raw_links
        if isinstance(link, dict)
    ]
    return [link for link in links if safe_url(link.url)]


def _contributed_to(identities: Sequence[Identity]) -> ColumnElement[bool]:
    """Return the condition that a user is a contributor to a package's repository, by their GitHub login.

    Other hosts report no logins, only names that anyone can choose.
    """
    logins = [
        identity.login
        for identity in identities
        if identity.provider == "github" and is_searchable_name(identity.login)
    ]
    # The stored JSON has each name in quotes, so that a part of a longer name does not match.
    matches = [cast(Package.participants, Text).icontains(f'"{login}"', autoescape=True) for login in logins]
    return and_(Package.repo_url.icontains("://github.com/", autoescape=True), or_(*matches)) if matches else false()


def _edited_by(user_id: int) -> ColumnElement[bool]:
    edited = select(Revision.object_id).where(
        Revision.user_id == user_id, Revision.object_type == PACKAGE.name, Revision.action == "edit"
    )
    return Package.id.in_(edited)


def _is_favourite_of(user_id: int) -> ColumnElement[bool]:
    return Package.id.in_(select(Favourite.package_id).where(Favourite.user_id == user_id))


def _select_package_refs(condition: ColumnElement[bool]) -> AnySelect:
    return (
        select(Package.id, Package.title, Package.slug, func.count().over().label("total"))
        .where(VISIBLE, condition)
        .order_by(func.lower(Package.title), Package.id)
    )


def _select_grids_changed_by(user_id: int) -> AnySelect:
    changed = select(Revision.grid_id).where(Revision.user_id == user_id, Revision.grid_id.is_not(None))
    return (
        select(Grid.id, Grid.title, Grid.slug, func.count().over().label("total"))
        .where(Grid.id.in_(changed))
        .order_by(func.lower(Grid.title), Grid.id)
    )


def _preview(session: Session, statement: AnySelect) -> ListPreview:
    rows = session.execute(statement.limit(PREVIEW_SIZE)).all()
    return ListPreview(rows[0].total if rows else 0, [Ref(row.id, row.title, row.slug) for row in rows])


def _validated_link(link: ProfileLink, name: str, problems: dict[str, list[str]]) -> ProfileLink:
    """Return a link without surrounding spaces, and add its problems to `problems`."""
    label, url = link.label.strip(), link.url.strip()
    if not label:
        problems[f"{name}-label"] = ["Enter a label."]
    elif len(label) > MAX_LABEL_LENGTH or not label.isprintable():
        problems[f"{name}-label"] = [f"Must be {MAX_LABEL_LENGTH} characters or fewer, without control characters."]
    if len(url) > MAX_URL_LENGTH:
        problems[f"{name}-url"] = [f"Use at most {MAX_URL_LENGTH} characters."]
    elif not safe_url(url) or not url.isprintable():
        problems[f"{name}-url"] = ["Enter a URL that starts with https:// or http://."]
    return ProfileLink(label, url)
