"""saved submissions"""

import sqlalchemy as sa
from alembic import op

from pkgsite.models.base import Json, UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "saved_submission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_saved_submission_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_submission")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_saved_submission_key_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_saved_submission_at"), "saved_submission", ["at"])
    op.create_index(op.f("ix_saved_submission_user_id"), "saved_submission", ["user_id"])


def downgrade() -> None:
    op.drop_table("saved_submission")
