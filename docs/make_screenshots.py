"""Makes the pictures in docs/images: the site with the catalogue that it ships with, in a real browser.

    make screenshots

Needs what the tests need (playwright, and Debian's chromium or another that `CHROMIUM` names). The pictures show the
fonts of the machine that makes them; on a bare server, `fonts-inter-variable` comes nearest to what readers see.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask_migrate import upgrade
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

import config
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty

IMAGES = Path(__file__).resolve().parent / "images"
DESKTOP, PHONE = (1280, 860), (390, 780)
GRID = "/grids/g/caching/"
# For each picture: its page, the window, the theme, and how far its grid is scrolled down.
SCREENSHOTS = {
    "home": ("/", DESKTOP, "light", 0),
    "packages": ("/packages/", DESKTOP, "light", 0),
    "package": ("/packages/p/django-tree-queries/", DESKTOP, "light", 0),
    "grid": (GRID, (1280, 1240), "light", 0),
    "grid-dark": (GRID, (1280, 1240), "dark", 0),
    "grid-phone": (GRID, PHONE, "light", 470),
}


class QuietRequestHandler(WSGIRequestHandler):
    """Serves without a line for each request."""

    def log_request(self, *_details: object) -> None:
        pass


@contextmanager
def running_site() -> Iterator[str]:
    """Serve the site with its catalogue from a database that is thrown away, and yield its address."""
    with tempfile.TemporaryDirectory(prefix="pkgsite-pictures-") as folder:
        settings = {"DATA_DIR": folder, "DATABASE_URL": f"sqlite:///{folder}/site.db", "SCHEDULER": "off"}
        app = create_app(config.flask_config(config.read_settings(settings)))
        with app.app_context():
            upgrade()
            load_bundled_catalogue_if_empty(db.session(), now=utc_now())
            db.session.commit()
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


def take_screenshot(browser: Browser, address: str, name: str) -> None:
    path, (width, height), theme, scroll_y = SCREENSHOTS[name]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    page.goto(address + path, wait_until="networkidle")
    if scroll_y:
        page.locator(".comparison").evaluate(
            "(grid, by) => { window.scrollTo(0, grid.offsetTop - 8); grid.scrollTo(0, by) }", scroll_y
        )
        page.wait_for_timeout(200)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def main() -> None:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        sys.exit("chromium is not installed: `apt-get install chromium`, or say in CHROMIUM where it is")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with running_site() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for name in SCREENSHOTS:
            take_screenshot(browser, address, name)
            print(f"docs/images/{name}.png, {(IMAGES / f'{name}.png').stat().st_size // 1024} kB")
        browser.close()


if __name__ == "__main__":
    main()
