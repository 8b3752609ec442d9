"""The index is as the data is, whatever changes it, in the transaction that changes it."""

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
from pkgsite.search_sync import HAS_WRITES
from pkgsite.services.search.documents import PACKAGE_COLUMNS
from pkgsite.services.search.indexer import rebuild, reindex_stale
from pkgsite.services.search.query import search
from tests import processes
from tests.factories import NOW, add_to_grid, make_category, make_grid, make_package

PREFIXES = ("django",)


def found(session: Session, typed: str) -> list[str]:
    return [hit.slug for hit in search(session, typed, ignored_prefixes=PREFIXES, now=NOW).packages]


def content(session: Session) -> dict[str, object]:
    """Return all that the index holds, but for ids of its own."""
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


def test_each_kind_of_change_is_found_at_once(session: Session) -> None:
    apps = make_category(session, "apps", title="Programs")
    one = make_package(session, "one", category=apps, description="Stores things", participants=["ada"])
    grid = make_grid(session, "caching", (one,), title="Caching")
    session.commit()
    assert found(session, "stores") == found(session, "programs") == found(session, "caching") == ["one"]
    assert found(session, "by:ada grid:caching category:apps") == ["one"]
    session.execute(update(Package).values(description="Keeps things", participants=["grace"]))  # past the mapped rows
    session.commit()
    assert (found(session, "stores"), found(session, "keeps"), found(session, "by:grace")) == ([], ["one"], ["one"])
    session.execute(update(Grid).values(title="Memory", slug="memory"))
    session.execute(update(Category).values(title="Tools"))
    session.commit()
    assert (found(session, "caching"), found(session, "programs")) == ([], [])
    assert found(session, "memory") == found(session, "tools") == found(session, "grid:memory") == ["one"]
    session.execute(delete(GridPackage))
    session.commit()
    assert found(session, "memory") == []
    add_to_grid(session, grid, one)
    session.commit()
    assert found(session, "memory") == ["one"]
    session.execute(delete(Grid))  # the membership goes with it
    session.commit()
    assert found(session, "memory") == []
    session.execute(update(Package).values(hidden_at=NOW))
    session.commit()
    assert found(session, "keeps") == []
    session.execute(update(Package).values(hidden_at=None))
    session.execute(insert(User).values(username="keeper", created_at=NOW, role="user", is_active=True,
                                        shares_favourites=False, links=[]))  # fmt: skip
    session.commit()
    page = search(session, "keep", ignored_prefixes=PREFIXES, now=NOW)
    assert ([hit.slug for hit in page.packages], [hit.username for hit in page.people]) == (["one"], ["keeper"])
    session.execute(delete(Package))
    session.commit()
    assert found(session, "keeps") == []


def test_what_is_taken_back_is_not_found(session: Session) -> None:
    one = make_package(session, "one", title="First")
    session.commit()
    one.title = "Second"
    session.flush()
    session.rollback()
    assert (found(session, "first"), found(session, "second")) == (["one"], [])
    one.title = "Third"
    with session.begin_nested() as part:
        one.description = "Fourth"
        session.flush()
        part.rollback()
    session.commit()
    assert (found(session, "third"), found(session, "fourth"), found(session, "first")) == (["one"], [], [])


def test_after_any_changes_the_index_is_as_if_made_anew(session: Session) -> None:
    draw = random.Random(5)
    words = ["cache", "rest", "forms", "redis", "queue", "django", "tools"]
    kinds = [make_category(session, slug) for slug in ("apps", "tools")]
    grids = [make_grid(session, slug) for slug in ("caching", "queues")]
    for number in range(40):
        what = draw.randrange(7)
        ids = session.scalars(select(Package.id)).all()
        if what < 2 or not ids:
            package = make_package(
                session, f"p{number}", category=draw.choice(kinds), title=" ".join(draw.sample(words, 2))
            )
            add_to_grid(session, draw.choice(grids), package)
        elif what == 2:
            session.execute(delete(Package).where(Package.id == draw.choice(ids)))
        elif what == 3:
            draw.choice(grids).title = " ".join(draw.sample(words, 2))
        elif what == 4:
            draw.choice(kinds).title = draw.choice(words)
        else:
            values = draw.choice(
                [
                    {"description": " ".join(draw.choices(words, k=5))},
                    {"stars": draw.randrange(5000)},
                    {"archived_at": draw.choice([NOW, None])},
                    {"hidden_at": draw.choice([NOW, None])},
                    {"participants": draw.sample(words, 2)},
                    {"licence": "MIT", "pypi_version": "1", "classifiers": ["Programming Language :: Python :: 3.13"]},
                ]
            )
            session.execute(update(Package).where(Package.id == draw.choice(ids)).values(values))
        session.commit()
        session.expire_all()
    kept = content(session)
    session.rollback()
    begin_write(session)
    told: list[tuple[int, int]] = []
    rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *done: told.append(done))
    session.commit()
    assert told
    assert told[-1][0] == told[-1][1]
    made = content(session)
    assert kept["words"] == made["words"]
    assert kept["texts"] == made["texts"]
    assert kept == made


def test_made_anew_an_index_that_was_lost_is_whole(session: Session) -> None:
    make_package(session, "one", title="First", description="Keeps things", participants=["ada"])
    make_grid(session, "caching")
    session.commit()
    kept = content(session)
    session.rollback()
    begin_write(session)
    for table in ("search_text", "search_word", "search_entry"):
        session.execute(text(f"DELETE FROM {table}"))
    session.commit()
    assert found(session, "first") == []
    session.rollback()
    begin_write(session)
    rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *_: None)
    session.commit()
    assert content(session) == kept
    assert found(session, "frist") == ["one"]  # the words are there, by which slips are understood


SCHEMA = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'search%' "
    "UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "UNION ALL SELECT 'numbers', pg_get_serial_sequence('search_word', 'id')",
}


def test_made_anew_the_tables_are_those_of_the_migrations(session: Session) -> None:
    schema = text(SCHEMA[session.get_bind().dialect.name])
    before = set(map(tuple, session.execute(schema)))
    for number in range(2):
        session.rollback()
        begin_write(session)
        rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *_: None)
        make_package(session, f"p{number}", description=f"word{number}")
        session.commit()
        assert found(session, f"word{number}") == [f"p{number}"]
    assert set(map(tuple, session.execute(schema))) == before


def test_each_column_that_the_index_reads_is_watched(session: Session) -> None:
    """By triggers, which a migration that makes a table anew would lose."""
    row = make_package(session, "one")
    session.commit()
    read = {column.key for column in PACKAGE_COLUMNS} - {"id"} | {"category_id", "hidden_at"}
    columns = {"package": read, "category": {"title", "title_plural", "slug", "description"}}
    for table, names in columns.items():
        for name in sorted(names):
            session.execute(text(f'UPDATE {table} SET "{name}" = "{name}"'))
            stale = session.execute(delete(SearchStale).returning(SearchStale.kind, SearchStale.item_id)).all()
            assert (Kind.PACKAGE, row.id) in map(tuple, stale), f"{table}.{name}"


def test_a_version_alone_and_users_that_move_are_heard_of(session: Session) -> None:
    known = {"classifiers": ["Programming Language :: Python :: 3.13"]}
    one, other = make_package(session, "one", **known), make_package(session, "other", **known)
    user = User(username="ada", created_at=NOW, role="user", is_active=True, shares_favourites=False, links=[])
    session.add(user)
    session.flush()
    session.add(Usage(package_id=one.id, user_id=user.id, created_at=NOW))
    session.commit()
    assert found(session, "python:3.13") == []
    session.execute(update(Package).values(pypi_version="1.0"))
    session.commit()
    assert found(session, "python:3.13") == ["one", "other"]
    session.execute(update(Usage).values(package_id=other.id))
    session.commit()
    assert found(session, "python:3.13") == ["other", "one"]


def test_two_who_edit_one_category_are_both_found(app: Flask, session: Session) -> None:
    category = make_category(session, "apps", title="Programs", description="")
    make_package(session, "one", category=category)
    session.commit()
    if not is_sqlite(session):  # there who has read can't write after another one has
        assert category.title == "Programs"

    def rename() -> None:
        with app.app_context():
            db.session.execute(update(Category).values(title="Tools"))
            db.session.commit()

    thread = threading.Thread(target=rename)
    thread.start()
    thread.join()
    session.connection().execute(update(Category).values(description="All of them"))
    session.info[HAS_WRITES] = True  # past the session, so that what it has read stays as it was
    session.commit()
    page = search(session, "tools", ignored_prefixes=PREFIXES, now=NOW)
    assert [hit.title for hit in page.categories] == ["Tools"]


def test_thousands_of_people_are_all_found_and_all_forgotten(session: Session) -> None:
    one = make_package(session, "one", participants=[f"user{number}x" for number in range(3000)])
    session.commit()
    assert found(session, "user2999x") == ["one"]
    assert found(session, "one -user2999x") == []
    one.participants = []
    session.commit()
    assert session.scalars(select(SearchWord.word).where(SearchWord.word.startswith("user"))).all() == []


@pytest.mark.long
def test_an_edit_of_another_process_is_found_at_once(session: Session, database_url: str, tmp_path: Path) -> None:
    make_package(session, "one", title="First")
    session.commit()
    assert found(session, "zebra") == []
    session.rollback()
    edit = (
        "from wsgi import app\nfrom pkgsite.extensions import db\nfrom pkgsite.models import Package\n"
        "with app.app_context():\n"
        "    db.session.query(Package).one().title = 'Zebra'\n    db.session.commit()\n"
    )
    own = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "SECRET_KEY": "for tests only", "SCHEDULER": "off"}
    process = processes.start("-c", edit, env=os.environ | own)
    assert (process.communicate(), process.returncode) == (("", ""), 0)
    assert (found(session, "zebra"), found(session, "first")) == (["one"], [])


def test_two_who_change_one_package_at_once_are_both_found(app: Flask, session: Session) -> None:
    one = make_package(session, "one", title="First")
    grid = make_grid(session, "memory", title="Memory")
    package_id, grid_id = one.id, grid.id
    session.commit()
    barrier = threading.Barrier(2)

    def rename() -> None:
        db.session.execute(update(Package).where(Package.id == package_id).values(title="Second"))

    def put() -> None:
        values = {"package_id": package_id, "grid_id": grid_id, "position": 0, "created_at": NOW}
        db.session.execute(insert(GridPackage).values(values))

    def work(change: Callable[[], None]) -> None:
        with app.app_context():
            barrier.wait()
            begin_write(db.session())
            change()
            db.session.commit()

    for _ in range(5):
        threads = [threading.Thread(target=work, args=(change,)) for change in (rename, put)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found(session, "second memory") == ["one"]
        session.execute(delete(GridPackage))
        session.execute(update(Package).values(title="First"))
        session.commit()
        assert found(session, "first -memory") == ["one"]
        session.rollback()


def test_who_searches_while_all_is_made_anew_waits_for_nothing(app: Flask, session: Session) -> None:
    make_package(session, "one", title="First")
    session.commit()
    failures: list[Exception] = []

    def work() -> None:
        with app.app_context():
            begin_write(db.session())
            try:
                rebuild(db.session(), ignored_prefixes=PREFIXES, now=utc_now(), on_progress=lambda *_: None)
                db.session.commit()
            except DBAPIError as failure:
                failures.append(failure)

    session.execute(select(SearchWord.id)).all()  # as a search begins
    thread = threading.Thread(target=work)
    thread.start()
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE datname = current_database() AND NOT granted"
    )
    while thread.is_alive() and (is_sqlite(session) or not session.scalar(waiting)):
        thread.join(0.01)
    assert found(session, "first") == ["one"]
    session.rollback()
    thread.join(30)
    assert (thread.is_alive(), failures) == (False, [])
    assert found(session, "first") == ["one"]


def test_the_day_changes_what_is_recent(session: Session) -> None:
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
    assert found(session, "one") == ["one"]
    session.rollback()


@pytest.mark.parametrize("typed", ["is:maintained", "updated:<1y"])
def test_filters_of_time_go_with_the_time(session: Session, typed: str) -> None:
    make_package(session, "one", last_commit_at=NOW)
    session.commit()
    assert found(session, typed) == ["one"]
    later = NOW + timedelta(days=400)
    assert search(session, typed, ignored_prefixes=PREFIXES, now=later).count == 0
