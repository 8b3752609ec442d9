"""names: tables, columns, indexes and constraints are named as the code names them"""

from alembic import op
from sqlalchemy import Connection

revision = "0007"
down_revision = "0006"

COLUMNS = (
    ("package", "gone_at", "missing_since"),
    ("revision", "part_of_id", "head_id"),
    ("held_edit", "act", "action"),
    ("flag", "answer", "reply"),
    ("flag", "answered_at", "replied_at"),
    ("flag", "answered_by_id", "replied_by_id"),
)
TABLES = (
    ("held_edit", "pending_edit"),
    ("kept_answer", "idempotent_response"),
    ("old_package_slug", "package_slug_redirect"),
    ("old_grid_slug", "grid_slug_redirect"),
    ("sample", "daily_sample"),
    ("site_using", "using_site"),
)


def upgrade() -> None:
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    rename_revision_index("part_of_id", "head_id")
    rename("flag", "flag", "flag_answered_by_id", "flag_replied_by_id")
    for old, new in TABLES:
        rename(old, new, old, new)


def downgrade() -> None:
    for old, new in TABLES:
        rename(new, old, new, old)
    rename("flag", "flag", "flag_replied_by_id", "flag_answered_by_id")
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    rename_revision_index("head_id", "part_of_id")


def rename_revision_index(old_column: str, new_column: str) -> None:
    op.drop_index(f"ix_revision_{old_column}", "revision")
    op.create_index(f"ix_revision_{new_column}", "revision", [new_column])


def rename(table: str, new_table: str, old: str, new: str) -> None:
    """Rename a table, and replace `old` with `new` in the names of its constraints, indexes and sequence."""
    connection = op.get_bind()
    (rename_on_sqlite if connection.dialect.name == "sqlite" else rename_on_postgresql)(
        connection, table, new_table, old, new
    )


def rename_on_sqlite(connection: Connection, table: str, new_table: str, old: str, new: str) -> None:
    """Rename by copying into a new table: SQLite can't rename constraints and indexes."""
    statements = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'table' DESC", (table,)
    ).scalars()
    create_table, *create_indexes = (statement.replace(old, new) for statement in statements)
    connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO renamed")
    connection.exec_driver_sql(create_table)
    connection.exec_driver_sql(f"INSERT INTO {new_table} SELECT * FROM renamed")
    # The ids of deleted rows must not be used again.
    connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (new_table,))
    connection.exec_driver_sql("UPDATE sqlite_sequence SET name = ? WHERE name = 'renamed'", (new_table,))
    connection.exec_driver_sql("DROP TABLE renamed")
    for statement in create_indexes:
        connection.exec_driver_sql(statement)


def rename_on_postgresql(connection: Connection, table: str, new_table: str, old: str, new: str) -> None:
    if table != new_table:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {new_table}")
    constraints = f"SELECT conname FROM pg_constraint WHERE conrelid = '{new_table}'::regclass"
    for name in connection.exec_driver_sql(constraints).scalars():
        if old in name:
            connection.exec_driver_sql(f"ALTER TABLE {new_table} RENAME CONSTRAINT {name} TO {name.replace(old, new)}")
    indexes = (  # the index of a constraint has been renamed with it
        f"SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = '{new_table}'::regclass "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
    )
    for name in connection.exec_driver_sql(indexes).scalars():
        if old in name:
            connection.exec_driver_sql(f"ALTER INDEX {name} RENAME TO {name.replace(old, new)}")
    connection.exec_driver_sql(f"ALTER SEQUENCE IF EXISTS {old}_id_seq RENAME TO {new}_id_seq")
