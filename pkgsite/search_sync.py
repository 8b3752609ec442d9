"""Keeps the search index up to date: before each commit, the records that the transaction has changed are reindexed."""

from __future__ import annotations

from flask import Flask, current_app
from sqlalchemy import event
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.search.indexer import index_pending


def init_app(_app: Flask) -> None:
    """Register the listener on the database sessions, once per process."""
    if not event.contains(db.session, "before_commit", index_before_commit):
        event.listen(db.session, "before_commit", index_before_commit)


def index_before_commit(session: Session) -> None:
    if not session.in_nested_transaction():
        session.flush()
        index_pending(session, ignored_prefixes=tuple(current_app.config["SEARCH_PREFIX"]), now=utc_now())
