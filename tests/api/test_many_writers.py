"""Many clients that change the same records concurrently: no change is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Grid, Revision
from tests.api.api_client import ApiClient
from tests.factories import make_grid
from tests.users import make_user

GRIDS, THREADS = 10, 20


def append_word(url: str, token: str, word: str) -> list[int]:
    """Append a word to the description of a grid, retrying after each conflict, and return the statuses."""
    statuses: list[int] = []
    with requests.Session() as client:
        client.headers["Authorization"] = f"Bearer {token}"
        while not statuses or statuses[-1] == 412:
            current = client.get(url, timeout=60)
            body = {"description": f"{current.json()['description']} {word}"}
            response = client.patch(url, json=body, headers={"If-Match": current.headers["ETag"]}, timeout=60)
            statuses.append(response.status_code)
    return statuses


@pytest.mark.parametrize(
    "writers", [pytest.param(40, marks=pytest.mark.long), pytest.param(100, marks=pytest.mark.slow)]
)
def test_no_change_of_many_writers_is_lost(
    app: Flask, session: Session, serve_app: Callable[[Any], str], writers: int
) -> None:
    grid_ids = [make_grid(session, f"grid-{number}").id for number in range(GRIDS)]
    users = [make_user(session, f"user-{number}") for number in range(2)]
    tokens = [ApiClient(app, session, user).token for user in users]
    site_url = serve_app(app)
    with ThreadPoolExecutor(THREADS) as threads:
        jobs = [
            threads.submit(
                append_word,
                f"{site_url}/api/v4/grids/{grid_ids[number % GRIDS]}/",
                tokens[number % 2],
                f"word-{number}",
            )
            for number in range(writers)
        ]
        statuses = Counter(status for job in jobs for status in job.result())
    assert statuses[200] == writers
    assert set(statuses) <= {200, 412}
    session.rollback()
    words_by_grid = {grid.id: grid.description.split() for grid in session.scalars(select(Grid))}
    for index, grid_id in enumerate(grid_ids):
        assert sorted(words_by_grid[grid_id]) == sorted(f"word-{number}" for number in range(index, writers, GRIDS))
    assert len(session.scalars(select(Revision.id)).all()) == writers


def test_the_second_of_two_changes_with_the_same_etag_is_rejected(
    app: Flask, session: Session, serve_app: Callable[[Any], str]
) -> None:
    grid = make_grid(session)
    path = f"/api/v4/grids/{grid.id}/"
    tokens = [ApiClient(app, session, make_user(session, name)).token for name in ("ada", "bo")]
    url = serve_app(app) + path
    etag = requests.get(url, timeout=60).headers["ETag"]

    def change_description(token: str) -> int:
        headers = {"Authorization": f"Token {token}", "If-Match": etag}
        return requests.patch(url, json={"description": token[-8:]}, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(change_description, tokens)) == [200, 412]


def test_concurrent_requests_with_one_idempotency_key_take_effect_once(
    app: Flask, session: Session, serve_app: Callable[[Any], str]
) -> None:
    token = ApiClient(app, session, make_user(session)).token
    url = f"{serve_app(app)}/api/v4/grids/"

    def create_grid(_: int) -> tuple[int, int]:
        headers = {"Authorization": f"Token {token}", "Idempotency-Key": "one"}
        response = requests.post(url, json={"title": "Once"}, headers=headers, timeout=60)
        return response.status_code, response.json()["id"]

    with ThreadPoolExecutor(8) as threads:
        responses = set(threads.map(create_grid, range(8)))
    session.rollback()
    (grid,) = session.scalars(select(Grid))
    assert responses == {(201, grid.id)}
