"""Keeps the search index in step: before any commit, what the transaction has changed is indexed anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app
from sqlalchemy import event
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.search.indexer import index_pending

HAS_WRITES = "wrote"


def init_app(_app: Flask) -> None:
    """Listen to the site's database sessions."""
    listeners: dict[str, Callable[..., Any]] = {
        "after_flush": mark_written_on_flush,
        "do_orm_execute": mark_written_on_execute,
        "before_commit": index_before_commit,
    }
    for name, listener in listeners.items():
        if not event.contains(db.session, name, listener):
            event.listen(db.session, name, listener)


def mark_written_on_flush(session: Session, _context: Any) -> None:
    session.info[HAS_WRITES] = True


def mark_written_on_execute(state: Any) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[HAS_WRITES] = True


def index_before_commit(session: Session) -> None:
    if session.in_nested_transaction():
        return
    session.flush()
    if session.info.pop(HAS_WRITES, False):
        index_pending(session, ignored_prefixes=tuple(current_app.config["SEARCH_PREFIX"]), now=utc_now())
        session.info.pop(HAS_WRITES, None)
