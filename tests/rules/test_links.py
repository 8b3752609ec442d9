"""URLs from untrusted sources: which ones are safe, and how hosts and profiles are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.links import host_title, profile_url, safe_url, without_scheme


@pytest.mark.parametrize(
    "url", ["https://example.org", "http://example.org/a?b#c", "HTTPS://Example.org/é", "https://[::1]/x"]
)
def test_http_urls_are_safe(url: str) -> None:
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None, "", " ", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "ftp://a/b",
        "//example.org/", "/path", "https://", "https:///x", "http://[::1", "https://a b.org/", "https://exa\x00mple.org",
        "vbscript:x", "https:\\\\example.org", "mailto:a@example.org", "example.org",
    ],
)  # fmt: skip
def test_other_values_are_not_safe(url: str | None) -> None:
    assert safe_url(url) is None


@given(st.text())
def test_every_safe_url_starts_with_http(text: str) -> None:
    url = safe_url(text)
    assert url is None or url.lower().startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://github.com/a/b", "GitHub"),
        ("http://www.github.com/a/b", "GitHub"),
        ("https://gitlab.com/a/b", "GitLab"),
        ("https://bitbucket.org/a/b", "Bitbucket"),
        ("https://codeberg.org/a/b", "Codeberg"),
        ("https://pypi.org/project/x/", "PyPI"),
        ("https://launchpad.net/x", "launchpad.net"),
        ("not an address", ""),
    ],
)
def test_well_known_hosts_have_a_title(url: str, title: str) -> None:
    assert host_title(url) == title


@pytest.mark.parametrize(
    ("repo_url", "name", "profile"),
    [
        ("https://github.com/torchbox/django-modelcluster", "gasman", "https://github.com/gasman"),
        ("https://bitbucket.org/a/b", "fivethreeo", "https://bitbucket.org/fivethreeo"),
        ("https://codeberg.org/a/b", "a.b-c_d", "https://codeberg.org/a.b-c_d"),
        ("https://gitlab.com/a/b", "Corentin Bettiol", None),
        ("https://github.com/a/b", "dependabot[bot]", None),
        ("https://github.com/a/b", "../../evil", None),
        ("https://launchpad.net/x", "someone", None),
        ("", "someone", None),
    ],
)
def test_profiles_are_on_the_host_of_the_repository(repo_url: str, name: str, profile: str | None) -> None:
    assert profile_url(repo_url, name) == profile


def test_urls_without_their_scheme() -> None:
    assert without_scheme("https://github.com/a/b/") == "github.com/a/b"
