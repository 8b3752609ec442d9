"""Passwords, usernames, email addresses and redirect targets."""

from __future__ import annotations

import pytest

from pkgsite.rules.emails import ascii_email, email_problems
from pkgsite.rules.passwords import password_problems
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.rules.usernames import suggest_username, username_problems


@pytest.mark.parametrize(
    "password",
    [
        "password12",
        "Passw0rd!!",
        "P@ssw0rd123",
        "qwertyuiop",
        "1234567890",
        "0987654321",
        "aaaaaaaaaa",
        "abcabcabcabc",
        "iloveyou123",
        "letmein!!!",
        "1q2w3e4r5t",
        "abcdefghij",
        "12345678901",
        "admin12345",
        "welcome2026",
        "PASSWORDPASSWORD",
        "qwerty123456",
        "!!!sunshine",
        "asdfghjkl;1",
        "zxcvbnm123",
    ],
)
def test_common_passwords_are_rejected(password: str) -> None:
    assert "too common" in password_problems(password)[0]


@pytest.mark.parametrize("password", ["ada.lovelace", "Ada.Lovelace1", "xada.lovelacex", "ada.lovelace@example.org"])
def test_passwords_similar_to_the_username_are_rejected(password: str) -> None:
    assert password_problems(password, "ada.lovelace", "ada.lovelace@example.org")


@pytest.mark.parametrize("password", [
    "a long walk at night", "three green bicycles", "ünïcode wörds", "日本語のパスワードです", "x7#kPq92!vL",
    " leading space",
    "my password is not this", "x" * 5 + "yz w" * 200,
])  # fmt: skip
def test_good_passwords_are_accepted(password: str) -> None:
    assert password_problems(password, "ada", "ada@example.org") == []


@pytest.mark.parametrize(("password", "limit"), [("", "10"), ("x y z 9!u", "10"), ("ab cd " * 200, "1000")])
def test_passwords_that_are_too_short_or_too_long_are_rejected(password: str, limit: str) -> None:
    assert limit in password_problems(password)[0]


@pytest.mark.parametrize(
    "name", ["a", "x" * 40, ".ada", "ada-", "ad a", "ada@b", "ünï", "a\n", "a/b", "", "..", "ada\x00"]
)
def test_invalid_usernames_are_rejected(name: str) -> None:
    assert username_problems(name)


@pytest.mark.parametrize("name", ["ab", "x" * 39, "Ada.L", "a_b-c", "007", "a..b"])
def test_valid_usernames_are_accepted(name: str) -> None:
    assert username_problems(name) == []


def test_username_suggested_for_a_login_of_another_site() -> None:
    assert suggest_username("ada lovelace!") == "ada-lovelace"
    assert suggest_username("x" * 60) == "x" * 39
    assert suggest_username("包") == ""
    assert suggest_username("Admin") == ""


@pytest.mark.parametrize("address", ["ada@example.org", "a.b+c@sub.example.co", "x_y@1.example", "o'neil@example.org"])
def test_valid_email_addresses_are_accepted(address: str) -> None:
    assert email_problems(address) == []


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("Ada.B@BÜCHER.example", "Ada.B@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
        ("ada@example.org", "ada@example.org"),
    ],
)
def test_international_domains_are_stored_in_ascii(address: str, stored: str) -> None:
    assert email_problems(address) == []
    assert ascii_email(address) == stored


@pytest.mark.parametrize("address", ["ada@bü..example", "ada@-ü.example", "ada@ü", "@bücher.example"])
def test_invalid_international_domains_are_rejected(address: str) -> None:
    assert email_problems(address)


@pytest.mark.parametrize("address", ["", "a", "a@b", "a b@c.de", "a@b..c", "a@.b.c", ".a@b.de", "x" * 65 + "@b.de",
                                     "a@" + "b" * 250 + ".de", "a@b.de\n", "a@b.de,c@d.ef", "ü@b.de"])  # fmt: skip
def test_invalid_email_addresses_are_rejected(address: str) -> None:
    assert email_problems(address)


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "grids/",
        "//a.b",
        "///a.b",
        "/\\a.b",
        "\\\\a.b",
        "http://a.b/",
        "/a\nb",
        "/a\x00",
        "/ /a.b",
        "/\u2028a",
        "javascript:x",
        "/a//b",
        "/" + "x" * 3000,
        "/\x7fa",
        "/\u202ea",
    ],
)
def test_other_sites_and_unsafe_paths_are_not_redirect_targets(target: str | None) -> None:
    assert safe_redirect_path(target) is None


@pytest.mark.parametrize("target", ["/", "/grids/?q=a&sort=-b#c", "/packages/p/C%23/", "/search/?q=https://a.b//c"])
def test_paths_of_this_site_are_redirect_targets(target: str) -> None:
    assert safe_redirect_path(target) == target
