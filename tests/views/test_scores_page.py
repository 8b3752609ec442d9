"""The page that explains scores and health says what the rules do."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from pkgsite.rules import health, scores
from pkgsite.services.packages.health import score_examples
from tests.views.conftest import link_targets, visible_text


def test_it_has_the_numbers_of_the_rules(client: FlaskClient) -> None:
    words = visible_text(client.get("/help/scores/").text)
    for told in (
        "For every 3 full months since the last commit, 10% of the stars.", "30% of the stars",
        "up to 1,000", "−50% of the stars", "24 months ago", "within 365 days", "within 730 days",
        "within 182 days", "5 or more", "2 or more", "declares or allows 3.14 or 3.15",
        "3.11, 3.12, 3.13, 3.14 and 3.15 receive security fixes", "3 or more poor checks", "fewer than 4 checks",
        "at most 2 are fair",
    ):  # fmt: skip
        assert told in words, told


@pytest.mark.parametrize(
    ("rules", "name", "value", "told"),
    [
        (scores, "MONTHS_PER_STEP", 7, "For every 7 full months"),
        (scores, "STEP_TENTHS", 4, "since the last commit, 40% of the stars"),
        (scores, "FLOOR_TENTHS", -7, "−70% of the stars"),
        (scores, "MAX_PYTHON_3_PENALTY", 4321, "up to 4,321"),
        (scores, "UNKNOWN_COMMIT_MONTHS", 99, "an unknown last commit as 99 months ago"),
        (health, "RELEASE_GOOD_DAYS", 77, "within 77 days"),
        (health, "COMMIT_FAIR_DAYS", 78, "within 78 days"),
        (health, "SUPPORTED_PYTHONS_AS_OF", "May 2031", "As of May 2031"),
        (health, "MIN_POOR_FOR_POOR", 6, "6 or more poor checks"),
    ],
)
def test_its_numbers_are_those_of_the_rules_at_work(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, rules: Any, name: str, value: object, told: str
) -> None:
    monkeypatch.setattr(rules, name, value)
    assert told in visible_text(client.get("/help/scores/").text)


def test_every_check_of_a_report_is_on_it(client: FlaskClient) -> None:
    html = client.get("/help/scores/").text
    known = dict.fromkeys(health.HealthFacts.__dataclass_fields__) | {"commits_over_52": (), "has_repo": False}
    for check in health.check_health(
        health.HealthFacts(**known), now=health.datetime(2026, 1, 1, tzinfo=health.UTC)
    ).checks:  # type: ignore[arg-type,attr-defined]
        assert f'<th scope="row">{check.title}</th>' in html


def test_the_examples_are_reckoned_by_the_rules() -> None:
    assert [parts.total for _, parts in score_examples()] == [120, 72, 36, 24, -60, 11000]


def test_help_leads_to_it(client: FlaskClient, fetch_page: Callable[[str], str]) -> None:
    assert "/help/scores/" in link_targets(fetch_page("/help/"))
