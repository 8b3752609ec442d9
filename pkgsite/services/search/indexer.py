"""Keeps the search index up to date: items are reindexed in the transaction that changes them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from pkgsite.models import (
    Category,
    Grid,
    Package,
    SearchEntry,
    SearchStale,
    SearchWord,
    User,
    began_as_write,
    begin_write,
)
from pkgsite.rules.search.ranking import Kind
from pkgsite.rules.search.tokenizer import stem
from pkgsite.services.search.backend import SearchBackend
from pkgsite.services.search.backends import backend_for
from pkgsite.services.search.documents import IndexItem, load_index_items

BATCH_SIZE = 500  # items per statement
INDEX_LOCK_ID = 7_406_218_357  # advisory lock for writing the index; differs from those of migrations and imports
MODELS: dict[Kind, type[Any]] = {
    Kind.PACKAGE: Package,
    Kind.GRID: Grid,
    Kind.CATEGORY: Category,
    Kind.PERSON: User,
}


def index_pending(session: Session, *, ignored_prefixes: tuple[str, ...], now: datetime) -> int:
    """Reindex the items that the session's transaction has changed; return their number.

    On PostgreSQL, only one transaction at a time does this: a lock is acquired before the items are read and kept until
    the transaction ends. If two transactions change the same item, the index thus has both changes.
    """
    is_sole_writer = is_sqlite(session) and began_as_write(session)
    if not is_sole_writer and session.execute(select(SearchStale.id).limit(1)).first() is None:
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
    """Rebuild the entire index; return the number of indexed items of each kind.

    Until the transaction ends, others search the old index, and those that write wait.

    Args:
        session: Session with a write transaction.
        ignored_prefixes: Name prefixes that a query may omit, such as "django".
        now: Current time.
        on_progress: Called with the number of processed items and their total number.
    """
    _lock(session)
    backend = backend_for(session)
    session.execute(delete(SearchStale))
    session.execute(delete(SearchEntry))
    backend.begin_rebuild(session)
    total = sum(session.scalar(select(func.count()).select_from(model)) or 0 for model in MODELS.values())
    done, counts = 0, dict.fromkeys(MODELS, 0)
    for kind, model in MODELS.items():
        for ids in _id_batches(session, model):
            items = load_index_items(session, kind, ids, ignored_prefixes, now=now)
            _insert_items(session, items)
            counts[kind] += len(items)
            done += len(ids)
            on_progress(done, total)
    _insert_words(backend, session)
    backend.finish_rebuild(session)
    return counts


def _insert_words(backend: SearchBackend, session: Session) -> None:
    """Insert all words of the new index into its empty list of words."""
    rows = (_word_row(word, uses) for word, uses in backend.count_words(session))
    for batch in _batches(rows, 5_000):
        backend.add_words(session, batch)


def reindex_stale(session: Session, *, ignored_prefixes: tuple[str, ...], now: datetime, after: int) -> tuple[int, int]:
    """Reindex the packages of one batch whose entries are outdated because time has passed.

    Args:
        session: Session of the database; a write transaction is started in it.
        ignored_prefixes: Name prefixes that a query may omit, such as "django".
        now: Current time.
        after: Id after which the batch starts.

    Returns:
        The last id of the batch, or `after` if there are no more packages; and the number of reindexed packages.
    """
    begin_write(session)
    _lock(session)
    ids = session.scalars(select(Package.id).where(Package.id > after).order_by(Package.id).limit(BATCH_SIZE)).all()
    if not ids:
        return after, 0
    return ids[-1], _reindex(session, Kind.PACKAGE, ids, ignored_prefixes, now)


def _reindex(
    session: Session, kind: Kind, ids: Collection[int], ignored_prefixes: tuple[str, ...], now: datetime
) -> int:
    """Update the index entries of these items where they are outdated; return how many were."""
    entries = select(SearchEntry.item_id, SearchEntry.place, SearchEntry.digest)
    rows = session.execute(entries.where(SearchEntry.kind == kind, SearchEntry.item_id.in_(ids)))
    indexed = {row.item_id: row for row in rows}
    current = {item.entry["item_id"]: item for item in load_index_items(session, kind, ids, ignored_prefixes, now=now)}
    unchanged = {id_ for id_, item in current.items() if _has_digest(indexed.get(id_), item.entry["digest"])}
    outdated = [row for id_, row in indexed.items() if id_ not in unchanged]
    changed_items = [item for id_, item in current.items() if id_ not in unchanged]
    if outdated or changed_items:
        _replace_entries(session, kind, outdated, changed_items)
    return len({*indexed, *current} - unchanged)


def _has_digest(entry: Any, digest: str) -> bool:
    return entry is not None and entry.digest == digest


def _replace_entries(session: Session, kind: Kind, outdated: list[Any], items: list[IndexItem]) -> None:
    """Write the new entries of these items, remove the outdated ones that none replaces, and update the word counts."""
    backend = backend_for(session)
    word_changes = _word_count_changes(items, backend.words_of(session, [row.place for row in outdated]))
    replaced_ids = {item.entry["item_id"] for item in items}
    removed_ids = [row.item_id for row in outdated if row.item_id not in replaced_ids]
    if removed_ids:
        session.execute(delete(SearchEntry).where(SearchEntry.kind == kind, SearchEntry.item_id.in_(removed_ids)))
    reused_keys = {item.entry["place"] for item in items}
    removed_keys = [row.place for row in outdated if row.place not in reused_keys]
    if removed_keys:
        backend.remove(session, removed_keys)
    if items:
        _upsert_items(session, backend, items)
    _update_word_counts(session, word_changes)


def _word_count_changes(added: list[IndexItem], removed_words: dict[int, set[str]]) -> dict[str, int]:
    """Return by how much the number of items that contain each word changes, without the zeros."""
    changes = Counter(word for item in added for word in item.document.words())
    changes.subtract(Counter(word for words in removed_words.values() for word in words))
    return {word: change for word, change in changes.items() if change}


def _insert_items(session: Session, items: list[IndexItem]) -> None:
    """Insert entries during a rebuild, when the index is empty."""
    if items:
        session.execute(insert(SearchEntry), [item.entry for item in items])
        documents = [(item.entry, item.document) for item in items]
        backend_for(session).add_documents(session, documents, is_rebuild=True)


def _upsert_items(session: Session, backend: SearchBackend, items: list[IndexItem]) -> None:
    statement = upsert(session, SearchEntry)
    columns = [column.name for column in SearchEntry.__table__.columns if column.name not in {"kind", "item_id"}]
    statement = statement.on_conflict_do_update(
        index_elements=["kind", "item_id"], set_={name: statement.excluded[name] for name in columns}
    )
    session.execute(statement, [item.entry for item in items])
    backend.add_documents(session, [(item.entry, item.document) for item in items])


def _update_word_counts(session: Session, changes: dict[str, int]) -> None:
    """Change the number of items that contain each of these words, and remove words that none contains any more."""
    statement = upsert(session, SearchWord)
    statement = statement.on_conflict_do_update(
        index_elements=["word"], set_={"uses": SearchWord.uses + statement.excluded.uses}
    )
    for batch in _batches(sorted(changes)):
        session.execute(statement, [_word_row(word, changes[word]) for word in batch])
        fewer = [word for word in batch if changes[word] < 0]
        if fewer:
            session.execute(delete(SearchWord).where(SearchWord.word.in_(fewer), SearchWord.uses <= 0))


def upsert(session: Session, model: type[Any]) -> Any:
    """Return the database's own INSERT, which can update rows on a conflict."""
    return (sqlite_insert if is_sqlite(session) else postgresql_insert)(model)


def is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _word_row(word: str, uses: int) -> dict[str, Any]:
    """Return the row of a word or keyword in `SearchWord`."""
    is_keyword = ":" in word
    return {
        "word": word,
        "uses": uses,
        "size": 0 if is_keyword else len(word),
        "backwards": "" if is_keyword else word[::-1],
        "stem": "" if is_keyword else stem(word),
    }


def _lock(session: Session) -> None:
    if not is_sqlite(session):
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
