"""search"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

PACKAGE, GRID, CATEGORY, PERSON = range(4)  # as in rules.search_ranking.Kind

# Of each table: the columns whose change the index must hear of (none: any row that comes or goes), and what is stale
# then: a kind and the expression of its id, or a query of kinds and ids. `row` is the row as it is or was.
WATCHED = {
    "package": (
        "title slug category_id pypi_url deprecated_at replaced_by_id hidden_at description stars forks topics "
        "archived_at last_commit_at participants released_at pypi_downloads licence licences classifiers "
        "requires_python",
        [f"SELECT {PACKAGE}, row.id"],
    ),
    "grid": (
        "title slug description",
        [f"SELECT {GRID}, row.id", f"SELECT {PACKAGE}, package_id FROM grid_package WHERE grid_id = row.id"],
    ),
    "category": (
        "title title_plural slug description",
        [f"SELECT {CATEGORY}, row.id", f"SELECT {PACKAGE}, id FROM package WHERE category_id = row.id"],
    ),
    "grid_package": ("", [f"SELECT {PACKAGE}, row.package_id", f"SELECT {GRID}, row.grid_id"]),
    "usage": ("", [f"SELECT {PACKAGE}, row.package_id"]),
    "user": ("username is_active", [f"SELECT {PERSON}, row.id"]),
    "identity": ("login", [f"SELECT {PERSON}, row.user_id"]),
}

SQLITE_INDEX = """
CREATE VIRTUAL TABLE search_text USING fts5(
    name, text, around, people, marks, tokenize = "ascii tokenchars ':=~<^|.+-_'"
);
CREATE VIRTUAL TABLE search_text_words USING fts5vocab(search_text, row);
CREATE VIRTUAL TABLE search_trigram USING fts5(
    word, content = 'search_word', content_rowid = 'id', tokenize = 'trigram', detail = 'none'
);
CREATE VIRTUAL TABLE search_trigram_words USING fts5vocab(search_trigram, row);
"""
SQLITE_TRIGRAM_TRIGGERS = (
    "CREATE TRIGGER search_trigram_insert AFTER INSERT ON search_word BEGIN "
    "INSERT INTO search_trigram (rowid, word) VALUES (NEW.id, NEW.word); END",
    "CREATE TRIGGER search_trigram_delete AFTER DELETE ON search_word BEGIN "
    "INSERT INTO search_trigram (search_trigram, rowid, word) VALUES ('delete', OLD.id, OLD.word); END",
)
POSTGRESQL_INDEX = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TABLE search_text (place bigint PRIMARY KEY, names tsvector NOT NULL, words tsvector NOT NULL);
CREATE INDEX search_text_names ON search_text USING gin (names) WITH (fastupdate = off);
CREATE INDEX search_text_words ON search_text USING gin (words) WITH (fastupdate = off);
CREATE INDEX search_word_trigram ON search_word USING gin (word gin_trgm_ops) WITH (fastupdate = off);
"""


def upgrade() -> None:
    large = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    by_code_point = sa.String(length=80).with_variant(sa.String(length=80, collation="C"), "postgresql")
    op.create_table(
        "search_entry",
        sa.Column("place", large, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=True),
        sa.Column("touched_at", large, nullable=True),
        sa.Column("weight", sa.SmallInteger(), nullable=True),
        sa.Column("marks", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_search_entry")),
        sa.UniqueConstraint("kind", "item_id", name=op.f("uq_search_entry_kind_item_id")),
    )
    op.create_index("ix_search_entry_weight", "search_entry", ["weight"])
    op.create_table(
        "search_word",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("word", by_code_point, nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("size", sa.SmallInteger(), nullable=False),
        sa.Column("backwards", by_code_point, nullable=False),
        sa.Column("stem", by_code_point, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_word")),
        sa.UniqueConstraint("word", name=op.f("uq_search_word_word")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_search_word_stem"), "search_word", ["stem"])
    op.create_index("ix_search_word_beginning", "search_word", ["size", "word"])
    op.create_index("ix_search_word_end", "search_word", ["size", "backwards"])
    op.create_table(
        "search_stale",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_stale")),
        sqlite_autoincrement=True,
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in (SQLITE_INDEX if is_sqlite else POSTGRESQL_INDEX).split(";\n"):
        if statement.strip():
            op.execute(statement)
    for statement in SQLITE_TRIGRAM_TRIGGERS if is_sqlite else ():
        op.execute(statement)
    for table, (columns, stale) in WATCHED.items():
        watch = watch_on_sqlite if is_sqlite else watch_on_postgresql
        watch(table, ", ".join(f'"{column}"' for column in columns.split()), stale)
    # All that there is has to be indexed: the next commit does it.
    for kind, table in enumerate(("package", "grid", "category", "user")):
        op.execute(f'INSERT INTO search_stale (kind, item_id) SELECT {kind}, id FROM "{table}"')


def watch_on_sqlite(table: str, columns: str, stale: list[str]) -> None:
    """Note what is stale after each change of a table that matters."""
    changes = {"insert": ("INSERT", "NEW"), "delete": ("DELETE", "OLD")}
    if columns:
        changes["update"] = (f"UPDATE OF {columns}", "NEW")
    for name, (change, row) in changes.items():
        notes = " ".join(
            f"INSERT INTO search_stale (kind, item_id) {each.replace('row.', f'{row}.')};" for each in stale
        )
        op.execute(f'CREATE TRIGGER search_{table}_{name} AFTER {change} ON "{table}" BEGIN {notes} END')


def watch_on_postgresql(table: str, columns: str, stale: list[str]) -> None:
    """Note what is stale after each change of a table that matters."""
    for row, changes in {"NEW": "INSERT" + (f" OR UPDATE OF {columns}" if columns else ""), "OLD": "DELETE"}.items():
        notes = " ".join(
            f"INSERT INTO search_stale (kind, item_id) {each.replace('row.', f'{row}.')};" for each in stale
        )
        name = f"search_{table}_{row.lower()}"
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {notes} RETURN NULL; END $$")
        op.execute(f'CREATE TRIGGER {name} AFTER {changes} ON "{table}" FOR EACH ROW EXECUTE FUNCTION {name}()')


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, (columns, _) in WATCHED.items():
        if is_sqlite:
            for name in ("insert", "delete", *(("update",) if columns else ())):
                op.execute(f"DROP TRIGGER search_{table}_{name}")
        else:
            for row in ("new", "old"):
                op.execute(f"DROP FUNCTION search_{table}_{row}() CASCADE")
    if is_sqlite:
        for name in ("search_trigram_words", "search_text_words"):
            op.execute(f"DROP TABLE {name}")
        for name in ("search_trigram_insert", "search_trigram_delete"):
            op.execute(f"DROP TRIGGER {name}")
        op.execute("DROP TABLE search_trigram")
    for name in ("search_text", "search_stale", "search_word", "search_entry"):
        op.execute(f"DROP TABLE {name}")
