"""A new user's contributions from sign-up to logout, and conflicting edits by two users."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import delete
from werkzeug.serving import make_server

from pkgsite import create_app
from pkgsite.extensions import db
from pkgsite.models import Cell, Feature
from tests.conftest import make_config
from tests.databases import DatabaseTemplate, free_port
from tests.factories import fill_cell, make_category, make_feature, make_grid, make_package
from tests.login_client import PASSWORD, make_login_user

OpenPage = Callable[..., Page]


class MailHandler:
    """Collects the emails that a mail server receives."""

    def __init__(self) -> None:
        self.emails: list[str] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # called by aiosmtpd
        payload = message_from_bytes(envelope.content).get_payload(decode=True)
        assert isinstance(payload, bytes)
        self.emails.append(payload.decode())
        return "250 OK"


@pytest.fixture
def mail_server() -> Iterator[tuple[MailHandler, int]]:
    """The handler and port of a local mail server."""
    handler = MailHandler()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield handler, int(controller.port)
    controller.stop()


@pytest.fixture
def site(
    database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path, mail_server: tuple[MailHandler, int]
) -> Iterator[tuple[str, Any]]:
    """The URL and application of a site that sends email to `mail_server`."""
    port = free_port()
    site_url = f"http://127.0.0.1:{port}"
    mail = {"MAIL": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail_server[1]), "SMTP_TLS": "none",
            "MAIL_FROM": "packages@example.org", "PUBLIC_URL": site_url}  # fmt: skip
    with database_templates("sqlite").copy() as url:
        app = create_app(make_config(url, tmp_path, **mail))
        with app.app_context():
            make_category(db.session(), "apps", title="Apps")
            db.session.commit()
            db.session.remove()
        server = make_server("127.0.0.1", port, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield site_url, app
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def open_page(browser: Browser, site: tuple[str, Any]) -> Iterator[OpenPage]:
    """A function that opens the site in a new browser. A script error or a blocked resource fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_new(*, scripts: bool = True) -> Page:
        context = browser.new_context(base_url=site[0], java_script_enabled=scripts)
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        return page

    yield open_new
    for context in contexts:
        context.close()
    assert errors == []


def log_in(page: Page, name: str) -> None:
    page.goto("/account/login/")
    page.get_by_label("Username or email address").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.locator(".menu summary")).to_have_text(name)


def edit_cell(page: Page, name: str, text: str, *, scripts: bool) -> None:
    """Edit a cell: in place with scripts, on its own page without."""
    page.get_by_role("link", name=f"Edit {name}").click()
    if scripts:
        box = page.get_by_label(name, exact=True)
        box.fill(text)
        page.locator(".cell-form").get_by_role("button", name="Save").click()
        expect(page.locator(".cell-form")).to_have_count(0)
    else:
        page.get_by_label("Cell text").fill(text)
        page.get_by_role("button", name="Save").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_new_user_contributes(open_page: OpenPage, mail_server: tuple[MailHandler, int], scripts: bool) -> None:
    page = open_page(scripts=scripts)
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.locator('main a[href^="/account/register/"]').first.click()
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Email address").fill("grace@example.org")
    page.get_by_role("button", name="Send sign-up link").click()
    (email,) = mail_server[0].emails
    page.goto(re.findall(r"https?://\S+", email)[0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator(".menu summary")).to_have_text("grace")

    page.goto("/packages/add/?by_hand=1")
    page.get_by_label("Title").fill("Quick cache")
    page.get_by_label("Category").select_option("apps")
    page.get_by_label("Repository URL").fill("git@github.com:grace/quick-cache.git")
    page.get_by_role("button", name="Add package").click()
    expect(page).to_have_url(re.compile("/packages/p/quick-cache/$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Quick cache")

    page.goto("/grids/")
    page.get_by_role("link", name="Create a grid").click()
    page.get_by_label("Title").fill("Caching")
    page.get_by_role("button", name="Create grid").click()
    page.get_by_role("link", name="Add package").click()
    page.locator("#list-q").fill("quick")
    if scripts:
        expect(page.get_by_role("button", name="Add Quick cache")).to_be_visible()
    else:
        page.locator("main").get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Add Quick cache").click()
    for title in ("Is fast", "Is small"):
        page.get_by_role("link", name="Add feature").click()
        page.get_by_label("Title").fill(title)
        page.get_by_role("button", name="Add feature").click()
    edit_cell(page, "Quick cache: Is fast", "yes, <b>very</b>", scripts=scripts)
    expect(page.locator("#features")).to_contain_text("very")
    edit_cell(page, "Quick cache: Is small", "--", scripts=scripts)
    page.goto(page.url)
    features = page.locator("#features")
    expect(features).to_contain_text("<b>very</b>")
    expect(features.locator(".verdict.no .icon")).to_have_count(2)

    page.goto("/packages/quick-cache/edit/")
    page.get_by_label("Title").fill("Quicker cache")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Quicker cache")
    page.goto("/packages/quick-cache/history/")
    main = page.locator("main")
    expect(main.locator("del").first).to_contain_text("Quick")
    expect(main.locator("ins").first).to_contain_text("Quicker")
    page.locator('a[href^="/changes/"]:not([href*="by"]):not([href*="feed"])').filter(
        has_not_text="Changes"
    ).first.click()
    page.get_by_role("button", name=re.compile("Undo")).click()
    page.goto("/packages/p/quick-cache/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Quick cache")

    page.locator(".menu summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    page.goto("/packages/quick-cache/edit/")
    expect(page).to_have_url(re.compile("/account/login/"))


@pytest.fixture
def two_users(site: tuple[str, Any], open_page: OpenPage) -> tuple[Page, Page]:
    """Pages of two logged-in users, on a site with a package in a grid."""
    with site[1].app_context():
        session = db.session()
        package = make_package(session, "one", title="One", repo_url="https://github.com/ada/one")
        feature = make_feature(session, make_grid(session, "caching", (package,)), "Is fast")
        fill_cell(session, feature, package, "yes")
        make_login_user(session, "ada")
        make_login_user(session, "bob")
        db.session.remove()
    pages = open_page(), open_page()
    for page, name in zip(pages, ("ada", "bob"), strict=True):
        log_in(page, name)
    return pages


def test_two_users_edit_a_package_at_the_same_time(two_users: tuple[Page, Page]) -> None:
    first, second = two_users
    for page, text in ((first, "By the first"), (second, "By the second")):
        page.goto("/packages/one/edit/")
        page.get_by_label("Title").fill(text)
    second.get_by_label("Documentation URL").fill("https://docs.example/second")
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_role("heading", level=1)).to_contain_text("By the first")
    second.get_by_role("button", name="Save").click()
    expect(second.locator(".versions").first).to_contain_text("By the first")
    expect(second.get_by_label("Title")).to_have_value("By the second")
    expect(second.get_by_label("Documentation URL")).to_have_value("https://docs.example/second")
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("heading", level=1)).to_contain_text("By the second")


def test_two_users_edit_a_cell_at_the_same_time(two_users: tuple[Page, Page]) -> None:
    first, second = two_users
    for page, text in ((first, "by the first"), (second, "by the second")):
        page.goto("/grids/g/caching/")
        page.get_by_role("link", name="edit One: Is fast").click()
        page.get_by_label("One: Is fast", exact=True).fill(text)
    first.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(first.locator("#features td")).to_contain_text("by the first")
    second.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(second.locator(".cell-current")).to_have_text("by the first")
    expect(second.get_by_label("One: Is fast", exact=True)).to_have_value("by the second")
    second.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(second.locator(".cell-form")).to_have_count(0)
    expect(second.locator("#features td")).to_contain_text("by the second")
    second.reload()
    expect(second.locator("#features td")).to_contain_text("by the second")


def test_a_cell_is_edited_with_the_keyboard_only(two_users: tuple[Page, Page]) -> None:
    page = two_users[0]
    page.goto("/grids/g/caching/")
    page.get_by_role("link", name="edit One: Is fast").focus()
    page.keyboard.press("Enter")
    box = page.get_by_label("One: Is fast", exact=True)
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="edit One: Is fast")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("no way")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#features td")).to_contain_text("way")
    expect(page.get_by_role("link", name="edit One: Is fast")).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("is_logged_in_again", [False, True], ids=["expired session", "new session"])
def test_a_cell_is_saved_after_the_session_has_expired(
    two_users: tuple[Page, Page], open_page: OpenPage, scripts: bool, is_logged_in_again: bool
) -> None:
    assert two_users
    page = open_page(scripts=scripts)
    log_in(page, "ada")
    page.goto("/grids/g/caching/")
    page.get_by_role("link", name="edit One: Is fast").click()
    page.get_by_label("One: Is fast" if scripts else "Cell text", exact=scripts).fill("first\nsecond <b>שלום</b>")
    page.context.clear_cookies()
    if is_logged_in_again:
        log_in(page.context.new_page(), "ada")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Nothing has been saved")
    if not is_logged_in_again:
        expect(page.locator(".submitted-text")).to_contain_text("second <b>שלום</b>")
        page.get_by_label("Username or email address").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Cell text")).to_have_value("first\nsecond <b>שלום</b>")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page).to_have_url(re.compile("/grids/g/caching/$"))
    expect(page.locator("#features td")).to_contain_text("second <b>שלום</b>")


def test_an_expired_session_does_not_open_an_empty_editor(two_users: tuple[Page, Page]) -> None:
    page = two_users[0]
    page.goto("/grids/g/caching/")
    page.context.clear_cookies()
    page.get_by_role("link", name="edit One: Is fast").click()
    expect(page).to_have_url(re.compile("/account/login/"))
    page.get_by_label("Username or email address").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Cell text")).to_have_value("yes")


def test_a_cell_that_is_gone_keeps_the_text_in_the_editor(two_users: tuple[Page, Page], site: tuple[str, Any]) -> None:
    page = two_users[0]
    page.goto("/grids/g/caching/")
    page.get_by_role("link", name="edit One: Is fast").click()
    box = page.get_by_label("One: Is fast", exact=True)
    box.fill("typed")
    with site[1].app_context():
        db.session.execute(delete(Cell))
        db.session.execute(delete(Feature))
        db.session.commit()
        db.session.remove()
    page.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(page.locator(".cell-form .error")).to_contain_text("no longer exists")
    expect(box).to_have_value("typed")


def test_hebrew_cells_are_laid_out_from_right_to_left(two_users: tuple[Page, Page]) -> None:
    page = two_users[0]
    page.goto("/grids/g/caching/")
    edit_cell(page, "One: Is fast", "yes שלום עולם https://example.org/", scripts=True)
    page.reload()
    cell = page.locator("#features td").first
    assert cell.evaluate("cell => getComputedStyle(cell).direction") == "rtl"
    assert page.locator("#features tr th").last.evaluate("cell => getComputedStyle(cell).direction") == "ltr"
