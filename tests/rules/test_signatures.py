"""Webhook signatures and secrets: only the correct one is accepted."""

import pytest

from pkgsite.rules.signatures import is_valid_secret, is_valid_signature, sign

# The example in GitHub's documentation on validating webhook deliveries.
SECRET, BODY = "It's a Secret to Everybody", b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_signatures_match_those_of_github() -> None:
    assert sign(SECRET, BODY) == SIGNATURE
    assert is_valid_signature(SECRET, BODY, SIGNATURE)


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", SIGNATURE[7:], SIGNATURE[:-1], SIGNATURE + " ", SIGNATURE.upper(), SIGNATURE.replace("256", "1"),
     "sha256=" + "0" * 64, "ü" * 71, "\N{ROCKET}", "sha256=" + "f" * 100_000],
)  # fmt: skip
def test_other_signatures_are_invalid(signature: str) -> None:
    assert not is_valid_signature(SECRET, BODY, signature)


def test_the_signature_covers_all_bytes() -> None:
    for body in (b"", BODY + b"\n", BODY[:-1], b"\xff\xfe"):
        assert not is_valid_signature(SECRET, body, SIGNATURE)
        assert is_valid_signature(SECRET, body, sign(SECRET, body))


def test_without_a_secret_nothing_is_valid() -> None:
    assert not is_valid_signature("", BODY, sign("", BODY))
    assert not is_valid_secret("", "")


def test_only_the_complete_secret_is_valid() -> None:
    assert is_valid_secret("correct horse", "correct horse")
    for candidate in ("", "correct", "correct horse ", "Correct horse", "\N{ROCKET}"):
        assert not is_valid_secret("correct horse", candidate)


def test_a_secret_can_have_characters_outside_ascii() -> None:
    wsgi_header = "çlé".encode().decode("latin-1")
    assert is_valid_secret("çlé", wsgi_header)
