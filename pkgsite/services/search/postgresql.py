"""The search backend for PostgreSQL: tsvectors of documents, and a trigram index of words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import TEXT_SECTIONS, And, AndNot, Expression, Or, Phrase, Section, Term
from pkgsite.services.search.backend import (
    RangeFilter,
    RankKeyRange,
    SubQuery,
    is_word,
    range_conditions,
    render_subqueries,
    run_counts,
    run_subqueries,
    select_matches,
)
from pkgsite.services.search.documents import Document
from pkgsite.services.search.table_swap import create_shadow, index_shadow, swap_in

SECTION_WEIGHTS = {
    Section.NAME: "A",
    Section.TEXT: "B",
    Section.CONTEXT: "C",
    Section.PEOPLE: "D",
    Section.KEYWORDS: "",
}
_GAP = 10  # positions between two fields, so that no phrase spans both
_LAST_POSITION = 16_383  # PostgreSQL's maximum; words at later positions get it too, and match no phrase
_MAX_POSITIONS = 200  # positions that are stored of a word


class PostgresqlBackend:
    """Two tsvectors for each item: a small one of its names, and one of all its words with a weight for each section.

    The same table has the numbers that range filters compare: looking them up in another table would double the time.
    """

    def search(
        self, session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange
    ) -> list[tuple[int, int]]:
        subsets = [subquery for subquery in subqueries if subquery.is_subset]
        if not subsets:
            return run_subqueries(session, subqueries, key_range, self._rank_key_query)
        broad = subqueries[-1]
        others = [subquery for subquery in subqueries[:-1] if not subquery.is_subset]
        parts, values = render_subqueries(others, key_range, self._rank_key_query)
        broad_query, broad_values = self._rank_key_query(broad, "broad", key_range, "place, names, words")
        values |= broad_values
        selects = [select_matches(key, query) for key, query in parts]
        selects.append(f"SELECT {broad.key:d} AS key, place FROM broad")
        for subset in subsets:
            condition, condition_values = sql_condition(subset.expression, f"w{subset.key}_")
            selects.append(f"SELECT {subset.key:d} AS key, place FROM broad WHERE {condition}")
            values |= condition_values
        statement = f"WITH broad AS MATERIALIZED ({broad_query}) {' UNION ALL '.join(selects)}"
        return [(row.key, row.place) for row in session.execute(text(statement), values)]

    def count_by_filter(
        self,
        session: Session,
        subquery: SubQuery,
        keywords: Mapping[int, str],
        ranges: Mapping[int, RangeFilter],
        key_range: RankKeyRange,
    ) -> dict[int, int]:
        matching_rows, values = self._matching_rows(subquery, "q", key_range)
        conditions = {number: f"words @@ CAST(:k{number} AS tsquery)" for number in keywords}
        conditions |= {number: range_filter.sql() for number, range_filter in ranges.items()}
        values |= {f"k{number}": _quoted(keyword) for number, keyword in keywords.items()}
        return run_counts(session, matching_rows, conditions, values, key_range)

    def _rank_key_query(
        self, subquery: SubQuery, name: str, key_range: RankKeyRange, columns: str = "place"
    ) -> tuple[str, dict[str, str]]:
        """Return the SQL query of the matching rank keys, and its parameters."""
        matching_rows, values = self._matching_rows(subquery, name, key_range)
        order = "place + 0" if subquery.is_rare else "place"  # `+ 0` keeps the planner from reading in ranking order
        return f"SELECT {columns} FROM {matching_rows} ORDER BY {order} LIMIT :limit", values

    def _matching_rows(self, subquery: SubQuery, name: str, key_range: RankKeyRange) -> tuple[str, dict[str, str]]:
        """Return the FROM and WHERE clauses for the matching rows, without the word FROM, and their parameters."""
        condition, values = sql_condition(subquery.expression, f"{name}_")
        # Nearly all items are packages. `IS TRUE` keeps the planner from using the index of rank keys to find them.
        within = "place >= :first AND place < :end" if key_range.first else "(place < :end) IS TRUE"
        return f"search_text WHERE {condition} AND {within}{range_conditions(subquery.ranges)}", values

    def add_documents(
        self,
        session: Session,
        documents: Sequence[tuple[Mapping[str, Any], Document]],
        *,
        is_rebuild: bool = False,
    ) -> None:
        insert = (
            f"INSERT INTO search_text{'_shadow' if is_rebuild else ''} (place, stars, touched_at, names, words) "
            "SELECT * FROM unnest(CAST(:places AS bigint[]), CAST(:stars AS integer[]), CAST(:touched AS bigint[]), "
            "CAST(CAST(:names AS text[]) AS tsvector[]), CAST(CAST(:words AS text[]) AS tsvector[]))"
        )
        if not is_rebuild:  # while rebuilding, the table has no index yet
            insert += (
                " ON CONFLICT (place) DO UPDATE SET (stars, touched_at, names, words) = "
                "(excluded.stars, excluded.touched_at, excluded.names, excluded.words)"
            )
        values = {
            "places": [entry["place"] for entry, _ in documents],
            "stars": [entry["stars"] for entry, _ in documents],
            "touched": [entry["touched_at"] for entry, _ in documents],
            "names": [to_tsvector(document, names_only=True) for _, document in documents],
            "words": [to_tsvector(document) for _, document in documents],
        }
        session.execute(text(insert), values)

    def remove(self, session: Session, rank_keys: Collection[int]) -> None:
        session.execute(text("DELETE FROM search_text WHERE place = ANY(:places)"), {"places": list(rank_keys)})

    def words_of(self, session: Session, rank_keys: Collection[int]) -> dict[int, set[str]]:
        query = "SELECT place, tsvector_to_array(words) AS words FROM search_text WHERE place = ANY(:places)"
        rows = session.execute(text(query), {"places": list(rank_keys)})
        return {row.place: {word for word in row.words if is_word(word)} for row in rows}

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        rows = session.execute(
            text("SELECT word, ndoc FROM ts_stat('SELECT words FROM search_text_shadow')").execution_options(
                yield_per=10_000
            )
        )
        return ((row.word, row.ndoc) for row in rows if is_word(row.word))

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        rows = session.execute(
            text(
                "SELECT word, uses FROM search_word WHERE word % :word AND size BETWEEN :min_size AND :max_size "
                "ORDER BY similarity(word, :word) DESC, word LIMIT 50"
            ),
            {"word": word, "min_size": sizes[0], "max_size": sizes[1]},
        )
        return [(row.word, row.uses) for row in rows]

    def begin_rebuild(self, session: Session) -> None:
        create_shadow(session, ("search_text", "search_word"))

    def add_words(self, session: Session, words: Sequence[Mapping[str, Any]]) -> None:
        insert = (
            "INSERT INTO search_word_shadow (word, uses, size, backwards, stem) SELECT * FROM "
            "unnest(CAST(:word AS text[]), CAST(:uses AS integer[]), CAST(:size AS smallint[]), "
            "CAST(:backwards AS text[]), CAST(:stem AS text[]))"
        )
        columns = ("word", "uses", "size", "backwards", "stem")
        session.execute(text(insert), {column: [row[column] for row in words] for column in columns})

    def finish_rebuild(self, session: Session) -> None:
        index_shadow(session, "search_text", is_clustered=True)  # the most popular items are adjacent on disk
        index_shadow(session, "search_word")
        session.execute(text("ANALYZE search_entry"))
        swap_in(session, ("search_word", "search_text"))  # the order in which a search reads them


def to_tsquery(expression: Expression, *, names_only: bool = False) -> str:
    """Return an expression as a PostgreSQL tsquery, for the tsvector of names or for that of all words."""

    def render(part: Expression) -> str:
        match part:
            case Term(word, sections, is_prefix):
                return _lexeme(word, TEXT_SECTIONS if names_only else sections, "*" if is_prefix else "")
            case Phrase(words, sections):
                return f"({' <-> '.join(_lexeme(word, sections) for word in words)})"
            case And(parts):
                return f"({' & '.join(map(render, parts))})"
            case Or(parts):
                return f"({' | '.join(map(render, parts))})"
            case AndNot(included, excluded):
                return f"({render(included)} & !({' | '.join(map(render, excluded))}))"

    return render(expression)


def to_tsvector(document: Document, *, names_only: bool = False) -> str:
    """Return a document as a PostgreSQL tsvector: of its names only, or of all its words."""
    positions: dict[str, list[str]] = {}
    last = 0
    for section in (Section.NAME,) if names_only else TEXT_SECTIONS:
        for words in getattr(document, section):
            last += _GAP
            for word in words:
                last += 1
                position = f"{last if last < _LAST_POSITION - 1 else _LAST_POSITION}{SECTION_WEIGHTS[section]}"
                word_positions = positions.setdefault(word, [])
                if len(word_positions) < _MAX_POSITIONS and position not in word_positions[-1:]:
                    word_positions.append(position)
    lexemes = [f"{_quoted(word)}:{','.join(word_positions)}" for word, word_positions in positions.items()]
    keywords = (*document.filter_keywords, *(document.name_keywords if names_only else ()))
    return " ".join([*lexemes, *map(_quoted, dict.fromkeys(keywords))])


def sql_condition(expression: Expression, name: str) -> tuple[str, dict[str, str]]:
    """Return an expression as an SQL condition, and its parameters, whose names start with `name`.

    The small tsvector of names is enough if only names and keywords are searched, and that of all words if no name
    keywords are. An expression that needs both is split into its parts.
    """
    names_only = uses_only_names(expression)
    if names_only or uses_only_words(expression):
        column = "names" if names_only else "words"
        return f"{column} @@ CAST(:{name} AS tsquery)", {name: to_tsquery(expression, names_only=names_only)}
    match expression:
        case And(parts):
            return _join_conditions(" AND ", parts, name)
        case Or(parts):
            return _join_conditions(" OR ", parts, name)
        case AndNot(included, excluded):
            condition, values = sql_condition(included, f"{name}0")
            negated, negated_values = _join_conditions(" OR ", excluded, f"{name}1")
            return f"({condition} AND NOT {negated})", values | negated_values
    raise TypeError(expression)


def _join_conditions(operator: str, parts: Sequence[Expression], name: str) -> tuple[str, dict[str, str]]:
    conditions: list[str] = []
    values: dict[str, str] = {}
    for number, part in enumerate(parts):
        condition, part_values = sql_condition(part, f"{name}{number}_")
        conditions.append(condition)
        values |= part_values
    return f"({operator.join(conditions)})", values


def uses_only_words(expression: Expression) -> bool:
    """Return whether an expression has no name keywords, which only the tsvector of names contains."""
    match expression:
        case Term(word, _, _):
            return is_word(word)
        case Phrase(_, _):
            return True
        case And(parts) | Or(parts):
            return all(map(uses_only_words, parts))
        case AndNot(included, excluded):
            return uses_only_words(included) and all(map(uses_only_words, excluded))


def uses_only_names(expression: Expression) -> bool:
    """Return whether an expression searches only names and keywords."""
    match expression:
        case Term(_, sections, _) | Phrase(_, sections):
            return set(sections) <= {Section.NAME, Section.KEYWORDS}
        case And(parts) | Or(parts):
            return all(map(uses_only_names, parts))
        case AndNot(included, excluded):
            return uses_only_names(included) and all(map(uses_only_names, excluded))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _lexeme(word: str, sections: tuple[Section, ...], prefix_flag: str = "") -> str:
    weights = "" if set(sections) >= set(TEXT_SECTIONS) else "".join(SECTION_WEIGHTS[section] for section in sections)
    return _quoted(word) + (f":{prefix_flag}{weights}" if prefix_flag or weights else "")
