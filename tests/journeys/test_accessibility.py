"""Pages as axe, the checker of accessibility, sees them: in light and dark, wide and narrow."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.journeys.conftest import Open

PAGES = (
    "/", "/packages/?all=1&category=nope", "/packages/p/known/", "/packages/p/archived/", "/packages/p/told/",
    "/grids/", "/grids/g/caching/", "/search/?q=known", "/search/?q=zzzz", "/categories/", "/help/", "/help/scores/",
    "/about/", "/status/", "/no-such-page/",
)  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_no_violations(open_page: Open, scheme: str, width: int) -> None:
    page = open_page("/", width=width, color_scheme=scheme, reduced_motion="reduce")
    for path in PAGES:
        page.goto(path)
        found = Axe().run(page).response["violations"]
        told = [(rule["id"], node["html"], node["failureSummary"]) for rule in found for node in rule["nodes"]]
        assert told == [], f"{path}, {scheme}"
