"""An import that is killed at any point and then completed leaves the same rows as an uninterrupted one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite import create_app
from pkgsite.extensions import db
from pkgsite.models import Base
from tests.conftest import make_config
from tests.databases import DatabaseTemplate
from tests.factories import make_category, make_grid, make_package
from tests.fakes.v4_site import FakeV4Site, HangingResponse
from tests.processes import Process, start

pytestmark = pytest.mark.long

PAGES = 9  # one of categories, two of grids, four of packages, two of grids to check

# Differences between two imports: ids that are not imported, and the times of the import itself.
OWN_IDS = {"grid_package", "feature", "cell", "search_word"}
OWN_TIMES = {
    ("package", "changed_at"),
    ("package", "scored_at"),
    ("grid", "changed_at"),
    ("grid_package", "created_at"),
}


def comparable_rows(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Return the sorted rows of every table, without the values in which two imports may differ."""
    rows = {}
    for table in Base.metadata.sorted_tables:
        columns = [
            column
            for column in table.columns
            if (table.name, column.name) not in OWN_TIMES and not (table.name in OWN_IDS and column.name == "id")
        ]
        rows[table.name] = sorted((dict(row._mapping) for row in session.execute(select(*columns))), key=repr)
    return rows


@pytest.fixture
def clean_import(
    database_url: str,
    database_templates: Callable[[str], DatabaseTemplate],
    tmp_path: Path,
    fake_site: FakeV4Site,
    serve_app: Callable[[Any], str],
) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """The output and the rows of an uninterrupted import into a database of the same kind."""
    with database_templates(database_url.partition(":")[0]).copy() as url:
        app = create_app(make_config(url, tmp_path))
        with app.app_context():
            result = app.test_cli_runner().invoke(args=["import-v4", serve_app(fake_site)])
            assert result.exit_code == 0, result.output
            rows = comparable_rows(db.session())
            db.session.remove()
            db.engine.dispose()
    assert [len(rows[name]) for name in ("category", "grid", "package", "grid_package")] == [2, 5, 7, 8]
    return result.stdout, rows


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> Callable[..., Process]:
    """A function that starts Python with these arguments in a separate process."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "for tests only",
        "SCHEDULER": "off",
    }

    return lambda *arguments: start(*arguments, env=environment)


def assert_complete(
    result: Result, session: Session, clean_import: tuple[str, dict[str, list[dict[str, Any]]]]
) -> None:
    """Check the summary of the entire import, the rows, and that new records can be added."""
    summary, rows = clean_import
    assert result.exit_code == 0, result.output
    assert result.stdout == summary
    assert result.stderr == "Resuming the last import at stage “check”: 3 records done.\n"  # one page remained
    assert comparable_rows(session) == rows
    assert make_category(session, "ours").id == 3
    assert make_grid(session, "ours").id == 10
    assert make_package(session, "ours").id == 22


# The statement before which each run is killed (99: before COMMIT). Each run but the first completes one page.
STATEMENTS = (3, 99, 5, 2, 8, 99, 11, 6, 4)


def test_killed_inside_each_transaction(
    command: Callable[..., Process],
    run_command: Callable[..., Result],
    serve_app: Callable[[Any], str],
    fake_site: FakeV4Site,
    session: Session,
    clean_import: tuple[str, dict[str, list[dict[str, Any]]]],
) -> None:
    address = serve_app(fake_site)
    assert len(STATEMENTS) == PAGES
    for done, statement in enumerate(STATEMENTS):
        transaction = "1" if done == 0 else "2"
        process = command("-m", "tests.fakes.killed_command", transaction, str(statement), "import-v4", address)
        _, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, stderr
    assert_complete(run_command("import-v4", address), session, clean_import)


def test_killed_between_transactions(
    command: Callable[..., Process],
    run_command: Callable[..., Result],
    serve_app: Callable[[Any], str],
    fake_site: FakeV4Site,
    session: Session,
    clean_import: tuple[str, dict[str, list[dict[str, Any]]]],
) -> None:
    """Each run is killed while it waits for a page: the first run for its first page, the others for their second."""
    address = serve_app(fake_site)
    for done in range(PAGES):
        hanging = HangingResponse()
        fake_site.scripted_responses = {len(fake_site.request_log) + (1 if done == 0 else 2): hanging}
        process = command("-m", "flask", "--app", "wsgi", "import-v4", address)
        while not hanging.requested.wait(timeout=0.02):
            assert process.poll() is None, process.communicate()[1]
        process.kill()
        process.communicate()
        hanging.released.set()
    assert_complete(run_command("import-v4", address), session, clean_import)
