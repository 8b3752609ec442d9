"""facts that refresh"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from pkgsite.models.base import UtcDateTime

revision = "0002"
down_revision = "0001"

# Licences and Python ranges as their authors write them. SQLite heeds no length, and has nothing to change.
UNBOUNDED = [(table, name) for table in ("package", "release") for name in ("licence", "requires_python")]
LARGE = [("package", "pypi_downloads"), ("sample", "downloads")]


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, name in UNBOUNDED:
            op.alter_column(table, name, type_=sa.String(), existing_nullable=True)
        for table, name in LARGE:
            op.alter_column(table, name, type_=sa.BigInteger(), existing_nullable=True)

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
    # One by one: a batch would read the table back, and its indexes on expressions can't be read from SQLite.
    op.add_column("package", sa.Column("repo_moved_to", sa.String(), nullable=True))
    op.add_column("package", sa.Column("gone_at", UtcDateTime(), nullable=True))
    op.add_column("package", sa.Column("open_issues", sa.Integer(), nullable=True))
    op.add_column(
        "package",
        sa.Column(
            "topics",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
    )
    op.add_column("package", sa.Column("default_branch", sa.String(), nullable=True))
    op.add_column("package", sa.Column("repo_licence", sa.String(), nullable=True))
    op.add_column(
        "package",
        sa.Column(
            "requires_dist",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
    )
    op.add_column(
        "package",
        sa.Column(
            "project_urls",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
    )
    op.add_column("package", sa.Column("index_documentation_url", sa.String(), nullable=True))
    op.add_column(
        "package",
        sa.Column(
            "vulnerabilities",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
    )
    op.add_column("package", sa.Column("score", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_package_score"), "package", ["score"], unique=False)

    # Nothing has filled it before, and made anew it needs no default for its new columns.
    op.drop_table("source_state")
    op.create_table(
        "source_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column(
            "validators",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("fetched_at", UtcDateTime(), nullable=True),
        sa.Column("next_due_at", UtcDateTime(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("first_missed_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_at", UtcDateTime(), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["package_id"], ["package.id"], name=op.f("fk_source_state_package_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_state")),
        sa.UniqueConstraint("package_id", "source", name=op.f("uq_source_state_package_id_source")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_source_state_age", "source_state", ["source", "fetched_at"])
    op.create_index("ix_source_state_due", "source_state", ["host", sa.text("priority DESC"), "next_due_at"])


def downgrade() -> None:
    op.drop_table("source_state")
    op.create_table(
        "source_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column(
            "validators",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("fetched_at", UtcDateTime(), nullable=True),
        sa.Column("next_due_at", UtcDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_at", UtcDateTime(), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["package_id"], ["package.id"], name=op.f("fk_source_state_package_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_state")),
        sa.UniqueConstraint("package_id", "source", name=op.f("uq_source_state_package_id_source")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_source_state_next_due_at"), "source_state", ["next_due_at"])

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
        for table, name in LARGE:
            fitting = f"least({name}, 2147483647)"
            op.alter_column(table, name, type_=sa.Integer(), existing_nullable=True, postgresql_using=fitting)
