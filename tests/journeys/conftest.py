"""Fixtures for browser tests: one site and one browser per test process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from pkgsite import create_app
from pkgsite.extensions import db
from tests.conftest import make_config
from tests.databases import DatabaseTemplate
from tests.views.varied_site import freeze_time, make_many_packages, populate_varied_site

CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("long")


@pytest.fixture(scope="session")
def site_url(
    database_templates: Callable[[str], DatabaseTemplate], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a site with varied test data, served over HTTP while the tests run."""
    with database_templates("sqlite").copy() as url:
        app = create_app(make_config(url, tmp_path_factory.mktemp("journeys")))
        with app.app_context():
            populate_varied_site(db.session())
            make_many_packages(db.session(), 60)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = shutil.which("chromium") or "/usr/bin/chromium"
    assert Path(executable).exists(), "browser tests need Debian's chromium: `make test` installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, site_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPage]:
    """A function that opens a page of the site, with the clock at the time of its data.

    Its options are those of a browser context. A request to another site, a blocked resource or a script error fails
    the test.
    """
    contexts: list[BrowserContext] = []
    page_errors: list[str] = []
    # Only for this test: the site outlives it, and other tests of this process use the real time.
    freeze_time(monkeypatch)

    def open_at(path: str, *, width: int = 1280, height: int = 900, **options: object) -> Page:
        context = browser.new_context(base_url=site_url, viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("request", lambda request: record_external_request(request.url))
        page.on("console", lambda message: page_errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page_errors.append(str(error)))
        page.goto(path)
        return page

    def record_external_request(url: str) -> None:
        if urlsplit(url).netloc != urlsplit(site_url).netloc:
            page_errors.append(f"external request: {url}")

    yield open_at
    for context in contexts:
        context.close()
    assert [error for error in page_errors if "404 (NOT FOUND)" not in error] == []
