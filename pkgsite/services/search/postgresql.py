"""PostgreSQL's index of text: tsvectors, and trigrams of the words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any as Anything

from sqlalchemy import text
from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import TEXT_SECTIONS, And, AndNot, Expression, Or, Phrase, Section, Term
from pkgsite.services.search.backend import (
    Document,
    RangeFilter,
    RankKeyRange,
    SubQuery,
    in_batches,
    is_word,
    range_conditions,
    render_subqueries,
    run_counts,
    run_subqueries,
)
from pkgsite.services.search.table_swap import create_shadow, index_shadow, swap_in

SECTION_WEIGHTS = {
    Section.NAME: "A",
    Section.TEXT: "B",
    Section.CONTEXT: "C",
    Section.PEOPLE: "D",
    Section.KEYWORDS: "",
}
_GAP = 10  # positions between two fields, so that no phrase reaches from one into the other
_LAST_POSITION = 16_383  # that the database knows: what comes later stands there, and follows nothing
_MAX_POSITIONS = 200  # of one word


class PostgresqlBackend:
    """Two tsvectors for each thing: of its names, which is small, and of all its words, with a weight a section.

    Beside them lie the numbers that bounds compare: to look each up elsewhere takes as long as all the rest.
    """

    def search(
        self, session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange
    ) -> list[tuple[int, int]]:
        if not any(one.is_subset for one in subqueries):
            return run_subqueries(session, subqueries, key_range, self._rank_key_query)
        broad = subqueries[-1]
        first = [one for one in subqueries if not one.is_subset and one is not broad]
        parts, values = render_subqueries(first, key_range, self._rank_key_query)
        query, more_values = self._rank_key_query(broad, "broad", key_range, "place, names, words")
        selects = [f"SELECT {number:d} AS number, place FROM ({part}) AS part{number:d}" for number, part in parts]
        selects.append(f"SELECT {broad.key:d} AS number, place FROM broad")
        for one in subqueries:
            if one.is_subset:
                condition, more = sql_condition(one.expression, f"w{one.key}_")
                selects.append(f"SELECT {one.key:d} AS number, place FROM broad WHERE {condition}")
                more_values |= more
        statement = f"WITH broad AS MATERIALIZED ({query}) {' UNION ALL '.join(selects)}"
        return [(row.number, row.place) for row in session.execute(text(statement), values | more_values)]

    def count_by_filter(
        self,
        session: Session,
        subqueries: SubQuery,
        keywords: Mapping[int, str],
        ranges: Mapping[int, RangeFilter],
        key_range: RankKeyRange,
    ) -> dict[int, int]:
        matching_rows, values = self._matching_rows(subqueries, "q", key_range)
        conditions = {number: f"words @@ CAST(:m{number} AS tsquery)" for number in keywords}
        conditions |= {number: bound.sql() for number, bound in ranges.items()}
        values |= {f"m{number}": _sql_quoted(mark) for number, mark in keywords.items()}
        return run_counts(session, matching_rows, conditions, values, key_range)

    def _rank_key_query(
        self, one: SubQuery, name: str, key_range: RankKeyRange, columns: str = "place"
    ) -> tuple[str, dict[str, str]]:
        """Return the query of the places that fit, and its parameters."""
        matching_rows, values = self._matching_rows(one, name, key_range)
        return (
            f"SELECT {columns} FROM {matching_rows} ORDER BY place{' + 0' if one.is_rare else ''} LIMIT :limit",
            values,
        )

    def _matching_rows(self, one: SubQuery, name: str, key_range: RankKeyRange) -> tuple[str, dict[str, str]]:
        """Return the rows that fit, as a query goes on after FROM, and its parameters."""
        condition, values = sql_condition(one.expression, f"{name}_")
        # Nearly all things are packages: written like this, the planner does not read them out of the index of places.
        within = "place >= :first AND place < :end" if key_range.first else "(place < :end) IS TRUE"
        return f"search_text WHERE {condition} AND {within}{range_conditions(one.ranges)}", values

    def add_documents(
        self,
        session: Session,
        documents: Sequence[tuple[Mapping[str, Anything], Document]],
        *,
        is_rebuild: bool = False,
    ) -> None:
        insert = (
            f"INSERT INTO search_text{'_anew' if is_rebuild else ''} (place, stars, touched_at, names, words) "
            "SELECT * FROM unnest(CAST(:places AS bigint[]), CAST(:stars AS integer[]), CAST(:touched AS bigint[]), "
            "CAST(CAST(:names AS text[]) AS tsvector[]), CAST(CAST(:words AS text[]) AS tsvector[]))"
        )
        for batch in in_batches(documents):
            values = {
                "places": [entry["place"] for entry, _ in batch],
                "stars": [entry["stars"] for entry, _ in batch],
                "touched": [entry["touched_at"] for entry, _ in batch],
                "names": [to_tsvector(selects, is_of_names=True) for _, selects in batch],
                "words": [to_tsvector(selects) for _, selects in batch],
            }
            session.execute(text(insert), values)

    def remove(self, session: Session, rank_keys: Collection[int]) -> None:
        session.execute(text("DELETE FROM search_text WHERE place = ANY(:places)"), {"places": list(rank_keys)})

    def words_of(self, session: Session, rank_keys: Collection[int]) -> dict[int, set[str]]:
        rows = "SELECT place, tsvector_to_array(words) AS words FROM search_text WHERE place = ANY(:places)"
        found = session.execute(text(rows), {"places": list(rank_keys)})
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

    def begin_rebuild(self, session: Session) -> None:
        create_shadow(session, ("search_text", "search_word"))

    def add_words(self, session: Session, words: Sequence[Mapping[str, Anything]]) -> None:
        insert = (
            "INSERT INTO search_word_anew (word, uses, size, backwards, stem) SELECT * FROM "
            "unnest(CAST(:word AS text[]), CAST(:uses AS integer[]), CAST(:size AS smallint[]), "
            "CAST(:backwards AS text[]), CAST(:stem AS text[]))"
        )
        columns = ("word", "uses", "size", "backwards", "stem")
        session.execute(text(insert), {column: [selects[column] for selects in words] for column in columns})

    def finish_rebuild(self, session: Session) -> None:
        index_shadow(session, "search_text", is_clustered=True)  # the best known lie together on the disk
        index_shadow(session, "search_word")
        session.execute(text("ANALYZE search_entry"))
        swap_in(session, ("search_word", "search_text"))  # in the order in which a search reads them


def to_tsquery(expression: Expression, *, is_of_names: bool = False) -> str:
    """Return an expression as PostgreSQL's tsquery, for the index of names or for that of all words."""

    def written(part: Expression) -> str:
        match part:
            case Term(word, sections, begins):
                return _lexeme(word, TEXT_SECTIONS if is_of_names else sections, "*" if begins else "")
            case Phrase(words, sections):
                return f"({' <-> '.join(_lexeme(word, sections) for word in words)})"
            case And(parts):
                return f"({' & '.join(map(written, parts))})"
            case Or(parts):
                return f"({' | '.join(map(written, parts))})"
            case AndNot(wanted, others):
                return f"({written(wanted)} & !({' | '.join(map(written, others))}))"

    return written(expression)


def to_tsvector(document: Document, *, is_of_names: bool = False) -> str:
    """Return a document as PostgreSQL's tsvector: of its names alone, or of all its words."""
    places: dict[str, list[str]] = {}
    at = 0
    for section in (Section.NAME,) if is_of_names else TEXT_SECTIONS:
        for words in getattr(document, section):
            at += _GAP
            for word in words:
                at += 1
                where = f"{at if at < _LAST_POSITION - 1 else _LAST_POSITION}{SECTION_WEIGHTS[section]}"
                if len(places.setdefault(word, [])) < _MAX_POSITIONS and where not in places[word][-1:]:
                    places[word].append(where)
    terms = [f"{_sql_quoted(word)}:{','.join(where)}" for word, where in places.items()]
    marks = (*document.filter_keywords, *(document.name_keywords if is_of_names else ()))
    return " ".join([*terms, *map(_sql_quoted, dict.fromkeys(marks))])


def sql_condition(expression: Expression, name: str) -> tuple[str, dict[str, str]]:
    """Return PostgreSQL's condition for an expression, and its parameters, whose names begin with `name`.

    What only looks at names and marks is asked of the small index, what looks at no names as a whole of the large one;
    an expression that does both is taken apart.
    """
    is_small = uses_only_names(expression)
    if is_small or uses_only_words(expression):
        column = "names" if is_small else "words"
        return f"{column} @@ CAST(:{name} AS tsquery)", {name: to_tsquery(expression, is_of_names=is_small)}
    match expression:
        case And(parts):
            return _join_conditions(" AND ", parts, name)
        case Or(parts):
            return _join_conditions(" OR ", parts, name)
        case AndNot(part, others):
            wanted, values = sql_condition(part, f"{name}0")
            unwanted, more = _join_conditions(" OR ", others, f"{name}1")
            return f"({wanted} AND NOT {unwanted})", values | more
    raise TypeError(expression)


def _join_conditions(word: str, parts: Sequence[Expression], name: str) -> tuple[str, dict[str, str]]:
    conditions: list[str] = []
    values: dict[str, str] = {}
    for number, part in enumerate(parts):
        condition, more = sql_condition(part, f"{name}{number}_")
        conditions.append(condition)
        values |= more
    return f"({word.join(conditions)})", values


def uses_only_words(expression: Expression) -> bool:
    """Tell whether nothing is looked at that only the index of names has."""
    match expression:
        case Term(word, _, _):
            return is_word(word)
        case Phrase(_, _):
            return True
        case And(parts) | Or(parts):
            return all(map(uses_only_words, parts))
        case AndNot(part, others):
            return uses_only_words(part) and all(map(uses_only_words, others))


def uses_only_names(expression: Expression) -> bool:
    """Tell whether only names and marks are looked at, so that the small index of names is enough."""
    match expression:
        case Term(_, sections, _) | Phrase(_, sections):
            return set(sections) <= {Section.NAME, Section.KEYWORDS}
        case And(parts) | Or(parts):
            return all(map(uses_only_names, parts))
        case AndNot(part, others):
            return uses_only_names(part) and all(map(uses_only_names, others))


def _sql_quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _lexeme(word: str, sections: tuple[Section, ...], prefix_flag: str = "") -> str:
    weights = "" if set(sections) >= set(TEXT_SECTIONS) else "".join(SECTION_WEIGHTS[section] for section in sections)
    return _sql_quoted(word) + (f":{prefix_flag}{weights}" if prefix_flag or weights else "")
