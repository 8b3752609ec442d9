"""facts that refresh"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from pkgsite.models.base import UtcDateTime

revision = "0002"
down_revision = "0001"

# Licences and Python ranges as their authors write them. SQLite heeds no length, and has nothing to change.
UNBOUNDED = [(table, name) for table in ("package", "release") for name in ("licence", "requires_python")]


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, name in UNBOUNDED:
            op.alter_column(table, name, type_=sa.String(), existing_nullable=True)
    op.execute("DELETE FROM source_state")  # nothing has filled it before

    op.create_table(
        "host_state",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("paused_until", UtcDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column(
            "quotas",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("last_answer_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_at", UtcDateTime(), nullable=True),
        sa.Column(
            "validators",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_state")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(length=50), nullable=False),
        sa.Column("tick_at", UtcDateTime(), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column(
            "result",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_run")),
        sa.UniqueConstraint("job", "tick_at", name=op.f("uq_job_run_job_tick_at")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.create_index("ix_job_run_started", ["started_at"], unique=False)

    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("package", schema=None) as batch_op:
        batch_op.add_column(sa.Column("repo_moved_to", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("gone_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("open_issues", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "topics",
                sa.JSON(none_as_null=True).with_variant(
                    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
                ),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("default_branch", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("repo_licence", sa.String(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "requires_dist",
                sa.JSON(none_as_null=True).with_variant(
                    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
                ),
                nullable=True,
            )
        )
        batch_op.add_column(
            sa.Column(
                "project_urls",
                sa.JSON(none_as_null=True).with_variant(
                    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
                ),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("index_documentation_url", sa.String(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "vulnerabilities",
                sa.JSON(none_as_null=True).with_variant(
                    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
                ),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("score", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("ix_package_score"), ["score"], unique=False)

    with op.batch_alter_table("source_state", schema=None) as batch_op:
        batch_op.add_column(sa.Column("host", sa.String(length=255), nullable=False))
        batch_op.add_column(sa.Column("target", sa.String(length=255), nullable=False))
        batch_op.add_column(sa.Column("priority", sa.SmallInteger(), nullable=False))
        batch_op.add_column(sa.Column("misses", sa.Integer(), nullable=False))
        batch_op.add_column(sa.Column("first_missed_at", UtcDateTime(), nullable=True))
        batch_op.alter_column("next_due_at", existing_type=postgresql.TIMESTAMP(timezone=True), nullable=False)
        batch_op.drop_index(batch_op.f("ix_source_state_next_due_at"))
        batch_op.create_index("ix_source_state_age", ["source", "fetched_at"], unique=False)
    op.create_index("ix_source_state_due", "source_state", ["host", sa.text("priority DESC"), "next_due_at"])


def downgrade() -> None:
    op.drop_index("ix_source_state_due", "source_state")
    with op.batch_alter_table("source_state", schema=None) as batch_op:
        batch_op.drop_index("ix_source_state_age")
        batch_op.create_index(batch_op.f("ix_source_state_next_due_at"), ["next_due_at"], unique=False)
        batch_op.alter_column("next_due_at", existing_type=postgresql.TIMESTAMP(timezone=True), nullable=True)
        batch_op.drop_column("first_missed_at")
        batch_op.drop_column("misses")
        batch_op.drop_column("priority")
        batch_op.drop_column("target")
        batch_op.drop_column("host")

    # One by one: a batch would remake the table, and on SQLite lose its indexes on expressions.
    op.drop_index(op.f("ix_package_score"), "package")
    op.drop_column("package", "score")
    op.drop_column("package", "vulnerabilities")
    op.drop_column("package", "index_documentation_url")
    op.drop_column("package", "project_urls")
    op.drop_column("package", "requires_dist")
    op.drop_column("package", "repo_licence")
    op.drop_column("package", "default_branch")
    op.drop_column("package", "topics")
    op.drop_column("package", "open_issues")
    op.drop_column("package", "gone_at")
    op.drop_column("package", "repo_moved_to")

    op.drop_table("lease")
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.drop_index("ix_job_run_started")

    op.drop_table("job_run")
    op.drop_table("host_state")
    if op.get_bind().dialect.name == "postgresql":
        for table, name in UNBOUNDED:
            shortened = f"substr({name}, 1, 100)"
            op.alter_column(table, name, type_=sa.String(100), existing_nullable=True, postgresql_using=shortened)
