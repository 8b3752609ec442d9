"""Text from users is cleaned, so that it can be stored in both databases and shown on pages and in feeds."""

from __future__ import annotations

import unicodedata

import pytest

from pkgsite.errors import Invalid
from pkgsite.rules.texts import FieldReader, InvalidText, clean_line, clean_text, is_blank


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("  plain  ", "plain"),
        ("a\x00b\x07c\x7fd\x9fe", "abcde"),
        ("two\r\nlines\tand\u2028three", "two lines and three"),
        ("cafe\u0301", "café"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("שלום עולם", "שלום עולם"),  # right-to-left scripts are kept
        ("👩\u200d💻", "👩\u200d💻"),
        ("half \ud800 \ufffe \ufdd0\ufeffone", "half one"),
        ("<script>alert('x')</script>", "<script>alert('x')</script>"),
        ("", ""),
        (None, ""),
        ("\u200b\u2060 ", ""),
    ],
)
def test_a_line_is_cleaned(value: str | None, cleaned: str) -> None:
    assert clean_line(value, 100) == cleaned
    assert clean_line(cleaned, 100) == cleaned, "cleaning twice changes nothing"
    assert unicodedata.is_normalized("NFC", clean_line(value, 100))


def test_line_breaks_of_a_text_are_kept() -> None:
    assert clean_text("\r\n one \r\n\r\n\ttwo\x00\rthree  \n\n\n\n\n\nfour\n", 100) == "one\n\n two\nthree\n\n\nfour"


def test_values_that_are_too_long_or_empty_are_rejected() -> None:
    assert clean_line("é" * 10, 10) == "é" * 10
    assert clean_line("e\u0301" * 10, 10) == "é" * 10, "the length is that of the stored text"
    with pytest.raises(InvalidText, match=r"10 characters or fewer \(currently 11\)"):
        clean_line("x" * 11, 10)
    with pytest.raises(InvalidText, match="10,001"):
        clean_text("x" * 10_001, 10_000)
    for empty in ("", " \n", "\u200b", "\x00", None):
        with pytest.raises(InvalidText, match="required"):
            clean_text(empty, 10, is_required=True)


def test_a_text_of_invisible_characters_is_blank() -> None:
    assert is_blank("\u200b \u2060\xad")
    assert not is_blank("\u200bx")


def test_all_errors_of_a_form_are_raised_together() -> None:
    reader = FieldReader()
    assert reader.read_line("title", " A title ", 10) == "A title"
    reader.raise_if_invalid()
    assert reader.read_line("name", "", 10, is_required=True) == ""
    assert reader.read_text("description", "x" * 11, 10) == ""
    reader.add_error("name", "Another error.")
    with pytest.raises(Invalid) as error:
        reader.raise_if_invalid()
    assert list(error.value.problems) == ["name", "description"]
    assert len(error.value.problems["name"]) == 2
