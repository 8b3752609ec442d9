"""Rebuilds PostgreSQL tables: fills shadow tables and replaces the tables in use with them, in one transaction.

Until it ends, other transactions read the old tables without waiting. Indexes are created once all rows are inserted,
which takes a tenth of the time. Their definitions are read from the table in use, so that only migrations define them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session


def create_shadow(session: Session, tables: Sequence[str]) -> None:
    """Create an empty table `…_shadow` for each of these, without indexes, in the same schema and with the same owner.

    Grants, triggers and storage settings are not copied, because these tables have none.
    """
    for table in tables:
        schema, owner = session.execute(
            text(
                "SELECT quote_ident(nspname), quote_ident(rolname) FROM pg_class "
                "JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN pg_roles ON pg_roles.oid = relowner "
                "WHERE pg_class.oid = CAST(:table AS regclass)"
            ),
            {"table": table},
        ).one()
        session.execute(text(f"CREATE TABLE {schema}.{table}_shadow (LIKE {table} INCLUDING DEFAULTS)"))
        session.execute(text(f"ALTER TABLE {schema}.{table}_shadow OWNER TO {owner}"))


def index_shadow(session: Session, table: str, *, is_clustered: bool = False) -> None:
    """Create the table's indexes on its shadow table; if `is_clustered`, sort the rows by primary key first."""
    for index in _indexes(session, table):
        definition = index.definition.replace(f" INDEX {index.name} ON ", f" INDEX {index.name}_shadow ON ", 1)
        session.execute(text(definition.replace(f".{table} USING", f".{table}_shadow USING", 1)))
        if index.is_key and is_clustered:
            session.execute(text(f"CLUSTER {table}_shadow USING {index.name}_shadow"))
        if index.is_constraint:
            kind = "PRIMARY KEY" if index.is_key else "UNIQUE"
            constraint = f"ADD CONSTRAINT {index.name}_shadow {kind} USING INDEX {index.name}_shadow"
            session.execute(text(f"ALTER TABLE {table}_shadow {constraint}"))
    session.execute(text(f"ANALYZE {table}_shadow"))


def swap_in(session: Session, tables: Sequence[str]) -> None:
    """Replace the tables with their shadow tables; from here on, other transactions wait until this one ends.

    All tables are locked before the first one is dropped, in the order in which searches read them. In another order, a
    search that has read one table and waits for the other would cause a deadlock.
    """
    session.execute(text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
    for table in tables:
        _swap_in_one(session, table)


def _swap_in_one(session: Session, table: str) -> None:
    indexes, numbered_columns = _indexes(session, table), _sequences(session, table)
    for row in numbered_columns:
        session.execute(text(f"ALTER SEQUENCE {row.sequence} OWNED BY NONE"))  # otherwise dropped with the old table
    session.execute(text(f"DROP TABLE {table}"))
    session.execute(text(f"ALTER TABLE {table}_shadow RENAME TO {table}"))
    for index in indexes:
        session.execute(text(f"ALTER INDEX {index.name}_shadow RENAME TO {index.name}"))
    for row in numbered_columns:
        session.execute(text(f"ALTER SEQUENCE {row.sequence} OWNED BY {table}.{row.column}"))


def _indexes(session: Session, table: str) -> Sequence[Row[Any]]:
    """Return `name`, `definition`, `is_key` (primary key) and `is_constraint` of each index of a table."""
    return session.execute(
        text(
            "SELECT relname AS name, pg_get_indexdef(indexrelid) AS definition, indisprimary AS is_key, "
            "pg_constraint.oid IS NOT NULL AS is_constraint FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "LEFT JOIN pg_constraint ON conindid = indexrelid "
            "WHERE indrelid = CAST(:table AS regclass) ORDER BY indisprimary DESC, relname"
        ),
        {"table": table},
    ).all()


def _sequences(session: Session, table: str) -> Sequence[Row[Any]]:
    """Return `column` and `sequence` of each column of a table that a sequence numbers."""
    return session.execute(
        text(
            "SELECT attname AS column, pg_get_serial_sequence(:table, attname) AS sequence FROM pg_attribute "
            "WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped "
            "AND pg_get_serial_sequence(:table, attname) IS NOT NULL"
        ),
        {"table": table},
    ).all()
