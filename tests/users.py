"""Users for tests, and test clients that are logged in as them."""

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
    """A test client whose POST requests include a valid CSRF token."""

    def __init__(self, app: Flask, user: User | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        self.is_logged_in = user is not None
        self._token = URLSafeTimedSerializer(str(app.secret_key), salt="wtf-csrf-token").dumps(CSRF_SEED)
        user_id = user.id if user else None  # before the rollback expires the user
        _end_transaction()
        with app.app_context():
            secret = None if user_id is None else start_session(db.session(), user_id, now=utc_now())
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
    """End the transaction of the test's `session`, which requests would otherwise share."""
    if has_app_context():
        db.session.rollback()
