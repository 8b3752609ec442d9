"""Migrations: they create exactly the schema that the models describe, and keep the data."""

from __future__ import annotations

import hashlib
import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from pkgsite.extensions import db
from pkgsite.models.search import BACKEND_TABLE_PREFIXES

# SQLAlchemy can't read expression indexes from SQLite and warns about it; a separate test compares their names.
pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
TIME = "'2026-03-01 12:30:15.250000'"
RECORDS_AT_0006 = (
    f"""INSERT INTO "user" (id, username, role, is_active, shares_favourites, links, created_at)
        VALUES (1, 'ada', 'user', true, false, '[]', {TIME})""",
    f"""INSERT INTO category (id, title, title_plural, slug, description, show_pypi, created_at, modified_at)
        VALUES (1, 'Apps', 'Apps', 'apps', '', true, {TIME}, {TIME})""",
    f"""INSERT INTO package (id, title, slug, category_id, repo_url, pypi_url, description, commits_over_52,
            participants, participants_complete, created_at, modified_at, changed_at, version, gone_at)
        VALUES (1, 'One', 'one', 1, '', '', '', '[]', '[]', true, {TIME}, {TIME}, {TIME}, 1, {TIME})""",
    f"""INSERT INTO grid (id, title, slug, description, is_locked, header, created_at, modified_at, changed_at, version)
        VALUES (1, 'Caching', 'caching', '', false, false, {TIME}, {TIME}, {TIME}, 1)""",
    f"""INSERT INTO revision (id, at, object_type, object_id, action, reason, via, part_of_id)
        VALUES (1, {TIME}, 'package', 1, 'edit', '', 'page', 7)""",
    f"""INSERT INTO held_edit (id, user_id, at, act, arguments, title)
        VALUES (1, 1, {TIME}, 'package.edit', '{{"package_id": 1}}', 'Edit')""",
    f"""INSERT INTO kept_answer (id, user_id, key, fingerprint, at, status, body)
        VALUES (1, 1, 'key', 'fingerprint', {TIME}, 201, 'body')""",
    f"INSERT INTO old_package_slug (slug, package_id, created_at) VALUES ('first', 1, {TIME})",
    f"INSERT INTO old_grid_slug (slug, grid_id, created_at) VALUES ('caches', 1, {TIME})",
    """INSERT INTO sample (id, package_id, day_on, stars, forks, downloads)
        VALUES (1, 1, '2026-03-01', 5, 6, 3000000000)""",
    f"""INSERT INTO site_using (id, package_id, title, url, is_approved, created_at, created_by_id, version)
        VALUES (1, 1, 'Shop', 'https://shop.example', true, {TIME}, 1, 2)""",
    f"""INSERT INTO flag (id, package_id, user_id, kind, reason, created_at, answer, answered_at, answered_by_id)
        VALUES (1, 1, 1, 'dead', 'No commits', {TIME}, 'It is stable', {TIME}, 1)""",
)
RECORDS_AT_0010 = (
    RECORDS_AT_0006[1],
    *(
        f"""INSERT INTO package (id, title, slug, category_id, repo_url, pypi_url, description, commits_over_52,
                participants, participants_complete, created_at, modified_at, changed_at, version)
            VALUES ({number}, 'P{number}', 'p{number}', 1, '{repo_url}', '', 'Text', '[]', '[]', true,
                {TIME}, {TIME}, {TIME}, 1)"""
        for number, repo_url in ((1, "https://github.com/a/b"), (2, ""))
    ),
    *(
        f"""INSERT INTO source_state (id, package_id, source, host, target, validators, next_due_at, priority,
                failures, misses)
            VALUES ({number}, 1, '{source}', 'host', 'target', '{validators}', {TIME}, 0, 0, 0)"""
        for number, source, validators in (
            (1, "repo", '{"node_id": "R_1", "database_id": "7", "etag:1": "x"}'),
            (2, "index", '{"etag": "x", "serial": "5"}'),
        )
    ),
)
TABLES_RENAMED_BY_0007 = {
    "flag": "flag",
    "held_edit": "pending_edit",
    "kept_answer": "idempotent_response",
    "old_grid_slug": "grid_slug_redirect",
    "old_package_slug": "package_slug_redirect",
    "package": "package",
    "revision": "revision",
    "sample": "daily_sample",
    "site_using": "using_site",
}


def test_landed_migrations_never_change() -> None:
    """A database that ran the old text of a migration would otherwise differ from one that runs the new text."""
    lines = (MIGRATIONS / "checksums.txt").read_text().splitlines()
    pinned = {name: checksum for checksum, name in map(str.split, lines)}
    files = sorted((MIGRATIONS / "versions").glob("*.py"))
    checksums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    changed = [name for name, checksum in pinned.items() if checksums.get(name) != checksum]
    assert not changed, f"these migrations have been released; make the change in a new migration: {changed}"
    missing = [f"{checksum}  {name}" for name, checksum in checksums.items() if name not in pinned]
    assert not missing, "add to migrations/checksums.txt:\n" + "\n".join(missing)


def test_migrations_create_the_schema_of_the_models(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_described_by_models})
        assert compare_metadata(context, db.metadata) == []


def is_described_by_models(name: str | None, _kind: str, _parents: Any) -> bool:
    return not (name or "").startswith(BACKEND_TABLE_PREFIXES)


def test_every_index_of_the_models_is_in_the_database(app: Flask) -> None:
    expected = {index.name for table in db.metadata.tables.values() for index in table.indexes}
    with app.app_context():
        assert expected <= index_names()


def test_every_constraint_follows_the_naming_convention(app: Flask) -> None:
    expected = {
        (table.name, constraint.name) for table in db.metadata.tables.values() for constraint in table.constraints
    }
    with app.app_context():
        names = constraint_names()
        if db.engine.dialect.name == "sqlite":  # integer primary keys have no name there
            expected = {(table, name) for table, name in expected if not str(name).startswith("pk_")}
            names = {(table, name) for table, name in names if not str(name or "pk_").startswith("pk_")}
        assert names == expected


def index_names() -> set[str]:
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
        "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
    }
    return set(db.session.execute(text(query[db.engine.dialect.name])).scalars())


def constraint_names() -> set[tuple[str, str | None]]:
    inspector = inspect(db.engine)
    return {
        (table, constraint["name"])
        for table in db.metadata.tables
        for constraint in (
            inspector.get_pk_constraint(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_check_constraints(table),
        )
    }


def test_downgrade_to_an_empty_database_and_upgrade_again(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="base")
        assert set(inspect(db.engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
        upgrade()
        assert "package" in inspect(db.engine).get_table_names()


def test_renaming_tables_and_columns_keeps_their_rows(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="base")
        upgrade(revision="0006")
        with db.engine.begin() as connection:
            for statement in RECORDS_AT_0006:
                connection.exec_driver_sql(statement)
            # The id of a deleted row must not be used again.
            connection.exec_driver_sql("UPDATE site_using SET id = 5")
            connection.exec_driver_sql("DELETE FROM flag")
            connection.exec_driver_sql(RECORDS_AT_0006[-1])
        old_names = index_names()
        db.session.rollback()
        before = {table: rows_of(table) for table in TABLES_RENAMED_BY_0007}
        assert all(len(rows) == 1 for rows in before.values())

        upgrade(revision="0007")
        for old, new in TABLES_RENAMED_BY_0007.items():
            assert [tuple(row.values()) for row in rows_of(new)] == [tuple(row.values()) for row in before[old]], new
        assert rows_of("package")[0]["missing_since"]
        assert rows_of("revision")[0]["head_id"] == 7
        assert rows_of("pending_edit")[0]["action"] == "package.edit"
        assert (rows_of("flag")[0]["reply"], rows_of("flag")[0]["replied_by_id"]) == ("It is stable", 1)

        downgrade(revision="0006")
        assert {table: rows_of(table) for table in TABLES_RENAMED_BY_0007} == before
        assert index_names() == old_names


def test_new_facts_are_fetched_again_without_losing_ids(app: Flask) -> None:
    validators = {
        "repo": {"node_id": "R_1", "etag:0123": '"a"'},
        "people": {"newest": "abc"},
        "index": {"etag": '"b"', "serial": "7"},
        "activity": {"newest": "abc", "since": "2026"},
    }
    with app.app_context():
        downgrade(revision="0007")
        upgrade(revision="0007")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(RECORDS_AT_0006[1])
            connection.exec_driver_sql(RECORDS_AT_0006[2].replace("gone_at", "missing_since"))
            for number, (source, values) in enumerate(validators.items(), 1):
                connection.execute(
                    text(
                        "INSERT INTO source_state (id, package_id, source, host, target, validators, next_due_at,"
                        " priority, failures, misses)"
                        f" VALUES ({number}, 1, :source, 'h', 't', :validators, {TIME}, 0, 0, 0)"
                    ),
                    {"source": source, "validators": json.dumps(values)},
                )
        upgrade(revision="0010")
        kept = {row["source"]: row["validators"] for row in rows_of("source_state")}
        assert {source: json.loads(value) if isinstance(value, str) else value for source, value in kept.items()} == {
            "repo": {"node_id": "R_1"},
            "people": {},
            "index": {"serial": "7"},
            "activity": validators["activity"],
        }
        assert rows_of("package")[0]["is_fork"] is None
        downgrade(revision="0007")
        assert "is_fork" not in rows_of("package")[0]


def test_grid_slugs_that_differ_in_case_only_survive_a_downgrade(app: Flask) -> None:
    columns = "title, description, is_locked, header, created_at, modified_at, changed_at, version"
    values = f"'Audits', '', false, false, {TIME}, {TIME}, {TIME}, 1"
    with app.app_context():
        with db.engine.begin() as connection:
            for number, slug in enumerate(("Audit-Grid", "audit-grid", "audit-grid-2"), 1):
                connection.exec_driver_sql(
                    f"INSERT INTO grid (id, slug, {columns}) VALUES ({number}, '{slug}', {values})"
                )
        downgrade(revision="0007")
        assert {row["id"]: row["slug"] for row in rows_of("grid")} == {
            1: "Audit-Grid",
            2: "audit-grid-3",
            3: "audit-grid-2",
        }
        assert "uq_grid_slug_lower" in index_names()
        db.session.rollback()
        upgrade()
        assert "ix_grid_slug_lower" in index_names()


def rows_of(table: str) -> list[dict[str, Any]]:
    with db.engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()]


def test_fact_origins_are_filled_from_the_known_facts(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="base")
        upgrade(revision="0010")
        with db.engine.begin() as connection:
            for statement in RECORDS_AT_0010:
                connection.exec_driver_sql(statement)
        db.session.rollback()
        before = {table: rows_of(table) for table in ("package", "source_state")}

        upgrade(revision="0012")
        with_repo, without_repo = sorted(rows_of("package"), key=itemgetter("id"))
        assert (with_repo["repo_description"], with_repo["index_summary"]) == ("Text", None)
        assert (without_repo["repo_description"], without_repo["index_summary"]) == (None, "Text")
        assert as_json(with_repo["repo_identity"]) == {"node_id": "R_1", "database_id": "7", "target": "host/target"}
        assert without_repo["repo_identity"] is None
        validators = {row["source"]: as_json(row["validators"]) for row in rows_of("source_state")}
        assert validators == {
            "repo": {"node_id": "R_1", "database_id": "7", "etag:1": "x"},
            "index": {"serial": "5"},
        }

        downgrade(revision="0010")
        after = {table: rows_of(table) for table in before}
        assert [row.keys() for row in after["package"]] == [row.keys() for row in before["package"]]
        assert sorted(after["package"], key=itemgetter("id")) == sorted(before["package"], key=itemgetter("id"))
        upgrade()


def as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
