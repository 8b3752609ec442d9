"""PostgreSQL's index of text: tsvectors, and trigrams of the words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any as Anything

from sqlalchemy import text
from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import WORDS, All, Any, Expression, Phrase, Section, Term, Without
from pkgsite.services.search.backend import (
    Bound,
    Document,
    Sought,
    Span,
    and_bounds,
    counted_each,
    found_by,
    groups,
    is_word,
    parts_by,
)
from pkgsite.services.search.table_swap import begin_anew, index_anew, take_places

WEIGHTS = {Section.NAME: "A", Section.TEXT: "B", Section.AROUND: "C", Section.PEOPLE: "D", Section.MARKS: ""}
_GAP = 10  # positions between two fields, so that no phrase reaches from one into the other
_LAST_POSITION = 16_383  # that the database knows: what comes later stands there, and follows nothing
_MOST_POSITIONS = 200  # of one word


class PostgresqlEngine:
    """Two tsvectors for each thing: of its names, which is small, and of all its words, with a weight a section.

    Beside them lie the numbers that bounds compare: to look each up elsewhere takes as long as all the rest.
    """

    def find(self, session: Session, sought: Sequence[Sought], span: Span) -> list[tuple[int, int]]:
        if not any(one.is_within for one in sought):
            return found_by(session, sought, span, self._part)
        broad = sought[-1]
        first = [one for one in sought if not one.is_within and one is not broad]
        parts, values = parts_by(first, span, self._part)
        query, own = self._part(broad, "broad", span, "place, names, words")
        each = [f"SELECT {number:d} AS number, place FROM ({part}) AS part{number:d}" for number, part in parts]
        each.append(f"SELECT {broad.number:d} AS number, place FROM broad")
        for one in sought:
            if one.is_within:
                condition, more = sql_condition(one.expression, f"w{one.number}_")
                each.append(f"SELECT {one.number:d} AS number, place FROM broad WHERE {condition}")
                own |= more
        whole = f"WITH broad AS MATERIALIZED ({query}) {' UNION ALL '.join(each)}"
        return [(row.number, row.place) for row in session.execute(text(whole), values | own)]

    def count_each(
        self, session: Session, sought: Sought, marks: Mapping[int, str], bounds: Mapping[int, Bound], span: Span
    ) -> dict[int, int]:
        fitting, values = self._fitting(sought, "q", span)
        conditions = {number: f"words @@ CAST(:m{number} AS tsquery)" for number in marks}
        conditions |= {number: bound.sql() for number, bound in bounds.items()}
        values |= {f"m{number}": _sql_quoted(mark) for number, mark in marks.items()}
        return counted_each(session, fitting, conditions, values, span)

    def _part(self, one: Sought, name: str, span: Span, columns: str = "place") -> tuple[str, dict[str, str]]:
        """Return the query of the places that fit, and its parameters."""
        fitting, values = self._fitting(one, name, span)
        return f"SELECT {columns} FROM {fitting} ORDER BY place{' + 0' if one.is_rare else ''} LIMIT :limit", values

    def _fitting(self, one: Sought, name: str, span: Span) -> tuple[str, dict[str, str]]:
        """Return the rows that fit, as a query goes on after FROM, and its parameters."""
        condition, values = sql_condition(one.expression, f"{name}_")
        # Nearly all things are packages: written like this, the planner does not read them out of the index of places.
        within = "place >= :first AND place < :end" if span.first else "(place < :end) IS TRUE"
        return f"search_text WHERE {condition} AND {within}{and_bounds(one.bounds)}", values

    def put(
        self, session: Session, documents: Sequence[tuple[Mapping[str, Anything], Document]], *, is_anew: bool = False
    ) -> None:
        insert = (
            f"INSERT INTO search_text{'_anew' if is_anew else ''} (place, stars, touched_at, names, words) "
            "SELECT * FROM unnest(CAST(:places AS bigint[]), CAST(:stars AS integer[]), CAST(:touched AS bigint[]), "
            "CAST(CAST(:names AS text[]) AS tsvector[]), CAST(CAST(:words AS text[]) AS tsvector[]))"
        )
        for some in groups(documents):
            values = {
                "places": [entry["place"] for entry, _ in some],
                "stars": [entry["stars"] for entry, _ in some],
                "touched": [entry["touched_at"] for entry, _ in some],
                "names": [vector(each, is_of_names=True) for _, each in some],
                "words": [vector(each) for _, each in some],
            }
            session.execute(text(insert), values)

    def remove(self, session: Session, places: Collection[int]) -> None:
        session.execute(text("DELETE FROM search_text WHERE place = ANY(:places)"), {"places": list(places)})

    def words_at(self, session: Session, places: Collection[int]) -> dict[int, set[str]]:
        rows = "SELECT place, tsvector_to_array(words) AS words FROM search_text WHERE place = ANY(:places)"
        found = session.execute(text(rows), {"places": list(places)})
        return {row.place: {word for word in row.words if is_word(word)} for row in found}

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        rows = session.execute(
            text("SELECT word, ndoc FROM ts_stat('SELECT words FROM search_text_anew')").execution_options(
                yield_per=10_000
            )
        )
        return ((row.word, row.ndoc) for row in rows if is_word(row.word))

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        rows = session.execute(
            text(
                "SELECT word, uses FROM search_word WHERE word % :word AND size BETWEEN :least AND :most "
                "ORDER BY similarity(word, :word) DESC, word LIMIT 50"
            ),
            {"word": word, "least": sizes[0], "most": sizes[1]},
        )
        return [(row.word, row.uses) for row in rows]

    def clear(self, session: Session) -> None:
        begin_anew(session, ("search_text", "search_word"))

    def put_words(self, session: Session, words: Sequence[Mapping[str, Anything]]) -> None:
        insert = (
            "INSERT INTO search_word_anew (word, uses, size, backwards, stem) SELECT * FROM "
            "unnest(CAST(:word AS text[]), CAST(:uses AS integer[]), CAST(:size AS smallint[]), "
            "CAST(:backwards AS text[]), CAST(:stem AS text[]))"
        )
        columns = ("word", "uses", "size", "backwards", "stem")
        session.execute(text(insert), {column: [each[column] for each in words] for column in columns})

    def finish(self, session: Session) -> None:
        index_anew(session, "search_text", is_clustered=True)  # the best known lie together on the disk
        index_anew(session, "search_word")
        session.execute(text("ANALYZE search_entry"))
        take_places(session, ("search_word", "search_text"))  # in the order in which a search reads them


def tsquery(expression: Expression, *, is_of_names: bool = False) -> str:
    """Return an expression as PostgreSQL's tsquery, for the index of names or for that of all words."""

    def written(part: Expression) -> str:
        match part:
            case Term(word, sections, begins):
                return _lexeme(word, WORDS if is_of_names else sections, "*" if begins else "")
            case Phrase(words, sections):
                return f"({' <-> '.join(_lexeme(word, sections) for word in words)})"
            case All(parts):
                return f"({' & '.join(map(written, parts))})"
            case Any(parts):
                return f"({' | '.join(map(written, parts))})"
            case Without(wanted, others):
                return f"({written(wanted)} & !({' | '.join(map(written, others))}))"

    return written(expression)


def vector(document: Document, *, is_of_names: bool = False) -> str:
    """Return a document as PostgreSQL's tsvector: of its names alone, or of all its words."""
    places: dict[str, list[str]] = {}
    at = 0
    for section in (Section.NAME,) if is_of_names else WORDS:
        for words in getattr(document, section):
            at += _GAP
            for word in words:
                at += 1
                where = f"{at if at < _LAST_POSITION - 1 else _LAST_POSITION}{WEIGHTS[section]}"
                if len(places.setdefault(word, [])) < _MOST_POSITIONS and where not in places[word][-1:]:
                    places[word].append(where)
    written = [f"{_sql_quoted(word)}:{','.join(where)}" for word, where in places.items()]
    marks = (*document.filters, *(document.names if is_of_names else ()))
    return " ".join([*written, *map(_sql_quoted, dict.fromkeys(marks))])


def sql_condition(expression: Expression, name: str) -> tuple[str, dict[str, str]]:
    """Return PostgreSQL's condition for an expression, and its parameters, whose names begin with `name`.

    What only looks at names and marks is asked of the small index, what looks at no names as a whole of the large one;
    an expression that does both is taken apart.
    """
    is_small = is_of_names(expression)
    if is_small or is_of_words(expression):
        column = "names" if is_small else "words"
        return f"{column} @@ CAST(:{name} AS tsquery)", {name: tsquery(expression, is_of_names=is_small)}
    match expression:
        case All(parts):
            return _joined(" AND ", parts, name)
        case Any(parts):
            return _joined(" OR ", parts, name)
        case Without(part, others):
            wanted, values = sql_condition(part, f"{name}0")
            unwanted, more = _joined(" OR ", others, f"{name}1")
            return f"({wanted} AND NOT {unwanted})", values | more
    raise TypeError(expression)


def _joined(word: str, parts: Sequence[Expression], name: str) -> tuple[str, dict[str, str]]:
    conditions: list[str] = []
    values: dict[str, str] = {}
    for number, part in enumerate(parts):
        condition, more = sql_condition(part, f"{name}{number}_")
        conditions.append(condition)
        values |= more
    return f"({word.join(conditions)})", values


def is_of_words(expression: Expression) -> bool:
    """Tell whether nothing is looked at that only the index of names has."""
    match expression:
        case Term(word, _, _):
            return is_word(word)
        case Phrase(_, _):
            return True
        case All(parts) | Any(parts):
            return all(map(is_of_words, parts))
        case Without(part, others):
            return is_of_words(part) and all(map(is_of_words, others))


def is_of_names(expression: Expression) -> bool:
    """Tell whether only names and marks are looked at, so that the small index of names is enough."""
    match expression:
        case Term(_, sections, _) | Phrase(_, sections):
            return set(sections) <= {Section.NAME, Section.MARKS}
        case All(parts) | Any(parts):
            return all(map(is_of_names, parts))
        case Without(part, others):
            return is_of_names(part) and all(map(is_of_names, others))


def _sql_quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _lexeme(word: str, sections: tuple[Section, ...], begins: str = "") -> str:
    weights = "" if set(sections) >= set(WORDS) else "".join(WEIGHTS[section] for section in sections)
    return _sql_quoted(word) + (f":{begins}{weights}" if begins or weights else "")
