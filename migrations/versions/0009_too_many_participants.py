"""too many participants: repositories whose code host lists no contributors because there are too many"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    column = sa.Column("has_too_many_participants", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("package", column)


def downgrade() -> None:
    op.drop_column("package", "has_too_many_participants")
