"""Browsing the site, with and without JavaScript, by keyboard, and on screens of different sizes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import OpenPage

PAGES = (
    "/", "/packages/", "/packages/latest/", "/packages/liked/", "/packages/p/known/", "/packages/p/complete/",
    "/categories/", "/categories/apps/", "/grids/", "/grids/g/caching/", "/grids/g/many/", "/grids/g/many/packages/",
    "/search/?q=known", "/help/", "/help/scores/", "/about/", "/no-such-page/",
)  # fmt: skip


@pytest.mark.parametrize("javascript", [True, False])
def test_from_the_home_page_to_a_package(open_page: OpenPage, javascript: bool) -> None:
    page = open_page("/", java_script_enabled=javascript)
    page.get_by_role("main").get_by_placeholder("Search packages and grids").fill("caches")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for “caches”")
    page.get_by_role("link", name="Known package").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Known package")
    page.get_by_text("Show data table").click()
    expect(page.get_by_role("region", name="Commits per week")).to_be_visible()
    page.get_by_role("link", name="Caching").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Caching")
    page.get_by_role("link", name="Title", exact=True).click()
    expect(page).to_have_url(page.url.partition("?")[0] + "?sort=title")
    expect(page.get_by_role("columnheader").nth(1)).to_contain_text("<script>")


@pytest.mark.parametrize("javascript", [True, False])
def test_list_filters_keep_the_other_filters(open_page: OpenPage, javascript: bool) -> None:
    page = open_page("/packages/", java_script_enabled=javascript)
    page.get_by_role("link", name="Apps").click()
    page.get_by_role("link", name="Title").click()
    page.get_by_role("searchbox", name="Search packages", exact=True).fill("many")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    expect(page.get_by_text("1–20 of 60 packages")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("21–40 of 60 packages")).to_be_visible()
    assert page.url.endswith("/packages/?q=many&category=apps&sort=title&page=2")


def test_keyboard_navigation(open_page: OpenPage) -> None:
    page = open_page("/packages/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    sort = page.get_by_role("navigation", name="Sort").get_by_role("link", name="Forks")
    for _ in range(20):
        page.keyboard.press("Tab")
        if sort.evaluate("link => link === document.activeElement"):
            break
    expect(sort).to_be_focused()
    assert sort.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/packages/\?sort=-repo_forks$"))
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search packages and grids")).to_be_focused()


def test_the_theme_choice_is_remembered(open_page: OpenPage) -> None:
    page = open_page("/", color_scheme="light")

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = background()
    button = page.get_by_role("button", name="Dark theme")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("light => getComputedStyle(document.body).backgroundColor !== light", arg=light)
    page.reload()
    assert background() != light
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")


def test_without_javascript_there_is_no_theme_button(open_page: OpenPage) -> None:
    page = open_page("/", java_script_enabled=False)
    expect(page.get_by_role("button", name="Dark theme")).to_have_count(0)


def test_no_page_scrolls_horizontally_sets_cookies_or_loads_anything_external(open_page: OpenPage) -> None:
    page = open_page("/", height=700)  # fails if anything external is requested
    for path in PAGES:
        page.goto(path)
        for width in (320, 390, 768):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
    assert page.context.cookies() == []


@pytest.mark.parametrize(("width", "height"), [(1280, 560), (390, 480)])
def test_the_header_and_first_column_of_a_grid_are_sticky(open_page: OpenPage, width: int, height: int) -> None:
    page = open_page("/grids/g/many/", width=width, height=height)
    region = page.get_by_role("region", name="Many: comparison table, scrollable")
    header, label = page.locator("thead th").nth(30), page.locator("tbody tr:nth-child(12) > th")
    region.focus()
    region.evaluate("(region, cell) => region.scrollTo(cell.offsetLeft - 260, 250)", header.element_handle())
    page.wait_for_function("() => document.querySelector('.comparison').scrollTop > 100")
    window, top, side = region.bounding_box(), header.bounding_box(), label.bounding_box()
    assert window
    assert top
    assert side
    assert abs(top["y"] - window["y"]) <= 2, "the header row stays at the top"
    assert abs(side["x"] - window["x"]) <= 2, "the first column stays at the left"
    assert top["x"] < width, "the thirtieth package is in view"
    scope_at = "([x, y]) => document.elementFromPoint(x, y).closest('th')?.scope"
    assert page.evaluate(scope_at, [top["x"] + 20, top["y"] + 12]) == "col", "nothing covers the header"
    assert page.evaluate(scope_at, [side["x"] + 8, side["y"] + 8]) == "row", "nothing covers the first column"


def test_a_grid_scrolls_with_the_arrow_keys(open_page: OpenPage) -> None:
    page = open_page("/grids/g/many/", height=480)
    page.get_by_role("region", name="Many: comparison table, scrollable").focus()
    page.keyboard.press("ArrowRight")  # the next key would stop this scroll
    page.wait_for_function("() => document.querySelector('.comparison').scrollLeft > 0")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('.comparison').scrollTop > 0")


def test_the_features_link_scrolls_to_the_features(open_page: OpenPage) -> None:
    page = open_page("/grids/g/many/", height=600)
    page.get_by_role("link", name="1 feature").click()
    expect(page.get_by_text("Features", exact=True)).to_be_in_viewport()
