"""Programs that call the API for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite.clock import utc_now
from pkgsite.models import User
from pkgsite.services.accounts.tokens import create_token
from tests.users import viewer_of


class ApiClient:
    """Calls with a token, as a script would."""

    def __init__(
        self, app: Flask, session: Session, user: User, *, scope: str = "write", expires_at: datetime | None = None
    ) -> None:
        by = viewer_of(user)
        session.commit()
        self.token = create_token(session, name="script", scope=scope, expires_at=expires_at, by=by, now=utc_now())
        session.commit()
        self.client: FlaskClient = app.test_client()
        self._session = session

    def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> TestResponse:
        self._session.rollback()  # what the test has read is the past
        sent = {"Authorization": f"Token {self.token}", **(headers or {})}
        return self.client.open(f"/api/v4/{path}", method=method, headers=sent, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any, **options: Any) -> TestResponse:
        return self.request("POST", path, json=json, **options)

    def patch(self, path: str, json: Any, **options: Any) -> TestResponse:
        return self.request("PATCH", path, json=json, **options)

    def put(self, path: str, json: Any, **options: Any) -> TestResponse:
        return self.request("PUT", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.request("DELETE", path, **options)
