"""Passwords, names, addresses and places to go on to."""

from __future__ import annotations

import doctest

import pytest

from pkgsite.rules import emails, passwords, usernames
from pkgsite.rules import redirects as next_paths
from pkgsite.rules.emails import email_problems
from pkgsite.rules.passwords import password_problems
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.rules.usernames import suggest_username, username_problems


@pytest.mark.parametrize("module", [emails, next_paths, passwords, usernames])
def test_the_examples_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


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
def test_what_anybody_would_try_is_refused(password: str) -> None:
    assert "too common" in password_problems(password)[0]


@pytest.mark.parametrize("password", ["ada.lovelace", "Ada.Lovelace1", "xada.lovelacex", "ada.lovelace@example.org"])
def test_ones_own_name_is_refused(password: str) -> None:
    assert password_problems(password, "ada.lovelace", "ada.lovelace@example.org")


@pytest.mark.parametrize("password", [
    "a long walk at night", "three green bicycles", "ünïcode wörds", "日本語のパスワードです", "x7#kPq92!vL",
    " leading space",
    "my password is not this", "x" * 5 + "yz w" * 200,
])  # fmt: skip
def test_a_good_password_is_taken(password: str) -> None:
    assert password_problems(password, "ada", "ada@example.org") == []


@pytest.mark.parametrize(("password", "word"), [("", "10"), ("x y z 9!u", "10"), ("ab cd " * 200, "1000")])
def test_the_length_counts(password: str, word: str) -> None:
    assert word in password_problems(password)[0]


@pytest.mark.parametrize(
    "name", ["a", "x" * 40, ".ada", "ada-", "ad a", "ada@b", "ünï", "a\n", "a/b", "", "..", "ada\x00"]
)
def test_a_bad_name(name: str) -> None:
    assert username_problems(name)


@pytest.mark.parametrize("name", ["ab", "x" * 39, "Ada.L", "a_b-c", "007", "a..b"])
def test_a_good_name(name: str) -> None:
    assert username_problems(name) == []


def test_a_name_from_elsewhere() -> None:
    assert suggest_username("ada lovelace!") == "ada-lovelace"
    assert suggest_username("x" * 60) == "x" * 39
    assert suggest_username("包") == ""
    assert suggest_username("Admin") == ""


@pytest.mark.parametrize("address", ["ada@example.org", "a.b+c@sub.example.co", "x_y@1.example", "o'neil@example.org"])
def test_a_good_address(address: str) -> None:
    assert email_problems(address) == []


@pytest.mark.parametrize("address", ["", "a", "a@b", "a b@c.de", "a@b..c", "a@.b.c", ".a@b.de", "x" * 65 + "@b.de",
                                     "a@" + "b" * 250 + ".de", "a@b.de\n", "a@b.de,c@d.ef", "ü@b.de"])  # fmt: skip
def test_a_bad_address(address: str) -> None:
    assert email_problems(address)


@pytest.mark.parametrize(
    "wanted",
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
def test_elsewhere_is_nowhere(wanted: str | None) -> None:
    assert safe_redirect_path(wanted) is None


@pytest.mark.parametrize("wanted", ["/", "/grids/?q=a&sort=-b#c", "/packages/p/C%23/", "/search/?q=https://a.b//c"])
def test_our_own_paths(wanted: str) -> None:
    assert safe_redirect_path(wanted) == wanted
