"""fact_origins: the identity of repositories, where descriptions come from, and how old each fact is"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pkgsite.models.base import UtcDateTime

revision = "0012"
down_revision = "0011"

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
IDENTITY_KEYS = ("node_id", "database_id")

package = sa.table(
    "package",
    sa.column("id", sa.Integer),
    sa.column("repo_url", sa.String),
    sa.column("description", sa.String),
    sa.column("repo_description", sa.String),
    sa.column("index_summary", sa.String),
    sa.column("repo_identity", JSON),
)
source_state = sa.table(
    "source_state",
    sa.column("id", sa.Integer),
    sa.column("package_id", sa.Integer),
    sa.column("source", sa.String),
    sa.column("host", sa.String),
    sa.column("target", sa.String),
    sa.column("validators", JSON),
)


def upgrade() -> None:
    for name, kind in (("repo_identity", JSON), ("repo_description", sa.String), ("index_summary", sa.String)):
        op.add_column("package", sa.Column(name, kind, nullable=True))
    op.add_column("package", sa.Column("declared", JSON, nullable=True))
    op.add_column("package", sa.Column("scored_at", UtcDateTime(), nullable=True))
    op.add_column("source_state", sa.Column("stated_at", JSON, nullable=True))
    copy_descriptions()
    copy_identities()
    forget_index_etags()


def downgrade() -> None:
    op.drop_column("source_state", "stated_at")
    for name in ("scored_at", "declared", "index_summary", "repo_description", "repo_identity"):
        op.drop_column("package", name)


def copy_descriptions() -> None:
    """Assume that descriptions come from the code host; the next response of the host corrects it."""
    has_repo = package.c.repo_url != ""
    op.execute(package.update().where(has_repo).values(repo_description=package.c.description))
    op.execute(package.update().where(~has_repo).values(index_summary=package.c.description))


def copy_identities() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.select(
            source_state.c.package_id, source_state.c.validators, source_state.c.host, source_state.c.target
        ).where(source_state.c.source == "repo")
    )
    for package_id, validators, host, target in rows.all():
        identity = {key: validators[key] for key in IDENTITY_KEYS if key in (validators or {})}
        if identity:
            identity["target"] = f"{host}/{target}"
            connection.execute(package.update().where(package.c.id == package_id).values(repo_identity=identity))


def forget_index_etags() -> None:
    """Fetch every project in full the next time: the summaries were not stored."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.select(source_state.c.id, source_state.c.validators).where(source_state.c.source == "index")
    )
    for state_id, validators in rows.all():
        if "etag" in (validators or {}):
            kept = {key: value for key, value in validators.items() if key != "etag"}
            connection.execute(source_state.update().where(source_state.c.id == state_id).values(validators=kept))
