"""Backups: made while others write, restored completely or not at all, on both databases and from one to the other."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask_migrate import downgrade
from sqlalchemy import JSON, func, select, text
from sqlalchemy.orm import Session

from pkgsite.extensions import db
from pkgsite.models import Base, Grid, Package, SearchEntry
from pkgsite.models.base import UtcDateTime, begin_write, marker_of
from tests.architecture.sample_site import populate_site
from tests.conftest import KINDS, make_config, new_app
from tests.databases import DatabaseTemplate
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.users import make_user
from tests.views.varied_site import populate_varied_site

DERIVED = ("search_entry", "search_stale", "search_word")
HEAD_LENGTH = 90  # bytes of the first line


@pytest.fixture(params=KINDS)
def empty_url(
    request: pytest.FixtureRequest, database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path
) -> Iterator[str]:
    """The URL of a database without tables; tests that use it too run from each kind of database to each."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/restored.db"
    else:
        with database_templates("postgresql").empty() as url:
            yield url


@pytest.fixture
def restored(empty_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An application on a database without tables."""
    app = new_app(make_config(empty_url, tmp_path))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def run(app: Flask, *arguments: str | Path) -> Result:
    """Run a command of this application, even while the context of another is active."""
    with app.app_context():
        return app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])


def make_records(session: Session) -> None:
    """Add records with all kinds of values: times, JSON, large numbers, references and ids of deleted rows."""
    ada = make_user(session, "ada")
    first = make_package(session, "django-one", pypi_downloads=3_000_000_000, topics=["cache", "Größe"], stars=0)
    second = make_package(session, "django-two", replaced_by_id=first.id, description="A\nB\t“C”", deprecated_at=NOW)
    grid = make_grid(session, "caching", (second, first))
    feature = make_feature(session, grid)
    fill_cell(session, feature, first, "yes")
    session.flush()
    deleted = make_package(session, "django-deleted")
    session.delete(deleted)
    assert ada.id
    session.commit()


def sort_keys(value: Any) -> Any:
    """Return a value of a column; PostgreSQL does not keep the order of keys in JSON."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def rows_by_table(app: Flask) -> dict[str, list[Any]]:
    """Return the rows of all tables, as the application sees them."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            name: sorted(repr([sort_keys(value) for value in row]) for row in connection.execute(select(table)))
            for name, table in Base.metadata.tables.items()
            if name not in DERIVED
        }


def table_names(app: Flask) -> list[str]:
    with app.app_context(), db.engine.connect() as connection:
        return list(db.inspect(connection).get_table_names())


def test_a_restored_backup_equals_the_original(app: Flask, session: Session, restored: Flask, tmp_path: Path) -> None:
    make_records(session)
    backup = tmp_path / "backup"
    result = run(app, "backup", backup)
    assert result.exit_code == 0, result.output
    assert (
        "The secret key (SECRET_KEY) is not included. Keep a copy of the setting SECRET_KEY elsewhere." in result.output
    )
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600

    result = run(restored, "restore", backup)
    assert result.exit_code == 0, result.output
    assert rows_by_table(restored) == rows_by_table(app)
    entries = select(func.count()).select_from(SearchEntry)
    entry_count = session.scalar(entries)
    with restored.app_context():
        assert db.session.scalar(entries) == entry_count
        package = make_package(db.session(), "django-new")
        assert package.id == 4, "the id of a deleted row must not be used again"
        db.session.rollback()
    assert restored.test_client().get("/search/suggestions/?q=djang").status_code == 200
    assert "django-two" in restored.test_client().get("/search/?q=two").get_data(as_text=True)


@pytest.mark.long
@pytest.mark.parametrize("populate", [populate_varied_site, populate_site])
def test_a_restored_backup_of_a_varied_site_equals_the_original(
    app: Flask, session: Session, restored: Flask, tmp_path: Path, populate: Callable[[Session], object]
) -> None:
    populate(session)
    session.commit()
    session.close()
    before = rows_by_table(app)
    assert sum(map(bool, before.values())) > 10
    assert run(app, "backup", tmp_path / "backup").exit_code == 0
    assert run(restored, "restore", tmp_path / "backup").exit_code == 0
    assert rows_by_table(restored) == before


def test_backups_can_store_the_types_of_all_columns() -> None:
    columns = [column for table in Base.metadata.tables.values() for column in table.columns]
    types = {column.type.python_type for column in columns if not isinstance(column.type, (UtcDateTime, JSON))}
    assert types <= {bool, int, float, str, date}


def test_a_backup_made_while_others_write_is_consistent(
    app: Flask, session: Session, restored: Flask, tmp_path: Path
) -> None:
    make_records(session)
    session.rollback()
    stop = threading.Event()
    written: list[str] = []

    def write(name: str) -> None:
        """Add grids with two features each; a snapshot has both or none."""
        number = 0
        while not stop.is_set():
            with app.app_context():
                begin_write(db.session())
                grid = make_grid(db.session(), f"{name}-{number}")
                make_feature(db.session(), grid, "One")
                make_feature(db.session(), grid, "Two")
                db.session.commit()
                written.append(grid.slug)
            number += 1

    writers = [threading.Thread(target=write, args=(f"writer{number}",)) for number in range(3)]
    for writer in writers:
        writer.start()
    while len(written) < 10:
        stop.wait(0.01)
    before = set(written)
    result = run(app, "backup", tmp_path / "backup")
    after = len(written)
    while len(written) <= after:  # the writers continue
        stop.wait(0.01)
    stop.set()
    for writer in writers:
        writer.join()
    assert result.exit_code == 0, result.output

    assert run(restored, "restore", tmp_path / "backup").exit_code == 0
    with restored.app_context():
        grids = {grid.slug: grid.id for grid in db.session.scalars(select(Grid))}
        assert before <= grids.keys() <= set(written) | {"caching"}
        counts = db.session.execute(text("SELECT grid_id, count(*) FROM feature GROUP BY grid_id")).all()
        counts_by_grid = {row[0]: row[1] for row in counts}
        assert {counts_by_grid[id_] for slug, id_ in grids.items() if slug != "caching"} == {2}


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield the content truncated at several points, and with one bit flipped in each part of the file."""
    for length in (0, 10, HEAD_LENGTH, HEAD_LENGTH + 5, len(content) // 2, len(content) - 1):
        yield content[:length]
    yield content + b"\0"
    for position in (0, 16, 30, HEAD_LENGTH - 1, HEAD_LENGTH + 1, HEAD_LENGTH + 8, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[position] ^= 0x10
        yield bytes(changed)


def test_a_damaged_backup_is_rejected_before_anything_is_written(
    app: Flask, session: Session, restored: Flask, tmp_path: Path
) -> None:
    make_records(session)
    run(app, "backup", tmp_path / "backup")
    content = (tmp_path / "backup").read_bytes()
    copy = tmp_path / "copy"
    for number, changed in enumerate(damaged(content)):
        copy.write_bytes(changed)
        result = run(restored, "restore", copy)
        assert result.exit_code == 1, number
        assert result.output.startswith(f"Error: {copy}: The file is "), (number, result.output)
        assert len(result.output.splitlines()) == 1
        assert run(restored, "restore", "--check", copy).exit_code == 1
    assert not (tmp_path / "restored.db").exists()
    copy.write_bytes(content)
    assert "is complete and undamaged" in run(restored, "restore", "--check", copy).output
    assert table_names(restored) == []


def test_a_backup_is_only_restored_into_an_empty_database(app: Flask, session: Session, tmp_path: Path) -> None:
    make_records(session)
    session.rollback()
    run(app, "backup", tmp_path / "backup")
    before = rows_by_table(app)
    result = run(app, "restore", tmp_path / "backup")
    assert (result.exit_code, "The database is not empty. Nothing was restored." in result.output) == (1, True)
    assert rows_by_table(app) == before


def test_an_existing_file_is_not_overwritten(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "backup").write_text("yesterday's")
    assert run(app, "backup", tmp_path / "backup").exit_code == 1
    result = run(app, "backup", tmp_path / "missing" / "backup")
    assert (result.exit_code, "No such file or directory. No backup was made." in result.output) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
    assert (tmp_path / "backup").read_text() == "yesterday's"


def test_a_backup_can_be_written_where_there_are_no_hard_links(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(target))

    monkeypatch.setattr("os.link", link)
    assert run(app, "backup", tmp_path / "backup").exit_code == 0
    assert run(app, "restore", "--check", tmp_path / "backup").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_a_backup_of_an_older_revision_is_migrated(
    app: Flask, session: Session, restored: Flask, tmp_path: Path
) -> None:
    make_package(session, "django-one", missing_since=NOW)
    session.commit()
    session.close()
    with app.app_context():
        downgrade(revision="0006")
    assert run(app, "backup", tmp_path / "backup").exit_code == 0
    result = run(restored, "restore", tmp_path / "backup")
    assert result.exit_code == 0, result.output
    with restored.app_context():
        assert db.session.scalars(select(Package)).one().missing_since == NOW


def test_a_failure_while_restoring_leaves_the_database_empty(
    app: Flask, session: Session, restored: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_records(session)
    run(app, "backup", tmp_path / "backup")
    monkeypatch.setattr("pkgsite.services.search.indexer.rebuild", lambda *_, **__: 1 / 0)
    assert isinstance(run(restored, "restore", tmp_path / "backup").exception, ZeroDivisionError)
    assert table_names(restored) == []
    monkeypatch.undo()
    assert run(restored, "restore", tmp_path / "backup").exit_code == 0


def test_a_lost_sqlite_file_is_restored_in_its_place(
    database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path
) -> None:
    path = tmp_path / "pkgsite.db"
    with database_templates("sqlite").copy() as url:
        assert run(new_app(make_config(url, tmp_path)), "backup", tmp_path / "backup").exit_code == 0
    marker_of(path).write_text("a database was here")
    app = new_app(make_config(f"sqlite:///{path}", tmp_path))
    assert app.test_client().get("/packages/").status_code == 503
    assert not path.exists()
    assert run(app, "restore", tmp_path / "backup").exit_code == 0
    assert marker_of(path).exists()
    assert app.test_client().get("/packages/").status_code == 200
    with app.app_context():
        db.engine.dispose()
