"""The public pages of people, and what they say of themselves there."""

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
SHORT_LIST_SIZE = 20  # things of each list on the page itself
PAGE_SIZE = 20
LIST_NAMES = ("contributed", "added", "edited", "favorites")  # as addresses name them


@dataclass(frozen=True, slots=True)
class ProfileLink:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """A person's account at another site."""

    site: str
    login: str
    url: str | None


@dataclass(frozen=True, slots=True)
class ListPreview:
    """The first of `count` things."""

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
    participated: ListPreview
    added: ListPreview
    edited: ListPreview
    grids: ListPreview  # that they have changed
    favourites: ListPreview | None  # None: not for this viewer
    is_own: bool
    shares_favourites: bool


@dataclass(frozen=True, slots=True)
class ProfileListPage:
    """A page of one of a person's lists of packages."""

    username: str
    list_name: str
    list: PackageListPage


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """What a person says of themselves."""

    shares_favourites: bool
    links: list[ProfileLink]


def profile_page(session: Session, username: str, viewer: Viewer) -> ProfilePage:
    """Return everything on a person's public page, in a fixed number of queries.

    Raises:
        NotFound: there is nobody of this name, or their account is closed.
    """
    user = _user(session, username)
    identities = _identities(session, user.id)
    edits = select(func.count()).where(Revision.user_id == user.id, Revision.head_id.is_(None))
    return ProfilePage(
        username=user.username,
        role=user.role,
        created_at=user.created_at,
        links=_links(user.links),
        external_accounts=[_external_account(identity) for identity in identities],
        edit_count=session.scalar(edits) or 0,
        participated=_preview(session, _packages(_participated_in(identities))),
        added=_preview(session, _packages(Package.created_by_id == user.id)),
        edited=_preview(session, _packages(_edited_by(user.id))),
        grids=_preview(session, _grids_changed_by(user.id)),
        favourites=_preview(session, _packages(_favoured_by(user.id))) if _can_see_favourites(user, viewer) else None,
        is_own=viewer.user_id == user.id,
        shares_favourites=user.shares_favourites,
    )


def profile_list(session: Session, username: str, list_name: str, viewer: Viewer, *, page: str) -> ProfileListPage:
    """Return a page of the packages that a person contributed to, added, edited or favours.

    Raises:
        Forbidden: they don't share their favourites.
        NotFound: there is nobody of this name, their account is closed, or there is no such list.
    """
    user = _user(session, username)
    if list_name not in LIST_NAMES:
        raise NotFound("List")
    if list_name == "favorites" and not _can_see_favourites(user, viewer):
        raise Forbidden("This user's favourites are private.")
    condition = {
        "contributed": lambda: _participated_in(_identities(session, user.id)),
        "added": lambda: Package.created_by_id == user.id,
        "edited": lambda: _edited_by(user.id),
        "favorites": lambda: _favoured_by(user.id),
    }[list_name]()
    paging = paginate(page, size=PAGE_SIZE, count=count_packages(session, condition))
    statement = select_packages().where(condition).order_by(func.lower(Package.title), Package.id)
    records = load_records(session, statement.limit(paging.page_size).offset(paging.offset))
    usage = usage_counts(session, [record.id for record in records])
    query = PackageQuery(page=str(paging.page_number))
    return ProfileListPage(
        user.username, list_name, PackageListPage(query, {}, paging, records, usage, {}, [], None, None)
    )


def own_profile(session: Session, by: Viewer) -> OwnProfile:
    """Return what a person says of themselves, for them to change."""
    user = session.get_one(User, require_login(by))
    return OwnProfile(user.shares_favourites, _links(user.links))


def update_profile(session: Session, *, by: Viewer, shares_favourites: bool, links: Sequence[ProfileLink]) -> None:
    """Keep what a person says of themselves; a link of which nothing is filled in is left out.

    Raises:
        Forbidden: nobody is logged in.
        Invalid: a link can't be accepted; its problem is that of "links-<place>-label" or "links-<place>-url".
    """
    user = session.get_one(User, require_login(by))
    problems: dict[str, list[str]] = {}
    valid_links: list[ProfileLink] = []
    for paging, link in enumerate(links):
        if link.label.strip() or link.url.strip():
            valid_links.append(_validated_link(link, f"links-{paging}", problems))
    if len(valid_links) > MAX_LINKS:
        problems["links"] = [f"You can add at most {MAX_LINKS} links."]
    if problems:
        raise Invalid(problems)
    user.shares_favourites = shares_favourites
    user.links = [{"label": link.label, "url": link.url} for link in valid_links]
    session.flush()


def _user(session: Session, username: str) -> User:
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
    """Return the links that are kept for a person, those that can be linked to."""
    links = [
        ProfileLink(str(one.get("label", "")), str(one.get("url", ""))) for one in raw_links if isinstance(one, dict)
    ]
    return [link for link in links if safe_url(link.url)]


def _participated_in(identities: Sequence[Identity]) -> ColumnElement[bool]:
    """Return the condition that a person took part in a package's repository, by their logins at code hosts.

    Only where hosts tell logins: the names that GitLab tells may be anybody's.
    """
    logins = [one.login for one in identities if one.provider == "github" and is_searchable_name(one.login)]
    # Stored as JSON, a name stands in quotes: a part of another name is not found.
    matches = [cast(Package.participants, Text).icontains(f'"{login}"', autoescape=True) for login in logins]
    return and_(Package.repo_url.icontains("://github.com/", autoescape=True), or_(*matches)) if matches else false()


def _edited_by(user_id: int) -> ColumnElement[bool]:
    edited = select(Revision.object_id).where(
        Revision.user_id == user_id, Revision.object_type == PACKAGE.name, Revision.action == "edit"
    )
    return Package.id.in_(edited)


def _favoured_by(user_id: int) -> ColumnElement[bool]:
    return Package.id.in_(select(Favourite.package_id).where(Favourite.user_id == user_id))


def _packages(condition: ColumnElement[bool]) -> AnySelect:
    return (
        select(Package.id, Package.title, Package.slug, func.count().over().label("of_all"))
        .where(VISIBLE, condition)
        .order_by(func.lower(Package.title), Package.id)
    )


def _grids_changed_by(user_id: int) -> AnySelect:
    changed = select(Revision.grid_id).where(Revision.user_id == user_id, Revision.grid_id.is_not(None))
    return (
        select(Grid.id, Grid.title, Grid.slug, func.count().over().label("of_all"))
        .where(Grid.id.in_(changed))
        .order_by(func.lower(Grid.title), Grid.id)
    )


def _preview(session: Session, statement: AnySelect) -> ListPreview:
    rows = session.execute(statement.limit(SHORT_LIST_SIZE)).all()
    return ListPreview(rows[0].of_all if rows else 0, [Ref(row.id, row.title, row.slug) for row in rows])


def _validated_link(link: ProfileLink, name: str, problems: dict[str, list[str]]) -> ProfileLink:
    """Return a link as it is kept, with what is wrong with it noted."""
    label, url = link.label.strip(), link.url.strip()
    if not label:
        problems[f"{name}-label"] = ["Enter a label."]
    elif len(label) > MAX_LABEL_LENGTH or not label.isprintable():
        problems[f"{name}-label"] = [f"Use at most {MAX_LABEL_LENGTH} characters, without control characters."]
    if len(url) > MAX_URL_LENGTH:
        problems[f"{name}-url"] = [f"Use at most {MAX_URL_LENGTH} characters."]
    elif not safe_url(url) or not url.isprintable():
        problems[f"{name}-url"] = ["Enter a URL that starts with https:// or http://."]
    return ProfileLink(label, url)
