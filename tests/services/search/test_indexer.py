"""The search index is up to date after any change, in the transaction that makes it."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import (
    Category,
    Grid,
    GridPackage,
    Package,
    SearchEntry,
    SearchStale,
    SearchWord,
    Usage,
    User,
    begin_write,
)
from pkgsite.rules.search.ranking import Kind
from pkgsite.services.search.documents import PACKAGE_COLUMNS, PACKAGE_FLAGS
from pkgsite.services.search.indexer import rebuild, reindex_stale
from pkgsite.services.search.query import search
from tests import processes
from tests.factories import NOW, add_to_grid, make_category, make_grid, make_package

PREFIXES = ("django",)


def search_slugs(session: Session, query: str) -> list[str]:
    return [hit.slug for hit in search(session, query, ignored_prefixes=PREFIXES, now=NOW).packages]


def content(session: Session) -> dict[str, object]:
    """Return the entire content of the index, without generated ids."""
    entries = select(
        SearchEntry.place, SearchEntry.marks, SearchEntry.stars, SearchEntry.touched_at, SearchEntry.digest
    )
    words = select(SearchWord.word, SearchWord.uses, SearchWord.size, SearchWord.backwards, SearchWord.stem)
    columns = "rowid, name, text, around, people, marks" if is_sqlite(session) else "place, names, words"
    return {
        "entries": sorted(map(tuple, session.execute(entries))),
        "words": sorted(map(tuple, session.execute(words))),
        "texts": sorted(map(tuple, session.execute(text(f"SELECT {columns} FROM search_text")))),
        "stale": session.execute(select(SearchStale.id)).all(),
    }


def is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def test_search_finds_every_kind_of_change_immediately(session: Session) -> None:
    apps = make_category(session, "apps", title="Programs")
    one = make_package(session, "one", category=apps, description="Stores things", participants=["ada"])
    grid = make_grid(session, "caching", (one,), title="Caching")
    session.commit()
    assert (
        search_slugs(session, "stores")
        == search_slugs(session, "programs")
        == search_slugs(session, "caching")
        == ["one"]
    )
    assert search_slugs(session, "by:ada grid:caching category:apps") == ["one"]
    session.execute(
        update(Package).values(description="Keeps things", participants=["grace"])
    )  # bypasses the mapped rows
    session.commit()
    assert (search_slugs(session, "stores"), search_slugs(session, "keeps"), search_slugs(session, "by:grace")) == (
        [],
        ["one"],
        ["one"],
    )
    session.execute(update(Grid).values(title="Memory", slug="memory"))
    session.execute(update(Category).values(title="Tools"))
    session.commit()
    assert (search_slugs(session, "caching"), search_slugs(session, "programs")) == ([], [])
    assert (
        search_slugs(session, "memory")
        == search_slugs(session, "tools")
        == search_slugs(session, "grid:memory")
        == ["one"]
    )
    session.execute(delete(GridPackage))
    session.commit()
    assert search_slugs(session, "memory") == []
    add_to_grid(session, grid, one)
    session.commit()
    assert search_slugs(session, "memory") == ["one"]
    session.execute(delete(Grid))  # deletes the membership too
    session.commit()
    assert search_slugs(session, "memory") == []
    session.execute(update(Package).values(hidden_at=NOW))
    session.commit()
    assert search_slugs(session, "keeps") == []
    session.execute(update(Package).values(hidden_at=None))
    session.execute(insert(User).values(username="keeper", created_at=NOW, role="user", is_active=True,
                                        shares_favourites=False, links=[]))  # fmt: skip
    session.commit()
    page = search(session, "keep", ignored_prefixes=PREFIXES, now=NOW)
    assert ([hit.slug for hit in page.packages], [hit.username for hit in page.people]) == (["one"], ["keeper"])
    session.execute(delete(Package))
    session.commit()
    assert search_slugs(session, "keeps") == []


def test_search_does_not_find_rolled_back_changes(session: Session) -> None:
    one = make_package(session, "one", title="First")
    session.commit()
    one.title = "Second"
    session.flush()
    session.rollback()
    assert (search_slugs(session, "first"), search_slugs(session, "second")) == (["one"], [])
    one.title = "Third"
    with session.begin_nested() as savepoint:
        one.description = "Fourth"
        session.flush()
        savepoint.rollback()
    session.commit()
    assert (search_slugs(session, "third"), search_slugs(session, "fourth"), search_slugs(session, "first")) == (
        ["one"],
        [],
        [],
    )


def test_the_index_equals_a_rebuilt_one_after_random_changes(session: Session) -> None:
    draw = random.Random(5)
    words = ["cache", "rest", "forms", "redis", "queue", "django", "tools"]
    categories = [make_category(session, slug) for slug in ("apps", "tools")]
    grids = [make_grid(session, slug) for slug in ("caching", "queues")]
    for number in range(40):
        change = draw.randrange(7)
        ids = session.scalars(select(Package.id)).all()
        if change < 2 or not ids:
            package = make_package(
                session, f"p{number}", category=draw.choice(categories), title=" ".join(draw.sample(words, 2))
            )
            add_to_grid(session, draw.choice(grids), package)
        elif change == 2:
            session.execute(delete(Package).where(Package.id == draw.choice(ids)))
        elif change == 3:
            draw.choice(grids).title = " ".join(draw.sample(words, 2))
        elif change == 4:
            draw.choice(categories).title = draw.choice(words)
        else:
            changes: list[dict[str, object]] = [
                {"description": " ".join(draw.choices(words, k=5))},
                {"stars": draw.randrange(5000)},
                {"archived_at": draw.choice([NOW, None])},
                {"hidden_at": draw.choice([NOW, None])},
                {"participants": draw.sample(words, 2)},
                {"licence": "MIT", "pypi_version": "1", "classifiers": ["Programming Language :: Python :: 3.13"]},
            ]
            values = draw.choice(changes)
            session.execute(update(Package).where(Package.id == draw.choice(ids)).values(values))
        session.commit()
        session.expire_all()
    updated = content(session)
    session.rollback()
    begin_write(session)
    progress: list[tuple[int, int]] = []
    rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *counts: progress.append(counts))
    session.commit()
    assert progress
    assert progress[-1][0] == progress[-1][1]
    rebuilt = content(session)
    assert updated["words"] == rebuilt["words"]
    assert updated["texts"] == rebuilt["texts"]
    assert updated == rebuilt


def test_rebuilding_restores_a_deleted_index(session: Session) -> None:
    make_package(session, "one", title="First", description="Keeps things", participants=["ada"])
    make_grid(session, "caching")
    session.commit()
    before = content(session)
    session.rollback()
    begin_write(session)
    for table in ("search_text", "search_word", "search_entry"):
        session.execute(text(f"DELETE FROM {table}"))
    session.commit()
    assert search_slugs(session, "first") == []
    session.rollback()
    begin_write(session)
    rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *_: None)
    session.commit()
    assert content(session) == before
    assert search_slugs(session, "frist") == ["one"]  # the list of words, used to correct typos, is restored too


SCHEMA = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'search%' "
    "UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "UNION ALL SELECT 'sequence', pg_get_serial_sequence('search_word', 'id')",
}


def test_rebuilding_keeps_the_schema_of_the_migrations(session: Session) -> None:
    schema = text(SCHEMA[session.get_bind().dialect.name])
    before = set(map(tuple, session.execute(schema)))
    for number in range(2):
        session.rollback()
        begin_write(session)
        rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *_: None)
        make_package(session, f"p{number}", description=f"word{number}")
        session.commit()
        assert search_slugs(session, f"word{number}") == [f"p{number}"]
    assert set(map(tuple, session.execute(schema))) == before


def test_triggers_watch_every_column_that_is_indexed(session: Session) -> None:
    """A migration that recreates a table would lose them."""
    package = make_package(session, "one")
    session.commit()
    indexed_columns = (*PACKAGE_COLUMNS, *PACKAGE_FLAGS.values())
    indexed = {column.key for column in indexed_columns} - {"id"} | {"category_id", "hidden_at"}
    columns = {"package": indexed, "category": {"title", "title_plural", "slug", "description"}}
    for table, names in columns.items():
        for name in sorted(names):
            session.execute(text(f'UPDATE {table} SET "{name}" = "{name}"'))
            stale = session.execute(delete(SearchStale).returning(SearchStale.kind, SearchStale.item_id)).all()
            assert (Kind.PACKAGE, package.id) in map(tuple, stale), f"{table}.{name}"


def test_changing_only_the_version_or_the_package_of_a_usage_reindexes(session: Session) -> None:
    classifiers = ["Programming Language :: Python :: 3.13"]
    one, other = (make_package(session, slug, classifiers=classifiers) for slug in ("one", "other"))
    user = User(username="ada", created_at=NOW, role="user", is_active=True, shares_favourites=False, links=[])
    session.add(user)
    session.flush()
    session.add(Usage(package_id=one.id, user_id=user.id, created_at=NOW))
    session.commit()
    assert search_slugs(session, "python:3.13") == []
    session.execute(update(Package).values(pypi_version="1.0"))
    session.commit()
    assert search_slugs(session, "python:3.13") == ["one", "other"]
    session.execute(update(Usage).values(package_id=other.id))
    session.commit()
    assert search_slugs(session, "python:3.13") == ["other", "one"]


def test_concurrent_edits_of_one_category_are_both_indexed(app: Flask, session: Session) -> None:
    category = make_category(session, "apps", title="Programs", description="")
    make_package(session, "one", category=category)
    session.commit()
    if not is_sqlite(session):  # on SQLite, a transaction can't write if another one has since it first read
        assert category.title == "Programs"

    def rename() -> None:
        with app.app_context():
            db.session.execute(update(Category).values(title="Tools"))
            db.session.commit()

    thread = threading.Thread(target=rename)
    thread.start()
    thread.join()
    session.connection().execute(update(Category).values(description="All of them"))  # its mapped rows stay outdated
    session.commit()
    page = search(session, "tools", ignored_prefixes=PREFIXES, now=NOW)
    assert [hit.title for hit in page.categories] == ["Tools"]


def test_thousands_of_contributors_are_indexed_and_removed(session: Session) -> None:
    one = make_package(session, "one", participants=[f"user{number}x" for number in range(3000)])
    session.commit()
    assert search_slugs(session, "user2999x") == ["one"]
    assert search_slugs(session, "one -user2999x") == []
    one.participants = []
    session.commit()
    assert session.scalars(select(SearchWord.word).where(SearchWord.word.startswith("user"))).all() == []


@pytest.mark.long
def test_search_finds_an_edit_by_another_process_immediately(
    session: Session, database_url: str, tmp_path: Path
) -> None:
    make_package(session, "one", title="First")
    session.commit()
    assert search_slugs(session, "zebra") == []
    session.rollback()
    edit = (
        "from wsgi import app\nfrom pkgsite.extensions import db\nfrom pkgsite.models import Package\n"
        "with app.app_context():\n"
        "    db.session.query(Package).one().title = 'Zebra'\n    db.session.commit()\n"
    )
    environment = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "for tests only",
        "SCHEDULER": "off",
    }
    process = processes.start("-c", edit, env=os.environ | environment)
    assert (process.communicate(), process.returncode) == (("", ""), 0)
    assert (search_slugs(session, "zebra"), search_slugs(session, "first")) == (["one"], [])


def test_concurrent_changes_of_one_package_are_both_indexed(app: Flask, session: Session) -> None:
    one = make_package(session, "one", title="First")
    grid = make_grid(session, "memory", title="Memory")
    package_id, grid_id = one.id, grid.id
    session.commit()
    barrier = threading.Barrier(2)

    def rename() -> None:
        db.session.execute(update(Package).where(Package.id == package_id).values(title="Second"))

    def add_to_memory_grid() -> None:
        values = {"package_id": package_id, "grid_id": grid_id, "position": 0, "created_at": NOW}
        db.session.execute(insert(GridPackage).values(values))

    def work(change: Callable[[], None]) -> None:
        with app.app_context():
            barrier.wait()
            begin_write(db.session())
            change()
            db.session.commit()

    for _ in range(5):
        threads = [threading.Thread(target=work, args=(change,)) for change in (rename, add_to_memory_grid)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert search_slugs(session, "second memory") == ["one"]
        session.execute(delete(GridPackage))
        session.execute(update(Package).values(title="First"))
        session.commit()
        assert search_slugs(session, "first -memory") == ["one"]
        session.rollback()


def test_searches_do_not_wait_for_a_rebuild(app: Flask, session: Session) -> None:
    make_package(session, "one", title="First")
    session.commit()
    errors: list[Exception] = []

    def work() -> None:
        with app.app_context():
            begin_write(db.session())
            try:
                rebuild(db.session(), ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *_: None)
                db.session.commit()
            except DBAPIError as error:
                errors.append(error)

    session.execute(select(SearchWord.id)).all()  # the first statement of a search
    thread = threading.Thread(target=work)
    thread.start()
    waiting_locks = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE datname = current_database() AND NOT granted"
    )
    while thread.is_alive() and (is_sqlite(session) or not session.scalar(waiting_locks)):
        thread.join(0.01)
    assert search_slugs(session, "first") == ["one"]
    session.rollback()
    thread.join(30)
    assert (thread.is_alive(), errors) == (False, [])
    assert search_slugs(session, "first") == ["one"]


def test_reindexing_stale_packages_updates_their_recency(session: Session) -> None:
    make_package(session, "one", title="One", last_commit_at=NOW, stars=3)
    session.commit()
    before = session.scalars(select(SearchEntry.place).where(SearchEntry.kind == 0)).one()
    session.rollback()
    later = NOW + timedelta(days=4000)
    last, changed = reindex_stale(session, ignored_prefixes=PREFIXES, now=later, after=0)
    session.commit()
    assert changed <= 1
    assert reindex_stale(session, ignored_prefixes=PREFIXES, now=later, after=last) == (last, 0)
    session.commit()
    assert session.scalars(select(SearchEntry.place).where(SearchEntry.kind == 0)).one() >= before
    assert search_slugs(session, "one") == ["one"]
    session.rollback()


@pytest.mark.parametrize("query", ["is:maintained", "updated:<1y"])
def test_time_filters_use_the_current_time(session: Session, query: str) -> None:
    make_package(session, "one", last_commit_at=NOW)
    session.commit()
    assert search_slugs(session, query) == ["one"]
    later = NOW + timedelta(days=400)
    assert search(session, query, ignored_prefixes=PREFIXES, now=later).count == 0
