"""Text that people wrote has its own direction."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.models import UsingSite
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.users import CsrfClient, make_user

HEBREW = "שלום עולם"
WITH_DIRECTION = re.compile(rf'<(\w+)[^>]* dir="auto"[^>]*>(?:\s|<(?:a|span|bdi|th)\b[^>]*>|<svg.*?</svg>)*{HEBREW}')


@pytest.fixture
def editor(app: Flask, session: Session) -> CsrfClient:
    package = make_package(session, "one", title=HEBREW, description=HEBREW)
    grid = make_grid(session, "caching", (package,), title=HEBREW, description=HEBREW)
    fill_cell(session, make_feature(session, grid, title=HEBREW, description=HEBREW), package, HEBREW)
    site = UsingSite(package_id=package.id, title=HEBREW, url="https://site.example/", is_approved=True)
    site.created_at = NOW
    session.add(site)
    user = make_user(session)
    session.commit()
    return CsrfClient(app, user)


@pytest.mark.parametrize(
    ("path", "elements"),
    [
        ("/packages/p/one/", {"h1": 1, "p": 1, "li": 1}),
        ("/packages/", {"h2": 1, "p": 1}),
        ("/grids/", {"h2": 1, "p": 1}),
        ("/grids/g/caching/", {"h1": 1, "p": 1, "th": 1, "tr": 1, "td": 2}),
        ("/grids/element/caching/1/1/", {"h1": 1, "p": 1, "a": 1, "textarea": 1}),
        ("/grids/caching/edit/", {"a": 1, "textarea": 1}),
    ],
)
def test_titles_descriptions_and_cells_have_their_own_direction(
    editor: CsrfClient, path: str, elements: dict[str, int]
) -> None:
    html = editor.get(path).text
    found = WITH_DIRECTION.findall(html)
    assert {element: found.count(element) for element in elements} == elements
