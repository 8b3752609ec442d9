"""Favourites, usage, site links and flags of a package."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import Favourite, Flag, Identity, Package, Revision, Usage, UsingSite
from tests.factories import NOW, make_package
from tests.users import CsrfClient, make_user
from tests.views.conftest import visible_text
from tests.views.test_package_edits import HOSTILE, field_value, page_text


class FlagScenario:
    """A package, and clients of the user who added it, another user, a moderator and an anonymous visitor."""

    def __init__(self, app: Flask, session: Session) -> None:
        ada, bob = make_user(session), make_user(session, "bob")
        moderator = make_user(session, "boss", role="moderator")
        self.package = make_package(
            session, "one", title="One", created_by_id=ada.id, repo_url="https://github.com/grace/one",
            participants=["Linus"],
        )  # fmt: skip
        self.bob_id = bob.id
        session.commit()
        self.id = self.package.id
        self.ada, self.bob, self.moderator, self.anonymous = (
            CsrfClient(app, user) for user in (ada, bob, moderator, None)
        )


@pytest.fixture
def scenario(app: Flask, session: Session) -> FlagScenario:
    return FlagScenario(app, session)


def count(session: Session, model: type[Usage | Favourite | Flag | UsingSite | Revision]) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.parametrize(("path", "model"), [("/packages/one/usage/", Usage), ("/packages/one/favourite/", Favourite)])
def test_setting_usage_or_favourite_is_idempotent(
    scenario: FlagScenario, session: Session, path: str, model: type[Usage | Favourite]
) -> None:
    for value, expected_count in (("remove", 0), ("add", 1), ("add", 1), ("remove", 0), ("remove", 0), ("add", 1)):
        response = scenario.ada.post(path, {"value": value})
        assert (response.status_code, response.headers["Location"]) == (303, "/packages/p/one/")
        assert count(session, model) == expected_count
    html = scenario.ada.get("/packages/p/one/").get_data(as_text=True)
    assert html.count('aria-pressed="true" data-toggle') == 1
    assert scenario.bob.get("/packages/p/one/").get_data(as_text=True).count('aria-pressed="true" data-toggle') == 0
    assert scenario.ada.post(path, {"value": "toggle"}).status_code == 422
    assert scenario.ada.client.post(path, data={"value": "add"}).status_code == 403
    assert scenario.ada.get(path).status_code == 405
    assert scenario.ada.post(path.replace("one", "none"), {"value": "add"}).status_code == 404


def test_usage_changes_the_package_and_a_favourite_does_not(scenario: FlagScenario, session: Session) -> None:
    scenario.ada.post("/packages/one/favourite/", {"value": "add"})
    session.rollback()
    assert session.get_one(Package, scenario.id).changed_at == NOW
    scenario.ada.post("/packages/one/usage/", {"value": "add"})
    session.rollback()
    changed_at = session.get_one(Package, scenario.id, populate_existing=True).changed_at
    assert changed_at > NOW
    scenario.ada.post("/packages/one/usage/", {"value": "add"})
    session.rollback()
    assert session.get_one(Package, scenario.id, populate_existing=True).changed_at == changed_at
    assert session.get_one(Package, scenario.id).version == 1


def test_legacy_urls_still_work(scenario: FlagScenario, session: Session) -> None:
    assert scenario.ada.post("/packages/usage/one/add/").status_code == 303
    assert scenario.ada.post(f"/favorites/add/{scenario.id}/").status_code == 303
    assert (count(session, Usage), count(session, Favourite)) == (1, 1)
    for path in ("/packages/usage/one/remove/", f"/favorites/remove/{scenario.id}/"):
        assert [scenario.ada.post(path).status_code for _ in range(2)] == [303, 303]
        assert scenario.ada.get(path).status_code == 405
        assert scenario.anonymous.post(path).status_code == 401
    assert (count(session, Usage), count(session, Favourite)) == (0, 0)
    assert scenario.ada.post("/favorites/add/2147483648/").status_code == 404
    assert scenario.ada.post("/favorites/add/999/").status_code == 404
    assert scenario.ada.post("/packages/usage/one/other/").status_code == 404


@pytest.mark.parametrize(
    "next_path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/\tx"]
)
def test_next_never_redirects_to_another_site(scenario: FlagScenario, next_path: str) -> None:
    response = scenario.ada.post("/packages/one/usage/", {"value": "add", "next": next_path})
    assert response.headers["Location"] == "/packages/p/one/"
    response = scenario.ada.post("/packages/one/usage/", {"value": "add", "next": "/packages/?page=2"})
    assert response.headers["Location"] == "/packages/?page=2"


def test_a_site_link_is_published_after_approval(scenario: FlagScenario, session: Session) -> None:
    response = scenario.bob.post("/packages/one/sites/add/", {"title": "Shop", "url": "shop.example"})
    assert response.status_code == 303
    assert "Shop" in page_text(scenario.bob.get("/packages/p/one/"))
    assert "pending review" in page_text(scenario.bob.get("/packages/p/one/"))
    for other in (scenario.anonymous, scenario.ada):
        assert "Shop" not in page_text(other.get("/packages/p/one/"))
    assert "https://shop.example" in page_text(scenario.moderator.get("/moderation/?list=sites"))
    [site_id] = session.scalars(select(UsingSite.id))
    assert scenario.bob.post(f"/moderation/sites/{site_id}/approve/").status_code == 403
    assert scenario.moderator.post(f"/moderation/sites/{site_id}/approve/").status_code == 303
    assert "Shop" in page_text(scenario.anonymous.get("/packages/p/one/"))
    assert count(session, Revision) == 2


def test_an_edited_site_link_needs_approval_again(scenario: FlagScenario, session: Session) -> None:
    scenario.bob.post("/packages/one/sites/add/", {"title": "Shop", "url": "https://shop.example"})
    [site_id] = session.scalars(select(UsingSite.id))
    scenario.moderator.post(f"/moderation/sites/{site_id}/approve/")
    path = f"/packages/one/sites/{site_id}/edit/"

    def form_data(visitor: CsrfClient, title: str) -> dict[str, str]:
        return {"title": title, "url": "https://shop.example", "version": field_value(visitor.get(path), "version")}

    assert scenario.bob.post(path, form_data(scenario.bob, "Shop")).status_code == 303
    assert "Shop" in page_text(scenario.anonymous.get("/packages/p/one/")), "nothing was changed"
    assert scenario.moderator.post(path, form_data(scenario.moderator, "Shops")).status_code == 303
    assert "Shops" in page_text(scenario.anonymous.get("/packages/p/one/"))
    outdated = form_data(scenario.bob, "Casino")
    scenario.moderator.post(path, form_data(scenario.moderator, "Shop"))
    response = scenario.bob.post(path, outdated)
    assert response.status_code == 409
    assert "Current version Shop Your version Casino" in page_text(response)
    assert scenario.bob.post(path, form_data(scenario.bob, "Casino")).status_code == 303
    assert "Casino" not in page_text(scenario.anonymous.get("/packages/p/one/"))


def test_only_the_submitter_and_moderators_can_edit_a_site_link(scenario: FlagScenario, session: Session) -> None:
    scenario.bob.post("/packages/one/sites/add/", {"title": "Shop", "url": "https://shop.example"})
    [site_id] = session.scalars(select(UsingSite.id))
    for action in ("edit", "delete"):
        path = f"/packages/one/sites/{site_id}/{action}/"
        assert scenario.ada.get(path).status_code == scenario.ada.post(path).status_code == 403
        assert scenario.bob.get(path).status_code == scenario.moderator.get(path).status_code == 200
        assert scenario.bob.get(path.replace("/one/", "/two/")).status_code == 404
        legacy = scenario.anonymous.get(path.replace("sites", "example"))
        assert (legacy.status_code, legacy.headers["Location"]) == (301, path)
    assert scenario.anonymous.get("/packages/one/example/add/").headers["Location"] == "/packages/one/sites/add/"
    assert count(session, UsingSite) == 1
    assert scenario.bob.post(f"/packages/one/sites/{site_id}/delete/").status_code == 303
    assert count(session, UsingSite) == 0


def test_invalid_site_links_are_rejected(scenario: FlagScenario) -> None:
    path = "/packages/one/sites/add/"
    scenario.bob.post(path, {"title": "Shop", "url": "https://shop.example"})
    for title, url, expected in (("", "https://x.example", "Site name"), ("x", "javascript:x", "Enter a URL"),
                             ("x", "https://SHOP.example/", "already listed")):  # fmt: skip
        response = scenario.ada.post(path, {"title": title, "url": url})
        assert response.status_code == 422
        assert expected in page_text(response)


def test_a_user_has_at_most_one_open_flag_per_package(scenario: FlagScenario, session: Session) -> None:
    path = "/packages/one/flag/"
    assert scenario.bob.post(path, {"kind": "spam", "reason": "Ads <b>"}).status_code == 303
    form = scenario.bob.get(path)
    assert "Ads &lt;b&gt;" in form.get_data(as_text=True)
    assert scenario.bob.post(path, {"kind": "dead", "reason": "Gone"}).status_code == 303
    [flag] = session.scalars(select(Flag))
    assert (flag.kind, flag.reason, flag.user_id) == ("dead", "Gone", scenario.bob_id)
    for kind, reason in (("", "x"), ("other", "x"), ("spam", " \u200b"), ("spam", "x" * 2001)):
        assert scenario.ada.post(path, {"kind": kind, "reason": reason}).status_code == 422
    assert scenario.bob.post("/packages/one/flag/withdraw/").status_code == 303
    assert scenario.bob.post("/packages/one/flag/withdraw/").status_code == 303
    session.rollback()
    assert session.scalars(select(Flag.outcome)).all() == ["Withdrawn."]
    scenario.bob.post(path, {"kind": "dead", "reason": "Again"})
    assert count(session, Flag) == 2


def test_who_can_see_a_flag_and_reply_to_it(scenario: FlagScenario, app: Flask, session: Session) -> None:
    others = [make_user(session, name) for name in ("linus", "grace", "mallory")]
    for user, provider, login in zip(others, ("github", "github", "gitlab"), ("LINUS", "Grace", "linus"), strict=True):
        session.add(Identity(user_id=user.id, provider=provider, subject=user.username, login=login, created_at=NOW))
    session.commit()
    linus, grace, mallory = (CsrfClient(app, user) for user in others)
    scenario.bob.post("/packages/one/flag/", {"kind": "dead", "reason": "Nobody answers"})
    [flag_id] = session.scalars(select(Flag.id))
    path = f"/packages/one/flags/{flag_id}/answer/"
    for visitor in (scenario.anonymous, mallory):
        assert "Nobody answers" not in page_text(visitor.get("/packages/p/one/"))
    assert mallory.get(path).status_code == mallory.post(path, {"answer": "x"}).status_code == 404
    assert scenario.bob.get(path).status_code == scenario.bob.post(path, {"answer": "x"}).status_code == 403
    for visitor in (scenario.ada, linus, grace, scenario.moderator):
        assert "Nobody answers" in page_text(visitor.get("/packages/p/one/"))
        assert visitor.get(path).status_code == 200
        assert visitor.post(path, {"answer": "I do"}).status_code == 303
    assert "Reply by boss: I do" in page_text(scenario.bob.get("/packages/p/one/"))
    assert scenario.ada.post(path, {"answer": "x" * 2001}).status_code == 422
    assert scenario.ada.post(path, {"answer": ""}).status_code == 303
    session.rollback()
    assert session.scalars(select(Flag.reply)).one() is None


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_in_site_links_and_flags_is_escaped(
    scenario: FlagScenario, session: Session, hostile: str
) -> None:
    responses = (
        scenario.bob.post("/packages/one/sites/add/", {"title": hostile, "url": "https://x.example"}),
        scenario.bob.post("/packages/one/sites/add/", {"title": "x", "url": hostile}),
        scenario.bob.post("/packages/one/flag/", {"kind": "spam", "reason": hostile}),
        scenario.bob.post("/packages/one/flag/", {"kind": hostile, "reason": "x"}),
        scenario.bob.post("/packages/one/usage/", {"value": hostile}),
        scenario.bob.post("/packages/one/documentation/edit/", {"documentation_url": hostile, "version": hostile}),
    )
    assert {response.status_code for response in responses} <= {303, 409, 422}
    scenario.ada.post("/packages/one/flag/", {"kind": "spam", "reason": "x"})
    [flag_id] = session.scalars(select(Flag.id).where(Flag.user_id != scenario.bob_id))
    assert scenario.moderator.post(f"/packages/one/flags/{flag_id}/answer/", {"answer": hostile}).status_code in {
        303,
        422,
    }
    for path in ("/packages/p/one/", "/moderation/", "/moderation/?list=sites", "/moderation/packages/one/"):
        html = scenario.moderator.get(path).get_data(as_text=True)
        assert "<script>alert" not in html
        assert 'href="javascript' not in html
        assert visible_text(html)
