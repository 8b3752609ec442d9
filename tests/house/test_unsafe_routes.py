"""Every URL that changes something is listed here with what guards it, and refuses whoever comes without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.routing import Rule

SAFE = {"GET", "HEAD", "OPTIONS"}
GUARDS = {
    ("POST", "/packages/github-webhook/"): "a signature of the body with WEBHOOK_SECRET",
    ("POST", "/packages/gitlab-webhook/"): "WEBHOOK_SECRET in a header",
}
# Answers 405 by itself, in the words that its readers know.
READS_ONLY = "api_v4"
BODIES = (
    {"data": b""},
    {"json": {"action": "x"}},
    {"data": {"payload": "{}"}},
    {"data": b"\xff{["},
)


def unsafe(app: Flask) -> list[tuple[str, Rule]]:
    """Return each unsafe method of each URL of the site."""
    return [(method, rule) for rule in app.url_map.iter_rules() for method in sorted((rule.methods or set()) - SAFE)]


def is_read_only(rule: Rule) -> bool:
    return str(rule.endpoint).startswith(f"{READS_ONLY}.")


def test_every_unsafe_route_is_listed_with_its_guard(app: Flask) -> None:
    found = {(method, rule.rule) for method, rule in unsafe(app) if not is_read_only(rule)}
    assert found == set(GUARDS), "say here what guards a URL that changes something"


@pytest.mark.parametrize("secret", ["", "open sesame"])
def test_an_unguarded_call_is_refused(make_app: Callable[..., Flask], secret: str) -> None:
    client = make_app(WEBHOOK_SECRET=secret).test_client()
    for method, url in GUARDS:
        for body in BODIES:
            assert client.open(url, method=method, **body).status_code == 403, (method, url)


def test_what_only_reads_does_nothing_else(app: Flask) -> None:
    client = app.test_client()
    read_only = [(method, rule.rule) for method, rule in unsafe(app) if is_read_only(rule)]
    assert len(read_only) > 4
    for method, url in read_only:
        path = url.replace("<key:key>", "1").replace("<suffix:suffix>", "json")
        for body in BODIES:
            assert client.open(path, method=method, **body).status_code == 405, (method, path)
