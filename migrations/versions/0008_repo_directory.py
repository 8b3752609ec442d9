"""repo_directory: where a package is in its repository"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("package", sa.Column("repo_directory", sa.String(200), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("package", "repo_directory")
