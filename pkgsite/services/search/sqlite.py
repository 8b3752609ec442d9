"""SQLite's index of text: FTS5, with a second one of the words' pieces of three letters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any as Anything

from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from pkgsite.models import SearchWord
from pkgsite.rules.search.expressions import WORDS, All, Any, Expression, Phrase, Section, Term, Without
from pkgsite.services.search.backend import (
    NEAR_WORDS,
    Bound,
    Document,
    Sought,
    Span,
    and_bounds,
    counted_each,
    found_by,
    groups,
    is_word,
)


class SqliteEngine:
    """FTS5: a column for each section; row ids are places, in whose order matches come."""

    def find(self, session: Session, sought: Sequence[Sought], span: Span) -> list[tuple[int, int]]:
        rows = found_by(session, sought, span, self._part)
        within = {one.number for one in sought if one.is_within}
        broad = {place for number, place in rows if number == sought[-1].number} if within else set()
        return [(number, place) for number, place in rows if number not in within or place in broad]

    def count_each(
        self, session: Session, sought: Sought, marks: Mapping[int, str], bounds: Mapping[int, Bound], span: Span
    ) -> dict[int, int]:
        fitting = self._fitting(sought, "q", with_entries=True)
        conditions = {number: f"instr(' ' || search_entry.marks || ' ', :m{number})" for number in marks}
        conditions |= {number: bound.sql() for number, bound in bounds.items()}
        values = {"q": fts5(sought.expression), **{f"m{number}": f" {mark} " for number, mark in marks.items()}}
        return counted_each(session, fitting, conditions, values, span)

    def _part(self, one: Sought, name: str, span: Span) -> tuple[str, dict[str, str]]:
        """Return the query of the places that fit, and its parameters."""
        del span  # FTS5 walks within it in any case
        fitting = self._fitting(one, name, with_entries=bool(one.bounds))
        query = f"SELECT search_text.rowid AS place FROM {fitting} ORDER BY search_text.rowid LIMIT :limit"
        return query, {name: fts5(one.expression)}

    def _fitting(self, one: Sought, name: str, *, with_entries: bool) -> str:
        """Return the rows that fit, as a query goes on after FROM."""
        join = " JOIN search_entry ON search_entry.place = search_text.rowid" if with_entries else ""
        return (
            f"search_text{join} WHERE search_text MATCH :{name} "
            f"AND search_text.rowid >= :first AND search_text.rowid < :end{and_bounds(one.bounds)}"
        )

    def put(
        self, session: Session, documents: Sequence[tuple[Mapping[str, Anything], Document]], *, is_anew: bool = False
    ) -> None:
        del is_anew  # others see nothing of a transaction before its end
        statement = "INSERT INTO search_text (rowid, name, text, around, people, marks) VALUES (?, ?, ?, ?, ?, ?)"
        rows = [
            (
                entry["place"],
                *(" | ".join(" ".join(words) for words in getattr(each, section)) for section in WORDS),
                " ".join([*each.filters, "|", *each.names]),
            )
            for entry, each in documents
        ]
        raw_connection(session).exec_driver_sql(statement, rows)

    def remove(self, session: Session, places: Collection[int]) -> None:
        raw_connection(session).exec_driver_sql(
            "DELETE FROM search_text WHERE rowid = ?", [(place,) for place in places]
        )

    def words_at(self, session: Session, places: Collection[int]) -> dict[int, set[str]]:
        found = {}
        for some in groups(places):
            marks = ", ".join("?" * len(some))
            rows = f"SELECT rowid, name, text, around, people, marks FROM search_text WHERE rowid IN ({marks})"
            for place, *sections, own in raw_connection(session).exec_driver_sql(rows, tuple(some)):
                found[place] = {*" ".join(sections).split(), *own.partition("|")[0].split()} - {"|"}
        return found

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        rows = session.execute(text("SELECT term, doc FROM search_text_words").execution_options(yield_per=10_000))
        return ((row.term, row.doc) for row in rows if is_word(row.term))

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        pieces = sorted({word[at : at + 3] for at in range(len(word) - 2)})
        rare = session.execute(
            text(
                "SELECT term FROM search_trigram_words WHERE term IN "
                f"({', '.join(f':p{n}' for n in range(len(pieces)))}) ORDER BY doc LIMIT 4"
            ),
            {f"p{n}": piece for n, piece in enumerate(pieces)},
        ).scalars()
        wanted = " OR ".join(_quoted(piece) for piece in rare)
        if not wanted:
            return []
        rows = session.execute(
            text(
                "SELECT search_word.word, uses FROM search_trigram "
                "JOIN search_word ON search_word.id = search_trigram.rowid "
                "WHERE search_trigram MATCH :wanted AND size BETWEEN :least AND :most "
                "ORDER BY uses DESC, search_word.word LIMIT :limit"
            ),
            {"wanted": wanted, "least": sizes[0], "most": sizes[1], "limit": NEAR_WORDS},
        )
        return [(row.word, row.uses) for row in rows]

    def clear(self, session: Session) -> None:
        for statement in (
            "DELETE FROM search_text",
            "DELETE FROM search_word",
        ):
            session.execute(text(statement))

    def put_words(self, session: Session, words: Sequence[Mapping[str, Anything]]) -> None:
        session.execute(insert(SearchWord), words)

    def finish(self, session: Session) -> None:
        session.execute(text("INSERT INTO search_text (search_text) VALUES ('optimize')"))
        session.execute(text("ANALYZE search_word"))


def fts5(expression: Expression) -> str:
    """Return an expression in the language of FTS5."""
    match expression:
        case Term(word, sections, begins):
            return f"{_columns(sections)}{_quoted(word)}{' *' if begins else ''}"
        case Phrase(words, sections):
            return f"{_columns(sections)}{_quoted(' '.join(words))}"
        case All(parts):
            return f"({' AND '.join(map(fts5, parts))})"
        case Any(parts):
            return f"({' OR '.join(map(fts5, parts))})"
        case Without(part, others):
            return f"({fts5(part)} NOT ({' OR '.join(map(fts5, others))}))"


def _columns(sections: tuple[Section, ...]) -> str:
    """Return the columns to look in; none where all would do, as no word is a mark and no mark a word."""
    return "" if sections in (WORDS, (Section.MARKS,)) else f"{{{' '.join(sections)}}} : "


def _quoted(word: str) -> str:
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def raw_connection(session: Session) -> Connection:
    """Return the connection of the session's transaction, for statements that the database reads as they are."""
    return session.connection()
