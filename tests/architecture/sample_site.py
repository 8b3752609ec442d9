"""A site with one record of each kind, and the values for building the URL of every route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from pkgsite.models import ApiToken, Flag, Identity, LoginSession, PendingEdit, User, UsingSite
from pkgsite.services.changeset import Changeset
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.users import make_user, viewer_of


@dataclass
class SampleSite:
    """The users of the site: `owner` has created all records, `stranger` has no rights to them."""

    owner: User
    stranger: User
    moderator: User
    url_values: dict[str, Any]  # values of URL variables, by name

    def path(self, app: Flask, rule: Rule) -> str:
        """Return the URL of a rule for existing records."""
        values = {name: self.url_values[name] for name in rule.arguments}
        if "slug" in rule.arguments and "grid" in str(rule.endpoint):
            values["slug"] = "caching"
        if "slug" in rule.arguments and str(rule.endpoint).startswith("categories"):
            values["slug"] = "apps"
        if "value" in rule.arguments:
            values["value"] = "add"
        with app.test_request_context():
            return str(
                app.url_map.bind("localhost").build(rule.endpoint, values, method="POST" if is_unsafe(rule) else None)
            )


def is_unsafe(rule: Rule) -> bool:
    return bool((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"})


def populate_site(session: Session) -> SampleSite:
    """Add one record of each kind."""
    owner, stranger = make_user(session, "owner", password_hash="x"), make_user(session, "stranger", password_hash="x")
    moderator = make_user(session, "moderator", role="moderator")
    package, second = make_package(session, "one", created_by_id=owner.id), make_package(session, "two")
    grid = make_grid(session, "caching", (package, second), created_by_id=owner.id)
    feature = make_feature(session, grid)
    fill_cell(session, feature, package, "yes")
    site = UsingSite(package_id=package.id, title="A site", url="https://site.example/", created_by_id=owner.id)
    site.created_at = NOW
    flag = Flag(package_id=package.id, user_id=owner.id, kind="dead", reason="It is", created_at=NOW)
    edit = PendingEdit(user_id=owner.id, at=NOW, action="package.edit", title="Change “one”",
                    arguments={"package_id": package.id, "changes": {"title": "One"}})  # fmt: skip
    identity = Identity(user_id=owner.id, provider="github", subject="1", login="owner", created_at=NOW)
    login = LoginSession(user_id=owner.id, secret_hash="0" * 64, created_at=NOW, last_seen_at=NOW)
    token = ApiToken(user_id=owner.id, name="script", token_hash="0" * 64, scope="write", created_at=NOW)
    session.add_all([site, flag, edit, identity, login, token])
    by = viewer_of(owner)
    session.commit()
    for change in ({"title": "By its owner"}, {"documentation_url": "https://docs.example/"}):
        with Changeset(session, by=by, now=NOW) as changeset:
            changeset.edit(package, change)
        session.commit()
    values = {
        "slug": "one", "username": "owner", "package_id": package.id, "feature_id": feature.id, "site_id": site.id,
        "token_id": token.id,
        "flag_id": flag.id, "edit_id": edit.id, "identity_id": identity.id, "session_id": login.id, "revision_id": 1,
        "kind": "package", "object_id": package.id, "token": "x.y.z", "provider": "github", "decision": "approve",
        "list_name": "added", "what": "edit", "filename": "site.css", "name": "swagger-ui.css", "value": "add",
        "rest": "x", "key": "x",
    }  # fmt: skip
    return SampleSite(owner, stranger, moderator, values)
