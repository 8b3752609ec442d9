"""The migrations make just what the models say."""

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect

from pkgsite.extensions import db
from pkgsite.models.search import BACKEND_TABLE_PREFIXES

# SQLAlchemy can't read indexes on expressions back from SQLite, and says so: a test of its own compares their names.
pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")


def test_head_equals_the_models(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_of_the_models})
        assert compare_metadata(context, db.metadata) == []


def is_of_the_models(name: str | None, _kind: str, _parents: Any) -> bool:
    return not (name or "").startswith(BACKEND_TABLE_PREFIXES)


def test_every_index_of_the_models_is_in_the_database(app: Flask) -> None:
    wanted = {index.name for table in db.metadata.tables.values() for index in table.indexes}
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'").scalars()
        else:
            found = connection.exec_driver_sql("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'").scalars()
        assert wanted <= set(found)


def test_every_constraint_has_a_name(app: Flask) -> None:
    with app.app_context():
        inspector = inspect(db.engine)
        for table in inspector.get_table_names():
            found = inspector.get_unique_constraints(table) + inspector.get_foreign_keys(table)
            assert all(constraint["name"] for constraint in found), table


def test_down_and_up_again(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="base")
        assert set(inspect(db.engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
        upgrade()
        assert "package" in inspect(db.engine).get_table_names()
