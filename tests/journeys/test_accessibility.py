"""axe finds no accessibility violations, in the light and dark theme, on wide and narrow screens."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no type hints

from tests.journeys.conftest import OpenPage

PAGES = (
    "/", "/packages/?all=1&category=nope", "/packages/p/known/", "/packages/p/archived/", "/packages/p/complete/",
    "/grids/", "/grids/g/caching/", "/search/?q=known", "/search/?q=zzzz", "/categories/", "/help/", "/help/scores/",
    "/about/", "/status/", "/no-such-page/",
)  # fmt: skip


# Each theme and each width in `make test`; `make test-slow` adds the other combinations.
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 390),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
        pytest.param("light", 390, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_no_violations(open_page: OpenPage, scheme: str, width: int) -> None:
    page = open_page("/", width=width, color_scheme=scheme, reduced_motion="reduce")
    for path in PAGES:
        page.goto(path)
        rules = Axe().run(page).response["violations"]
        violations = [(rule["id"], node["html"], node["failureSummary"]) for rule in rules for node in rule["nodes"]]
        assert violations == [], f"{path}, {scheme}"
