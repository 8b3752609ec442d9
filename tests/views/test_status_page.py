"""The status page: its content, what it must not disclose, and its number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
from tests.views.conftest import FetchPage, link_targets, visible_text
from tests.views.varied_site import MALICIOUS_TEXT

HOLDER = "secret-machine:4711:beef"
HOUR = timedelta(hours=1)


def hold_lease(session: Session) -> None:
    session.add(Lease(name=SCHEDULER_LEASE, holder=HOLDER, held_until=utc_now() + HOUR))


def add_job_runs(session: Session) -> None:
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
    for index in range(count):
        package = make_package(session, f"p-{index}", title=f"P {index} {MALICIOUS_TEXT}"[:100])
        for source in ("repo", "activity", "people", "index", "downloads"):
            failure: dict[str, Any] = (
                {"last_error": MALICIOUS_TEXT, "last_error_at": now - HOUR, "failures": 1} if source == "repo" else {}
            )
            make_source_state(
                session, package, source, fetched_at=now - 2 * HOUR, next_due_at=now + 5 * HOUR, **failure
            )


@pytest.fixture
def page(session: Session, fetch_page: FetchPage) -> str:
    """The status page of a site with jobs, hosts, sources and failures."""
    hold_lease(session)
    add_job_runs(session)
    add_hosts(session)
    add_sources(session, 3)
    session.commit()
    return fetch_page("/status/")


def test_an_empty_site_explains_what_will_appear(fetch_page: FetchPage) -> None:
    text = visible_text(fetch_page("/status/"))
    for expected in ("No scheduler is running", "No job has run yet", "No hosts yet",
                 "Nothing to fetch yet", "No failures", *[job.title for job in TIMETABLE]):  # fmt: skip
        assert expected in text, expected


def test_jobs_show_time_duration_and_result(page: str) -> None:
    text = visible_text(page)
    for expected in (
        "A scheduler is running", "Refresh package facts 1 min 1 hour ago took 1 min 23 s",
        "1,200 fetched, 3 unchanged", "Failed: <script>", "Update scores 6 h running started 1 hour ago",
        "Delete old job runs 1 d never",
    ):  # fmt: skip
        assert expected in text, expected
    assert "0 failed" not in text


def test_an_unfinished_run_without_a_scheduler_is_interrupted(session: Session, fetch_page: FetchPage) -> None:
    add_job_runs(session)
    session.commit()
    assert "interrupted started 1 hour ago , did not finish" in visible_text(fetch_page("/status/"))


def test_lease_holders_are_not_disclosed(page: str) -> None:
    assert "secret-machine" not in page
    assert "4711" not in page


def test_hosts_show_availability_and_quotas(page: str) -> None:
    text = visible_text(page)
    for expected in (
        "codeberg.org Unreachable timed out", "github.com Available just now",
        "core: 4,321 of 5,000 left, resets in 1 hour", "pypi.org Available just now none reported 3 hours ago",
        "gitlab.com Paused , next request in 59 minutes slow <down>", "pypistats.org Not contacted yet never",
    ):  # fmt: skip
        assert expected in text, expected
    assert 'max="5000" low="500" optimum="5000" value="4321"' in page
    assert page.count("<meter") == 1  # a quota of 0 has no meter
    assert "x" * 200 not in page


def test_sources_show_counts_and_ages(page: str) -> None:
    assert "Repository 3 2 hours ago 2 hours ago 0 0 3 0" in visible_text(page)
    assert "Downloads 3 2 hours ago 2 hours ago 0 0 0 0" in visible_text(page)


def test_failures_link_to_their_packages(page: str) -> None:
    assert "/packages/p/p-0/" in link_targets(page)
    failures = page.partition('id="failures"')[2]
    assert failures.count('<th scope="row">') == 3
    assert "in 4 hours" in failures


def test_text_from_other_sites_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert "slow <down>" not in page
    assert "7*7" in page


def test_tables_are_in_labelled_scroll_regions(page: str) -> None:
    main = page.partition("<main")[2]
    assert main.count("<table") == main.count('class="scroller" tabindex="0" role="region" aria-label=') == 4
    assert " style=" not in page
    assert page.count("<script") == 3  # those of every page


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_the_page_has_a_fixed_number_of_queries(app: Flask, session: Session, rows: int) -> None:
    if rows:
        add_job_runs(session)
        add_hosts(session)
    add_sources(session, rows)
    session.commit()
    session.close()
    with recorded_queries(app) as statements:
        assert app.test_client().get("/status/").status_code == 200
    assert len(statements) == 7


def test_every_page_links_to_the_status_page(client: FlaskClient) -> None:
    for path in ("/", "/no-such-page/"):
        assert "/status/" in link_targets(client.get(path).text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (59.6, "1 min"), (83, "1 min 23 s"), (3600, "1 h"),
     (90061, "1 d 1 h")],
)  # fmt: skip
def test_durations_are_formatted(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)).replace("\N{NO-BREAK SPACE}", " ") == text
