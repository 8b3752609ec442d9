"""The moderators' pages: who may see them, what they decide, and what is kept of why."""

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
from tests.views.test_package_edits import HERE, HOSTILE, form_of, words


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


def flagged(session: Session, user: User, slug: str = "one") -> tuple[Package, Flag]:
    package = make_package(session, slug, title=slug.title(), repo_url=f"https://github.com/a/{slug}")
    flag = Flag(package_id=package.id, user_id=user.id, kind="dead", reason="Gone.", created_at=NOW)
    session.add(flag)
    session.commit()
    return package, flag


PAGES = ("/moderation/", "/moderation/packages/one/", "/moderation/packages/one/merge/?into=two")
ACTIONS = ("edits/1/approve", "edits/1/reject", "sites/1/approve", "sites/1/reject", "flags/1/dismiss",
           "packages/one/hide", "packages/one/show", "packages/one/deprecate", "packages/one/merge")  # fmt: skip


def test_only_moderators_come_in(app: Flask, session: Session, ada: User) -> None:
    package, _ = flagged(session, ada)
    make_package(session, "two")
    session.add(UsingSite(package_id=package.id, title="x", url="https://x.example", created_at=NOW))
    session.add(PendingEdit(user_id=ada.id, at=NOW, action="package.add", arguments={"changes": HERE}, title="x"))
    session.commit()
    for visitor, get in ((CsrfClient(app), 302), (CsrfClient(app, ada), 403)):
        for page in PAGES:
            assert visitor.get(page).status_code == get, page
        for action in ACTIONS:
            assert visitor.post(f"/moderation/{action}/", {"reason": "x", "into": "two"}).status_code == 403, action
            assert visitor.get(f"/moderation/{action}/").status_code in {405, get}, action
    session.rollback()
    assert session.scalars(select(Revision)).all() == []
    assert session.scalars(select(Flag.closed_at)).all() == [None]


def test_no_token_no_action(moderator: CsrfClient, session: Session, ada: User) -> None:
    flagged(session, ada)
    for action in ACTIONS:
        answer = moderator.client.post(f"/moderation/{action}/", data={"reason": "x", "into": "two"})
        assert answer.status_code == 403, action


def test_empty_lists_say_what_comes_here(moderator: CsrfClient) -> None:
    assert "Packages that users have flagged" in words(moderator.get("/moderation/"))
    assert "REVIEW_FIRST_EDITS is 0" in words(moderator.get("/moderation/?list=edits"))
    assert "here for review" in words(moderator.get("/moderation/?list=sites"))
    assert "Packages that users have flagged" in words(moderator.get("/moderation/?list=none&page=x"))


@pytest.mark.parametrize("which", ["flags", "sites", "edits"])
def test_the_queue_is_paged_and_costs_the_same(
    app: Flask, moderator: CsrfClient, session: Session, ada: User, which: str
) -> None:
    costs = []
    for number in (1, 44):
        for one in range(number):
            package, _ = flagged(session, ada, f"{number}-{one}")
            session.add(UsingSite(package_id=package.id, title="x", url="https://x.example", created_at=NOW))
            session.add(
                PendingEdit(user_id=ada.id, at=NOW, action="package.add", arguments={"changes": HERE}, title="x")
            )
        session.commit()
        with recorded_queries(app) as statements:
            answer = moderator.get(f"/moderation/?list={which}")
        costs.append(len(statements))
    assert costs[0] == costs[1]
    assert "1–20 of 45" in words(answer)
    assert "41–45 of 45" in words(moderator.get(f"/moderation/?list={which}&page=3"))


def test_a_flag_is_dismissed_with_words(moderator: CsrfClient, session: Session, ada: User) -> None:
    _, flag = flagged(session, ada)
    path = f"/moderation/flags/{flag.id}/dismiss/"
    assert moderator.post(path, {"reason": " "}).status_code == 422
    assert moderator.post(path, {"reason": "It is alive."}).status_code == 303
    assert moderator.post(path, {"reason": "Again."}).status_code == 404
    session.rollback()
    flag = session.scalars(select(Flag)).one()
    assert (flag.outcome, flag.closed_at is None) == ("It is alive.", False)


def test_a_hidden_package_is_gone_for_all_but_moderators(
    app: Flask, moderator: CsrfClient, session: Session, ada: User
) -> None:
    package, flag = flagged(session, ada)
    make_grid(session, "grid", (package, make_package(session, "other")))
    session.commit()
    number, flag_id = package.id, flag.id
    assert moderator.post("/moderation/packages/one/hide/", {"reason": ""}).status_code == 422
    assert moderator.post("/moderation/packages/one/hide/", {"reason": "Spam.", "flag": flag_id}).status_code == 303
    session.rollback()
    assert session.scalars(select(Flag.outcome)).one() == "Hidden. Spam."
    assert session.scalars(select(Revision.reason)).one() == "Spam."
    assert "Hidden since" in words(moderator.get("/packages/p/one/"))
    person = CsrfClient(app, ada)
    for visitor in (CsrfClient(app), person):
        assert visitor.get("/packages/p/one/").status_code == 404
        assert visitor.get(f"/api/v4/packages/{number}/").status_code == 404
        for path in ("/packages/?all=1", "/packages/latest/", "/grids/g/grid/", "/search/?q=one", "/api/v4/packages/"):
            assert "/packages/p/one/" not in visitor.get(path).get_data(as_text=True), path
    for path in ("edit", "flag", "sites/add", "documentation/edit"):
        assert person.get(f"/packages/one/{path}/").status_code == 404
    assert person.post("/packages/one/usage/", {"value": "add"}).status_code == 404
    assert person.post("/packages/one/flag/", {"kind": "spam", "reason": "x"}).status_code == 404
    assert moderator.post("/moderation/packages/one/show/", {"reason": "It was none."}).status_code == 303
    assert person.get("/packages/p/one/").status_code == 200


def test_deprecating_with_and_without_a_replacement(moderator: CsrfClient, session: Session, ada: User) -> None:
    package, flag = flagged(session, ada)
    other, number = make_package(session, "other"), package.id
    session.commit()
    other_id, path = other.id, "/moderation/packages/one/deprecate/"
    assert moderator.post(path, {"reason": "x", "replaced_by": "none"}).status_code == 422
    assert moderator.post(path, {"reason": "Old.", "replaced_by": "other", "flag": flag.id}).status_code == 303
    session.rollback()
    package = session.get_one(Package, number, populate_existing=True)
    assert package.deprecated_at is not None
    assert package.replaced_by_id == other_id
    assert session.scalars(select(Flag.outcome)).one() == "Deprecated. Old."
    assert moderator.post(path, {"reason": "Still."}).status_code == 303
    session.rollback()
    assert session.get_one(Package, number, populate_existing=True).replaced_by_id == other_id


def test_a_merge_is_looked_at_and_then_done(app: Flask, moderator: CsrfClient, session: Session, ada: User) -> None:
    loser, flag = flagged(session, ada)
    other = make_package(session, "two", title="Two")
    grid = make_grid(session, "grid", (loser,))
    fill_cell(session, make_feature(session, grid), loser, "very")
    session.commit()
    page = moderator.get("/moderation/packages/one/merge/?into=two")
    assert "Grid : the entire column will be moved" in words(page)
    assert moderator.get("/moderation/packages/one/merge/?into=one").status_code == 422
    session.rollback()
    assert session.scalars(select(Revision)).all() == []
    path = "/moderation/packages/one/merge/"
    assert moderator.post(path, {"into": "two", "reason": ""}).status_code == 422
    answer = moderator.post(path, {"into": "two", "reason": "The same.", "flag": flag.id})
    assert answer.headers["Location"] == f"/packages/p/{other.slug}/"
    moved = CsrfClient(app).get("/packages/p/one/")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/packages/p/two/")
    assert "It was merged into Two" in words(moderator.get("/packages/p/one/"))


def pending_edit(make_app: Callable[..., Flask], session: Session, ada: User) -> tuple[CsrfClient, CsrfClient, int]:
    """Return a newcomer, a moderator, and the number of the newcomer's held package."""
    app = make_app(REVIEW_FIRST_EDITS="2")
    boss = make_user(session, "boss", role="moderator")
    session.commit()
    newcomer = CsrfClient(app, ada)
    newcomer.post("/packages/add/", {**HERE, "documentation_url": "https://d.example"})
    [number] = session.scalars(select(PendingEdit.id))
    return newcomer, CsrfClient(app, boss), number


def test_a_held_edit_is_done_in_its_author_s_name(make_app: Callable[..., Flask], session: Session, ada: User) -> None:
    newcomer, boss, number = pending_edit(make_app, session, ada)
    page = words(boss.get("/moderation/?list=edits"))
    assert "Add “One” by ada" in page
    assert "Documentation URL https://d.example" in page
    assert newcomer.post(f"/moderation/edits/{number}/approve/").status_code == 403
    assert boss.post(f"/moderation/edits/{number}/approve/").status_code == 303
    session.rollback()
    package = session.scalars(select(Package)).one()
    assert package.created_by_id == ada.id
    assert session.scalars(select(Revision.reason)).one() == "Approved by boss."
    assert "approved" in words(newcomer.get("/moderation/yours/"))
    assert boss.post(f"/moderation/edits/{number}/approve/").status_code == 404
    boss.post("/packages/one/favourite/", {"value": "add"})
    assert newcomer.post("/packages/one/favourite/", {"value": "add"}).status_code == 303


def test_a_held_edit_is_refused_in_words(make_app: Callable[..., Flask], session: Session, ada: User) -> None:
    newcomer, boss, number = pending_edit(make_app, session, ada)
    assert boss.post(f"/moderation/edits/{number}/reject/", {"reason": ""}).status_code == 422
    assert boss.post(f"/moderation/edits/{number}/reject/", {"reason": "No <b>package</b>."}).status_code == 303
    assert "No <b>package</b>." in words(newcomer.get("/moderation/yours/"))
    session.rollback()
    assert session.scalars(select(Package)).all() == []


def test_a_held_edit_that_can_t_be_done_any_more(make_app: Callable[..., Flask], session: Session, ada: User) -> None:
    _, boss, number = pending_edit(make_app, session, ada)
    make_package(session, "there", repo_url=HERE["repo_url"])
    session.commit()
    answer = boss.post(f"/moderation/edits/{number}/approve/")
    assert answer.status_code == 303
    session.rollback()
    edit = session.scalars(select(PendingEdit)).one()
    assert edit.is_approved is False
    assert "The edit could not be applied: This repository is already listed" in str(edit.outcome)
    assert len(session.scalars(select(Package)).all()) == 1


def test_a_held_edit_of_a_closed_account_is_not_done(
    make_app: Callable[..., Flask], session: Session, ada: User
) -> None:
    _, boss, number = pending_edit(make_app, session, ada)
    ada.is_active = False
    session.commit()
    assert boss.post(f"/moderation/edits/{number}/approve/").status_code == 303
    session.rollback()
    assert "account" in str(session.scalars(select(PendingEdit.outcome)).one())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_of_moderators(moderator: CsrfClient, session: Session, ada: User, hostile: str) -> None:
    _, flag = flagged(session, ada)
    make_package(session, "two")
    session.commit()
    number = flag.id
    assert moderator.get("/moderation/packages/one/merge/", query_string={"into": hostile}).status_code == 422
    for path, typed in (
        ("packages/one/merge", {"into": hostile, "reason": "x"}),
        ("packages/one/deprecate", {"replaced_by": hostile, "reason": "x"}),
        ("packages/one/hide", {"reason": hostile, "flag": hostile}),
        (f"flags/{number}/dismiss", {"reason": hostile}),
    ):
        answer = moderator.post(f"/moderation/{path}/", typed)
        assert answer.status_code in {303, 422}, path
        assert b"<script>alert" not in answer.data


def test_a_held_change_tells_what_it_empties(make_app: Callable[..., Flask], session: Session, ada: User) -> None:
    newcomer, boss, number = pending_edit(make_app, session, ada)
    boss.post(f"/moderation/edits/{number}/approve/")
    typed = form_of(newcomer, documentation_url="", is_deprecated="y")
    assert newcomer.post("/packages/one/edit/", typed).headers["Location"] == "/moderation/yours/"
    page = words(boss.get("/moderation/?list=edits"))
    assert "Documentation URL (cleared)" in page
    assert "Deprecated yes" in page
    assert "Repository" not in page
