"""search: the numbers that bounds compare beside the words, and changes that were not heard of"""

from alembic import op

revision = "0006"
down_revision = "0005"

PACKAGE = 0  # as in rules.search_ranking.Kind


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER search_package_version AFTER UPDATE OF pypi_version ON package BEGIN "
            f"INSERT INTO search_stale (kind, item_id) VALUES ({PACKAGE}, NEW.id); END"
        )
        op.execute(
            "CREATE TRIGGER search_usage_move AFTER UPDATE OF package_id ON usage BEGIN "
            f"INSERT INTO search_stale (kind, item_id) VALUES ({PACKAGE}, OLD.package_id), ({PACKAGE}, NEW.package_id); "
            "END"
        )
        return
    op.execute(
        "CREATE TRIGGER search_package_version AFTER UPDATE OF pypi_version ON package "
        "FOR EACH ROW EXECUTE FUNCTION search_package_new()"
    )
    for row in ("new", "old"):
        op.execute(
            f"CREATE TRIGGER search_usage_move_{row} AFTER UPDATE OF package_id ON usage "
            f"FOR EACH ROW EXECUTE FUNCTION search_usage_{row}()"
        )
    op.execute("ALTER TABLE search_text ADD COLUMN stars integer, ADD COLUMN touched_at bigint")
    for name in ("names", "words"):  # each changed row would be put into them anew
        op.execute(f"DROP INDEX search_text_{name}")
    op.execute(
        "UPDATE search_text SET stars = search_entry.stars, touched_at = search_entry.touched_at "
        "FROM search_entry WHERE search_entry.place = search_text.place"
    )
    for name in ("names", "words"):
        op.execute(f"CREATE INDEX search_text_{name} ON search_text USING gin ({name}) WITH (fastupdate = off)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER search_package_version")
        op.execute("DROP TRIGGER search_usage_move")
        return
    op.execute("DROP TRIGGER search_package_version ON package")
    for row in ("new", "old"):
        op.execute(f"DROP TRIGGER search_usage_move_{row} ON usage")
    op.execute("ALTER TABLE search_text DROP COLUMN stars, DROP COLUMN touched_at")
