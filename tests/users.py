"""People for tests: accounts, and browsers in which they are logged in."""

from __future__ import annotations

from typing import Any

from flask import Flask, has_app_context
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import User
from pkgsite.services.accounts.users import start_session
from pkgsite.services.permissions import Viewer
from tests.factories import NOW

CSRF_SEED = "a seed for tests"


def make_user(session: Session, username: str = "ada", **fields: Any) -> User:
    user = User(**{"username": username, "email": f"{username}@example.org", "created_at": NOW} | fields)
    session.add(user)
    session.flush()
    return user


def viewer_of(user: User) -> Viewer:
    return Viewer(user.id, user.username, user.role)


class CsrfClient:
    """A browser without a screen: its posts carry the CSRF token that a page's form would."""

    def __init__(self, app: Flask, user: User | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        self._token = URLSafeTimedSerializer(str(app.secret_key), salt="wtf-csrf-token").dumps(CSRF_SEED)
        number = user.id if user else 0
        _end_transaction()
        with app.app_context():
            secret = start_session(db.session(), number, now=utc_now()) if user else None
            db.session.commit()
        with self.client.session_transaction() as cookie:
            cookie["csrf_token"] = CSRF_SEED
            if secret:
                cookie["_user_id"] = secret
                cookie["_fresh"] = True

    def get(self, path: str, **options: Any) -> TestResponse:
        _end_transaction()
        return self.client.get(path, **options)

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        _end_transaction()
        return self.client.post(path, data={"csrf_token": self._token, **(data or {})}, **options)


def _end_transaction() -> None:
    """End what the test has been reading: below its `session` a request reads in the same transaction."""
    if has_app_context():
        db.session.rollback()
