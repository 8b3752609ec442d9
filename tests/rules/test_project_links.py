"""Project links by the words in their labels."""

from __future__ import annotations

import pytest

from pkgsite.rules.project_links import documentation_url, homepage_url, sponsor_links


@pytest.mark.parametrize(
    "label",
    [
        *("Docs: RTD", "Documentation", "DOCS", "doc", "Read the Docs", "Read-the-Docs", "ReadTheDocs", "RTD"),
        *("Documentation (stable)", "Online documentation", "📖 Docs", "API Reference", "User Guide", "Project Docs"),
        *("Source code documentation", "docs (GitHub)"),
    ],
)
def test_a_label_with_the_words_leads_to_the_documentation(label: str) -> None:
    urls = {"Homepage": "https://a.example", label: "https://docs.example", "Issues": "https://b.example"}
    assert documentation_url(urls) == "https://docs.example"


@pytest.mark.parametrize(
    "label", ["Documentation source", "Docs: changelog", "Docs issues", "Doctor", "Docker", "Homepage", "Reference", ""]
)
def test_other_labels_do_not(label: str) -> None:
    assert documentation_url({label: "https://a.example"}) is None


def test_the_most_specific_label_is_used() -> None:
    assert documentation_url({"Docs: RTD": "b", "Docs": "a"}) == "a"
    assert documentation_url({"API docs": "b", "Documentation: stable": "a"}) == "a"


def test_sponsor_links_keep_their_labels() -> None:
    urls = {
        "Sponsor": "a", "Funding": "b", "GitHub Sponsors": "c", "Ko-fi": "d", "Donate!": "e", "Open Collective": "f",
        "Say Thanks!": "g", "Tidelift": "h", "Buy Me a Coffee": "i", "Homepage": "j", "Support": "k", "Source": "l",
    }  # fmt: skip
    assert [url for _, url in sponsor_links(urls)] == list("abcdefhi")
    assert sponsor_links({"Support this project": "a"}) == [("Support this project", "a")]
    assert sponsor_links({"Project support": "a", "Commercial support": "b"}) == []
    assert sponsor_links({"GitHub Sponsors": "c"}) == [("GitHub Sponsors", "c")]


def test_homepage() -> None:
    assert homepage_url({"Website": "b", "Homepage": "a"}) == "a"
    assert homepage_url({"Home-page": "a"}) == "a"
    assert homepage_url({"HomePage": "a"}) == "a"
    assert homepage_url({"Docs": "a"}) is None
    for label in ("Project homepage", "Official website", "Home page (GitHub)", "Project Home", "🏠 Homepage"):
        assert homepage_url({"Source": "b", label: "a"}) == "a", label
    for label in ("Documentation homepage", "Source home page", "Demo website", "Homepage of the issue tracker"):
        assert homepage_url({label: "a"}) is None, label
