"""All that the site keeps of a person, for themselves to take away; no secret is in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from pkgsite.models import (
    ApiToken,
    Base,
    Favourite,
    Flag,
    Grid,
    Identity,
    LoginSession,
    Package,
    PendingEdit,
    Revision,
    Usage,
    User,
    UsingSite,
)
from pkgsite.services.permissions import Viewer, require_login

# What is told of each kind of row, and how a row is theirs.
EXPORT_SECTIONS: tuple[tuple[str, type[Base], str, tuple[str, ...]], ...] = (
    ("identities", Identity, "user_id", ("provider", "subject", "login", "created_at")),
    ("sessions", LoginSession, "user_id", ("created_at", "last_seen_at", "address", "agent")),
    ("api_tokens", ApiToken, "user_id", ("name", "scope", "created_at", "expires_at", "last_used_at", "revoked_at")),
    ("favourites", Favourite, "user_id", ("package_id", "created_at")),
    ("usages", Usage, "user_id", ("package_id", "created_at")),
    ("flags", Flag, "user_id", ("package_id", "kind", "reason", "created_at", "answer", "closed_at", "outcome")),
    ("sites_added", UsingSite, "created_by_id", ("id", "package_id", "title", "url", "is_approved", "created_at")),
    ("packages_added", Package, "created_by_id", ("id", "slug", "title", "created_at")),
    ("grids_added", Grid, "created_by_id", ("id", "slug", "title", "created_at")),
    ("held_edits", PendingEdit, "user_id", ("at", "action", "arguments", "title", "decided_at", "is_approved", "outcome")),
    ("revisions", Revision, "user_id",
     ("id", "at", "object_type", "object_id", "action", "before", "after", "reason", "via", "head_id")),
)  # fmt: skip
USER_FIELDS = (
    "id", "username", "email", "email_confirmed_at", "role", "is_active", "shares_favourites", "links", "created_at",
)  # fmt: skip
SECTIONS_WITH_PACKAGES = {"favourites", "usages", "flags"}


def export_account_data(session: Session, viewer: Viewer, *, now: datetime) -> dict[str, Any]:
    """Return all that the site keeps of a person, in a fixed number of queries.

    Raises:
        Forbidden: nobody is logged in.
    """
    user_id = require_login(viewer)
    user = session.get_one(User, user_id)
    export: dict[str, Any] = {"exported_at": now, "account": {name: getattr(user, name) for name in USER_FIELDS}}
    export["account"]["has_password"] = user.password_hash is not None
    for part, model, owner, names in EXPORT_SECTIONS:
        export[part] = _rows(session, model, getattr(model, owner) == user_id, names)
    packages = session.execute(select(Package.id, Package.slug).where(_is_marked_by(user_id)))
    slugs = {row.id: row.slug for row in packages}
    for part in SECTIONS_WITH_PACKAGES:
        for row in export[part]:
            row["package"] = slugs[row["package_id"]]
    return export


def _rows(
    session: Session, model: type[Base], condition: ColumnElement[bool], names: Sequence[str]
) -> list[dict[str, Any]]:
    columns = [getattr(model, name) for name in names]
    rows = session.execute(select(*columns).where(condition).order_by(model.__table__.c.id))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _is_marked_by(user_id: int) -> ColumnElement[bool]:
    """Return the condition that a package is among those that a person has said something of."""
    favourites = select(Favourite.package_id).where(Favourite.user_id == user_id)
    usages = select(Usage.package_id).where(Usage.user_id == user_id)
    flags = select(Flag.package_id).where(Flag.user_id == user_id)
    return Package.id.in_(favourites.union(usages, flags))
