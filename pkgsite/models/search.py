"""What search keeps of things that can be found, beside the databases' own indexes of text (see the migrations)."""

from __future__ import annotations

from sqlalchemy import Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, BigInt, Id, by_code_point

# How the names of each database's own tables and indexes of text begin: no model tells of them.
BACKEND_TABLE_PREFIXES = ("search_text", "search_trigram", "search_word_trigram")


class SearchEntry(Base):
    """A thing that can be found. Its place tells its kind, its id, and what it comes before (rules.search_ranking)."""

    __tablename__ = "search_entry"
    __table_args__ = (UniqueConstraint("kind", "item_id"),)

    place: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger)
    item_id: Mapped[int]
    stars: Mapped[int | None]
    touched_at: Mapped[int | None] = mapped_column(BigInt)  # the last commit or release, in seconds since 1970
    weight: Mapped[int | None] = mapped_column(SmallInteger)  # of a package, by `rules.weights`
    marks: Mapped[str]  # what filters compare, as "category:apps python:3.12 …"
    digest: Mapped[str] = mapped_column(String(32))  # of all that the index holds of it


class SearchWord(Base):
    """A word of the index, for what search makes of words that it does not find."""

    __tablename__ = "search_word"

    id: Mapped[Id]
    word: Mapped[str] = mapped_column(by_code_point(80), unique=True)
    uses: Mapped[int]  # in how many things it stands
    size: Mapped[int] = mapped_column(SmallInteger)  # letters; 0 for a mark, which nobody misspells
    backwards: Mapped[str] = mapped_column(by_code_point(80))
    stem: Mapped[str] = mapped_column(by_code_point(80), index=True)


class SearchStale(Base):
    """A thing that has changed since it was indexed. Triggers write it; before the commit it is indexed anew."""

    __tablename__ = "search_stale"

    id: Mapped[Id]
    kind: Mapped[int] = mapped_column(SmallInteger)
    item_id: Mapped[int]


Index("ix_search_entry_weight", SearchEntry.weight)
Index("ix_search_word_beginning", SearchWord.size, SearchWord.word)
Index("ix_search_word_end", SearchWord.size, SearchWord.backwards)
