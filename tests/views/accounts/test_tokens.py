"""Creating, listing and revoking API tokens."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.models import ApiToken, User
from pkgsite.services.accounts.tokens import MAX_TOKENS
from tests.factories import NOW, make_package
from tests.users import CsrfClient, make_user

FORM = {"name": "My script", "scope": "write", "expires_in": "90"}


@pytest.fixture
def ada(app: Flask, session: Session) -> CsrfClient:
    make_package(session, id=1, repo_url="https://github.com/us/one")
    user = make_user(session, "ada")
    session.commit()
    return CsrfClient(app, user)


def secret_in(page: str) -> str:
    match = re.search(r'id="secret" value="([^"]+)"', page)
    assert match
    return match[1]


def test_a_token_is_created_shown_once_used_and_revoked(app: Flask, ada: CsrfClient, session: Session) -> None:
    assert "No tokens yet" in ada.get("/account/tokens/").text
    created = ada.post("/account/tokens/", FORM)
    assert (created.status_code, created.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_in(created.text)
    headers = {"Authorization": f"Token {secret}"}
    listed = ada.get("/account/tokens/").text
    assert ("My script" in listed, secret in listed, "never used" in listed) == (True, False, True)
    token = session.scalars(select(ApiToken)).one()
    assert secret not in repr([getattr(token, column.name) for column in ApiToken.__table__.columns])
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - utc_now() < timedelta(days=91)
    token_id = token.id
    session.rollback()
    edited = app.test_client().patch("/api/v4/packages/1/", json={"title": "By a script"}, headers=headers)
    assert edited.get_json()["title"] == "By a script"
    assert "last used" in ada.get("/account/tokens/").text
    assert ada.post(f"/account/tokens/{token_id}/revoke/").location == "/account/tokens/"
    page = ada.get("/account/tokens/").text
    assert ("revoked" in page, "No tokens yet" in page) == (True, True)
    assert app.test_client().get("/api/v4/packages/1/", headers=headers).status_code == 401


def test_a_read_only_token_without_expiry(app: Flask, ada: CsrfClient, session: Session) -> None:
    created = ada.post("/account/tokens/", FORM | {"scope": "read", "expires_in": ""})
    token = session.scalars(select(ApiToken)).one()
    assert (token.scope, token.expires_at) == ("read", None)
    assert "never expires" in created.text
    session.rollback()
    headers = {"Authorization": f"Bearer {secret_in(created.text)}"}
    assert app.test_client().patch("/api/v4/packages/1/", json={"title": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "invalid",
    [{"name": ""}, {"name": " "}, {"name": "x" * 101}, {"scope": "all"}, {"scope": ""}, {"expires_in": "1000000"}],
)
def test_an_invalid_token_form_is_rejected(ada: CsrfClient, session: Session, invalid: dict[str, str]) -> None:
    response = ada.post("/account/tokens/", FORM | invalid)
    assert (response.status_code, "Nothing has been saved" in response.text) == (422, True)
    assert session.scalars(select(ApiToken)).all() == []


def test_token_names_are_escaped(ada: CsrfClient) -> None:
    page = ada.post("/account/tokens/", FORM | {"name": "<script>alert(1)</script>\x00\u202e"}).text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page


def test_the_number_of_tokens_is_limited(ada: CsrfClient, session: Session) -> None:
    user_id = ada_id(session)
    session.add_all(
        ApiToken(user_id=user_id, name="x", token_hash=f"{number:064}", scope="read", created_at=NOW)
        for number in range(MAX_TOKENS)
    )
    session.commit()
    response = ada.post("/account/tokens/", FORM)
    assert (response.status_code, "Revoke one first" in response.text) == (422, True)


def test_an_expired_token_is_marked(ada: CsrfClient, session: Session) -> None:
    session.add(ApiToken(user_id=ada_id(session), name="Old", token_hash="0" * 64, scope="read", created_at=NOW,
                         expires_at=NOW + timedelta(days=1)))  # fmt: skip
    session.commit()
    assert "expired" in ada.get("/account/tokens/").text


def ada_id(session: Session) -> int:
    return session.scalars(select(User.id).where(User.username == "ada")).one()
