"""Type-checked access to JSON of REST APIs."""

from __future__ import annotations

import pytest

from pkgsite.clients.rest import JsonObject, website_url
from pkgsite.errors import BadResponse


def web_url(value: object) -> str | None:
    return JsonObject("https://git.example.org/api/v4/x", {"web_url": value}).web_url("web_url")


@pytest.mark.parametrize("url", ["https://git.example.org/ada/one", "http://[::1]:8080/ada", "https://git.example.org"])
def test_web_urls_are_kept(url: str) -> None:
    assert web_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1/ada",  # urlsplit rejects these three
        "https://]git.example.org/ada",
        "https://[git.example.org]/ada",
        "javascript:alert(1)",
        "//git.example.org/ada",
        "https:///ada",
        "https://git.example.org/a b",
        "https://git.example.org/\x00",
        "",
        None,
    ],
)
def test_unsafe_urls_are_none(url: str | None) -> None:
    assert web_url(url) is None


@pytest.mark.parametrize("value", [7, ["https://git.example.org/"], {}, True])
def test_other_types_are_a_bad_response(value: object) -> None:
    with pytest.raises(BadResponse, match="invalid value for web_url"):
        web_url(value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        *(("https://example.org/", "https://example.org/"), ("example.org", "https://example.org")),
        *(
            ("www.example.org:8080/x", "https://www.example.org:8080/x"),
            ("bücher.example?a", "https://bücher.example?a"),
        ),
        *(("javascript:alert(1)", ""), ("mailto:ada@example.org", ""), ("ada@example.org", ""), ("soon", "")),
        *(("coming soon", ""), ("ftp://example.org", ""), (" ", ""), (None, "")),
    ],
)
def test_websites_may_be_typed_without_a_scheme(text: str | None, url: str) -> None:
    assert website_url(text) == url
