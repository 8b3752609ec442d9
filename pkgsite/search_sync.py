"""Keeps the search index in step: before any commit, what the transaction has changed is indexed anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app
from sqlalchemy import event
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.search.indexer import freshen

WROTE = "wrote"


def init_app(_app: Flask) -> None:
    """Listen to the site's database sessions."""
    listeners: dict[str, Callable[..., Any]] = {
        "after_flush": on_flush,
        "do_orm_execute": on_execute,
        "before_commit": on_commit,
    }
    for name, listener in listeners.items():
        if not event.contains(db.session, name, listener):
            event.listen(db.session, name, listener)


def on_flush(session: Session, _context: Any) -> None:
    session.info[WROTE] = True


def on_execute(state: Any) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[WROTE] = True


def on_commit(session: Session) -> None:
    if session.in_nested_transaction():
        return
    session.flush()
    if session.info.pop(WROTE, False):
        freshen(session, prefixes=tuple(current_app.config["SEARCH_PREFIX"]), now=utc_now())
        session.info.pop(WROTE, None)
