"""The search backend for SQLite: an FTS5 index of documents, and another one of the trigrams of words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from pkgsite.models import SearchWord
from pkgsite.rules.search.expressions import TEXT_SECTIONS, And, AndNot, Expression, Or, Phrase, Section, Term
from pkgsite.services.search.backend import (
    MAX_SIMILAR_WORDS,
    RangeFilter,
    RankKeyRange,
    SubQuery,
    is_word,
    range_conditions,
    run_counts,
    run_subqueries,
)
from pkgsite.services.search.documents import Document


class SqliteBackend:
    """An FTS5 table with a column for each section. Row ids are rank keys, so matches are read in ranking order."""

    def search(
        self, session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange
    ) -> list[tuple[int, int]]:
        rows = run_subqueries(session, subqueries, key_range, self._rank_key_query)
        subset_keys = {subquery.key for subquery in subqueries if subquery.is_subset}
        if not subset_keys:
            return rows
        broad = {rank_key for key, rank_key in rows if key == subqueries[-1].key}
        return [(key, rank_key) for key, rank_key in rows if key not in subset_keys or rank_key in broad]

    def count_by_filter(
        self,
        session: Session,
        subquery: SubQuery,
        keywords: Mapping[int, str],
        ranges: Mapping[int, RangeFilter],
        key_range: RankKeyRange,
    ) -> dict[int, int]:
        matching_rows = self._matching_rows(subquery, "q", with_entries=True)
        conditions = {number: f"instr(' ' || search_entry.marks || ' ', :k{number})" for number in keywords}
        conditions |= {number: range_filter.sql() for number, range_filter in ranges.items()}
        values = {
            "q": to_fts5_query(subquery.expression),
            **{f"k{number}": f" {keyword} " for number, keyword in keywords.items()},
        }
        return run_counts(session, matching_rows, conditions, values, key_range)

    def _rank_key_query(self, subquery: SubQuery, name: str, key_range: RankKeyRange) -> tuple[str, dict[str, str]]:
        """Return the SQL query of the matching rank keys, and its parameters."""
        del key_range  # unlike on PostgreSQL, the query doesn't depend on it
        matching_rows = self._matching_rows(subquery, name, with_entries=bool(subquery.ranges))
        query = f"SELECT search_text.rowid AS place FROM {matching_rows} ORDER BY search_text.rowid LIMIT :limit"
        return query, {name: to_fts5_query(subquery.expression)}

    def _matching_rows(self, subquery: SubQuery, name: str, *, with_entries: bool) -> str:
        """Return the FROM and WHERE clauses for the matching rows, without the word FROM."""
        join = " JOIN search_entry ON search_entry.place = search_text.rowid" if with_entries else ""
        return (
            f"search_text{join} WHERE search_text MATCH :{name} "
            f"AND search_text.rowid >= :first AND search_text.rowid < :end{range_conditions(subquery.ranges)}"
        )

    def add_documents(
        self,
        session: Session,
        documents: Sequence[tuple[Mapping[str, Any], Document]],
        *,
        is_rebuild: bool = False,
    ) -> None:
        del is_rebuild  # other connections see the old index until the transaction ends
        statement = (
            "INSERT OR REPLACE INTO search_text (rowid, name, text, around, people, marks) VALUES (?, ?, ?, ?, ?, ?)"
        )
        rows = [
            (
                entry["place"],
                *(" | ".join(" ".join(words) for words in getattr(document, section)) for section in TEXT_SECTIONS),
                " ".join([*document.filter_keywords, "|", *document.name_keywords]),
            )
            for entry, document in documents
        ]
        session.connection().exec_driver_sql(statement, rows)

    def remove(self, session: Session, rank_keys: Collection[int]) -> None:
        session.connection().exec_driver_sql(
            "DELETE FROM search_text WHERE rowid = ?", [(rank_key,) for rank_key in rank_keys]
        )

    def words_of(self, session: Session, rank_keys: Collection[int]) -> dict[int, set[str]]:
        placeholders = ", ".join("?" * len(rank_keys))
        rows = f"SELECT rowid, name, text, around, people, marks FROM search_text WHERE rowid IN ({placeholders})"
        return {
            rank_key: {*" ".join(sections).split(), *keywords_text.partition("|")[0].split()} - {"|"}
            for rank_key, *sections, keywords_text in session.connection().exec_driver_sql(rows, tuple(rank_keys))
        }

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        rows = session.execute(text("SELECT term, doc FROM search_text_words").execution_options(yield_per=10_000))
        return ((row.term, row.doc) for row in rows if is_word(row.term))

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        trigrams = sorted({word[start : start + 3] for start in range(len(word) - 2)})
        rare = session.execute(
            text(
                "SELECT term FROM search_trigram_words WHERE term IN "
                f"({', '.join(f':t{n}' for n in range(len(trigrams)))}) ORDER BY doc LIMIT 4"
            ),
            {f"t{n}": trigram for n, trigram in enumerate(trigrams)},
        ).scalars()
        match_query = " OR ".join(_quoted(trigram) for trigram in rare)
        if not match_query:
            return []
        rows = session.execute(
            text(
                "SELECT search_word.word, uses FROM search_trigram "
                "JOIN search_word ON search_word.id = search_trigram.rowid "
                "WHERE search_trigram MATCH :match_query AND size BETWEEN :min_size AND :max_size "
                "ORDER BY uses DESC, search_word.word LIMIT :limit"
            ),
            {"match_query": match_query, "min_size": sizes[0], "max_size": sizes[1], "limit": MAX_SIMILAR_WORDS},
        )
        return [(row.word, row.uses) for row in rows]

    def begin_rebuild(self, session: Session) -> None:
        session.execute(text("DELETE FROM search_text"))
        session.execute(text("DELETE FROM search_word"))

    def add_words(self, session: Session, words: Sequence[Mapping[str, Any]]) -> None:
        session.execute(insert(SearchWord), words)

    def finish_rebuild(self, session: Session) -> None:
        session.execute(text("INSERT INTO search_text (search_text) VALUES ('optimize')"))
        session.execute(text("ANALYZE search_word"))


def to_fts5_query(expression: Expression) -> str:
    """Return an expression in the query syntax of FTS5."""
    match expression:
        case Term(word, sections, is_prefix):
            return f"{_columns(sections)}{_quoted(word)}{' *' if is_prefix else ''}"
        case Phrase(words, sections):
            return f"{_columns(sections)}{_quoted(' '.join(words))}"
        case And(parts):
            return f"({' AND '.join(map(to_fts5_query, parts))})"
        case Or(parts):
            return f"({' OR '.join(map(to_fts5_query, parts))})"
        case AndNot(included, excluded):
            return f"({to_fts5_query(included)} NOT ({' OR '.join(map(to_fts5_query, excluded))}))"


def _columns(sections: tuple[Section, ...]) -> str:
    """Return a column filter; empty if not needed, since a word never equals a keyword."""
    return "" if sections in (TEXT_SECTIONS, (Section.KEYWORDS,)) else f"{{{' '.join(sections)}}} : "


def _quoted(word: str) -> str:
    doubled = word.replace('"', '""')
    return f'"{doubled}"'
