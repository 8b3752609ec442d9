"""references: indexes on what packages are looked up by; grid slugs may differ in case only"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

MAX_SLUG_LENGTH = 50
INDEXES = {
    "ix_package_slug_spelling": "replace(replace(lower(slug), '_', '-'), '.', '-')",
    "ix_package_index_name": "rtrim(replace(replace(lower(pypi_url), '_', '-'), '.', '-'), '/')",
    "ix_package_repo_url_lower": "lower(repo_url)",
    "ix_package_repo_moved_to_lower": "lower(repo_moved_to)",
}


def upgrade() -> None:
    for name, expression in INDEXES.items():
        op.create_index(name, "package", [sa.literal_column(expression)])
    op.create_index("ix_source_state_target", "source_state", ["target", "source"])
    op.drop_index("uq_grid_slug_lower", "grid")
    op.create_index("ix_grid_slug_lower", "grid", [sa.literal_column("lower(slug)")])


def downgrade() -> None:
    rename_equal_slugs()
    op.drop_index("ix_grid_slug_lower", "grid")
    op.create_index("uq_grid_slug_lower", "grid", [sa.literal_column("lower(slug)")], unique=True)
    op.drop_index("ix_source_state_target", "source_state")
    for name in INDEXES:
        op.drop_index(name, "package")


def rename_equal_slugs() -> None:
    """Append a number to each grid slug that differs from an older grid's in case only."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, slug FROM grid ORDER BY id")).all()
    used = {row.slug.lower() for row in rows}
    seen: set[str] = set()
    for row in rows:
        if row.slug.lower() not in seen:
            seen.add(row.slug.lower())
            continue
        number, slug = 1, row.slug
        while slug.lower() in used:
            number += 1
            slug = f"{row.slug[: MAX_SLUG_LENGTH - len(str(number)) - 1]}-{number}"
        used.add(slug.lower())
        seen.add(slug.lower())
        connection.execute(sa.text("UPDATE grid SET slug = :slug WHERE id = :id"), {"slug": slug, "id": row.id})
