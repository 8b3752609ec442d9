"""names: columns and tables are named as the code names them"""

from alembic import op

revision = "0007"
down_revision = "0006"

COLUMNS = (
    ("package", "gone_at", "missing_since"),
    ("revision", "part_of_id", "head_id"),
    ("held_edit", "act", "action"),
)


def upgrade() -> None:
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    op.drop_index("ix_revision_part_of_id", "revision")
    op.create_index("ix_revision_head_id", "revision", ["head_id"])


def downgrade() -> None:
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    op.drop_index("ix_revision_head_id", "revision")
    op.create_index("ix_revision_part_of_id", "revision", ["part_of_id"])
