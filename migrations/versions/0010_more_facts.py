"""package: forks, mirrors, websites, the date of archiving and the status on the package index"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"

COLUMNS: tuple[tuple[str, type[sa.types.TypeEngine[object]]], ...] = (
    ("archived_at_from_host", sa.Boolean),
    ("is_fork", sa.Boolean),
    ("parent_url", sa.String),
    ("is_mirror", sa.Boolean),
    ("homepage_url", sa.String),
    ("index_status", sa.String),
    ("index_status_reason", sa.String),
)
SOURCE_STATE = sa.table(
    "source_state",
    sa.column("id", sa.Integer),
    sa.column("source", sa.String),
    sa.column("validators", sa.JSON().with_variant(JSONB(), "postgresql")),
)
REREAD_SOURCES = ("repo", "people", "index")


def upgrade() -> None:
    for name, column_type in COLUMNS:
        op.add_column("package", sa.Column(name, column_type(), nullable=True))
    forget_responses()


def downgrade() -> None:
    for name, _ in reversed(COLUMNS):
        op.drop_column("package", name)


def forget_responses() -> None:
    """Make the next requests unconditional: responses that have not changed since are now read differently."""
    connection = op.get_bind()
    states = sa.select(SOURCE_STATE.c.id, SOURCE_STATE.c.validators).where(SOURCE_STATE.c.source.in_(REREAD_SOURCES))
    for state_id, validators in connection.execute(states).all():
        kept = {name: value for name, value in validators.items() if not is_response_validator(name)}
        if kept != validators:
            connection.execute(sa.update(SOURCE_STATE).where(SOURCE_STATE.c.id == state_id).values(validators=kept))


def is_response_validator(name: str) -> bool:
    """Return whether a validator identifies a response, unlike the ids and serials of the subject."""
    return name == "newest" or name == "etag" or name.startswith("etag:")
