"""The API as pages: what a person reads there, and changes without writing a request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from pkgsite import create_app
from pkgsite.extensions import db
from pkgsite.models import Revision
from tests.conftest import make_config
from tests.databases import DatabaseTemplate
from tests.factories import make_category, make_grid, make_package
from tests.login_client import PASSWORD, make_login_user

RECORDED = Path(__file__).with_name("package-2235.txt").read_text()


def make_recorded_package() -> None:
    """Add the package that the recorded page tells of."""
    told: dict[str, Any] = json.loads(RECORDED[RECORDED.index("{\n") :])
    session = db.session()
    category = make_category(session, id=1)
    times = {
        column: datetime.fromisoformat(told[name])
        for column, name in (
            ("last_commit_at", "last_updated"),
            ("last_fetched_at", "last_fetched"),
            ("created_at", "created"),
            ("modified_at", "modified"),
        )
    }
    package = make_package(
        session,
        told["slug"],
        id=told["id"],
        category=category,
        description=told["repo_description"],
        stars=told["repo_watchers"],
        forks=told["repo_forks"],
        **{name: told[name] for name in ("title", "repo_url", "pypi_version", "pypi_url", "documentation_url")},
        **{name: told[name] for name in ("commits_over_52", "participants")},
        **times,
    )
    make_grid(session, "models", id=373, packages=(package,))
    session.commit()


@pytest.fixture
def site(database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """A site with the recorded package and an account: its address and the application."""
    with database_templates("sqlite").copy() as url:
        app = create_app(make_config(url, tmp_path))
        with app.app_context():
            make_recorded_package()
            make_login_user(db.session(), "ada")
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", app
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=request.param == "with JavaScript")
    yield context.new_page()
    context.close()


def log_in(page: Page, site_url: str) -> None:
    page.goto(f"{site_url}/account/login/?next=/api/v4/packages/2235/")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("input[name=login]").fill("ada")
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url("**/api/v4/packages/2235/")


def test_a_person_reads_the_recorded_page(site: tuple[str, Flask], page: Page) -> None:
    address, _ = site
    page.goto(f"{address}/api/v4/packages/2235/")
    shown = iter([line.strip() for line in page.locator("body").inner_text().splitlines()])
    for line in RECORDED.replace("{site}", address).splitlines():
        if line.strip():
            assert line.strip() in shown, f"missing, or not in its place: {line}"
    page.get_by_role("link", name=f"{address}/api/v4/grids/373/").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Grid Instance")


def test_a_person_changes_the_title(site: tuple[str, Flask], page: Page) -> None:
    address, app = site
    log_in(page, address)
    form = page.get_by_role("form", name="Edit")
    form.get_by_label("Title").fill("modelcluster <b>&")
    form.get_by_role("button", name="PATCH").click()
    expect(page.locator(".flash")).to_have_text("Saved.")
    expect(page.locator(".api-body")).to_contain_text('"title": "modelcluster <b>&"')
    expect(page.locator(".api-head")).to_contain_text("Allow: GET, PUT, PATCH, HEAD, OPTIONS")
    with app.app_context():
        (revision,) = db.session().query(Revision)
        assert (revision.before, revision.after, revision.via) == (
            {"title": "django-modelcluster"},
            {"title": "modelcluster <b>&"},
            "api",
        )


def test_what_was_typed_is_kept_where_it_is_refused(site: tuple[str, Flask], page: Page) -> None:
    address, _ = site
    log_in(page, address)
    form = page.get_by_role("form", name="Edit")
    form.get_by_label("Title").fill("A better title")
    form.get_by_label("Documentation URL").fill("no address")
    form.get_by_role("button", name="PATCH").click()
    expect(page.locator(".api-head")).to_contain_text("HTTP 400 Bad Request")
    expect(page.locator(".api-body")).to_contain_text('"documentation_url": [')
    expect(page.get_by_role("form", name="Edit").get_by_label("Title")).to_have_value("A better title")


def test_of_two_people_the_later_is_told(site: tuple[str, Flask], page: Page) -> None:
    address, app = site
    log_in(page, address)
    with app.app_context():
        session = db.session()
        session.execute(db.text("UPDATE package SET title = 'By another', version = version + 1 WHERE id = 2235"))
        session.commit()
    form = page.get_by_role("form", name="Edit")
    form.get_by_label("Title").fill("Mine")
    form.get_by_role("button", name="PATCH").click()
    expect(page.locator(".api-head")).to_contain_text("HTTP 412 Precondition Failed")
    expect(page.get_by_role("form", name="Edit").get_by_label("Title")).to_have_value("Mine")


def test_a_package_is_added_from_the_list(site: tuple[str, Flask], page: Page) -> None:
    address, _ = site
    log_in(page, address)
    page.goto(f"{address}/api/v4/packages/?format=api")
    form = page.get_by_role("form", name="Add")
    form.get_by_label("Title").fill("New here")
    form.get_by_label("PyPI project name").fill("pip install new-here")
    form.get_by_role("button", name="POST").click()
    expect(page.locator(".flash")).to_have_text("Added.")
    expect(page.locator(".api-body")).to_contain_text('"slug": "new-here"')
    expect(page.get_by_role("form", name="Edit").get_by_label("Title")).to_have_value("New here")
