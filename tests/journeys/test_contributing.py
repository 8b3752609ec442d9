"""What a newcomer does from registering to logging out, and what two people meet who edit at once."""

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
from werkzeug.serving import make_server

from pkgsite import create_app
from pkgsite.extensions import db
from tests.conftest import make_config
from tests.databases import DatabaseTemplate, free_port
from tests.factories import fill_cell, make_category, make_feature, make_grid, make_package
from tests.login_client import PASSWORD, make_login_user

Enter = Callable[..., Page]


class Catcher:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[str] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # its protocol
        self.letters.append(message_from_bytes(envelope.content).get_payload(decode=True).decode())
        return "250 OK"


@pytest.fixture
def catcher() -> Iterator[tuple[Catcher, int]]:
    """A mail server on loopback, and its port."""
    handler = Catcher()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield handler, int(controller.port)
    controller.stop()


@pytest.fixture
def site(
    database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path, catcher: tuple[Catcher, int]
) -> Iterator[tuple[str, Any]]:
    """A site of this test's own that sends real letters: its address and the application."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    mail = {"MAIL": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(catcher[1]), "SMTP_TLS": "none",
            "MAIL_FROM": "packages@example.org", "PUBLIC_URL": address}  # fmt: skip
    with database_templates("sqlite").copy() as url:
        app = create_app(make_config(url, tmp_path, **mail))
        with app.app_context():
            make_category(db.session(), "apps", title="Apps")
            db.session.commit()
            db.session.remove()
        server = make_server("127.0.0.1", port, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield address, app
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def enter(browser: Browser, site: tuple[str, Any]) -> Iterator[Enter]:
    """A function that opens the site in a browser of its own; an error in a script or a refused resource fails."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def note(words: str) -> None:
        if "Content Security" in words:
            troubles.append(words)

    def opened(*, scripts: bool = True) -> Page:
        context = browser.new_context(base_url=site[0], java_script_enabled=scripts)
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console", lambda message: troubles.append(message.text) if "Content Security" in message.text else None
        )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def log_in(page: Page, name: str) -> None:
    page.goto("/account/login/")
    page.get_by_label("Username or email address").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.locator(".menu summary")).to_have_text(name)


def write_cell(page: Page, name: str, text: str, *, scripts: bool) -> None:
    """Fill in a cell: in its place, or on a page of its own."""
    page.get_by_role("link", name=f"edit {name}").click()
    if scripts:
        box = page.get_by_label(name, exact=True)
        box.fill(text)
        page.locator(".cell-form").get_by_role("button", name="Save").click()
        expect(page.locator(".cell-form")).to_have_count(0)
    else:
        page.get_by_label("Cell text").fill(text)
        page.get_by_role("button", name="Save").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_newcomer_contributes(enter: Enter, catcher: tuple[Catcher, int], scripts: bool) -> None:
    page = enter(scripts=scripts)
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.locator('main a[href^="/account/register/"]').first.click()
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Email address").fill("grace@example.org")
    page.get_by_role("button", name="Send sign-up link").click()
    (email,) = catcher[0].letters
    page.goto(re.findall(r"https?://\S+", email)[0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator(".menu summary")).to_have_text("grace")

    page.goto("/packages/add/?by_hand=1")
    page.get_by_label("Title").fill("Quick cache")
    page.get_by_label("Category").select_option("apps")
    page.get_by_label("Repository").fill("git@github.com:grace/quick-cache.git")
    page.get_by_role("button", name="Add package").click()
    expect(page).to_have_url(re.compile("/packages/p/quick-cache/$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Quick cache")

    page.goto("/grids/")
    page.get_by_role("link", name="Create a grid").click()
    page.get_by_label("Title").fill("Caching")
    page.get_by_role("button", name="Create grid").click()
    page.get_by_role("link", name="Add package").click()
    page.locator("#find-q").fill("quick")
    if scripts:
        expect(page.get_by_role("button", name="Add Quick cache")).to_be_visible()
    else:
        page.locator("main").get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Add Quick cache").click()
    for title in ("Is fast", "Is small"):
        page.get_by_role("link", name="Add feature").click()
        page.get_by_label("Title").fill(title)
        page.get_by_role("button", name="Add feature").click()
    write_cell(page, "Quick cache: Is fast", "yes, <b>very</b>", scripts=scripts)
    expect(page.locator("#features")).to_contain_text("very")
    write_cell(page, "Quick cache: Is small", "--", scripts=scripts)
    page.goto(page.url)
    features = page.locator("#features")
    expect(features).to_contain_text("<b>very</b>")
    expect(features.locator(".verdict.no .icon")).to_have_count(2)

    page.goto("/packages/quick-cache/edit/")
    page.get_by_label("Title").fill("Quicker cache")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Quicker cache")
    page.goto("/packages/quick-cache/history/")
    newest = page.locator("main")
    expect(newest.locator("del").first).to_contain_text("Quick")
    expect(newest.locator("ins").first).to_contain_text("Quicker")
    page.goto("/packages/quick-cache/history/")
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
def two(site: tuple[str, Any], enter: Enter) -> tuple[Page, Page]:
    """Two people who are logged in, on a site with a package in a grid."""
    with site[1].app_context():
        session = db.session()
        package = make_package(session, "one", title="One", repo_url="https://github.com/ada/one")
        feature = make_feature(session, make_grid(session, "caching", (package,)), "Is fast")
        fill_cell(session, feature, package, "yes")
        make_login_user(session, "ada")
        make_login_user(session, "bob")
        db.session.remove()
    pages = enter(), enter()
    for page, name in zip(pages, ("ada", "bob"), strict=True):
        log_in(page, name)
    return pages


def test_two_people_edit_a_package_at_once(two: tuple[Page, Page]) -> None:
    first, second = two
    for page, words in ((first, "By the first"), (second, "By the second")):
        page.goto("/packages/one/edit/")
        page.get_by_label("Title").fill(words)
    second.get_by_label("Documentation URL").fill("https://docs.example/second")
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_role("heading", level=1)).to_contain_text("By the first")
    second.get_by_role("button", name="Save").click()
    expect(second.locator(".versions").first).to_contain_text("By the first")
    expect(second.get_by_label("Title")).to_have_value("By the second")
    expect(second.get_by_label("Documentation URL")).to_have_value("https://docs.example/second")
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("heading", level=1)).to_contain_text("By the second")


def test_two_people_edit_a_cell_at_once(two: tuple[Page, Page]) -> None:
    first, second = two
    for page, words in ((first, "by the first"), (second, "by the second")):
        page.goto("/grids/g/caching/")
        page.get_by_role("link", name="edit One: Is fast").click()
        page.get_by_label("One: Is fast", exact=True).fill(words)
    first.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(first.locator("#features td")).to_contain_text("by the first")
    second.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(second.locator(".cell-theirs")).to_have_text("by the first")
    expect(second.get_by_label("One: Is fast", exact=True)).to_have_value("by the second")
    second.locator(".cell-form").get_by_role("button", name="Save").click()
    expect(second.locator(".cell-form")).to_have_count(0)
    expect(second.locator("#features td")).to_contain_text("by the second")
    second.reload()
    expect(second.locator("#features td")).to_contain_text("by the second")


def test_a_cell_is_edited_by_keyboard_alone(two: tuple[Page, Page]) -> None:
    page = two[0]
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
