"""Cleaning of queries, and words that can be searched for in stored lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.search.tokenizer import MAX_TEXT_LENGTH, MAX_WORDS, clean_query, distinct_words, is_searchable_name


def test_control_characters_and_repeated_spaces_are_removed() -> None:
    assert clean_query("\x00 django\t\x1f forms\n\ud800") == "django forms"


def test_long_text_is_truncated() -> None:
    assert clean_query("a" * 10_000) == "a" * MAX_TEXT_LENGTH


def test_distinct_words_are_in_lower_case() -> None:
    assert distinct_words("Django FORMS django  é") == ["django", "forms", "é"]


def test_words_with_the_punctuation_of_a_list_are_not_searchable_names() -> None:
    assert is_searchable_name("gasman")
    assert not any(is_searchable_name(word) for word in ('"', "[", "]", ",", "a\\b"))


@given(st.text())
def test_any_text_can_be_cleaned(text: str) -> None:
    cleaned = clean_query(text)
    cleaned.encode()
    assert len(cleaned) <= MAX_TEXT_LENGTH
    assert "\x00" not in cleaned
    assert len(distinct_words(text)) <= MAX_WORDS
