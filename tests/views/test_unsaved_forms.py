"""Nothing that was typed is lost: forms sent without a login or a valid token, or after their object is gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite import clock
from pkgsite.models import Cell, Favourite, Feature, Flag, Grid, Package, SavedSubmission, Usage, User
from pkgsite.services.accounts.throttling import SUBMISSIONS_FROM_ADDRESS
from pkgsite.views.accounts import submissions
from tests.factories import fill_cell, make_category, make_feature, make_grid, make_package
from tests.fakes.oauth_provider import FakeProvider, provider_settings
from tests.html_forms import HtmlForm, PlainBrowser, form_to, forms_of
from tests.login_client import PASSWORD, link_in, make_login_user, outbox_messages

HOSTILE_TEXT = '\n "quoted" <b>bold</b> & שלום\nsecond line\u2028 </textarea>'


@pytest.fixture
def cell_path(session: Session) -> str:
    make_login_user(session, "ada")
    make_login_user(session, "bob")
    package = make_package(session, "one", title="One")
    make_package(session, "two", title="Two")
    grid = make_grid(session, "caching", (package,))
    fill_cell(session, make_feature(session, grid, "Is fast"), package, "yes")
    session.commit()
    return "/grids/element/caching/1/1/"


@pytest.fixture
def browser(app: Flask, cell_path: str) -> PlainBrowser:  # the records must exist
    return PlainBrowser(app)


def cell_text(session: Session) -> str:
    session.rollback()
    return str(session.scalar(select(Cell.text)))


def new_clock(monkeypatch: pytest.MonkeyPatch, **later: float) -> None:
    now = clock.utc_now()
    monkeypatch.setattr("pkgsite.views.accounts.submissions.utc_now", lambda: now + timedelta(**later))


def test_a_form_sent_after_the_session_has_expired_is_completed_after_the_login(
    browser: PlainBrowser, session: Session, cell_path: str
) -> None:
    browser.log_in("ada")
    form = form_to(browser.get(cell_path), cell_path)
    browser.end_session()
    asked = browser.send(form, text=HOSTILE_TEXT)
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"]
    assert asked.headers["Cache-Control"] == "no-store"
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; שלום" in asked.text, "it can be copied"
    assert cell_text(session) == "yes"
    wrong = browser.send(form_to(asked, "/account/login/"), login="ada", password="wrong")
    assert wrong.status_code == 422
    page = browser.log_in("ada", wrong)
    assert "logged in as ada" in page.text
    filled_in = form_to(page, cell_path)
    assert filled_in.fields["text"] == HOSTILE_TEXT
    assert filled_in.fields["version"] == form.fields["version"]
    assert filled_in.fields["csrf_token"] != form.fields["csrf_token"]
    assert cell_text(session) == "yes", "nothing is saved without a click"
    saved = browser.send(filled_in)
    assert (saved.status_code, saved.location) == (303, "/grids/g/caching/")
    assert cell_text(session) == '"quoted" <b>bold</b> & שלום\nsecond line\n </textarea>'


ANONYMOUS_FORMS: list[tuple[str, dict[str, str], type[Any], dict[str, Any]]] = [
    ("/packages/add/", {"title": "New one", "category": "apps", "repo_url": "https://github.com/a/new"}, Package,
     {"slug": "new-one"}),
    ("/packages/one/edit/", {"title": "Renamed", "slug": "one", "category": "apps", "package_id": "1", "version": "1",
     "repo_url": "https://github.com/a/one"}, Package, {"title": "Renamed"}),
    ("/packages/one/documentation/edit/", {"documentation_url": "https://docs.example/", "version": "1"}, Package,
     {"documentation_url": "https://docs.example/"}),
    ("/packages/one/favourite/", {"value": "add"}, Favourite, {"package_id": 1, "user_id": 1}),
    ("/favorites/add/1/", {}, Favourite, {"package_id": 1, "user_id": 1}),
    ("/packages/one/usage/", {"value": "add"}, Usage, {"package_id": 1, "user_id": 1}),
    ("/packages/usage/one/add/", {}, Usage, {"package_id": 1, "user_id": 1}),
    ("/packages/one/flag/", {"kind": "dead", "reason": "No commits\nfor years"}, Flag,
     {"user_id": 1, "reason": "No commits\nfor years"}),
    ("/grids/add/", {"title": "Queues", "slug": "", "description": "All of them"}, Grid,
     {"slug": "queues", "description": "All of them"}),
    ("/grids/caching/edit/", {"title": "Caches", "slug": "caching", "description": "x", "version": "1"}, Grid,
     {"title": "Caches"}),
    ("/grids/feature/add/caching/", {"title": "Is small", "description": "Lines"}, Feature, {"title": "Is small"}),
    ("/grids/feature/1/", {"title": "Is quick", "description": "", "version": "1"}, Feature, {"title": "Is quick"}),
    ("/grids/caching/package/add/", {"package": "2"}, Grid, {"slug": "caching"}),
]  # fmt: skip


@pytest.mark.parametrize("has_token", [True, False])
@pytest.mark.parametrize(("path", "fields", "model", "expected"), ANONYMOUS_FORMS)
def test_what_an_anonymous_visitor_sends_is_saved_as_the_person_who_logs_in(
    browser: PlainBrowser,
    session: Session,
    path: str,
    fields: dict[str, str],
    model: type[Any],
    expected: dict[str, Any],
    has_token: bool,
) -> None:
    token = form_to(browser.get("/account/login/"), "/account/login/").fields["csrf_token"] if has_token else ""
    asked = browser.send(HtmlForm(path, "post", fields | {"csrf_token": token}))
    assert asked.status_code == 401
    page = browser.log_in("ada", asked)
    assert form_to(page, path).fields.items() >= fields.items()
    assert browser.send(form_to(page, path)).status_code == 303
    session.rollback()
    assert session.query(model).filter_by(**expected).count() == 1


def test_account_forms_are_kept_without_their_passwords(browser: PlainBrowser, session: Session) -> None:
    fields = {"email": "new@example.org", "current_password": PASSWORD, "password": "next secret"}
    asked = browser.send(HtmlForm("/account/email/", "post", fields))
    assert asked.status_code == 401
    page = browser.log_in("ada", asked)
    filled_in = form_to(page, "/account/email/").fields
    assert (filled_in["email"], filled_in["current_password"], filled_in["password"]) == ("new@example.org", "", "")
    for text in (asked.text, page.text):
        assert PASSWORD not in text
        assert "next secret" not in text
    (saved,) = session.query(SavedSubmission).all()
    assert ["current_password", ""] in saved.fields
    assert PASSWORD not in str(saved.fields)
    token = browser.send(HtmlForm("/account/tokens/", "post", {"name": "script", "scope": "read", "expires_in": "30"}))
    assert token.status_code == 403, "the CSRF token is missing"
    assert form_to(token, "/account/tokens/").fields["name"] == "script"


@pytest.mark.parametrize("path", ["/account/password/", "/account/delete/", "/account/confirm/x.y.z/"])
def test_a_form_in_which_nothing_is_to_be_kept_redirects_to_the_login(browser: PlainBrowser, path: str) -> None:
    response = browser.send(HtmlForm(path, "post", {"current_password": "secret", "password": "secret"}))
    assert (response.status_code, response.location) == (303, f"/account/login/?next={path}")


def test_the_form_is_not_in_the_session_cookie(browser: PlainBrowser, cell_path: str) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "something long", "version": "1"}))
    browser.log_in("ada", asked)
    with browser.client.session_transaction() as cookie:
        assert "something" not in str(dict(cookie))
        assert set(cookie) <= {"csrf_token", "_user_id", "_fresh", "_permanent", "_flashes", "_id"}


def test_a_saved_form_belongs_to_the_person_who_logged_in(
    app: Flask, browser: PlainBrowser, session: Session, cell_path: str
) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "typed by ada", "version": "1"}))
    login = browser.send(form_to(asked, "/account/login/"), login="ada", password=PASSWORD)
    assert re.fullmatch(r"/account/resume/[\w-]{43}/", login.location)
    page = browser.get(login.location)
    bob = PlainBrowser(app)
    bob.log_in("bob")
    assert bob.get(login.location).status_code == 404
    assert PlainBrowser(app).get(login.location).location.startswith("/account/login/?next=/account/resume/")
    # In the same browser, bob logs in before ada's form is sent: it isn't sent in bob's name.
    browser.send(form_to(browser.get("/"), "/account/logout/"))
    browser.log_in("bob")
    assert browser.get(login.location).status_code == 404
    refused = browser.send(form_to(page, cell_path))
    assert refused.status_code == 403
    assert "You are logged in as bob." in refused.text
    assert form_to(refused, cell_path).fields["text"] == "typed by ada"
    assert cell_text(session) == "yes"


def test_a_form_is_kept_for_an_hour(
    browser: PlainBrowser, session: Session, cell_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "typed", "version": "1"}))
    login = browser.send(form_to(asked, "/account/login/"), login="ada", password=PASSWORD)
    new_clock(monkeypatch, minutes=59)
    assert browser.get(login.location).status_code == 200
    new_clock(monkeypatch, minutes=61)
    assert browser.get(login.location).status_code == 404
    monkeypatch.undo()
    session.query(SavedSubmission).update({"at": clock.utc_now() - timedelta(hours=2)})
    session.commit()
    browser.end_session()
    again = browser.send(HtmlForm(cell_path, "post", {"text": "again", "version": "1"}))
    browser.log_in("ada", again)
    session.rollback()
    assert session.query(SavedSubmission).count() == 1, "expired ones are deleted"


def test_an_expired_or_forged_form_in_the_login_page_is_not_used(
    browser: PlainBrowser, session: Session, cell_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "typed", "version": "1"}))
    form = form_to(asked, "/account/login/")
    forged = form.fields["resume"][:-3] + "abc"
    assert browser.send(form, resume=forged, login="ada", password="wrong").status_code == 422
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: clock.utc_now().timestamp() + 3700)
    page = browser.follow(browser.send(form, login="ada", password=PASSWORD))
    assert "for one hour" in page.text
    session.rollback()
    assert session.query(SavedSubmission).count() == 0


def test_the_form_is_kept_while_a_new_account_is_created(
    browser: PlainBrowser, session: Session, cell_path: str
) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "typed", "version": "1"}))
    register = browser.follow(browser.send(form_to(asked, "/account/resume/")))
    form = form_to(register, "/account/register/")
    browser.send(form, username="carla", email="carla@example.org")
    path = link_in(outbox_messages(session)[0].body)
    complete = browser.get(path)
    page = browser.follow(browser.send(form_to(complete, path.partition("?")[0]), password=PASSWORD))
    assert "logged in as carla" in page.text
    assert browser.send(form_to(page, cell_path)).status_code == 303
    assert cell_text(session) == "typed"
    carla = session.query(User).filter_by(username="carla").one()
    assert session.query(SavedSubmission).one().user_id == carla.id


def test_the_form_is_kept_by_a_site_without_email(make_app: Callable[..., Flask], session: Session) -> None:
    browser = PlainBrowser(make_app(MAIL="off"))
    asked = browser.send(HtmlForm("/grids/add/", "post", {"title": "Queues"}))
    register = browser.follow(browser.send(form_to(asked, "/account/resume/")))
    page = browser.follow(
        browser.send(form_to(register, "/account/register/"), username="carla", password="three green bicycles")
    )
    assert form_to(page, "/grids/add/").fields["title"] == "Queues"
    assert session.query(SavedSubmission).one().user_id is not None


@pytest.mark.parametrize("name", ["ada", None])
def test_a_form_without_a_valid_token_is_shown_again(browser: PlainBrowser, session: Session, name: str | None) -> None:
    if name:
        browser.log_in(name)
        path, fields = "/grids/add/", {"title": "Queues", "description": HOSTILE_TEXT, "slug": ""}
    else:
        path, fields = "/account/register/", {"username": "carla", "email": "carla@example.org", "next": ""}
    for token in ("", "forged"):
        shown = browser.send(HtmlForm(path, "post", fields | {"csrf_token": token}))
        assert shown.status_code == 403
        assert form_to(shown, path).fields.items() >= fields.items()
    assert session.query(Grid).filter_by(slug="queues").count() == 0
    assert browser.send(form_to(shown, path)).status_code == 303


def test_a_login_without_a_valid_token_keeps_the_form_to_resume(browser: PlainBrowser, cell_path: str) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "typed", "version": "1"}))
    browser.end_session()
    shown = browser.send(form_to(asked, "/account/login/"), login="ada", password=PASSWORD)
    assert shown.status_code == 403
    assert PASSWORD not in shown.text
    page = browser.log_in("ada", shown)
    assert form_to(page, cell_path).fields["text"] == "typed"


def test_too_many_attempts_keep_the_form_to_resume(browser: PlainBrowser, cell_path: str) -> None:
    page = browser.send(HtmlForm(cell_path, "post", {"text": "typed", "version": "1"}))
    for _ in range(11):
        page = browser.send(form_to(page, "/account/login/"), login="ada", password="wrong")
    assert (page.status_code, page.headers["Retry-After"].isdigit()) == (429, True)
    assert form_to(page, "/account/login/").fields["resume"]
    assert "typed" in page.text


def is_shown_to_copy(response: TestResponse, text: str) -> bool:
    return text in response.text and "What you entered" in response.text


def test_what_was_typed_is_shown_if_its_object_is_gone(browser: PlainBrowser, session: Session, cell_path: str) -> None:
    browser.log_in("ada")
    cell = form_to(browser.get(cell_path), cell_path)
    feature = form_to(browser.get("/grids/feature/1/"), "/grids/feature/1/")
    flag = form_to(browser.get("/packages/one/flag/"), "/packages/one/flag/")
    grid = form_to(browser.get("/grids/caching/edit/"), "/grids/caching/edit/")
    session.query(Cell).delete()
    session.query(Feature).delete()
    session.query(Package).filter_by(slug="one").update({"hidden_at": clock.utc_now()})
    session.query(Grid).update({"is_locked": True})
    session.commit()
    for form, field, status in ((cell, "text", 404), (feature, "title", 404), (flag, "reason", 404),
                                (grid, "description", 403)):  # fmt: skip
        gone = browser.send(form, **{field: "typed <by> ada"})
        assert gone.status_code == status, form.action
        assert is_shown_to_copy(gone, "typed &lt;by&gt; ada"), form.action


def test_a_form_for_an_object_that_is_gone_is_shown_after_the_login_too(
    browser: PlainBrowser, session: Session, cell_path: str
) -> None:
    asked = browser.send(HtmlForm(cell_path, "post", {"text": "typed", "version": "1"}))
    session.query(Cell).delete()
    session.query(Feature).delete()
    session.commit()
    page = browser.log_in("ada", asked)
    assert is_shown_to_copy(browser.send(form_to(page, cell_path)), "typed")


def test_a_form_for_a_renamed_package_is_sent_on_to_its_new_slug(browser: PlainBrowser, session: Session) -> None:
    browser.log_in("ada")
    flag = form_to(browser.get("/packages/one/flag/"), "/packages/one/flag/")
    edit = form_to(browser.get("/packages/one/edit/"), "/packages/one/edit/")
    assert browser.send(edit, slug="uno", category="apps", repo_url="https://github.com/a/one").status_code == 303
    moved = browser.send(flag, kind="dead", reason="typed")
    assert (moved.status_code, moved.location) == (308, "/packages/uno/flag/")
    assert browser.get("/packages/one/flag/").status_code == 301


def test_a_form_that_fails_for_now_can_be_sent_again(
    browser: PlainBrowser, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    browser.log_in("ada")
    form = form_to(browser.get("/grids/add/"), "/grids/add/")

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr("pkgsite.views.grid_edits.submit_edit", fail)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    failed = browser.send(form, title="Queues", description="typed")
    assert failed.status_code == 500
    again = form_to(failed, "/grids/add/")
    assert (again.fields["title"], again.fields["description"]) == ("Queues", "typed")
    monkeypatch.undo()
    assert browser.send(again).status_code == 303


def test_error_pages_without_a_form_are_unchanged(browser: PlainBrowser) -> None:
    assert "What you entered" not in browser.get("/packages/p/none/").text
    assert [form.action for form in forms_of(browser.get("/packages/p/none/"))] == ["/search/", "/search/"]


def test_scripts_are_told_to_send_the_form_as_a_page(browser: PlainBrowser, cell_path: str) -> None:
    headers = {"Accept": "application/json"}
    fields = {"text": "typed", "version": "1"}
    asked = browser.client.post(cell_path, data=fields, headers=headers)
    assert (asked.status_code, asked.get_json()["resubmit"]) == (401, True)
    browser.log_in("ada")
    refused = browser.client.post(cell_path, data=fields, headers=headers)
    assert (refused.status_code, refused.get_json()["resubmit"]) == (403, True)


def test_a_form_that_is_too_large_to_carry_can_be_copied(browser: PlainBrowser, session: Session) -> None:
    make_category(session, "tools")
    session.commit()
    text = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(140_000))
    asked = browser.send(HtmlForm("/grids/add/", "post", {"title": "Queues", "description": text}))
    assert asked.status_code in {401, 413}
    if asked.status_code == 401:
        assert text[:2000] in asked.text
        assert form_to(asked, "/account/login/").fields["resume"] == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_forms_of_other_sites_are_neither_kept_nor_shown_with_a_token(
    browser: PlainBrowser, cell_path: str, headers: dict[str, str]
) -> None:
    for path in (cell_path, "/account/login/", "/account/logout/"):
        response = browser.client.post(path, data={"text": "forged"}, headers=headers)
        assert (response.status_code, "Set-Cookie" in response.headers) == (403, False)
        assert not any(form.method == "post" for form in forms_of(response))
    for own in ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {"Origin": "http://localhost"}):
        assert browser.client.post(cell_path, data={"text": "typed"}, headers=own).status_code == 401


def test_the_page_after_the_login_says_what_the_form_does(browser: PlainBrowser) -> None:
    asked = browser.send(HtmlForm("/packages/one/favourite/", "post", {"value": "add"}))
    assert "you can submit your request" in asked.text
    assert "<h1>Change your favourites</h1>" in browser.log_in("ada", asked).text


def test_the_form_is_kept_during_a_login_with_another_account(
    make_app: Callable[..., Flask], serve_app: Callable[[Any], str], session: Session
) -> None:
    fake = FakeProvider("github")
    browser = PlainBrowser(make_app(**provider_settings("github", serve_app(fake))))
    asked = browser.send(HtmlForm("/grids/add/", "post", {"title": "Queues", "description": "typed"}))
    assert session.query(SavedSubmission).count() == 0, "nothing is stored for visitors who don't log in"
    started = browser.send(form_to(asked, "/account/oauth/github/"))
    (url,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', started.text)
    with browser.client.session_transaction() as cookie:
        assert "typed" not in str(dict(cookie))
    session.rollback()
    assert session.query(SavedSubmission).one().user_id is None
    callback = urlsplit(fake.authorize(unescape(url)))
    new_user = browser.follow(browser.get(f"{callback.path}?{callback.query}"))
    page = browser.follow(browser.send(form_to(new_user, "/account/oauth/new/")))
    assert form_to(page, "/grids/add/").fields["description"] == "typed"
    session.rollback()
    assert session.query(SavedSubmission).one().user_id == session.query(User).one().id
    assert browser.send(form_to(page, "/grids/add/")).status_code == 303


def test_a_declined_login_with_another_account_keeps_the_form(
    make_app: Callable[..., Flask], serve_app: Callable[[Any], str], session: Session
) -> None:
    make_login_user(session, "ada")
    fake = FakeProvider("github")
    browser = PlainBrowser(make_app(**provider_settings("github", serve_app(fake))))
    asked = browser.send(HtmlForm("/grids/add/", "post", {"title": "Queues"}))
    browser.send(form_to(asked, "/account/oauth/github/"))
    declined = browser.get("/account/oauth/github/callback/?error=access_denied&state=x")
    (login_path,) = re.findall(r'href="(/account/login/\?next=/account/resume/[^"]+)"', declined.text)
    page = browser.log_in("ada", browser.get(login_path))
    assert form_to(page, "/grids/add/").fields["title"] == "Queues"


def test_forms_saved_by_visitors_are_throttled(
    make_app: Callable[..., Flask], session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "SUBMISSIONS_FROM_ADDRESS", replace(SUBMISSIONS_FROM_ADDRESS, max_attempts=2))
    browser = PlainBrowser(make_app())
    asked = browser.send(HtmlForm("/grids/add/", "post", {"title": "Queues"}))
    form = form_to(asked, "/account/resume/")
    assert [browser.send(form).status_code for _ in range(3)] == [303, 303, 429]
    session.rollback()
    assert session.query(SavedSubmission).count() == 2


def test_forms_of_the_browsable_api_are_kept_too(browser: PlainBrowser, session: Session) -> None:
    browser.log_in("ada")
    headers = {"Accept": "text/html"}
    page = browser.client.get("/api/v4/packages/1/", headers=headers)
    form = next(form for form in forms_of(page) if form.fields.get("_method") == "PATCH")
    browser.end_session()
    fields = form.fields | {"title": "Uno"}
    asked = browser.client.post(form.action, data=fields, headers=headers)
    assert asked.status_code == 401
    filled_in = form_to(browser.log_in("ada", asked), form.action)
    assert filled_in.fields["title"] == "Uno"
    session.rollback()
    saved = browser.client.post(filled_in.action, data=filled_in.fields, headers=headers)
    assert saved.status_code == 303
    session.rollback()
    assert session.query(Package).filter_by(title="Uno").count() == 1
    browser.end_session()
    program = browser.client.post("/api/v4/packages/1/", json={"title": "x"}, headers=headers)
    assert program.status_code == 405, "programs get the same answers as before"
