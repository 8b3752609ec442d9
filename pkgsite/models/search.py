"""Tables of the search index. The full-text tables of each database are defined in the migrations."""

from __future__ import annotations

from sqlalchemy import Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, BigInt, Id, by_code_point

# Name prefixes of the full-text tables and their indexes, which have no models.
BACKEND_TABLE_PREFIXES = ("search_text", "search_trigram", "search_word_trigram")


class SearchEntry(Base):
    """A searchable item. `place` is its rank key: its kind, id and position in the ranking (rules.search.ranking)."""

    __tablename__ = "search_entry"
    __table_args__ = (UniqueConstraint("kind", "item_id"),)

    place: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger)
    item_id: Mapped[int]
    stars: Mapped[int | None]
    touched_at: Mapped[int | None] = mapped_column(BigInt)  # latest commit or release, as a Unix timestamp
    weight: Mapped[int | None] = mapped_column(SmallInteger)  # of a package, see `rules.weights`
    marks: Mapped[str]  # filter keywords, such as "category:apps python:3.12"
    digest: Mapped[str] = mapped_column(String(32))  # hash of the entry and its document


class SearchWord(Base):
    """A word or keyword of the index. Used to interpret the words of a query."""

    __tablename__ = "search_word"

    id: Mapped[Id]
    word: Mapped[str] = mapped_column(by_code_point(80), unique=True)
    uses: Mapped[int]  # number of items that contain it
    size: Mapped[int] = mapped_column(
        SmallInteger
    )  # length in characters; 0 for a keyword, which is never a correction
    backwards: Mapped[str] = mapped_column(by_code_point(80))
    stem: Mapped[str] = mapped_column(by_code_point(80), index=True)


class SearchStale(Base):
    """An item that has changed since it was indexed. Inserted by triggers and reindexed before the commit."""

    __tablename__ = "search_stale"

    id: Mapped[Id]
    kind: Mapped[int] = mapped_column(SmallInteger)
    item_id: Mapped[int]


Index("ix_search_entry_weight", SearchEntry.weight)
Index("ix_search_word_beginning", SearchWord.size, SearchWord.word)
Index("ix_search_word_end", SearchWord.size, SearchWord.backwards)
