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
from pkgsite.services.search.backend import SearchBackend
from pkgsite.services.search.backends import backend_for
from pkgsite.services.search.documents import IndexItem, load_index_items

BATCH_SIZE = 500  # things that are read together
INDEX_LOCK_ID = 7_406_218_357  # any number but those of the migrations and the imports: who holds it writes the index
MODELS: dict[Kind, type[Any]] = {
    Kind.PACKAGE: Package,
    Kind.GRID: Grid,
    Kind.CATEGORY: Category,
    Kind.PERSON: User,
}


def index_pending(session: Session, *, ignored_prefixes: tuple[str, ...], now: datetime) -> int:
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
        for batch in _batches(sorted(ids)):
            _reindex(session, kind, batch, ignored_prefixes, now)
    return sum(map(len, stale.values()))


def rebuild(
    session: Session, *, ignored_prefixes: tuple[str, ...], now: datetime, on_progress: Callable[[int, int], None]
) -> dict[Kind, int]:
    """Make the whole index anew; return how many things of each kind are in it.

    Until the transaction ends others find what was there before, and those who want to save wait.

    Args:
        session: In which a transaction that writes has begun.
        ignored_prefixes: The framework's names, which names are found without.
        now: The present instant.
        on_progress: Called with how many things are done, and of how many.
    """
    _lock(session)
    engine = backend_for(session)
    session.execute(delete(SearchStale))
    session.execute(delete(SearchEntry))
    engine.begin_rebuild(session)
    total = sum(session.scalar(select(func.count()).select_from(model)) or 0 for model in MODELS.values())
    done, found = 0, dict.fromkeys(MODELS, 0)
    for kind, model in MODELS.items():
        for ids in _id_batches(session, model):
            items = load_index_items(session, kind, ids, ignored_prefixes, now=now)
            _insert_items(session, items, is_rebuild=True)
            found[kind] += len(items)
            done += len(ids)
            on_progress(done, total)
    _insert_words(engine, session)
    engine.finish_rebuild(session)
    return found


def _insert_words(backend: SearchBackend, session: Session) -> None:
    """Write the list of all words of what was put in anew; the list is empty before."""
    rows = (_word_row(word, uses) for word, uses in backend.count_words(session))
    for batch in _batches(rows, 5_000):
        backend.add_words(session, batch)


def reindex_stale(session: Session, *, ignored_prefixes: tuple[str, ...], now: datetime, after: int) -> tuple[int, int]:
    """Index anew the packages that come after an id, some at a time, where the day has changed what the index holds.

    Return the last one's id, or the same id where none comes after it, and how many changed.
    """
    begin_write(session)
    _lock(session)
    ids = session.scalars(select(Package.id).where(Package.id > after).order_by(Package.id).limit(BATCH_SIZE)).all()
    return (ids[-1], _reindex(session, Kind.PACKAGE, ids, ignored_prefixes, now)) if ids else (after, 0)


def _reindex(
    session: Session, kind: Kind, ids: Collection[int], ignored_prefixes: tuple[str, ...], now: datetime
) -> int:
    """Index these things anew where they are not as the index has them; return how many were not."""
    rows = select(SearchEntry.item_id, SearchEntry.place, SearchEntry.digest)
    before = {
        row.item_id: row for row in session.execute(rows.where(SearchEntry.kind == kind, SearchEntry.item_id.in_(ids)))
    }
    present = {row.entry["item_id"]: row for row in load_index_items(session, kind, ids, ignored_prefixes, now=now)}
    same = {item for item, row in present.items() if item in before and before[item].digest == row.entry["digest"]}
    removed = [row.place for item, row in before.items() if item not in same]
    new = [row for item, row in present.items() if item not in same]
    if not removed and not new:
        return 0
    engine = backend_for(session)
    counts = Counter(word for row in new for word in row.document.words())
    counts.subtract(Counter(word for words in engine.words_of(session, removed).values() for word in words))
    if removed:
        session.execute(delete(SearchEntry).where(SearchEntry.place.in_(removed)))
        engine.remove(session, removed)
    _insert_items(session, new)
    _update_word_counts(session, {word: more for word, more in counts.items() if more})
    return len({*before, *present} - same)


def _insert_items(session: Session, items: list[IndexItem], *, is_rebuild: bool = False) -> None:
    if items:
        session.execute(insert(SearchEntry), [row.entry for row in items])
        documents = [(row.entry, row.document) for row in items]
        backend_for(session).add_documents(session, documents, is_rebuild=is_rebuild)


def _update_word_counts(session: Session, changes: dict[str, int]) -> None:
    """Change in how many things each of these words stands; a word of none goes."""
    for batch in _batches(changes):
        rows = session.execute(select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(batch)))
        known = {row.word: row.uses for row in rows}
        new = [_word_row(word, changes[word]) for word in batch if word not in known]
        removed = [word for word in known if known[word] + changes[word] <= 0]
        other = [{"b_word": word, "b_uses": known[word] + changes[word]} for word in known if word not in removed]
        if new:
            session.execute(insert(SearchWord), new)
        if removed:
            session.execute(delete(SearchWord).where(SearchWord.word.in_(removed)))
        if other:
            session.connection().execute(_SET_USES, other)


_SET_USES = text("UPDATE search_word SET uses = :b_uses WHERE word = :b_word")


def _word_row(word: str, uses: int) -> dict[str, Any]:
    """Return a word's row of `SearchWord`."""
    is_keyword = ":" in word
    return {
        "word": word,
        "uses": uses,
        "size": 0 if is_keyword else len(word),
        "backwards": "" if is_keyword else word[::-1],
        "stem": "" if is_keyword else stem(word),
    }


def _lock(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(INDEX_LOCK_ID)))


def _id_batches(session: Session, model: type[Any]) -> Iterator[list[int]]:
    last = 0
    while ids := session.scalars(select(model.id).where(model.id > last).order_by(model.id).limit(BATCH_SIZE)).all():
        yield list(ids)
        last = ids[-1]


def _batches(items: Iterable[Any], size: int = BATCH_SIZE) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
