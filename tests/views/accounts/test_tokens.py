"""Making, seeing and revoking the tokens of one's programs."""

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

FORM = {"name": "My script", "scope": "write", "life": "90"}


@pytest.fixture
def ada(app: Flask, session: Session) -> CsrfClient:
    make_package(session, id=1, repo_url="https://github.com/us/one")
    user = make_user(session, "ada")
    session.commit()
    return CsrfClient(app, user)


def secret_in(page: str) -> str:
    return re.findall(r'id="secret" value="([^"]+)"', page)[0]


def test_a_token_is_made_shown_once_used_and_revoked(app: Flask, ada: CsrfClient, session: Session) -> None:
    assert "No tokens yet" in ada.get("/account/tokens/").text
    made = ada.post("/account/tokens/", FORM)
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_in(made.text)
    headers = {"Authorization": f"Token {secret}"}
    listed = ada.get("/account/tokens/").text
    assert ("My script" in listed, secret in listed, "never used" in listed) == (True, False, True)
    token = session.scalars(select(ApiToken)).one()
    assert secret not in repr([getattr(token, column.name) for column in ApiToken.__table__.columns])
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - utc_now() < timedelta(days=91)
    token_id = token.id
    session.rollback()
    done = app.test_client().patch("/api/v4/packages/1/", json={"title": "By a script"}, headers=headers)
    assert done.json["title"] == "By a script"
    assert "last used" in ada.get("/account/tokens/").text
    assert ada.post(f"/account/tokens/{token_id}/revoke/").location == "/account/tokens/"
    page = ada.get("/account/tokens/").text
    assert ("revoked" in page, "No tokens yet" in page) == (True, True)
    assert app.test_client().get("/api/v4/packages/1/", headers=headers).status_code == 401


def test_a_token_without_an_end_that_reads(app: Flask, ada: CsrfClient, session: Session) -> None:
    made = ada.post("/account/tokens/", FORM | {"scope": "read", "life": ""})
    token = session.scalars(select(ApiToken)).one()
    assert (token.scope, token.expires_at) == ("read", None)
    assert "never expires" in made.text
    session.rollback()
    headers = {"Authorization": f"Bearer {secret_in(made.text)}"}
    assert app.test_client().patch("/api/v4/packages/1/", json={"title": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": " "}, {"name": "x" * 101}, {"scope": "all"}, {"scope": ""}, {"life": "1000000"}],
)
def test_what_can_not_be(ada: CsrfClient, session: Session, wrong: dict[str, str]) -> None:
    answer = ada.post("/account/tokens/", FORM | wrong)
    assert (answer.status_code, "Nothing has been saved" in answer.text) == (422, True)
    assert session.scalars(select(ApiToken)).all() == []


def test_names_are_text(ada: CsrfClient) -> None:
    page = ada.post("/account/tokens/", FORM | {"name": "<script>alert(1)</script>\x00\u202e"}).text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page


def test_nobody_has_too_many(ada: CsrfClient, session: Session) -> None:
    user_id = ada_id(session)
    session.add_all(
        ApiToken(user_id=user_id, name="x", token_hash=f"{number:064}", scope="read", created_at=NOW)
        for number in range(MAX_TOKENS)
    )
    session.commit()
    answer = ada.post("/account/tokens/", FORM)
    assert (answer.status_code, "Revoke one first" in answer.text) == (422, True)


def test_what_has_expired_says_so(ada: CsrfClient, session: Session) -> None:
    session.add(ApiToken(user_id=ada_id(session), name="Old", token_hash="0" * 64, scope="read", created_at=NOW,
                         expires_at=NOW + timedelta(days=1)))  # fmt: skip
    session.commit()
    assert "expired" in ada.get("/account/tokens/").text


def ada_id(session: Session) -> int:
    return session.scalars(select(User.id).where(User.username == "ada")).one()
