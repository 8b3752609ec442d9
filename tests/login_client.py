"""Browsers without a screen that log in and out: their posts carry the token of whatever session they have by then."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite.models import OutboxMessage, User
from pkgsite.services.accounts.passwords import hash_password
from tests.factories import NOW
from tests.users import CSRF_SEED, CsrfClient, make_user

PASSWORD = "a long walk at night"
OTHER_PASSWORD = "three green bicycles"


class LoginClient(CsrfClient):
    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        with self.client.session_transaction() as cookie:
            cookie["csrf_token"] = CSRF_SEED
        return super().post(path, data, **options)

    def log_in(self, name: str = "ada", password: str = PASSWORD, **options: Any) -> TestResponse:
        return self.post("/account/login/", {"login": name, "password": password}, **options)

    @property
    def username(self) -> str | None:
        """Who is logged in, as the page's header says."""
        found = re.search(r"<summary>([^<]*)</summary>", self.get("/account/check-your-email/").text)
        return unescape(found[1]) if found else None


def make_login_user(session: Session, username: str = "ada", password: str | None = PASSWORD, **fields: Any) -> User:
    """Make somebody who can log in, with a confirmed address unless told otherwise; commits."""
    defaults = {"password_hash": hash_password(password) if password else None, "email_confirmed_at": NOW} | fields
    user = make_user(session, username, **defaults)
    session.commit()
    return user


def outbox_messages(session: Session) -> list[OutboxMessage]:
    """Return the outbox's letters, oldest first."""
    session.rollback()
    return session.query(OutboxMessage).order_by(OutboxMessage.id).all()


def link_in(text: str) -> str:
    """Return the path of a letter's only link."""
    (found,) = re.findall(r"http://localhost(/\S+)", text)
    return found
