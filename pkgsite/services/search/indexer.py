"""Keeps the index of search as the data is: what changes is indexed anew in the transaction that changes it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, Package, SearchEntry, SearchStale, SearchWord, User, begin_write
from pkgsite.rules.search.ranking import Kind
from pkgsite.rules.search.tokenizer import stem
from pkgsite.services.search.backend import Engine
from pkgsite.services.search.backends import engine_of
from pkgsite.services.search.documents import Findable, load_findable

BATCH = 500  # things that are read together
LOCK = 7_406_218_357  # any number but those of the migrations and the imports: who holds it writes the index
MODELS: dict[Kind, type[Any]] = {
    Kind.PACKAGE: Package,
    Kind.GRID: Grid,
    Kind.CATEGORY: Category,
    Kind.PERSON: User,
}


def freshen(session: Session, *, prefixes: tuple[str, ...], now: datetime) -> int:
    """Index anew what the session's transaction has changed; return how many things that were.

    On PostgreSQL one transaction at a time does so, until it ends, and reads what it indexes after it is its turn: so
    what two of them change of one thing is in the index in the end.
    """
    if session.execute(select(SearchStale.id).limit(1)).first() is None:
        return 0
    _lock(session)
    rows = session.execute(delete(SearchStale).returning(SearchStale.kind, SearchStale.item_id)).all()
    stale: defaultdict[Kind, set[int]] = defaultdict(set)
    for row in rows:
        stale[Kind(row.kind)].add(row.item_id)
    for kind, ids in stale.items():
        for some in _batches(sorted(ids)):
            _index(session, kind, some, prefixes, now)
    return sum(map(len, stale.values()))


def rebuild(
    session: Session, *, prefixes: tuple[str, ...], now: datetime, tell: Callable[[int, int], None]
) -> dict[Kind, int]:
    """Make the whole index anew; return how many things of each kind are in it.

    Until the transaction ends others find what was there before, and those who want to save wait.

    Args:
        session: In which a transaction that writes has begun.
        prefixes: The framework's names, which names are found without.
        now: The present instant.
        tell: Called with how many things are done, and of how many.
    """
    _lock(session)
    engine = engine_of(session)
    session.execute(delete(SearchStale))
    session.execute(delete(SearchEntry))
    engine.clear(session)
    whole = sum(session.scalar(select(func.count()).select_from(model)) or 0 for model in MODELS.values())
    done, found = 0, dict.fromkeys(MODELS, 0)
    for kind, model in MODELS.items():
        for ids in _ids(session, model):
            things = load_findable(session, kind, ids, prefixes, now=now)
            _put(session, things, is_anew=True)
            found[kind] += len(things)
            done += len(ids)
            tell(done, whole)
    _write_words(engine, session)
    engine.finish(session)
    return found


def _write_words(engine: Engine, session: Session) -> None:
    """Write the list of all words of what was put in anew; the list is empty before."""
    rows = (_word(word, uses) for word, uses in engine.count_words(session))
    for some in _batches(rows, 5_000):
        engine.put_words(session, some)


def renew(session: Session, *, prefixes: tuple[str, ...], now: datetime, after: int) -> tuple[int, int]:
    """Index anew the packages that come after an id, some at a time, where the day has changed what the index holds.

    Return the last one's id, or the same id where none comes after it, and how many changed.
    """
    begin_write(session)
    _lock(session)
    ids = session.scalars(select(Package.id).where(Package.id > after).order_by(Package.id).limit(BATCH)).all()
    return (ids[-1], _index(session, Kind.PACKAGE, ids, prefixes, now)) if ids else (after, 0)


def _index(session: Session, kind: Kind, ids: Collection[int], prefixes: tuple[str, ...], now: datetime) -> int:
    """Index these things anew where they are not as the index has them; return how many were not."""
    rows = select(SearchEntry.item_id, SearchEntry.place, SearchEntry.digest)
    before = {
        row.item_id: row for row in session.execute(rows.where(SearchEntry.kind == kind, SearchEntry.item_id.in_(ids)))
    }
    present = {each.entry["item_id"]: each for each in load_findable(session, kind, ids, prefixes, now=now)}
    same = {item for item, each in present.items() if item in before and before[item].digest == each.entry["digest"]}
    gone = [row.place for item, row in before.items() if item not in same]
    new = [each for item, each in present.items() if item not in same]
    if not gone and not new:
        return 0
    engine = engine_of(session)
    counts = Counter(word for each in new for word in each.document.words())
    counts.subtract(Counter(word for words in engine.words_at(session, gone).values() for word in words))
    if gone:
        session.execute(delete(SearchEntry).where(SearchEntry.place.in_(gone)))
        engine.remove(session, gone)
    _put(session, new)
    _count(session, {word: more for word, more in counts.items() if more})
    return len({*before, *present} - same)


def _put(session: Session, things: list[Findable], *, is_anew: bool = False) -> None:
    if things:
        session.execute(insert(SearchEntry), [each.entry for each in things])
        documents = [(each.entry, each.document) for each in things]
        engine_of(session).put(session, documents, is_anew=is_anew)


def _count(session: Session, changes: dict[str, int]) -> None:
    """Change in how many things each of these words stands; a word of none goes."""
    for some in _batches(changes):
        rows = session.execute(select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(some)))
        known = {row.word: row.uses for row in rows}
        new = [_word(word, changes[word]) for word in some if word not in known]
        gone = [word for word in known if known[word] + changes[word] <= 0]
        other = [{"b_word": word, "b_uses": known[word] + changes[word]} for word in known if word not in gone]
        if new:
            session.execute(insert(SearchWord), new)
        if gone:
            session.execute(delete(SearchWord).where(SearchWord.word.in_(gone)))
        if other:
            session.connection().execute(_SET_USES, other)


_SET_USES = text("UPDATE search_word SET uses = :b_uses WHERE word = :b_word")


def _word(word: str, uses: int) -> dict[str, Any]:
    """Return a word's row of `SearchWord`."""
    is_mark = ":" in word
    return {
        "word": word,
        "uses": uses,
        "size": 0 if is_mark else len(word),
        "backwards": "" if is_mark else word[::-1],
        "stem": "" if is_mark else stem(word),
    }


def _lock(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))


def _ids(session: Session, model: type[Any]) -> Iterator[list[int]]:
    last = 0
    while ids := session.scalars(select(model.id).where(model.id > last).order_by(model.id).limit(BATCH)).all():
        yield list(ids)
        last = ids[-1]


def _batches(items: Iterable[Any], size: int = BATCH) -> Iterator[list[Any]]:
    some: list[Any] = []
    for item in items:
        some.append(item)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
