"""Measures pages: queries, bytes, and time as a multiple of the time of an empty page, on a small and a large site.

    python -m bench.pages [--packages 20000] [--rounds 30]

The ratios are between medians of one run in which the pages take turns, so a busy machine slows all of them equally.
The database is SQLite in a temporary directory: the bundled catalogue, and the same with copies of its packages.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import insert, select

import config
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import GridPackage, Package
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty
from tests.queries import recorded_queries

PAGES = (
    "/",
    "/packages/",
    "/packages/?q=cache&sort=title",
    "/packages/p/cacheops/",
    "/grids/",
    "/grids/g/caching/",
    "/search/?q=cache",
    "/api/v4/packages/",
    "/api/v4/packages/927/",
    "/api/v4/grids/39/",
    "/api/v4/search/?q=cache",
)
EMPTY_PATH = "/nothing/"
GRID_SIZE = 50  # packages that the large site adds to the measured grid


def make_site(folder: Path, package_count: int) -> Flask:
    """Return a site with a new database that contains at least this many packages."""
    environment = {"DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{package_count}.db", "SECRET_KEY": "bench"}
    app = create_app(config.flask_config(config.read_settings(environment)))
    app.add_url_rule(EMPTY_PATH, view_func=lambda: "")
    with app.app_context():
        upgrade()
        with db.session.begin():
            load_bundled_catalogue_if_empty(db.session(), now=utc_now())
        with db.session.begin():
            copy_packages(package_count)
    return app


def copy_packages(package_count: int) -> None:
    """Copy packages under new names until there are enough, and add some copies to the grid "Caching"."""
    columns = [column for column in Package.__table__.columns if column.name != "id"]
    originals = [dict(row._mapping) for row in db.session.execute(select(*columns))]
    copies = [
        original | {"slug": f"copy-{number}", "title": f"{original['title'][:80]} {number}"}
        for number in range(package_count - len(originals))
        for original in [originals[number % len(originals)]]
    ]
    if copies:
        db.session.execute(insert(Package), copies)
        new_ids = db.session.scalars(select(Package.id).order_by(Package.id.desc()).limit(GRID_SIZE))
        now = utc_now()
        memberships = [{"grid_id": 39, "package_id": new_id, "position": 0, "created_at": now} for new_id in new_ids]
        db.session.execute(insert(GridPackage), memberships)


def measure(sites: dict[str, Flask], rounds: int) -> dict[tuple[str, str], float]:
    """Return the median time in seconds for each site and page; the pages take turns."""
    clients = {name: app.test_client() for name, app in sites.items()}
    durations: dict[tuple[str, str], list[float]] = {}
    for round_number in range(rounds + 2):  # the first two warm up
        for name, client in clients.items():
            for page in (EMPTY_PATH, *PAGES):
                start = time.perf_counter()
                status = client.get(page).status_code
                elapsed_s = time.perf_counter() - start
                assert status == 200, (page, status)
                if round_number > 1:
                    durations.setdefault((name, page), []).append(elapsed_s)
    return {key: statistics.median(durations_s) for key, durations_s in durations.items()}


def count_queries_and_bytes(app: Flask, page: str) -> tuple[int, int]:
    """Return the number of queries and of uncompressed bytes of a page."""
    with recorded_queries(app) as statements:
        size = len(app.test_client().get(page).data)
    return len(statements), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packages", type=int, default=20_000, help="packages of the large site, default %(default)s")
    parser.add_argument("--rounds", type=int, default=30, help="measurements of each page, default %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sites = {"small": make_site(Path(folder), 0), "large": make_site(Path(folder), args.packages)}
        durations = measure(sites, args.rounds)
        print(f"{'page':32} queries     bytes   small  large   ({args.packages:,} packages; 1 = an empty page)")
        for page in PAGES:
            queries, size = count_queries_and_bytes(sites["large"], page)
            ratios = [durations[name, page] / durations[name, EMPTY_PATH] for name in sites]
            print(f"{page:32} {queries:7} {size:9,} {ratios[0]:7.1f} {ratios[1]:6.1f}")
        empty = durations["small", EMPTY_PATH] * 1e6
        print(f"An empty page took {empty:.0f} µs in this run.")
        for app in sites.values():
            with app.app_context():
                db.engine.dispose()


if __name__ == "__main__":
    main()
