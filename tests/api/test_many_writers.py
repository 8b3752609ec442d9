"""Many programs that change the same records at once: nobody's words are lost."""

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

WRITERS, GRIDS, AT_ONCE = 100, 10, 20


def append(address: str, secret: str, word: str) -> list[int]:
    """Append a word to a grid's description, beginning anew whenever somebody was faster; return the statuses."""
    statuses = []
    with requests.Session() as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        while not statuses or statuses[-1] == 412:
            seen = client.get(address, timeout=60)
            body = {"description": f"{seen.json()['description']} {word}"}
            done = client.patch(address, json=body, headers={"If-Match": seen.headers["ETag"]}, timeout=60)
            statuses.append(done.status_code)
    return statuses


@pytest.mark.long
def test_a_hundred_writers_lose_nothing(app: Flask, session: Session, serve_app: Callable[[Any], str]) -> None:
    grids = [make_grid(session, f"grid-{number}").id for number in range(GRIDS)]
    people = [make_user(session, f"person-{number}") for number in range(2)]
    secrets = [ApiClient(app, session, person).token for person in people]
    address = serve_app(app)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        jobs = [
            threads.submit(
                append, f"{address}/api/v4/grids/{grids[number % GRIDS]}/", secrets[number % 2], f"word-{number}"
            )
            for number in range(WRITERS)
        ]
        statuses = Counter(status for job in jobs for status in job.result())
    assert statuses[200] == WRITERS
    assert set(statuses) <= {200, 412}
    session.rollback()
    written = {grid.id: grid.description.split() for grid in session.scalars(select(Grid))}
    for place, grid_id in enumerate(grids):
        assert sorted(written[grid_id]) == sorted(f"word-{number}" for number in range(place, WRITERS, GRIDS))
    assert len(session.scalars(select(Revision.id)).all()) == WRITERS


def test_one_of_two_with_the_same_tag_is_told(app: Flask, session: Session, serve_app: Callable[[Any], str]) -> None:
    grid = make_grid(session)
    path = f"/api/v4/grids/{grid.id}/"
    secrets = [ApiClient(app, session, make_user(session, name)).token for name in ("ada", "bo")]
    address = serve_app(app) + path
    tag = requests.get(address, timeout=60).headers["ETag"]

    def change(secret: str) -> int:
        headers = {"Authorization": f"Token {secret}", "If-Match": tag}
        return requests.patch(address, json={"description": secret[-8:]}, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(change, secrets)) == [200, 412]


def test_one_request_sent_twice_at_once_is_done_once(
    app: Flask, session: Session, serve_app: Callable[[Any], str]
) -> None:
    secret = ApiClient(app, session, make_user(session)).token
    address = f"{serve_app(app)}/api/v4/grids/"

    def make(_: int) -> tuple[int, int]:
        headers = {"Authorization": f"Token {secret}", "Idempotency-Key": "one"}
        answer = requests.post(address, json={"title": "Once"}, headers=headers, timeout=60)
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(make, range(8)))
    session.rollback()
    (grid,) = session.scalars(select(Grid))
    assert answers == {(201, grid.id)}
