"""What people type becomes a text that every database, page and feed can hold."""

from __future__ import annotations

import unicodedata

import pytest

from pkgsite.errors import Invalid
from pkgsite.rules.texts import FieldReader, InvalidText, clean_line, clean_text, is_blank


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("  plain  ", "plain"),
        ("a\x00b\x07c\x7fd\x9fe", "abcde"),
        ("two\r\nlines\tand\u2028three", "two lines and three"),
        ("cafe\u0301", "café"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("שלום עולם", "שלום עולם"),  # right-to-left letters are letters
        ("👩\u200d💻", "👩\u200d💻"),
        ("half \ud800 \ufffe \ufdd0\ufeffone", "half one"),
        ("<script>alert('x')</script>", "<script>alert('x')</script>"),
        ("", ""),
        (None, ""),
        ("\u200b\u2060 ", ""),
    ],
)
def test_a_line(written: str | None, cleaned: str) -> None:
    assert clean_line(written, 100) == cleaned
    assert clean_line(cleaned, 100) == cleaned, "cleaning twice changes nothing"
    assert unicodedata.is_normalized("NFC", clean_line(written, 100))


def test_a_text_keeps_its_lines() -> None:
    assert clean_text("\r\n one \r\n\r\n\ttwo\x00\rthree  \n\n\n\n\n\nfour\n", 100) == "one\n\n two\nthree\n\n\nfour"


def test_what_is_too_long_or_empty_is_refused_in_words() -> None:
    assert clean_line("é" * 10, 10) == "é" * 10
    assert clean_line("e\u0301" * 10, 10) == "é" * 10, "characters count as they are kept"
    with pytest.raises(InvalidText, match=r"10 characters or fewer \(currently 11\)"):
        clean_line("x" * 11, 10)
    with pytest.raises(InvalidText, match="10,001"):
        clean_text("x" * 10_001, 10_000)
    for nothing in ("", " \n", "\u200b", "\x00", None):
        with pytest.raises(InvalidText, match="required"):
            clean_text(nothing, 10, is_required=True)


def test_what_shows_nothing() -> None:
    assert is_blank("\u200b \u2060\xad")
    assert not is_blank("\u200bx")


def test_all_that_is_wrong_is_told_at_once() -> None:
    reader = FieldReader()
    assert reader.read_line("title", " A title ", 10) == "A title"
    reader.raise_if_invalid()
    assert reader.read_line("name", "", 10, is_required=True) == ""
    assert reader.read_text("words", "x" * 11, 10) == ""
    reader.add_error("name", "Really.")
    with pytest.raises(Invalid) as error:
        reader.raise_if_invalid()
    assert list(error.value.problems) == ["name", "words"]
    assert len(error.value.problems["name"]) == 2
