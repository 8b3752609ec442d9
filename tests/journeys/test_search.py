"""Searching in a browser: what is offered while one types, facets, and reasons; with scripts and without."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open


def test_an_offer_is_chosen_by_keyboard_alone(open_page: Open) -> None:
    page = open_page("/help/")
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search packages and grids")
    expect(box).to_be_focused()
    page.keyboard.type("kno", delay=20)
    offers = page.get_by_role("option")
    expect(offers.first).to_contain_text("Known package")
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(offers.first).to_be_hidden()
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_have_value("kno")
    page.keyboard.press("ArrowDown")
    expect(offers.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(offers.first).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == offers.first.get_attribute("id")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Known package")


def test_enter_without_a_choice_searches(open_page: Open) -> None:
    page = open_page("/")
    box = page.get_by_role("main").get_by_role("combobox")
    box.press_sequentially("known", delay=20)
    expect(page.get_by_role("option").first).to_be_visible()
    box.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for “known”")


@pytest.mark.parametrize("javascript", [True, False])
def test_results_are_narrowed_and_explained(open_page: Open, javascript: bool) -> None:
    page = open_page("/search/?q=many", java_script_enabled=javascript)
    expect(page.get_by_role("heading", name="Packages")).to_have_text("Packages 60")
    page.get_by_text("Why this result?").first.click()
    expect(page.get_by_text("Found in name: many").first).to_be_visible()
    narrow = page.get_by_role("complementary", name="Filters")
    link = narrow.get_by_role("link").first
    count = int(link.locator(".count").inner_text().split()[0])
    link.click()
    expect(page.get_by_role("heading", name="Packages")).to_have_text(f"Packages {count}")
    page.get_by_role("list", name="Active filters").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Packages")).to_have_text("Packages 60")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("21–40 of 60")).to_be_visible()


def test_on_a_phone_a_link_leads_past_the_results_to_what_narrows_them_down(open_page: Open) -> None:
    page = open_page("/search/?q=many", width=390, height=780)
    narrow = page.get_by_role("complementary", name="Filters")
    expect(narrow).not_to_be_in_viewport()
    page.get_by_role("link", name="Filters").click()
    expect(narrow).to_be_in_viewport()
    expect(narrow).to_be_focused()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.get_by_role("link", name="Filters")).to_be_hidden()


def test_offers_are_small_and_quiet_without_words(open_page: Open) -> None:
    page = open_page("/")
    box = page.get_by_role("main").get_by_role("combobox")
    box.press_sequentially("zzzzqq", delay=10)
    page.wait_for_timeout(400)
    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(box).to_have_attribute("aria-expanded", "false")
