"""Two people who add the same thing at the same moment: the second gets the error that it would get a second later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite.extensions import db
from tests.api.api_client import ApiClient
from tests.factories import make_category, make_feature, make_grid, make_package
from tests.users import CsrfClient, make_user

WAIT_S = 0.5  # how long one transaction waits for the other before its first INSERT; a lock may keep the other from it

Send = Callable[[], TestResponse]


def send_together(app: Flask, requests: list[Send]) -> list[TestResponse]:
    """Send two requests whose transactions both reach their first INSERT before either of them runs it."""
    barrier, seen, responses = threading.Barrier(2), threading.local(), list[TestResponse]()

    def wait_for_other(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO") and not getattr(seen, "insert", False):
            seen.insert = True
            with suppress(threading.BrokenBarrierError):
                barrier.wait(WAIT_S)

    def collect(send: Send) -> None:
        responses.append(send())

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", wait_for_other)
    try:
        threads = [threading.Thread(target=collect, args=(send,)) for send in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        event.remove(engine, "before_cursor_execute", wait_for_other)
    return sorted(responses, key=lambda response: response.status_code)


GRID = {"title": "Same", "slug": "same"}
PACKAGE = {"title": "Same", "slug": "same", "category": "apps", "repo_url": "https://github.com/us/same"}


@pytest.mark.parametrize(("path", "data"), [("/grids/add/", GRID), ("/packages/add/", PACKAGE)])
def test_the_second_form_gets_the_error_of_a_taken_slug(
    app: Flask, session: Session, path: str, data: dict[str, str]
) -> None:
    make_category(session, "apps")
    users = [make_user(session, name) for name in ("ada", "bea")]
    session.commit()
    clients = [CsrfClient(app, user) for user in users]
    added, rejected = send_together(app, [partial(client.post, path, data) for client in clients])
    assert (added.status_code, rejected.status_code) == (303, 422)
    assert 'aria-invalid="true"' in rejected.text
    assert "Same" in rejected.text  # the input is kept


@pytest.mark.parametrize(("path", "body"), [("grids/", GRID), ("packages/", PACKAGE | {"category": "apps"})])
def test_the_second_api_request_gets_the_error_of_a_taken_slug(
    app: Flask, session: Session, path: str, body: dict[str, str]
) -> None:
    make_category(session, "apps")
    clients = [ApiClient(app, session, make_user(session, name)) for name in ("ada", "bea")]
    session.commit()
    added, rejected = send_together(app, [partial(client.post, path, body) for client in clients])
    assert (added.status_code, rejected.status_code) == (201, 409)
    assert "slug" in (rejected.json or {})


def test_a_cell_that_two_people_fill_in_first_is_a_conflict(app: Flask, session: Session) -> None:
    package = make_package(session, "one")
    grid = make_grid(session, "g", (package,))
    feature = make_feature(session, grid)
    users = [make_user(session, name) for name in ("ada", "bea")]
    session.commit()
    path = f"/grids/element/{grid.slug}/{package.id}/{feature.id}/"
    clients = [CsrfClient(app, user) for user in users]
    saved, rejected = send_together(
        app,
        [partial(client.post, path, {"text": "yes", "version": "0"}) for client in clients],
    )
    assert (saved.status_code, rejected.status_code) == (303, 409)
