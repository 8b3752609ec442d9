"""SQLite's index of text: FTS5, with a second one of the words' pieces of three letters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any as Anything

from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from pkgsite.models import SearchWord
from pkgsite.rules.search.expressions import TEXT_SECTIONS, And, AndNot, Expression, Or, Phrase, Section, Term
from pkgsite.services.search.backend import (
    MAX_SIMILAR_WORDS,
    Document,
    RangeFilter,
    RankKeyRange,
    SubQuery,
    in_batches,
    is_word,
    range_conditions,
    run_counts,
    run_subqueries,
)


class SqliteBackend:
    """FTS5: a column for each section; row ids are places, in whose order matches come."""

    def search(
        self, session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange
    ) -> list[tuple[int, int]]:
        rows = run_subqueries(session, subqueries, key_range, self._rank_key_query)
        within = {one.key for one in subqueries if one.is_subset}
        broad = {rank_key for number, rank_key in rows if number == subqueries[-1].key} if within else set()
        return [(number, rank_key) for number, rank_key in rows if number not in within or rank_key in broad]

    def count_by_filter(
        self,
        session: Session,
        subqueries: SubQuery,
        placeholders: Mapping[int, str],
        bounds: Mapping[int, RangeFilter],
        key_range: RankKeyRange,
    ) -> dict[int, int]:
        fitting = self._matching_rows(subqueries, "q", with_entries=True)
        conditions = {number: f"instr(' ' || search_entry.marks || ' ', :m{number})" for number in placeholders}
        conditions |= {number: bound.sql() for number, bound in bounds.items()}
        values = {
            "q": to_fts5_query(subqueries.expression),
            **{f"m{number}": f" {mark} " for number, mark in placeholders.items()},
        }
        return run_counts(session, fitting, conditions, values, key_range)

    def _rank_key_query(self, one: SubQuery, name: str, key_range: RankKeyRange) -> tuple[str, dict[str, str]]:
        """Return the query of the places that fit, and its parameters."""
        del key_range  # FTS5 walks within it in any case
        fitting = self._matching_rows(one, name, with_entries=bool(one.ranges))
        query = f"SELECT search_text.rowid AS place FROM {fitting} ORDER BY search_text.rowid LIMIT :limit"
        return query, {name: to_fts5_query(one.expression)}

    def _matching_rows(self, one: SubQuery, name: str, *, with_entries: bool) -> str:
        """Return the rows that fit, as a query goes on after FROM."""
        join = " JOIN search_entry ON search_entry.place = search_text.rowid" if with_entries else ""
        return (
            f"search_text{join} WHERE search_text MATCH :{name} "
            f"AND search_text.rowid >= :first AND search_text.rowid < :end{range_conditions(one.ranges)}"
        )

    def add_documents(
        self,
        session: Session,
        documents: Sequence[tuple[Mapping[str, Anything], Document]],
        *,
        is_rebuild: bool = False,
    ) -> None:
        del is_rebuild  # others see nothing of a transaction before its end
        statement = "INSERT INTO search_text (rowid, name, text, around, people, marks) VALUES (?, ?, ?, ?, ?, ?)"
        rows = [
            (
                entry["place"],
                *(" | ".join(" ".join(words) for words in getattr(document, section)) for section in TEXT_SECTIONS),
                " ".join([*document.filter_keywords, "|", *document.name_keywords]),
            )
            for entry, document in documents
        ]
        raw_connection(session).exec_driver_sql(statement, rows)

    def remove(self, session: Session, rank_keys: Collection[int]) -> None:
        raw_connection(session).exec_driver_sql(
            "DELETE FROM search_text WHERE rowid = ?", [(rank_key,) for rank_key in rank_keys]
        )

    def words_of(self, session: Session, rank_keys: Collection[int]) -> dict[int, set[str]]:
        found = {}
        for batch in in_batches(rank_keys):
            placeholders = ", ".join("?" * len(batch))
            rows = f"SELECT rowid, name, text, around, people, marks FROM search_text WHERE rowid IN ({placeholders})"
            for rank_key, *sections, keywords_text in raw_connection(session).exec_driver_sql(rows, tuple(batch)):
                found[rank_key] = {*" ".join(sections).split(), *keywords_text.partition("|")[0].split()} - {"|"}
        return found

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        rows = session.execute(text("SELECT term, doc FROM search_text_words").execution_options(yield_per=10_000))
        return ((row.term, row.doc) for row in rows if is_word(row.term))

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        trigrams = sorted({word[at : at + 3] for at in range(len(word) - 2)})
        rare = session.execute(
            text(
                "SELECT term FROM search_trigram_words WHERE term IN "
                f"({', '.join(f':p{n}' for n in range(len(trigrams)))}) ORDER BY doc LIMIT 4"
            ),
            {f"p{n}": piece for n, piece in enumerate(trigrams)},
        ).scalars()
        match_query = " OR ".join(_quoted(piece) for piece in rare)
        if not match_query:
            return []
        rows = session.execute(
            text(
                "SELECT search_word.word, uses FROM search_trigram "
                "JOIN search_word ON search_word.id = search_trigram.rowid "
                "WHERE search_trigram MATCH :wanted AND size BETWEEN :least AND :most "
                "ORDER BY uses DESC, search_word.word LIMIT :limit"
            ),
            {"wanted": match_query, "least": sizes[0], "most": sizes[1], "limit": MAX_SIMILAR_WORDS},
        )
        return [(row.word, row.uses) for row in rows]

    def begin_rebuild(self, session: Session) -> None:
        for statement in (
            "DELETE FROM search_text",
            "DELETE FROM search_word",
        ):
            session.execute(text(statement))

    def add_words(self, session: Session, words: Sequence[Mapping[str, Anything]]) -> None:
        session.execute(insert(SearchWord), words)

    def finish_rebuild(self, session: Session) -> None:
        session.execute(text("INSERT INTO search_text (search_text) VALUES ('optimize')"))
        session.execute(text("ANALYZE search_word"))


def to_fts5_query(expression: Expression) -> str:
    """Return an expression in the language of FTS5."""
    match expression:
        case Term(word, sections, begins):
            return f"{_columns(sections)}{_quoted(word)}{' *' if begins else ''}"
        case Phrase(words, sections):
            return f"{_columns(sections)}{_quoted(' '.join(words))}"
        case And(parts):
            return f"({' AND '.join(map(to_fts5_query, parts))})"
        case Or(parts):
            return f"({' OR '.join(map(to_fts5_query, parts))})"
        case AndNot(part, others):
            return f"({to_fts5_query(part)} NOT ({' OR '.join(map(to_fts5_query, others))}))"


def _columns(sections: tuple[Section, ...]) -> str:
    """Return the columns to look in; none where all would do, as no word is a mark and no mark a word."""
    return "" if sections in (TEXT_SECTIONS, (Section.KEYWORDS,)) else f"{{{' '.join(sections)}}} : "


def _quoted(word: str) -> str:
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def raw_connection(session: Session) -> Connection:
    """Return the connection of the session's transaction, for statements that the database reads as they are."""
    return session.connection()
