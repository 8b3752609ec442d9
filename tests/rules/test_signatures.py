"""Signatures: the right one opens, and nothing else does."""

import pytest

from pkgsite.rules.signatures import is_valid_secret, is_valid_signature, sign

# The example that GitHub's own documentation gives for trying out a check of signatures.
SECRET, BODY = "It's a Secret to Everybody", b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_signature_is_the_one_that_github_sends() -> None:
    assert sign(SECRET, BODY) == SIGNATURE
    assert is_valid_signature(SECRET, BODY, SIGNATURE)


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", SIGNATURE[7:], SIGNATURE[:-1], SIGNATURE + " ", SIGNATURE.upper(), SIGNATURE.replace("256", "1"),
     "sha256=" + "0" * 64, "ü" * 71, "\N{ROCKET}", "sha256=" + "f" * 100_000],
)  # fmt: skip
def test_another_signature_is_none(signature: str) -> None:
    assert not is_valid_signature(SECRET, BODY, signature)


def test_the_signature_is_that_of_all_bytes() -> None:
    for body in (b"", BODY + b"\n", BODY[:-1], b"\xff\xfe"):
        assert not is_valid_signature(SECRET, body, SIGNATURE)
        assert is_valid_signature(SECRET, body, sign(SECRET, body))


def test_without_a_secret_nothing_is_signed() -> None:
    assert not is_valid_signature("", BODY, sign("", BODY))
    assert not is_valid_secret("", "")


def test_a_secret_is_told_whole() -> None:
    assert is_valid_secret("correct horse", "correct horse")
    for told in ("", "correct", "correct horse ", "Correct horse", "\N{ROCKET}"):
        assert not is_valid_secret("correct horse", told)


def test_a_secret_may_have_any_letters() -> None:
    as_wsgi_hands_it_over = "çlé".encode().decode("latin-1")
    assert is_valid_secret("çlé", as_wsgi_hands_it_over)
