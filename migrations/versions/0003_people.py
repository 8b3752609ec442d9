"""people"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from pkgsite.models.base import UtcDateTime

revision = "0003"
down_revision = "0002"

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql")


FLAG_KINDS = "kind IN ('spam', 'duplicate', 'dead', 'wrong', 'deprecate')"


def make_flags(*more: sa.Column[object] | sa.ForeignKeyConstraint) -> None:
    """Make the table of flags anew: nobody could raise one yet, and SQLite adds no foreign key to a table."""
    op.drop_table("flag")
    op.create_table(
        "flag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by_id", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.CheckConstraint(FLAG_KINDS, name=op.f("ck_flag_kind")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["user.id"], name=op.f("fk_flag_closed_by_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["package_id"], ["package.id"], name=op.f("fk_flag_package_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_flag_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag")),
        *more,
        sqlite_autoincrement=True,
    )
    for name in ("user_id", "closed_by_id"):
        op.create_index(op.f(f"ix_flag_{name}"), "flag", [name])
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_flag_open", "flag", ["package_id", "user_id"], unique=True, sqlite_where=still_open,
        postgresql_where=still_open,
    )  # fmt: skip


def upgrade() -> None:
    op.add_column("package", sa.Column("merged_into_id", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_package_merged_into_id"), "package", ["merged_into_id"])

    op.add_column("revision", sa.Column("via", sa.String(10), nullable=False, server_default="page"))
    for name in ("part_of_id", "grid_id", "package_id", "feature_id"):
        op.add_column("revision", sa.Column(name, sa.Integer(), nullable=True))
        op.create_index(op.f(f"ix_revision_{name}"), "revision", [name])

    op.add_column("site_using", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))

    make_flags(
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("answered_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["answered_by_id"], ["user.id"], name=op.f("fk_flag_answered_by_id"), ondelete="SET NULL"
        ),
    )
    op.create_index(op.f("ix_flag_answered_by_id"), "flag", ["answered_by_id"])

    op.create_table(
        "login_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_login_session_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_login_session_secret_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_login_session_user_id"), "login_session", ["user_id"])

    op.create_table(
        "login_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_attempt")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_login_attempt_at"), "login_attempt", ["at"])
    op.create_index("ix_login_attempt_key", "login_attempt", ["key", "at"])

    op.create_table(
        "outbox_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("to", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "held_edit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("arguments", JSON, nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by_id", sa.Integer(), nullable=True),
        sa.Column("is_approved", sa.Boolean(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_held_edit_user_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["user.id"], name=op.f("fk_held_edit_decided_by_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_edit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_held_edit_user_id"), "held_edit", ["user_id"])
    op.create_index(op.f("ix_held_edit_decided_by_id"), "held_edit", ["decided_by_id"])
    op.create_index(
        "ix_held_edit_open",
        "held_edit",
        ["id"],
        sqlite_where=sa.text("decided_at IS NULL"),
        postgresql_where=sa.text("decided_at IS NULL"),
    )


def downgrade() -> None:
    for table in ("held_edit", "outbox_message", "login_attempt", "login_session"):
        op.drop_table(table)
    make_flags()
    op.drop_index(op.f("ix_package_merged_into_id"), "package")
    op.drop_column("package", "merged_into_id")
    for name in ("part_of_id", "grid_id", "package_id", "feature_id"):
        op.drop_index(op.f(f"ix_revision_{name}"), "revision")
        op.drop_column("revision", name)
    op.drop_column("revision", "via")
    op.drop_column("site_using", "version")
