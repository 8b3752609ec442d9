"""The status page: what it says, what it keeps to itself, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.models import HostState, JobRun, Lease
from pkgsite.rules.timetable import REFRESH, SAMPLES, SCORES, TIMETABLE
from pkgsite.services.status import SCHEDULER_LEASE
from pkgsite.views.status import format_duration
from tests.factories import make_package, make_source_state
from tests.queries import recorded_queries
from tests.views.conftest import link_targets, visible_text
from tests.views.varied_site import MALICIOUS_TEXT

Get = Callable[[str], str]
HOLDER = "secret-machine:4711:beef"
HOUR = timedelta(hours=1)


def hold_lease(session: Session) -> None:
    session.add(Lease(name=SCHEDULER_LEASE, holder=HOLDER, held_until=utc_now() + HOUR))


def add_jobs(session: Session) -> None:
    now = utc_now()
    for job, result, error, ended in (
        (REFRESH, {"fetched": 1200, "unchanged": 3, "failed": 0}, None, True),
        (SAMPLES, None, MALICIOUS_TEXT, True),
        (SCORES, None, None, False),
    ):
        start = now - HOUR
        end = start + timedelta(seconds=83) if ended else None
        run = JobRun(job=job.name, tick_at=start, started_at=start, ended_at=end, result=result, error=error)
        run.holder = HOLDER
        session.add(run)


def add_hosts(session: Session) -> None:
    now = utc_now()
    quota = {"whole": 5000, "left": 4321, "resets_at": (now + HOUR + timedelta(minutes=1)).isoformat()}
    session.add_all(
        [
            HostState(host="github.com", last_answer_at=now, quotas={"core": quota, "odd": quota | {"whole": 0}}),
            HostState(host="gitlab.com", last_answer_at=now - HOUR, paused_until=now + HOUR, last_error="slow <down>"),
            HostState(host="codeberg.org", last_error="timed out " + "x" * 5000, last_error_at=now - HOUR),
            HostState(host="pypi.org", last_answer_at=now, checked_at=now - 3 * HOUR),
            HostState(host="pypistats.org"),
        ]
    )


def add_sources(session: Session, count: int) -> None:
    now = utc_now()
    for number in range(count):
        package = make_package(session, f"p-{number}", title=f"P {number} {MALICIOUS_TEXT}"[:100])
        for source in ("repo", "activity", "people", "index", "downloads"):
            failing = (
                {"last_error": MALICIOUS_TEXT, "last_error_at": now - HOUR, "failures": 1} if source == "repo" else {}
            )
            make_source_state(
                session, package, source, fetched_at=now - 2 * HOUR, next_due_at=now + 5 * HOUR, **failing
            )


@pytest.fixture
def page(session: Session, fetch_page: Get) -> str:
    """The page of a site where everything has happened."""
    hold_lease(session)
    add_jobs(session)
    add_hosts(session)
    add_sources(session, 3)
    session.commit()
    return fetch_page("/status/")


def test_a_site_that_has_done_nothing_says_what_will_happen(fetch_page: Get) -> None:
    words = visible_text(fetch_page("/status/"))
    for told in ("No scheduler is running", "No job has run yet", "No hosts yet",
                 "Nothing to fetch yet", "No failures", *[job.title for job in TIMETABLE]):  # fmt: skip
        assert told in words, told


def test_jobs_show_when_how_long_and_what_came_of_it(page: str) -> None:
    words = visible_text(page)
    for told in (
        "A scheduler is running", "Refresh package facts 1 min 1 hour ago took 1 min 23 s",
        "1,200 fetched, 3 unchanged", "Failed: <script>", "Update scores 6 h running started 1 hour ago",
        "Delete old job runs 1 d never",
    ):  # fmt: skip
        assert told in words, told
    assert "0 failed" not in words


def test_a_run_that_nobody_is_at_was_cut_off(session: Session, fetch_page: Get) -> None:
    add_jobs(session)
    session.commit()
    assert "interrupted started 1 hour ago , did not finish" in visible_text(fetch_page("/status/"))


def test_nobody_learns_which_machine_works(page: str) -> None:
    assert "secret-machine" not in page
    assert "4711" not in page


def test_hosts_show_whether_they_answer_and_what_is_left(page: str) -> None:
    words = visible_text(page)
    for told in (
        "codeberg.org Unreachable timed out", "github.com Available just now",
        "core: 4,321 of 5,000 left, resets in 1 hour", "pypi.org Available just now none reported 3 hours ago",
        "gitlab.com Paused , next request in 59 minutes slow <down>", "pypistats.org Not contacted yet never",
    ):  # fmt: skip
        assert told in words, told
    assert 'max="5000" low="500" optimum="5000" value="4321"' in page
    assert page.count("<meter") == 1  # a quota of nothing has no bar
    assert "x" * 200 not in page


def test_sources_show_their_numbers_and_ages(page: str) -> None:
    assert "Repository 3 2 hours ago 2 hours ago 0 0 3 0" in visible_text(page)
    assert "Downloads 3 2 hours ago 2 hours ago 0 0 0 0" in visible_text(page)


def test_failures_lead_to_their_packages(page: str) -> None:
    assert "/packages/p/p-0/" in link_targets(page)
    failures = page.partition('id="failures"')[2]
    assert failures.count('<th scope="row">') == 3
    assert "in 4 hours" in failures


def test_strangers_words_stay_words(page: str) -> None:
    assert "<script>alert" not in page
    assert "slow <down>" not in page
    assert "7*7" in page


def test_it_needs_no_script_and_wide_tables_scroll_by_themselves(page: str) -> None:
    main = page.partition("<main")[2]
    assert main.count("<table") == main.count('class="scroller" tabindex="0" role="region" aria-label=') == 4
    assert " style=" not in page
    assert page.count("<script") == 3  # those that every page has


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_it_costs_the_same_whatever_the_rows(app: Flask, session: Session, rows: int) -> None:
    if rows:
        add_jobs(session)
        add_hosts(session)
    add_sources(session, rows)
    session.commit()
    session.close()
    with recorded_queries(app) as statements:
        assert app.test_client().get("/status/").status_code == 200
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) == 7


def test_every_page_leads_to_it(client: FlaskClient) -> None:
    for path in ("/", "/no-such-page/"):
        assert "/status/" in link_targets(client.get(path).text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0 s"), (0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (59.6, "1 min"), (83, "1 min 23 s"), (3600, "1 h"),
     (90061, "1 d 1 h")],
)  # fmt: skip
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert format_duration(timedelta(seconds=seconds)).replace("\N{NO-BREAK SPACE}", " ") == words
