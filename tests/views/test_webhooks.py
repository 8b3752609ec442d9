"""Webhooks: authentication, the refreshes they schedule, and malformed payloads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite.clock import utc_now
from pkgsite.models import SourceState
from pkgsite.rules.freshness import REFRESH_INTERVALS, Priority, Source
from pkgsite.rules.signatures import sign
from tests.factories import NOW, make_package, make_source_state
from tests.queries import recorded_queries

SECRET = "open sesame"
GITHUB, GITLAB = "/packages/github-webhook/", "/packages/gitlab-webhook/"
URL = "https://github.com/Ada/One"
NESTED_GROUP_URL = "https://gitlab.com/group/sub/One"
LATER = utc_now() + REFRESH_INTERVALS[Source.PEOPLE]
FORM = "application/x-www-form-urlencoded"
Send = Callable[..., TestResponse]


@pytest.fixture
def webhook_client(make_app: Callable[..., Flask], session: Session) -> FlaskClient:
    """A client of a site with a webhook secret and two packages that are not due for weeks."""
    for slug, host, target in (("one", "github.com", "ada/one"), ("grouped", "gitlab.com", "group/sub/one")):
        package = make_package(session, slug, repo_url=f"https://{host}/{target}")
        for source in Source:
            location = (
                {"host": host, "target": target} if source in {"repo", "activity", "people"} else {"host": "pypi.org"}
            )
            make_source_state(session, package, source, **location, next_due_at=LATER)
    session.commit()
    return make_app(WEBHOOK_SECRET=SECRET).test_client()


@pytest.fixture
def github(webhook_client: FlaskClient) -> Send:
    """A function that sends a GitHub event. The payload is sent as JSON, or unchanged if it is bytes."""

    def send(event: str, payload: Any, **headers: str) -> TestResponse:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return webhook_client.post(GITHUB, data=body, headers=github_headers(event, body) | headers)

    return send


@pytest.fixture
def gitlab(webhook_client: FlaskClient) -> Send:
    """A function that sends a GitLab event."""

    def send(payload: Any, token: str = SECRET) -> TestResponse:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = {"X-Gitlab-Token": token, "Content-Type": "application/json"}
        return webhook_client.post(GITLAB, data=body, headers=headers)

    return send


def body_of(response: TestResponse) -> dict[str, Any]:
    return cast("dict[str, Any]", response.get_json())


def github_headers(event: str, body: bytes, content_type: str = "application/json") -> dict[str, str]:
    return {
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": sign(SECRET, body),
        "Content-Type": content_type,
    }


def github_payload(url: str = URL, **fields: Any) -> dict[str, Any]:
    """Return a payload in GitHub's current format."""
    path = url.partition("github.com/")[2]
    return {"repository": {"html_url": url, "url": f"https://api.github.com/repos/{path}"}} | fields


def requeued_sources(session: Session) -> dict[str, set[str]]:
    """Return the sources that webhooks have made due, by package."""
    session.rollback()
    sources: dict[str, set[str]] = {}
    for state in session.scalars(select(SourceState).where(SourceState.priority == Priority.WEBHOOK)):
        assert state.next_due_at <= utc_now()
        sources.setdefault("one" if state.package_id == 1 else "grouped", set()).add(state.source)
    return sources


@pytest.mark.parametrize(
    ("event", "fields", "sources"),
    [
        ("push", {}, {"repo"}),
        ("release", {"action": "published"}, {"repo", "index"}),
        ("create", {"ref_type": "branch"}, {"repo"}),
        ("create", {"ref_type": "tag"}, {"repo", "index"}),
        ("delete", {"ref_type": "tag"}, {"repo", "index"}),
        ("delete", {"ref_type": ["tag"]}, {"repo"}),
        ("repository", {"action": "archived"}, {"repo"}),
        ("public", {}, {"repo"}),
        ("star", {"action": "deleted"}, {"repo"}),
        ("watch", {}, {"repo"}),
        ("fork", {}, {"repo"}),
    ],
)
def test_a_github_event_makes_sources_due(
    github: Send, session: Session, event: str, fields: dict[str, Any], sources: set[str]
) -> None:
    response = github(event, github_payload(**fields))
    assert response.status_code == 200
    assert response.json == {"detail": "Refresh scheduled.", "packages": ["one"], "sources": len(sources)}
    assert requeued_sources(session) == {"one": sources}


@pytest.mark.parametrize(
    ("kind", "sources"), [("push", {"repo"}), ("tag_push", {"repo", "index"}), ("release", {"repo", "index"})]
)
def test_a_gitlab_event_makes_sources_due(gitlab: Send, session: Session, kind: str, sources: set[str]) -> None:
    response = gitlab({"object_kind": kind, "project": {"web_url": NESTED_GROUP_URL}})
    assert (response.status_code, body_of(response)["packages"]) == (200, ["grouped"])
    assert requeued_sources(session) == {"grouped": sources}


def test_irrelevant_events_are_accepted_and_ignored(github: Send, gitlab: Send, session: Session) -> None:
    for response in (
        github("issues", github_payload()),
        github("", github_payload()),
        github("PUSH", {}),
        gitlab({"object_kind": "note", "project": {"web_url": NESTED_GROUP_URL}}),
        gitlab({"object_kind": ["push"]}),
        gitlab({}),
    ):
        assert (response.status_code, response.json) == (202, {"detail": "Event ignored."})
    assert requeued_sources(session) == {}


def test_a_ping_is_confirmed(github: Send, session: Session) -> None:
    for payload in ({"zen": "Keep it logically awesome."}, github_payload("https://github.com/no/body")):
        response = github("ping", payload)
        assert (response.status_code, response.json) == (200, {"detail": "The webhook works."})
    assert requeued_sources(session) == {}


def test_a_form_encoded_payload_is_accepted(webhook_client: FlaskClient, session: Session) -> None:
    body = urlencode({"payload": json.dumps(github_payload(note="ünï & çødé +"))}).encode()
    for content_type in (FORM, f"{FORM}; charset=utf-8"):
        response = webhook_client.post(GITHUB, data=body, headers=github_headers("push", body, content_type))
        assert (response.status_code, response.content_type) == (200, "application/json")
    assert requeued_sources(session) == {"one": {"repo"}}


def test_a_form_can_be_as_large_as_the_sites_limit(webhook_client: FlaskClient) -> None:
    body = urlencode({"payload": json.dumps(github_payload(note="x" * 900_000))}).encode()
    assert webhook_client.post(GITHUB, data=body, headers=github_headers("push", body, FORM)).status_code == 200
    body = urlencode({"payload": "x" * 2_000_000}).encode()
    response = webhook_client.post(GITHUB, data=body, headers=github_headers("push", body, FORM))
    assert (response.status_code, response.json) == (413, {"detail": "Request Entity Too Large."})


def test_repeating_a_webhook_changes_nothing(github: Send, session: Session) -> None:
    assert body_of(github("push", github_payload()))["sources"] == 1
    due = session.scalars(select(SourceState.next_due_at).where(SourceState.priority == Priority.WEBHOOK)).all()
    for _ in range(3):
        response = github("push", github_payload())
        assert (response.status_code, body_of(response)["sources"]) == (200, 0)
        assert body_of(response)["detail"] == "A refresh is already scheduled."
    session.rollback()
    assert session.scalars(select(SourceState.next_due_at).where(SourceState.priority == Priority.WEBHOOK)).all() == due


def test_a_webhook_raises_the_priority_of_sources_already_due(github: Send, session: Session) -> None:
    for state in session.scalars(select(SourceState).where(SourceState.package_id == 1)):
        state.next_due_at, state.priority = NOW, Priority.USER_REQUEST
    session.commit()
    assert body_of(github("push", github_payload()))["sources"] == 1
    assert requeued_sources(session) == {"one": {"repo"}}


@pytest.mark.parametrize("repo_url", ["https://github.com/Grace/Two/", "http://www.github.com/grace/two.git"])
def test_a_package_whose_sources_are_not_planned_yet_is_found(github: Send, session: Session, repo_url: str) -> None:
    package = make_package(session, "two", repo_url=repo_url, pypi_url="two")
    session.commit()
    assert body_of(github("push", github_payload("https://github.com/grace/TWO")))["packages"] == ["two"]
    session.rollback()
    states = session.scalars(select(SourceState).where(SourceState.package_id == package.id)).all()
    assert {state.source: state.priority for state in states}[Source.REPO] == Priority.WEBHOOK
    assert len(states) == len(Source)


@pytest.mark.parametrize(
    "repository",
    [
        {"html_url": "https://github.com/ada/one"},
        {"html_url": "https://GitHub.com/ADA/ONE/"},
        {"html_url": "https://www.github.com/ada/one.git"},
        {"url": "https://github.com/ada/one"},
        {"url": "http://github.com/ada/one", "html_url": ""},
        {"url": "https://github.com/ada/one", "html_url": None},
    ],
)
def test_the_repository_url_is_normalized(github: Send, repository: dict[str, Any]) -> None:
    assert body_of(github("push", {"repository": repository}))["packages"] == ["one"]


def test_every_visible_package_of_the_repository_is_refreshed(github: Send, session: Session) -> None:
    for slug, hidden_at in (("twin", None), ("hidden", NOW)):
        package = make_package(session, slug, hidden_at=hidden_at)
        make_source_state(session, package, "repo", target="ada/one", next_due_at=LATER)
    session.commit()
    response = github("push", github_payload())
    assert (body_of(response)["packages"], body_of(response)["sources"]) == (["one", "twin"], 2)


@pytest.mark.parametrize(
    ("url", "changes"),
    [
        ("https://github.com/Ada/Renamed", {"repository": {"name": {"from": "One"}}}),
        ("https://github.com/grace/One", {"owner": {"from": {"user": {"login": "Ada"}}}}),
        ("https://github.com/acme/One/", {"owner": {"from": {"organization": {"login": "ada"}, "user": None}}}),
    ],
)
def test_a_moved_repository_is_matched_by_its_old_name(
    github: Send, session: Session, url: str, changes: dict[str, Any]
) -> None:
    response = github("repository", github_payload(url, action="renamed", changes=changes))
    assert (response.status_code, body_of(response)["packages"]) == (200, ["one"])
    assert requeued_sources(session) == {"one": {"repo"}}


def test_the_new_name_takes_precedence_over_the_old_one(github: Send, session: Session) -> None:
    make_source_state(session, make_package(session, "renamed"), "repo", target="ada/renamed", next_due_at=LATER)
    session.commit()
    changes = {"repository": {"name": {"from": "One"}}}
    response = github("repository", github_payload("https://github.com/Ada/Renamed", changes=changes))
    assert body_of(response)["packages"] == ["renamed"]


def test_a_known_new_location_is_matched(github: Send, session: Session) -> None:
    make_package(session, "elsewhere", repo_moved_to="https://github.com/Other/Home")
    session.commit()
    response = github("push", github_payload("https://github.com/other/home"))
    assert (response.status_code, body_of(response)["packages"]) == (200, ["elsewhere"])


@pytest.mark.parametrize(
    "url",
    ["https://github.com/no/body", "https://evil.example/ada/one", "https://gitlab.com/ada/one", "https://github.com/ada",
     "javascript:alert(1)", "https://[::1", "https://github.com/a%00b/c", "ada/one", "https://github.com/\ud800/x",
     "https://api.github.com/users/ada", "https://github.com:99999/ada/one", "%", "https://github.com/../one"],
)  # fmt: skip
def test_an_unknown_repository_is_not_found(github: Send, gitlab: Send, session: Session, url: str) -> None:
    for response in (
        github("push", {"repository": {"html_url": url.encode("utf-8", "replace").decode()}}),
        gitlab({"object_kind": "push", "project": {"web_url": url.encode("utf-8", "replace").decode()}}),
    ):
        assert (response.status_code, response.json) == (
            404,
            {"detail": "No package on this site uses this repository."},
        )
    assert requeued_sources(session) == {}


WITHOUT_REPOSITORY: tuple[Any, ...] = (
    {}, {"repository": None, "project": None}, {"repository": [], "project": []}, {"repository": "x", "project": 1},
    {"repository": {"html_url": 7}, "project": {"web_url": 7}}, {"repository": {"html_url": ["x"], "url": {}}},
    {"repository": {"html_url": "https://github.com/" + "x" * 400_000}, "project": {"web_url": "x" * 400_000}},
)  # fmt: skip


@pytest.mark.parametrize("index", range(len(WITHOUT_REPOSITORY)))
def test_a_payload_without_a_repository_is_rejected(github: Send, gitlab: Send, index: int) -> None:
    changes = {"changes": {"repository": ["name"], "owner": {"from": "x"}}}
    for response in (
        github("push", WITHOUT_REPOSITORY[index] | changes),
        gitlab(WITHOUT_REPOSITORY[index] | {"object_kind": "push"}),
    ):
        assert (response.status_code, response.json) == (400, {"detail": "The payload does not name a repository."})


@pytest.mark.parametrize("changes", [None, [], "x", {"repository": {"name": {"from": 7}}}, {"owner": {"from": [{}]}}])
def test_malformed_changes_are_ignored(github: Send, changes: Any) -> None:
    assert github("repository", github_payload(changes=changes)).status_code == 200
    assert github("repository", github_payload("https://github.com/x/y", changes=changes)).status_code == 404


MALFORMED = {
    b"": "The payload is empty.",
    b"{": "The payload is not valid JSON.",
    b"\xff\xfe{}": "The payload is not valid JSON.",
    b'{"a": "\xed\xa0\x80"}': "The payload is not valid JSON.",
    b'{"a": NaN}': "The payload is not valid JSON.",
    b"payload={}": "The payload is not valid JSON.",
    b"[" * 500_000: "The payload is not valid JSON.",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000: "The payload is not valid JSON.",
    b"[]": "The payload is not a JSON object.",
    b"null": "The payload is not a JSON object.",
    b"7": "The payload is not a JSON object.",
    b'"' + b"x" * 900_000 + b'"': "The payload is not a JSON object.",
}


@pytest.mark.parametrize("index", range(len(MALFORMED)))
def test_a_malformed_payload_is_rejected_with_an_explanation(github: Send, gitlab: Send, index: int) -> None:
    body, text = list(MALFORMED.items())[index]
    for response in (github("push", body), github("ping", body), gitlab(body)):
        assert (response.status_code, response.json) == (400, {"detail": text})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "The payload is empty."),
        (b"payload=", "The payload is empty."),
        (b"other=%7B%7D", "The payload is empty."),
        (b"payload=%7B", "The payload is not valid JSON."),
        (b"payload=%5B%5D", "The payload is not a JSON object."),
        (b"payload=%ff%fe", "The form data is invalid."),
        (b"\xff=1", "The form data is invalid."),
    ],
)
def test_a_malformed_form_is_rejected_with_an_explanation(webhook_client: FlaskClient, body: bytes, text: str) -> None:
    response = webhook_client.post(GITHUB, data=body, headers=github_headers("push", body, FORM))
    assert (response.status_code, response.json) == (400, {"detail": text})


def test_a_form_with_many_fields_is_rejected(webhook_client: FlaskClient) -> None:
    body = b"a=1&" * 1_001
    assert webhook_client.post(GITHUB, data=body, headers=github_headers("push", body, FORM)).status_code == 413


def test_requests_with_a_wrong_secret_are_rejected(github: Send, gitlab: Send, session: Session) -> None:
    body = json.dumps(github_payload()).encode()
    rejected = {"detail": "Missing or invalid signature or secret."}
    for signature in ("", "sha256=", sign("other", body), sign(SECRET, body + b" "), "sha1=abc", "ü"):
        response = github("push", body, **{"X-Hub-Signature-256": signature})
        assert (response.status_code, response.json) == (403, rejected)
    for token in ("", "open", "open sesame2", "ü"):
        response = gitlab({"object_kind": "push", "project": {"web_url": NESTED_GROUP_URL}}, token)
        assert (response.status_code, response.json) == (403, rejected)
    assert requeued_sources(session) == {}


def test_the_payload_is_not_read_before_the_signature_is_checked(
    github: Send, gitlab: Send, webhook_client: FlaskClient
) -> None:
    with recorded_queries(webhook_client.application) as statements:
        for body in MALFORMED:
            assert github("push", body, **{"X-Hub-Signature-256": "sha256=no"}).status_code == 403
            assert gitlab(body, "no").status_code == 403
    assert statements == []


def test_a_site_without_a_secret_rejects_webhooks(client: FlaskClient) -> None:
    for url in (GITHUB, GITLAB):
        headers = {"X-Hub-Signature-256": sign("", b"{}"), "X-Gitlab-Token": "", "X-GitHub-Event": "ping"}
        response = client.post(url, data=b"{}", headers=headers)
        assert (response.status_code, response.content_type) == (403, "application/json")
        assert response.json == {"detail": "Webhooks are disabled: no secret is configured."}


@pytest.mark.parametrize("url", [GITHUB, GITLAB])
def test_other_methods_are_not_allowed(client: FlaskClient, url: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = client.open(url, method=method)
        assert (response.status_code, response.json) == (
            405,
            {"detail": "Method not allowed. Send webhooks with POST."},
        )
        assert response.headers["Allow"] == "OPTIONS, POST"
    assert client.head(url).status_code == 405


def test_responses_have_the_security_headers(github: Send) -> None:
    response = github("push", github_payload())
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


def test_a_webhook_has_a_fixed_number_of_queries(github: Send, webhook_client: FlaskClient, session: Session) -> None:
    def count_queries() -> int:
        with recorded_queries(webhook_client.application) as statements:
            assert github("push", github_payload()).status_code == 200
        return len(statements)

    before = count_queries()
    for number in range(30):
        make_source_state(session, make_package(session, f"many-{number}"), "repo", target="ada/one", next_due_at=LATER)
    session.commit()
    assert count_queries() == before <= 5
