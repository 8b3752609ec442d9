"""The search index, except for the full-text indexes of each database, which the migrations create."""

from __future__ import annotations

from sqlalchemy import Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, BigInt, Id, by_code_point

# Name prefixes of each database's own full-text tables and indexes, which have no models.
BACKEND_TABLE_PREFIXES = ("search_text", "search_trigram", "search_word_trigram")


class SearchEntry(Base):
    """A searchable record. `place` is its rank key, which contains its kind and id (see `rules.search.ranking`)."""

    __tablename__ = "search_entry"
    __table_args__ = (UniqueConstraint("kind", "item_id"),)

    place: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger)
    item_id: Mapped[int]
    stars: Mapped[int | None]
    touched_at: Mapped[int | None] = mapped_column(BigInt)  # last commit or release, in seconds since 1970
    weight: Mapped[int | None] = mapped_column(SmallInteger)  # weight of a package, by `rules.weights`
    marks: Mapped[str]  # keywords for filters, as in "category:apps python:3.12 …"
    digest: Mapped[str] = mapped_column(String(32))  # of all indexed values of the record


class SearchWord(Base):
    """A word in the index, for spelling corrections and prefix matches."""

    __tablename__ = "search_word"

    id: Mapped[Id]
    word: Mapped[str] = mapped_column(by_code_point(80), unique=True)
    uses: Mapped[int]  # number of records that contain it
    size: Mapped[int] = mapped_column(SmallInteger)  # characters; 0 for a keyword, which is never suggested
    backwards: Mapped[str] = mapped_column(by_code_point(80))
    stem: Mapped[str] = mapped_column(by_code_point(80), index=True)


class SearchStale(Base):
    """A record that has changed since it was indexed. Triggers add it; it is reindexed before the commit."""

    __tablename__ = "search_stale"

    id: Mapped[Id]
    kind: Mapped[int] = mapped_column(SmallInteger)
    item_id: Mapped[int]


Index("ix_search_entry_weight", SearchEntry.weight)
Index("ix_search_word_beginning", SearchWord.size, SearchWord.word)
Index("ix_search_word_end", SearchWord.size, SearchWord.backwards)
