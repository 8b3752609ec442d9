"""Moderation pages: access, decisions, and their recorded reasons."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Flag, Package, PendingEdit, Revision, User, UsingSite
from tests.factories import NOW, fill_cell, make_category, make_feature, make_grid, make_package
from tests.queries import recorded_queries
from tests.users import CsrfClient, make_user
from tests.views.test_package_edits import HOSTILE, PACKAGE_FORM, edit_form_data, page_text


@pytest.fixture
def ada(session: Session) -> User:
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    return user


@pytest.fixture
def moderator(app: Flask, session: Session) -> CsrfClient:
    user = make_user(session, "boss", role="moderator")
    session.commit()
    return CsrfClient(app, user)


def make_flagged_package(session: Session, user: User, slug: str = "one") -> tuple[Package, Flag]:
    package = make_package(session, slug, title=slug.title(), repo_url=f"https://github.com/a/{slug}")
    flag = Flag(package_id=package.id, user_id=user.id, kind="dead", reason="Gone.", created_at=NOW)
    session.add(flag)
    session.commit()
    return package, flag


PAGES = ("/moderation/", "/moderation/packages/one/", "/moderation/packages/one/merge/?into=two")
ACTIONS = ("edits/1/approve", "edits/1/reject", "sites/1/approve", "sites/1/reject", "flags/1/dismiss",
           "packages/one/hide", "packages/one/show", "packages/one/deprecate", "packages/one/merge")  # fmt: skip


def test_only_moderators_have_access(app: Flask, session: Session, ada: User) -> None:
    package, _ = make_flagged_package(session, ada)
    make_package(session, "two")
    session.add(UsingSite(package_id=package.id, title="x", url="https://x.example", created_at=NOW))
    session.add(
        PendingEdit(user_id=ada.id, at=NOW, action="package.add", arguments={"changes": PACKAGE_FORM}, title="x")
    )
    session.commit()
    for visitor, expected_status, post_status in (
        (CsrfClient(app), 302, 401),
        (CsrfClient(app, ada), 403, 403),
    ):
        for page in PAGES:
            assert visitor.get(page).status_code == expected_status, page
        for action in ACTIONS:
            response = visitor.post(f"/moderation/{action}/", {"reason": "x", "into": "two"})
            assert response.status_code == post_status, action
            assert visitor.get(f"/moderation/{action}/").status_code in {405, expected_status}, action
    session.rollback()
    assert session.scalars(select(Revision)).all() == []
    assert session.scalars(select(Flag.closed_at)).all() == [None]


def test_actions_need_a_csrf_token(moderator: CsrfClient, session: Session, ada: User) -> None:
    make_flagged_package(session, ada)
    for action in ACTIONS:
        response = moderator.client.post(f"/moderation/{action}/", data={"reason": "x", "into": "two"})
        assert response.status_code == 403, action


def test_empty_lists_explain_themselves(moderator: CsrfClient) -> None:
    assert "Packages that users have flagged" in page_text(moderator.get("/moderation/"))
    assert "REVIEW_FIRST_EDITS is 0" in page_text(moderator.get("/moderation/?list=edits"))
    assert "here for review" in page_text(moderator.get("/moderation/?list=sites"))
    assert "Packages that users have flagged" in page_text(moderator.get("/moderation/?list=none&page=x"))


@pytest.mark.parametrize("list_name", ["flags", "sites", "edits"])
def test_the_queue_is_paginated_with_a_fixed_number_of_queries(
    app: Flask, moderator: CsrfClient, session: Session, ada: User, list_name: str
) -> None:
    query_counts = []
    for count in (1, 44):
        for index in range(count):
            package, _ = make_flagged_package(session, ada, f"{count}-{index}")
            session.add(UsingSite(package_id=package.id, title="x", url="https://x.example", created_at=NOW))
            session.add(
                PendingEdit(
                    user_id=ada.id, at=NOW, action="package.add", arguments={"changes": PACKAGE_FORM}, title="x"
                )
            )
        session.commit()
        with recorded_queries(app) as statements:
            response = moderator.get(f"/moderation/?list={list_name}")
        query_counts.append(len(statements))
    assert query_counts[0] == query_counts[1]
    assert "1–20 of 45" in page_text(response)
    assert "41–45 of 45" in page_text(moderator.get(f"/moderation/?list={list_name}&page=3"))


def test_a_flag_is_dismissed_with_a_reason(moderator: CsrfClient, session: Session, ada: User) -> None:
    _, flag = make_flagged_package(session, ada)
    path = f"/moderation/flags/{flag.id}/dismiss/"
    assert moderator.post(path, {"reason": " "}).status_code == 422
    assert moderator.post(path, {"reason": "It is alive."}).status_code == 303
    assert moderator.post(path, {"reason": "Again."}).status_code == 404
    session.rollback()
    flag = session.scalars(select(Flag)).one()
    assert (flag.outcome, flag.closed_at is None) == ("It is alive.", False)


def test_only_moderators_can_see_a_hidden_package(
    app: Flask, moderator: CsrfClient, session: Session, ada: User
) -> None:
    package, flag = make_flagged_package(session, ada)
    make_grid(session, "grid", (package, make_package(session, "other")))
    session.commit()
    package_id, flag_id = package.id, flag.id
    assert moderator.post("/moderation/packages/one/hide/", {"reason": ""}).status_code == 422
    assert moderator.post("/moderation/packages/one/hide/", {"reason": "Spam.", "flag": flag_id}).status_code == 303
    session.rollback()
    assert session.scalars(select(Flag.outcome)).one() == "Hidden. Spam."
    assert session.scalars(select(Revision.reason)).one() == "Spam."
    assert "Hidden since" in page_text(moderator.get("/packages/p/one/"))
    user_client = CsrfClient(app, ada)
    for visitor in (CsrfClient(app), user_client):
        assert visitor.get("/packages/p/one/").status_code == 404
        assert visitor.get(f"/api/v4/packages/{package_id}/").status_code == 404
        for path in ("/packages/?all=1", "/packages/latest/", "/grids/g/grid/", "/search/?q=one", "/api/v4/packages/"):
            assert "/packages/p/one/" not in visitor.get(path).get_data(as_text=True), path
    for path in ("edit", "flag", "sites/add", "documentation/edit"):
        assert user_client.get(f"/packages/one/{path}/").status_code == 404
    assert user_client.post("/packages/one/usage/", {"value": "add"}).status_code == 404
    assert user_client.post("/packages/one/flag/", {"kind": "spam", "reason": "x"}).status_code == 404
    assert moderator.post("/moderation/packages/one/show/", {"reason": "It was none."}).status_code == 303
    assert user_client.get("/packages/p/one/").status_code == 200


def test_a_package_is_deprecated_with_and_without_a_replacement(
    moderator: CsrfClient, session: Session, ada: User
) -> None:
    package, flag = make_flagged_package(session, ada)
    other, package_id = make_package(session, "other"), package.id
    session.commit()
    other_id, path = other.id, "/moderation/packages/one/deprecate/"
    assert moderator.post(path, {"reason": "x", "replaced_by": "none"}).status_code == 422
    assert moderator.post(path, {"reason": "Old.", "replaced_by": "other", "flag": flag.id}).status_code == 303
    session.rollback()
    package = session.get_one(Package, package_id, populate_existing=True)
    assert package.deprecated_at is not None
    assert package.replaced_by_id == other_id
    assert session.scalars(select(Flag.outcome)).one() == "Deprecated. Old."
    assert moderator.post(path, {"reason": "Still."}).status_code == 303
    session.rollback()
    assert session.get_one(Package, package_id, populate_existing=True).replaced_by_id == other_id


def test_a_merge_is_previewed_and_then_made(app: Flask, moderator: CsrfClient, session: Session, ada: User) -> None:
    duplicate, flag = make_flagged_package(session, ada)
    other = make_package(session, "two", title="Two")
    grid = make_grid(session, "grid", (duplicate,))
    fill_cell(session, make_feature(session, grid), duplicate, "very")
    session.commit()
    page = moderator.get("/moderation/packages/one/merge/?into=two")
    assert "Grid : the entire column will be moved" in page_text(page)
    assert moderator.get("/moderation/packages/one/merge/?into=one").status_code == 422
    session.rollback()
    assert session.scalars(select(Revision)).all() == []
    path = "/moderation/packages/one/merge/"
    assert moderator.post(path, {"into": "two", "reason": ""}).status_code == 422
    response = moderator.post(path, {"into": "two", "reason": "The same.", "flag": flag.id})
    assert response.headers["Location"] == f"/packages/p/{other.slug}/"
    moved = CsrfClient(app).get("/packages/p/one/")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/packages/p/two/")
    assert "It was merged into Two" in page_text(moderator.get("/packages/p/one/"))


def pending_edit(make_app: Callable[..., Flask], session: Session, ada: User) -> tuple[CsrfClient, CsrfClient, int]:
    """Return clients of a new user and a moderator, and the id of a pending edit by the new user."""
    app = make_app(REVIEW_FIRST_EDITS="2")
    moderator = make_user(session, "boss", role="moderator")
    session.commit()
    new_user = CsrfClient(app, ada)
    new_user.post("/packages/add/", {**PACKAGE_FORM, "documentation_url": "https://d.example"})
    [edit_id] = session.scalars(select(PendingEdit.id))
    return new_user, CsrfClient(app, moderator), edit_id


def test_an_approved_edit_is_made_in_the_authors_name(
    make_app: Callable[..., Flask], session: Session, ada: User
) -> None:
    new_user, moderator, edit_id = pending_edit(make_app, session, ada)
    page = page_text(moderator.get("/moderation/?list=edits"))
    assert "Add “One” by ada" in page
    assert "Documentation URL https://d.example" in page
    assert new_user.post(f"/moderation/edits/{edit_id}/approve/").status_code == 403
    assert moderator.post(f"/moderation/edits/{edit_id}/approve/").status_code == 303
    session.rollback()
    package = session.scalars(select(Package)).one()
    assert package.created_by_id == ada.id
    assert session.scalars(select(Revision.reason)).one() == "Approved by boss."
    assert "approved" in page_text(new_user.get("/moderation/yours/"))
    assert moderator.post(f"/moderation/edits/{edit_id}/approve/").status_code == 404
    moderator.post("/packages/one/favourite/", {"value": "add"})
    assert new_user.post("/packages/one/favourite/", {"value": "add"}).status_code == 303


def test_an_edit_is_rejected_with_a_reason(make_app: Callable[..., Flask], session: Session, ada: User) -> None:
    new_user, moderator, edit_id = pending_edit(make_app, session, ada)
    assert moderator.post(f"/moderation/edits/{edit_id}/reject/", {"reason": ""}).status_code == 422
    assert moderator.post(f"/moderation/edits/{edit_id}/reject/", {"reason": "No <b>package</b>."}).status_code == 303
    assert "No <b>package</b>." in page_text(new_user.get("/moderation/yours/"))
    session.rollback()
    assert session.scalars(select(Package)).all() == []


def test_a_pending_edit_that_no_longer_applies_is_rejected(
    make_app: Callable[..., Flask], session: Session, ada: User
) -> None:
    _, moderator, edit_id = pending_edit(make_app, session, ada)
    make_package(session, "there", repo_url=PACKAGE_FORM["repo_url"])
    session.commit()
    response = moderator.post(f"/moderation/edits/{edit_id}/approve/")
    assert response.status_code == 303
    session.rollback()
    edit = session.scalars(select(PendingEdit)).one()
    assert edit.is_approved is False
    assert "The edit could not be applied. This repository is already listed" in str(edit.outcome)
    assert len(session.scalars(select(Package)).all()) == 1


def test_a_pending_edit_of_a_disabled_account_is_not_applied(
    make_app: Callable[..., Flask], session: Session, ada: User
) -> None:
    _, moderator, edit_id = pending_edit(make_app, session, ada)
    ada.is_active = False
    session.commit()
    assert moderator.post(f"/moderation/edits/{edit_id}/approve/").status_code == 303
    session.rollback()
    assert "account" in str(session.scalars(select(PendingEdit.outcome)).one())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_from_moderators_is_escaped(
    moderator: CsrfClient, session: Session, ada: User, hostile: str
) -> None:
    _, flag = make_flagged_package(session, ada)
    make_package(session, "two")
    session.commit()
    flag_id = flag.id
    assert moderator.get("/moderation/packages/one/merge/", query_string={"into": hostile}).status_code == 422
    for path, submitted in (
        ("packages/one/merge", {"into": hostile, "reason": "x"}),
        ("packages/one/deprecate", {"replaced_by": hostile, "reason": "x"}),
        ("packages/one/hide", {"reason": hostile, "flag": hostile}),
        (f"flags/{flag_id}/dismiss", {"reason": hostile}),
    ):
        response = moderator.post(f"/moderation/{path}/", submitted)
        assert response.status_code in {303, 422}, path
        assert b"<script>alert" not in response.data


def test_a_pending_edit_lists_cleared_fields(make_app: Callable[..., Flask], session: Session, ada: User) -> None:
    new_user, moderator, edit_id = pending_edit(make_app, session, ada)
    moderator.post(f"/moderation/edits/{edit_id}/approve/")
    submitted = edit_form_data(new_user, documentation_url="", is_deprecated="y")
    assert new_user.post("/packages/one/edit/", submitted).headers["Location"] == "/moderation/yours/"
    page = page_text(moderator.get("/moderation/?list=edits"))
    assert "Documentation URL (cleared)" in page
    assert "Deprecated yes" in page
    assert "Repository" not in page
