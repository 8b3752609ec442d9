"""What the clients of REST APIs make of JSON that strangers wrote."""

from __future__ import annotations

import pytest

from pkgsite.clients.rest import JsonObject
from pkgsite.errors import BadResponse


def web_url(written: object) -> str | None:
    return JsonObject("https://git.example.org/api/v4/x", {"web_url": written}).web_url("web_url")


@pytest.mark.parametrize("url", ["https://git.example.org/ada/one", "http://[::1]:8080/ada", "https://git.example.org"])
def test_an_address_of_the_web_is_told(url: str) -> None:
    assert web_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1/ada",  # these three urlsplit itself refuses
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
def test_what_can_not_be_linked_to_is_not_told(url: str | None) -> None:
    assert web_url(url) is None


@pytest.mark.parametrize("written", [7, ["https://git.example.org/"], {}, True])
def test_what_is_no_text_is_a_bad_answer(written: object) -> None:
    with pytest.raises(BadResponse, match="invalid value for web_url"):
        web_url(written)
