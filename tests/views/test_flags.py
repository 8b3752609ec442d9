"""Favourites, users, links and flags of a package."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import Favourite, Flag, Identity, Package, Revision, Usage, UsingSite
from tests.factories import NOW, make_package
from tests.users import CsrfClient, make_user
from tests.views.conftest import visible_text
from tests.views.test_package_edits import HOSTILE, field, words


class FlagScenario:
    """Browsers of a person who added the package, another one, and a moderator."""

    def __init__(self, app: Flask, session: Session) -> None:
        ada, bob = make_user(session), make_user(session, "bob")
        boss = make_user(session, "boss", role="moderator")
        self.package = make_package(
            session, "one", title="One", created_by_id=ada.id, repo_url="https://github.com/grace/one",
            participants=["Linus"],
        )  # fmt: skip
        self.bob_id = bob.id
        session.commit()
        self.id = self.package.id
        self.ada, self.bob, self.boss, self.nobody = (CsrfClient(app, one) for one in (ada, bob, boss, None))


@pytest.fixture
def people(app: Flask, session: Session) -> FlagScenario:
    return FlagScenario(app, session)


def count(session: Session, model: type[Usage | Favourite | Flag | UsingSite | Revision]) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.parametrize(("path", "model"), [("/packages/one/usage/", Usage), ("/packages/one/favourite/", Favourite)])
def test_a_mark_is_kept_once_however_often_it_is_set(
    people: FlagScenario, session: Session, path: str, model: type[Usage | Favourite]
) -> None:
    for value, number in (("remove", 0), ("add", 1), ("add", 1), ("remove", 0), ("remove", 0), ("add", 1)):
        answer = people.ada.post(path, {"value": value})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/packages/p/one/")
        assert count(session, model) == number
    html = people.ada.get("/packages/p/one/").get_data(as_text=True)
    assert html.count('aria-pressed="true" data-mark') == 1
    assert people.bob.get("/packages/p/one/").get_data(as_text=True).count('aria-pressed="true" data-mark') == 0
    assert people.ada.post(path, {"value": "toggle"}).status_code == 422
    assert people.ada.client.post(path, data={"value": "add"}).status_code == 403
    assert people.ada.get(path).status_code == 405
    assert people.ada.post(path.replace("one", "none"), {"value": "add"}).status_code == 404


def test_using_changes_the_package_and_liking_does_not(people: FlagScenario, session: Session) -> None:
    people.ada.post("/packages/one/favourite/", {"value": "add"})
    session.rollback()
    assert session.get_one(Package, people.id).changed_at == NOW
    people.ada.post("/packages/one/usage/", {"value": "add"})
    session.rollback()
    changed_at = session.get_one(Package, people.id, populate_existing=True).changed_at
    assert changed_at > NOW
    people.ada.post("/packages/one/usage/", {"value": "add"})
    session.rollback()
    assert session.get_one(Package, people.id, populate_existing=True).changed_at == changed_at
    assert session.get_one(Package, people.id).version == 1


def test_the_addresses_that_old_clients_know(people: FlagScenario, session: Session) -> None:
    assert people.ada.post("/packages/usage/one/add/").status_code == 303
    assert people.ada.post(f"/favorites/add/{people.id}/").status_code == 303
    assert (count(session, Usage), count(session, Favourite)) == (1, 1)
    for path in ("/packages/usage/one/remove/", f"/favorites/remove/{people.id}/"):
        assert [people.ada.post(path).status_code for _ in range(2)] == [303, 303]
        assert people.ada.get(path).status_code == 405
        assert people.nobody.post(path).status_code == 403
    assert (count(session, Usage), count(session, Favourite)) == (0, 0)
    assert people.ada.post("/favorites/add/2147483648/").status_code == 404
    assert people.ada.post("/favorites/add/999/").status_code == 404
    assert people.ada.post("/packages/usage/one/other/").status_code == 404


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/\tx"]
)
def test_next_never_leads_elsewhere(people: FlagScenario, wanted: str) -> None:
    answer = people.ada.post("/packages/one/usage/", {"value": "add", "next": wanted})
    assert answer.headers["Location"] == "/packages/p/one/"
    answer = people.ada.post("/packages/one/usage/", {"value": "add", "next": "/packages/?page=2"})
    assert answer.headers["Location"] == "/packages/?page=2"


def test_a_link_waits_for_a_moderator(people: FlagScenario, session: Session) -> None:
    answer = people.bob.post("/packages/one/sites/add/", {"title": "Shop", "url": "shop.example"})
    assert answer.status_code == 303
    assert "Shop" in words(people.bob.get("/packages/p/one/"))
    assert "pending review" in words(people.bob.get("/packages/p/one/"))
    for other in (people.nobody, people.ada):
        assert "Shop" not in words(other.get("/packages/p/one/"))
    assert "https://shop.example" in words(people.boss.get("/moderation/?list=sites"))
    [number] = session.scalars(select(UsingSite.id))
    assert people.bob.post(f"/moderation/sites/{number}/approve/").status_code == 403
    assert people.boss.post(f"/moderation/sites/{number}/approve/").status_code == 303
    assert "Shop" in words(people.nobody.get("/packages/p/one/"))
    assert count(session, Revision) == 2


def test_an_approved_link_that_is_changed_waits_again(people: FlagScenario, session: Session) -> None:
    people.bob.post("/packages/one/sites/add/", {"title": "Shop", "url": "https://shop.example"})
    [number] = session.scalars(select(UsingSite.id))
    people.boss.post(f"/moderation/sites/{number}/approve/")
    path = f"/packages/one/sites/{number}/edit/"

    def typed(visitor: CsrfClient, title: str) -> dict[str, str]:
        return {"title": title, "url": "https://shop.example", "version": field(visitor.get(path), "version")}

    assert people.bob.post(path, typed(people.bob, "Shop")).status_code == 303
    assert "Shop" in words(people.nobody.get("/packages/p/one/")), "nothing was changed"
    assert people.boss.post(path, typed(people.boss, "Shops")).status_code == 303
    assert "Shops" in words(people.nobody.get("/packages/p/one/"))
    late = typed(people.bob, "Casino")
    people.boss.post(path, typed(people.boss, "Shop"))
    answer = people.bob.post(path, late)
    assert answer.status_code == 409
    assert "Current version Shop Your version Casino" in words(answer)
    assert people.bob.post(path, typed(people.bob, "Casino")).status_code == 303
    assert "Casino" not in words(people.nobody.get("/packages/p/one/"))


def test_only_its_adder_and_moderators_change_a_link(people: FlagScenario, session: Session) -> None:
    people.bob.post("/packages/one/sites/add/", {"title": "Shop", "url": "https://shop.example"})
    [number] = session.scalars(select(UsingSite.id))
    for what in ("edit", "delete"):
        path = f"/packages/one/sites/{number}/{what}/"
        assert people.ada.get(path).status_code == people.ada.post(path).status_code == 403
        assert people.bob.get(path).status_code == people.boss.get(path).status_code == 200
        assert people.bob.get(path.replace("/one/", "/two/")).status_code == 404
        old = people.nobody.get(path.replace("sites", "example"))
        assert (old.status_code, old.headers["Location"]) == (301, path)
    assert people.nobody.get("/packages/one/example/add/").headers["Location"] == "/packages/one/sites/add/"
    assert count(session, UsingSite) == 1
    assert people.bob.post(f"/packages/one/sites/{number}/delete/").status_code == 303
    assert count(session, UsingSite) == 0


def test_links_that_are_refused(people: FlagScenario) -> None:
    path = "/packages/one/sites/add/"
    people.bob.post(path, {"title": "Shop", "url": "https://shop.example"})
    for title, url, told in (("", "https://x.example", "Site name"), ("x", "javascript:x", "Enter a URL"),
                             ("x", "https://SHOP.example/", "already listed")):  # fmt: skip
        answer = people.ada.post(path, {"title": title, "url": url})
        assert answer.status_code == 422
        assert told in words(answer)


def test_a_person_has_one_open_flag(people: FlagScenario, session: Session) -> None:
    path = "/packages/one/flag/"
    assert people.bob.post(path, {"kind": "spam", "reason": "Ads <b>"}).status_code == 303
    form = people.bob.get(path)
    assert "Ads &lt;b&gt;" in form.get_data(as_text=True)
    assert people.bob.post(path, {"kind": "dead", "reason": "Gone"}).status_code == 303
    [flag] = session.scalars(select(Flag))
    assert (flag.kind, flag.reason, flag.user_id) == ("dead", "Gone", people.bob_id)
    for kind, reason in (("", "x"), ("other", "x"), ("spam", " \u200b"), ("spam", "x" * 2001)):
        assert people.ada.post(path, {"kind": kind, "reason": reason}).status_code == 422
    assert people.bob.post("/packages/one/flag/withdraw/").status_code == 303
    assert people.bob.post("/packages/one/flag/withdraw/").status_code == 303
    session.rollback()
    assert session.scalars(select(Flag.outcome)).all() == ["Withdrawn."]
    people.bob.post(path, {"kind": "dead", "reason": "Again"})
    assert count(session, Flag) == 2


def test_who_sees_a_flag_and_who_answers_it(people: FlagScenario, app: Flask, session: Session) -> None:
    others = [make_user(session, name) for name in ("linus", "grace", "mallory")]
    for user, provider, login in zip(others, ("github", "github", "gitlab"), ("LINUS", "Grace", "linus"), strict=True):
        session.add(Identity(user_id=user.id, provider=provider, subject=user.username, login=login, created_at=NOW))
    session.commit()
    linus, grace, mallory = (CsrfClient(app, user) for user in others)
    people.bob.post("/packages/one/flag/", {"kind": "dead", "reason": "Nobody answers"})
    [number] = session.scalars(select(Flag.id))
    path = f"/packages/one/flags/{number}/answer/"
    for visitor in (people.nobody, mallory):
        assert "Nobody answers" not in words(visitor.get("/packages/p/one/"))
    assert mallory.get(path).status_code == mallory.post(path, {"answer": "x"}).status_code == 404
    assert people.bob.get(path).status_code == people.bob.post(path, {"answer": "x"}).status_code == 403
    for visitor in (people.ada, linus, grace, people.boss):
        assert "Nobody answers" in words(visitor.get("/packages/p/one/"))
        assert visitor.get(path).status_code == 200
        assert visitor.post(path, {"answer": "I do"}).status_code == 303
    assert "Reply by boss: I do" in words(people.bob.get("/packages/p/one/"))
    assert people.ada.post(path, {"answer": "x" * 2001}).status_code == 422
    assert people.ada.post(path, {"answer": ""}).status_code == 303
    session.rollback()
    assert session.scalars(select(Flag.answer)).one() is None


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_in_links_and_flags(people: FlagScenario, session: Session, hostile: str) -> None:
    sent = (
        people.bob.post("/packages/one/sites/add/", {"title": hostile, "url": "https://x.example"}),
        people.bob.post("/packages/one/sites/add/", {"title": "x", "url": hostile}),
        people.bob.post("/packages/one/flag/", {"kind": "spam", "reason": hostile}),
        people.bob.post("/packages/one/flag/", {"kind": hostile, "reason": "x"}),
        people.bob.post("/packages/one/usage/", {"value": hostile}),
        people.bob.post("/packages/one/documentation/edit/", {"documentation_url": hostile, "version": hostile}),
    )
    assert {answer.status_code for answer in sent} <= {303, 409, 422}
    people.ada.post("/packages/one/flag/", {"kind": "spam", "reason": "x"})
    [number] = session.scalars(select(Flag.id).where(Flag.user_id != people.bob_id))
    assert people.boss.post(f"/packages/one/flags/{number}/answer/", {"answer": hostile}).status_code in {303, 422}
    for path in ("/packages/p/one/", "/moderation/", "/moderation/?list=sites", "/moderation/packages/one/"):
        html = people.boss.get(path).get_data(as_text=True)
        assert "<script>alert" not in html
        assert 'href="javascript' not in html
        assert visible_text(html)
