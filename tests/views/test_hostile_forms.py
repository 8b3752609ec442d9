"""At least 200 hostile texts in every text field: each is stored and escaped, or rejected with an error message.

`make test` tries a quarter of the texts in each form, a different one from form to form; `make test-slow` tries all.
"""

from __future__ import annotations

import re
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Flag, Package
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.users import CsrfClient, make_user

TAGS = ["script", "img src=x onerror=alert(1)", "svg onload=alert(1)", "iframe src=javascript:alert(1)", "b", "style",
        "a href=javascript:alert(1)", "math", "form action=//evil.example", "meta http-equiv=refresh content=0",
        "base href=//evil.example/", "input autofocus onfocus=alert(1)", "details open ontoggle=alert(1)",
        "textarea", "/textarea><script", "/title><script", "!--", "template", "object data=x",
        "link rel=import"]  # fmt: skip
UNUSUAL_CHARACTERS = ["\0", "\x01", "\x08", "\x1b[31m", "\x7f", "\x85", "\u200b", "\u200e", "\u202e", "\u2028",
       "\u2029", "\u2066", "\ufeff", "\ufffe", "\ud7ff", "\U0001f680", "\U000e0041",
       "e\u0301", "ﬃ", "İ", "ß", "\u0600", "ⅷ", "\u3000",
       "\u00ad"]  # fmt: skip
SQL = ["' OR 1=1 --", "'; DROP TABLE package; --", '" OR ""="', "\\'; --", "1) UNION SELECT 1 --", "%", "_", "%%%s",
       "\\", "\\\\", "$$", ":name", "?", "{}", "{0}", "%(x)s", "E'\\x00'", "null", "NaN", "-0"]  # fmt: skip
PAYLOADS = ["{{ 7*7 }}", "{% raw %}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "javascript:alert(1)", "JaVaScRiPt:alert(1)",
         "data:text/html,<script>alert(1)</script>", "vbscript:x", "//evil.example", "https://evil.example/\n<b>",
         "http://[::1", "http://[", "https://user:pass@evil.example/", "ftp://x", "file:///etc/passwd", "../../x",
         "..", ".", "/", "a" * 51, "a" * 101, "a" * 301, "a" * 1001, "a" * 10_000, "\n" * 1000, " " * 1000,
         "é" * 1001, "\U0001f680" * 400, "0", "00", "12345678901234567890", "-1", "True", "None", "add", "p", "edit",
         "\r\nSet-Cookie: x=1", "=cmd()", "+1", "-", "@", "<![CDATA[x]]>", "&lt;script&gt;", "&#x3c;b&#x3e;",
         "]]>", "--", "git@github.com:a/b.git", "pip install x; rm -rf /"]  # fmt: skip
HOSTILE = [
    *[f"<{tag}>x" for tag in TAGS],
    *[f'"><{tag}>' for tag in TAGS],
    *[f"ok <{tag} " for tag in TAGS],
    *[f"a{char}b" for char in UNUSUAL_CHARACTERS],
    *UNUSUAL_CHARACTERS,
    *SQL,
    *PAYLOADS,
    *[f"{text}\u202e<b>" for text in SQL],
]


def test_there_are_at_least_200_hostile_texts() -> None:
    assert len(set(HOSTILE)) >= 200


@pytest.mark.parametrize(
    "html",
    [
        "<p><iframe>",
        "<math>",
        "<script>alert(1)</script>",
        "<script async src='x'></script><script>",
        '<script src=""></script>',
        '<img src="/x"onerror=alert(1)>',
        "<svg/onload=alert(1)>",
        "<p\nONCLICK = 'x'>",
        "<a href=' JavaScript:alert(1)'>",
        '<a href="&#106;avascript:alert(1)">',
        "<a href=//evil.example>",
        "<form action='data:text/html,x'>",
    ],
)
def test_unsafe_markup_is_detected(html: str) -> None:
    assert unsafe_markup(html) != []
    assert unsafe_markup(f'<a href="/x">one</a>{escape(html)}') == []


class UnsafeMarkupParser(HTMLParser):
    """Collects the markup that would run scripts or load content from other sites."""

    def __init__(self) -> None:
        super().__init__()
        self.unsafe: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag in {"iframe", "object", "base", "math", "embed"} or (tag == "script" and not values.get("src")):
            self.unsafe.append(tag)
        if any(name.startswith("on") for name in values):
            self.unsafe.append(f"{tag} {values}")
        for name in ("href", "src", "action"):
            target = (values.get(name) or "").strip().lower()
            if target.startswith(("javascript:", "data:", "vbscript:", "//")):
                self.unsafe.append(f"{tag} {name}={target}")


# Matches everything that `UnsafeMarkupParser` detects (after unescaping), and some safe text. Only pages that match
# need to be parsed, which is slow.
SUSPICIOUS = re.compile(
    r"<(?:iframe|object|base|math|embed)|<script(?! (?:type=\"module\" )?src=\"/)"
    r"|[\s\"'/]on[^\s=>]*\s*=|(?:href|src|action)\s*=\s*[\"']?\s*(?:javascript:|data:|vbscript:|//)",
    re.IGNORECASE,
)


def unsafe_markup(html: str) -> list[str]:
    if not SUSPICIOUS.search(unescape(html)):
        return []
    parser = UnsafeMarkupParser()
    parser.feed(html)
    return parser.unsafe


PACKAGE_FIELDS = ("title", "slug", "repo_url", "pypi_url", "documentation_url", "replaced_by", "reason")
FORMS: list[tuple[str, tuple[str, ...], dict[str, str]]] = [
    ("/packages/add/validate/", ("reference", "grid"), {}),
    ("/packages/add/", ("title", "slug", "repo_url", "pypi_url", "documentation_url", "category", "grid"), {}),
    ("/packages/add/", ("title",), {"repo_url": "https://github.com/x/{number}", "category": "apps"}),
    ("/packages/one/edit/", PACKAGE_FIELDS, {"category": "apps", "package_id": "1", "version": "{version}"}),
    ("/packages/one/edit/", ("title", "reason"), {"category": "apps", "package_id": "1", "version": "{version}",
                                                  "repo_url": "https://github.com/ada/one", "slug": "one"}),
    ("/packages/one/documentation/edit/", ("documentation_url", "version", "reason"), {}),
    ("/packages/one/sites/add/", ("title", "url"), {}),
    ("/packages/one/sites/add/", ("title",), {"url": "https://{number}.example/"}),
    ("/packages/one/flag/", ("reason", "kind"), {}),
    ("/packages/one/flag/", ("reason",), {"kind": "spam"}),
    ("/grids/add/", ("title", "slug", "description"), {}),
    ("/grids/add/", ("title", "description"), {}),
    ("/grids/caching/edit/", ("title", "slug", "description", "version"), {}),
    ("/grids/feature/add/caching/", ("title", "description"), {}),
    ("/grids/feature/1/", ("title", "description", "version"), {}),
    ("/grids/element/caching/1/1/", ("text", "version"), {}),
    ("/grids/element/caching/1/1/", ("text",), {"preview": "1"}),
    ("/grids/cell/preview/", ("text",), {}),
    ("/grids/caching/package/add/", ("package",), {}),
    ("/changes/1/undo/", ("reason",), {}),
    ("/profiles/edit/", ("links-0-label", "links-0-url", "label", "url"), {}),
    ("/account/register/", ("username", "email"), {}),
    ("/account/reset/", ("email", "login"), {}),
    ("/account/email/", ("email", "current_password"), {}),
    ("/account/delete/", ("current_password", "username"), {}),
    ("/account/login/", ("login", "password", "next"), {}),
    ("/moderation/packages/one/hide/", ("reason",), {}),
    ("/moderation/packages/one/deprecate/", ("reason", "replaced_by"), {}),
    ("/moderation/packages/one/merge/", ("reason", "into"), {}),
    ("/moderation/flags/1/dismiss/", ("reason",), {}),
    ("/packages/one/flags/1/answer/", ("answer",), {}),
    ("/history/package/1/restore/1/", ("reason", "seen"), {}),
    ("/grids/caching/lock/", ("reason", "locked"), {}),
    ("/changes/by/ada/undo/", ("reason", "days"), {}),
]  # fmt: skip


MODERATOR_PREFIXES = ("/moderation/", "/history/", "/changes/by/")
CHECKED_PATHS = (
    "/", "/packages/", "/packages/p/one/", "/packages/one/history/", "/grids/", "/grids/g/caching/", "/changes/",
    "/changes/feed/", "/moderation/", "/profiles/ada/", "/api/v4/packages/?format=api",
)  # fmt: skip


SHARES = 4
each_form = pytest.mark.parametrize(
    "index", range(len(FORMS)), ids=[f"{path}-{fields[0]}" for path, fields, _ in FORMS]
)


def hostile_texts(session: Session) -> list[str]:
    """Return the texts for a database: rendering is the same on both; what they can store differs."""
    return HOSTILE if session.get_bind().dialect.name == "sqlite" else [*UNUSUAL_CHARACTERS, *SQL, *PAYLOADS]


@pytest.mark.long
@each_form
def test_hostile_text_never_breaks_a_form_or_page(app: Flask, session: Session, index: int) -> None:
    check_form(app, session, index, hostile_texts(session)[index % SHARES :: SHARES])


@pytest.mark.slow
@each_form
def test_no_hostile_text_breaks_a_form_or_page(app: Flask, session: Session, index: int) -> None:
    check_form(app, session, index, hostile_texts(session))


def check_form(app: Flask, session: Session, index: int, texts: list[str]) -> None:
    """Send each text in all fields of a form, and check the responses and then the pages of the site."""
    path, fields, fixed_fields = FORMS[index]
    package = make_package(session, "one", repo_url="https://github.com/ada/one")
    feature = make_feature(session, make_grid(session, "caching", (package,)))
    fill_cell(session, feature, package, "yes")
    ada, mod = make_user(session, "ada", password_hash="x"), make_user(session, "mod", role="moderator")
    session.add(Flag(package_id=package.id, user_id=mod.id, kind="dead", reason="It is", created_at=NOW))
    session.commit()
    moderator = CsrfClient(app, mod)
    visitor = (
        moderator
        if path.startswith(MODERATOR_PREFIXES) or path.endswith(("/lock/", "/answer/"))
        else CsrfClient(app, ada)
    )
    package_id = package.id
    statuses: dict[int, int] = {}
    for number, text in enumerate(texts):
        version = session.scalar(select(Package.version).where(Package.id == package_id))
        values = {"number": number, "version": version}
        data: dict[str, Any] = {name: template.format(**values) for name, template in fixed_fields.items()}
        response = visitor.post(path, data | dict.fromkeys(fields, text.encode("utf-8", "surrogatepass").decode()))
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        assert response.status_code < 500, (path, text, response.status_code)
        if response.mimetype == "text/html":
            assert unsafe_markup(response.get_data(as_text=True)) == [], (path, text)
        assert "Set-Cookie: x=1" not in str(response.headers)
    assert sum(statuses.values()) == len(texts)
    for checked_path in CHECKED_PATHS:
        page = moderator.get(checked_path, follow_redirects=True)
        assert page.status_code in {200, 404}, checked_path
        if page.mimetype == "text/html":
            assert unsafe_markup(page.get_data(as_text=True)) == [], (path, checked_path)
