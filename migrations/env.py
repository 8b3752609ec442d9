"""Runs the migrations on the application's own engine, in one transaction, one process at a time."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

from pkgsite.models.base import UtcDateTime, record_file
from pkgsite.models.search import BACKEND_TABLE_PREFIXES

LOCK = 7_406_218_355  # any number, the same in every process: who holds it migrates


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write our own column type by its place in the models."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen_context.imports.add("from pkgsite.models.base import UtcDateTime")
        return "UtcDateTime()"
    return False


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Tell whether a table or an index is one that the models describe; each database's own index of text is not."""
    return not (kind in {"table", "index"} and name is not None and name.startswith(BACKEND_TABLE_PREFIXES))


def drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no migration where nothing has changed."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()


def migrate(connection: Connection) -> None:
    db = current_app.extensions["migrate"].db
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_item=render_item,
        include_name=is_ours,
        process_revision_directives=drop_empty,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise RuntimeError(f"the migration would leave rows that point nowhere: {broken[:5]}")


def set_foreign_keys(connection: Connection, state: str) -> None:
    """Turn SQLite's foreign keys on or off, outside any transaction (inside one, SQLite ignores it).

    A batch migration drops and remakes a table; with foreign keys on, that would delete every row that points to it.
    """
    if connection.dialect.name == "sqlite":
        connection.connection.dbapi_connection.execute(f"PRAGMA foreign_keys={state}").close()  # type: ignore[union-attr]


if context.is_offline_mode():
    raise SystemExit("migrations run on a live database: --sql is not supported")

given = context.config.attributes.get("connection")
if given is not None:  # its caller has a transaction, and has turned the foreign keys off
    migrate(given)
else:
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as live:
        set_foreign_keys(live, "OFF")
        try:
            migrate(live)
        finally:
            set_foreign_keys(live, "ON")
    record_file(engine)
