"""PostgreSQL's tables that are made anew beside the ones in use, whose place they take at the end of a transaction.

Until then others read the old ones, and wait for nothing. Indexes are made once all rows are there, which takes a tenth
of the time; what they are is read from the table in use, so that migrations alone say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session


def create_shadow(session: Session, tables: Sequence[str]) -> None:
    """Make an empty table `…_anew` beside each of these, without indexes, in its schema and with its owner.

    Grants, triggers and settings of a table's own are not carried over: these have none.
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
        session.execute(text(f"CREATE TABLE {schema}.{table}_anew (LIKE {table} INCLUDING DEFAULTS)"))
        session.execute(text(f"ALTER TABLE {schema}.{table}_anew OWNER TO {owner}"))


def index_shadow(session: Session, table: str, *, is_clustered: bool = False) -> None:
    """Give the new table the indexes of the old one; where it is clustered, its rows first lie in the key's order."""
    for one in _indexes(session, table):
        definition = one.definition.replace(f" INDEX {one.name} ON ", f" INDEX {one.name}_anew ON ", 1)
        session.execute(text(definition.replace(f".{table} USING", f".{table}_anew USING", 1)))
        if one.is_key and is_clustered:
            session.execute(text(f"CLUSTER {table}_anew USING {one.name}_anew"))
        if one.is_constraint:
            kind = "PRIMARY KEY" if one.is_key else "UNIQUE"
            session.execute(
                text(f"ALTER TABLE {table}_anew ADD CONSTRAINT {one.name}_anew {kind} USING INDEX {one.name}_anew")
            )
    session.execute(text(f"ANALYZE {table}_anew"))


def swap_in(session: Session, tables: Sequence[str]) -> None:
    """Put the new tables in the places of the old ones: from here on others wait for the transaction's end.

    All are locked before the first is dropped, in the order in which others read them: in another order one of these
    could have read the second table while it waits for the first, and both would wait for each other.
    """
    session.execute(text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
    for table in tables:
        _swap_in_one(session, table)


def _swap_in_one(session: Session, table: str) -> None:
    indexes, sequences = _indexes(session, table), _sequences(session, table)
    for one in sequences:
        session.execute(text(f"ALTER SEQUENCE {one.sequence} OWNED BY NONE"))  # else it would go with the old table
    session.execute(text(f"DROP TABLE {table}"))
    session.execute(text(f"ALTER TABLE {table}_anew RENAME TO {table}"))
    for index in indexes:
        session.execute(text(f"ALTER INDEX {index.name}_anew RENAME TO {index.name}"))
    for one in sequences:
        session.execute(text(f"ALTER SEQUENCE {one.sequence} OWNED BY {table}.{one.column}"))


def _indexes(session: Session, table: str) -> Sequence[Row[Any]]:
    """Return name, definition, whether it is the primary key's, and whether it is a constraint's, of each index."""
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
    """Return the sequences that number a table's rows, each with its column."""
    return session.execute(
        text(
            "SELECT attname AS column, pg_get_serial_sequence(:table, attname) AS sequence FROM pg_attribute "
            "WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped "
            "AND pg_get_serial_sequence(:table, attname) IS NOT NULL"
        ),
        {"table": table},
    ).all()
