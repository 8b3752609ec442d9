"""The links that a project lists on the package index, by the words in their labels.

Labels are free text ("Docs: RTD", "Read-the-Docs", "GitHub Sponsors"), so that a label is compared by its words. See
https://packaging.python.org/en/latest/specifications/well-known-project-urls/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Labels that lead to the documentation, in lower case and without spaces and punctuation, most specific first.
_DOCUMENTATION_LABELS = ("documentation", "docs", "doc", "readthedocs", "rtd", "apireference")
# Other labels need all words of one of these.
_DOCUMENTATION_WORDS = (
    *({"documentation"}, {"docs"}, {"doc"}, {"readthedocs"}, {"rtd"}, {"rtfd"}, {"api", "reference"}),
    *({"user", "guide"}, {"users", "guide"}, {"user", "manual"}, {"reference", "manual"}),
)
# A label in which one of these words follows leads to something else: "Documentation source", "Docs: changelog".
_OTHER_WORDS = frozenset(
    [
        "source",
        "sources",
        "code",
        "repo",
        "repository",
        "issue",
        "issues",
        "bug",
        "bugs",
        "tracker",
        "changelog",
        "changes",
        "history",
        "release",
        "releases",
        "download",
        "downloads",
        "status",
        "build",
        "badge",
        "coverage",
        "forum",
        "chat",
        "translations",
    ]
)
_HOMEPAGE = (("homepage",), ("home", "page"), ("home",), ("website",), ("web", "site"), ("project", "page"))
_HOMEPAGE_WORDS = (
    *({"homepage"}, {"home", "page"}, {"website"}, {"web", "site"}, {"project", "page"}, {"project", "home"}),
    *({"project", "site"}, {"official", "site"}),
)
_NO_HOMEPAGE_WORDS = frozenset(["documentation", "docs", "doc", "demo", "blog", "author", "company", "maintainer"])
_SPONSOR_WORDS = frozenset(
    [
        "sponsor",
        "sponsors",
        "sponsoring",
        "sponsorship",
        "sponsorships",
        "fund",
        "funding",
        "donate",
        "donates",
        "donating",
        "donation",
        "donations",
        "patreon",
        "liberapay",
        "kofi",
        "opencollective",
        "tidelift",
        "buymeacoffee",
        "githubsponsors",
        "thanksdev",
        "paypal",
        "flattr",
    ]
)
_SPONSOR_PHRASES = (
    *(("ko", "fi"), ("open", "collective"), ("buy", "coffee"), ("thanks", "dev"), ("support", "us")),
    *(("support", "this", "project"), ("financial", "support")),
)


def documentation_url(urls: Mapping[str, str]) -> str | None:
    """Return the URL of the documentation, or None if no label names it.

    >>> documentation_url({"Source": "https://git.example.org/", "Docs: RTD": "https://x.rtfd.example/"})
    'https://x.rtfd.example/'
    """
    by_label = {"".join(label_words(label)): url for label, url in reversed(list(urls.items()))}
    exact = next((by_label[label] for label in _DOCUMENTATION_LABELS if label in by_label), None)
    if exact is not None:
        return exact
    for documentation_words in _DOCUMENTATION_WORDS:
        for label, url in urls.items():
            if _names(label_words(label), documentation_words):
                return url
    return None


def homepage_url(urls: Mapping[str, str]) -> str | None:
    """Return the URL of the project's website, or None if no label names it."""
    by_words = {tuple(label_words(label)): url for label, url in reversed(list(urls.items()))}
    exact = next((by_words[phrase] for phrase in _HOMEPAGE if phrase in by_words), None)
    if exact is not None:
        return exact
    for homepage_words in _HOMEPAGE_WORDS:
        for label, url in urls.items():
            words = label_words(label)
            if homepage_words.issubset(words) and (_OTHER_WORDS | _NO_HOMEPAGE_WORDS).isdisjoint(words):
                return url
    return None


def sponsor_links(urls: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the labels and URLs of the links for sponsors."""
    return [(label, url) for label, url in urls.items() if _is_sponsor_label(label)]


def label_words(label: str) -> list[str]:
    """Return the words of a label in lower case.

    >>> label_words("Docs: Read-the-Docs")
    ['docs', 'read', 'the', 'docs']
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", label)  # "HomePage"
    return re.findall(r"[^\W_]+", spaced.lower())


def _names(words: list[str], expected: set[str]) -> bool:
    """Return whether a label has all of these words, and none of `_OTHER_WORDS` after the first of them."""
    if not expected.issubset(words):
        return False
    first = next(index for index, word in enumerate(words) if word in expected)
    return _OTHER_WORDS.isdisjoint(words[first:])


def _is_sponsor_label(label: str) -> bool:
    words = set(label_words(label))
    joined = "".join(label_words(label))
    return (
        bool(words & _SPONSOR_WORDS) or joined in _SPONSOR_WORDS or any(words.issuperset(p) for p in _SPONSOR_PHRASES)
    )
