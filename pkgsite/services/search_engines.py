"""The two databases' own indexes of text, behind one promise: what fits an expression, in the order of places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any as Anything
from typing import Protocol, TypeAlias

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from pkgsite.rules.search_expressions import WORDS, All, Any, Expression, Phrase, Section, Term, Without
from pkgsite.rules.search_ranking import DEAD

ROWS = 500  # that are asked for or written together
NEAR_WORDS = 2_000  # words that are looked at, at most, as what a misspelt one may mean


@dataclass(frozen=True, slots=True)
class Document:
    """What the index holds of one thing, as words: each section has fields, over whose ends no phrase reaches."""

    name: tuple[tuple[str, ...], ...]
    text: tuple[tuple[str, ...], ...] = ()
    around: tuple[tuple[str, ...], ...] = ()
    people: tuple[tuple[str, ...], ...] = ()
    filters: tuple[str, ...] = ()  # marks that filters compare
    names: tuple[str, ...] = ()  # marks by which its whole name, or the beginning of it, is found

    def words(self) -> set[str]:
        """Return all that search knows as words, and the marks of filters."""
        return {*self.filters, *(word for section in WORDS for one in getattr(self, section) for word in one)}


@dataclass(frozen=True, slots=True)
class Bound:
    """Numbers of `search_entry` between which a thing's own must lie; not told, it does not.

    Attributes:
        column: "stars" or "touched_at".
        least: The lowest that fits; None for no end.
        most: The highest that fits; None for no end.
        is_living: Whether only the living fit.
        is_minus: Whether what fits is not wanted.
    """

    column: str
    least: int | None = None
    most: int | None = None
    is_living: bool = False
    is_minus: bool = False

    def sql(self) -> str:
        """Return the condition; its parts are whole numbers and names of ours."""
        parts = [f"{self.column} >= {self.least:d}"] if self.least is not None else []
        parts += [f"{self.column} <= {self.most:d}"] if self.most is not None else []
        parts += [f"(search_entry.place & {DEAD}) = 0"] if self.is_living else []
        return f"{'NOT ' if self.is_minus else ''}coalesce({' AND '.join(parts)}, FALSE)"


@dataclass(frozen=True, slots=True)
class Sought:
    """An expression that is looked for, under a number by which the answer names it.

    Attributes:
        number: By which the answer names it.
        expression: What fits.
        bounds: What must hold besides.
        is_within: Whether what fits it also fits the last one that is looked for, so that it is enough to look among
            what that finds.
        is_rare: Whether so few things fit that it is best to look at all of them.
    """

    number: int
    expression: Expression
    bounds: tuple[Bound, ...] = ()
    is_within: bool = False
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Places from `first` to before `end`, and of each thing that is sought only so many."""

    first: int
    end: int
    limit: int


class Engine(Protocol):
    """What search needs of a database."""

    def find(self, session: Session, sought: Sequence[Sought], span: Span) -> list[tuple[int, int]]:
        """Return (number, place) of what fits, of each number the lowest places; a place may come under several."""

    def count(self, session: Session, sought: Sequence[Sought], span: Span) -> dict[int, int]:
        """Return how many things fit each number, up to the span's limit."""

    def put(self, session: Session, documents: Sequence[tuple[int, Document]], *, is_anew: bool = False) -> None:
        """Take in these documents, each by its place; between `clear` and `finish` they are `is_anew`."""

    def remove(self, session: Session, places: Collection[int]) -> None:
        """Forget what is at these places."""

    def words_at(self, session: Session, places: Collection[int]) -> dict[int, set[str]]:
        """Return `Document.words` of what is at these places."""

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        """Return every word and filter's mark of the index, and in how many things it stands."""

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        """Return words, with their uses, that share pieces of three letters with this one, and are of these lengths."""

    def clear(self, session: Session) -> None:
        """Begin anew, with nothing; who looks from outside finds what was there before."""

    def finish(self, session: Session) -> None:
        """Let what was put in anew take the place of what was there before."""


def engine_of(session: Session) -> Engine:
    """Return the engine of the session's database."""
    return ENGINES[session.get_bind().dialect.name]


class SqliteEngine:
    """FTS5: a column for each section; row ids are places, in whose order matches come."""

    def find(self, session: Session, sought: Sequence[Sought], span: Span) -> list[tuple[int, int]]:
        return _found(session, sought, span, self._part)

    def count(self, session: Session, sought: Sequence[Sought], span: Span) -> dict[int, int]:
        return _counted(session, sought, span, self._part)

    def _part(self, one: Sought, name: str, span: Span) -> tuple[str, dict[str, str]]:
        """Return the query of the places that fit, and its parameters."""
        del span  # FTS5 walks within it in any case
        join = " JOIN search_entry ON search_entry.place = search_text.rowid" if one.bounds else ""
        return (
            f"SELECT search_text.rowid AS place FROM search_text{join} WHERE search_text MATCH :{name} "
            f"AND search_text.rowid >= :first AND search_text.rowid < :end{_and(one.bounds)} "
            "ORDER BY search_text.rowid LIMIT :limit",
            {name: fts5(one.expression)},
        )

    def put(self, session: Session, documents: Sequence[tuple[int, Document]], *, is_anew: bool = False) -> None:
        del is_anew  # others see nothing of a transaction before its end
        insert = "INSERT INTO search_text (rowid, name, text, around, people, marks) VALUES (?, ?, ?, ?, ?, ?)"
        rows = [
            (
                place,
                *(" | ".join(" ".join(words) for words in getattr(each, section)) for section in WORDS),
                " ".join([*each.filters, "|", *each.names]),
            )
            for place, each in documents
        ]
        _raw(session).exec_driver_sql(insert, rows)

    def remove(self, session: Session, places: Collection[int]) -> None:
        _raw(session).exec_driver_sql("DELETE FROM search_text WHERE rowid = ?", [(place,) for place in places])

    def words_at(self, session: Session, places: Collection[int]) -> dict[int, set[str]]:
        found = {}
        for some in _groups(places):
            marks = ", ".join("?" * len(some))
            rows = f"SELECT rowid, name, text, around, people, marks FROM search_text WHERE rowid IN ({marks})"
            for place, *sections, own in _raw(session).exec_driver_sql(rows, tuple(some)):
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
                "WHERE search_trigram MATCH :wanted AND size BETWEEN :least AND :most LIMIT :limit"
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

    def finish(self, session: Session) -> None:
        session.execute(text("INSERT INTO search_text (search_text) VALUES ('optimize')"))
        session.execute(text("ANALYZE search_word"))


class PostgresqlEngine:
    """Two tsvectors for each thing: of its names, which is small, and of all its words, with a weight a section."""

    def find(self, session: Session, sought: Sequence[Sought], span: Span) -> list[tuple[int, int]]:
        if not any(one.is_within for one in sought):
            return _found(session, sought, span, self._part)
        broad = sought[-1]
        first = [one for one in sought if not one.is_within and one is not broad]
        parts, values = _parts(first, span, self._part)
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

    def count(self, session: Session, sought: Sequence[Sought], span: Span) -> dict[int, int]:
        return _counted(session, sought, span, self._part)

    def _part(self, one: Sought, name: str, span: Span, columns: str = "place") -> tuple[str, dict[str, str]]:
        """Return the query of the places that fit, and its parameters."""
        join = " JOIN search_entry USING (place)" if one.bounds else ""
        condition, values = sql_condition(one.expression, f"{name}_")
        # Nearly all things are packages: written like this, the planner does not read them out of the index of places.
        within = "place >= :first AND place < :end" if span.first else "(place < :end) IS TRUE"
        return (
            f"SELECT {columns} FROM search_text{join} WHERE {condition} "
            f"AND {within}{_and(one.bounds)} ORDER BY place{' + 0' if one.is_rare else ''} LIMIT :limit",
            values,
        )

    def put(self, session: Session, documents: Sequence[tuple[int, Document]], *, is_anew: bool = False) -> None:
        rows = [{"place": at, "names": vector(each, is_of_names=True), "words": vector(each)} for at, each in documents]
        insert = (
            f"INSERT INTO search_text{'_anew' if is_anew else ''} (place, names, words) "
            "SELECT * FROM unnest(CAST(:places AS bigint[]), "
            "CAST(CAST(:names AS text[]) AS tsvector[]), CAST(CAST(:words AS text[]) AS tsvector[]))"
        )
        for some in _groups(rows):
            values = {
                "places": [row["place"] for row in some],
                **{n: [row[n] for row in some] for n in ("names", "words")},
            }
            session.execute(text(insert), values)

    def remove(self, session: Session, places: Collection[int]) -> None:
        session.execute(text("DELETE FROM search_text WHERE place = ANY(:places)"), {"places": list(places)})

    def words_at(self, session: Session, places: Collection[int]) -> dict[int, set[str]]:
        rows = "SELECT place, tsvector_to_array(words) AS words FROM search_text WHERE place = ANY(:places)"
        found = session.execute(text(rows), {"places": list(places)})
        return {row.place: {word for word in row.words if is_word(word)} for row in found}

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        rows = session.execute(text("SELECT word, ndoc FROM ts_stat('SELECT words FROM search_text')"))
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
        session.execute(text("DELETE FROM search_word"))
        session.execute(text("CREATE TABLE search_text_anew (LIKE search_text INCLUDING DEFAULTS)"))

    def finish(self, session: Session) -> None:
        # The old table is only taken away at the very end: from then on those who search wait for the commit.
        for statement in (
            "ALTER TABLE search_text_anew ADD CONSTRAINT search_text_anew_pkey PRIMARY KEY (place)",
            "CLUSTER search_text_anew USING search_text_anew_pkey",  # the first places lie together on the disk
            *(
                f"CREATE INDEX search_text_anew_{name} ON search_text_anew USING gin ({name}) WITH (fastupdate = off)"
                for name in ("names", "words")
            ),
            *(f"ANALYZE {table}" for table in ("search_text_anew", "search_word", "search_entry")),
            "DROP TABLE search_text",
            "ALTER TABLE search_text_anew RENAME TO search_text",
            *(
                f"ALTER INDEX search_text_anew_{name} RENAME TO search_text_{name}"
                for name in ("pkey", "names", "words")
            ),
        ):
            session.execute(text(statement))


ENGINES: dict[str, Engine] = {"sqlite": SqliteEngine(), "postgresql": PostgresqlEngine()}

_NAME_SIGNS = ("=", "~", "<", "^", "|")


def is_word(term: str) -> bool:
    """Tell whether a term of the index is a word or a filter's mark, not one by which whole names are found."""
    return not term.startswith(_NAME_SIGNS)


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


def tsquery(expression: Expression, *, is_of_names: bool = False) -> str:
    """Return an expression as PostgreSQL's tsquery, for the index of names or for that of all words."""

    def written(part: Expression) -> str:
        match part:
            case Term(word, sections, begins):
                # In the index of names whole words can only be names; beginnings could be those of filters' marks too.
                anywhere = is_of_names and not begins
                return _lexeme(word, WORDS if anywhere else sections, "*" if begins else "")
            case Phrase(words, sections):
                return f"({' <-> '.join(_lexeme(word, sections) for word in words)})"
            case All(parts):
                return f"({' & '.join(map(written, parts))})"
            case Any(parts):
                return f"({' | '.join(map(written, parts))})"
            case Without(wanted, others):
                return f"({written(wanted)} & !({' | '.join(map(written, others))}))"

    return written(expression)


WEIGHTS = {Section.NAME: "A", Section.TEXT: "B", Section.AROUND: "C", Section.PEOPLE: "D", Section.MARKS: ""}
_GAP = 10  # positions between two fields, so that no phrase reaches from one into the other
_LAST_POSITION = 16_000
_MOST_POSITIONS = 200  # of one word


def vector(document: Document, *, is_of_names: bool = False) -> str:
    """Return a document as PostgreSQL's tsvector: of its names alone, or of all its words."""
    places: dict[str, list[str]] = {}
    at = 0
    for section in (Section.NAME,) if is_of_names else WORDS:
        for words in getattr(document, section):
            at += _GAP
            for word in words:
                at += 1
                if at <= _LAST_POSITION and len(places.setdefault(word, [])) < _MOST_POSITIONS:
                    places[word].append(f"{at}{WEIGHTS[section]}")
    written = [f"{_sql_quoted(word)}:{','.join(where)}" for word, where in places.items() if where]
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


Part: TypeAlias = Callable[[Sought, str, Span], tuple[str, dict[str, str]]]


def _found(session: Session, sought: Sequence[Sought], span: Span, part: Part) -> list[tuple[int, int]]:
    parts, values = _parts(sought, span, part)
    each = [f"SELECT {number:d} AS number, place FROM ({query}) AS part{number:d}" for number, query in parts]
    return [(row.number, row.place) for row in session.execute(text(" UNION ALL ".join(each)), values)]


def _counted(session: Session, sought: Sequence[Sought], span: Span, part: Part) -> dict[int, int]:
    parts, values = _parts(sought, span, part)
    each = [f"SELECT {number:d} AS number, count(*) AS n FROM ({query}) AS part{number:d}" for number, query in parts]
    return {row.number: row.n for row in session.execute(text(" UNION ALL ".join(each)), values)}


def _parts(sought: Sequence[Sought], span: Span, part: Part) -> tuple[list[tuple[int, str]], dict[str, Anything]]:
    parts: list[tuple[int, str]] = []
    values: dict[str, Anything] = {"first": span.first, "end": span.end, "limit": span.limit}
    for at, one in enumerate(sought):
        query, own = part(one, f"q{at}", span)
        parts.append((one.number, query))
        values |= own
    return parts, values


def _and(bounds: tuple[Bound, ...]) -> str:
    return "".join(f" AND {bound.sql()}" for bound in bounds)


def _columns(sections: tuple[Section, ...]) -> str:
    return f"{{{' '.join(sections)}}} : "


def _quoted(word: str) -> str:
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def _sql_quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _lexeme(word: str, sections: tuple[Section, ...], begins: str = "") -> str:
    weights = "" if set(sections) >= set(WORDS) else "".join(WEIGHTS[section] for section in sections)
    return _sql_quoted(word) + (f":{begins}{weights}" if begins or weights else "")


def _raw(session: Session) -> Connection:
    """Return the connection of the session's transaction, for statements that the database reads as they are."""
    return session.connection()


def _groups(items: Collection[Anything]) -> Iterator[list[Anything]]:
    everything = list(items)
    return (everything[start : start + ROWS] for start in range(0, len(everything), ROWS))
