"""What people type, made fit to be looked for."""

from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.search.tokenizer import MAX_TEXT_LENGTH, MAX_WORDS, clean_query, distinct_words, is_searchable_name


def test_blanks_and_control_characters_are_dropped() -> None:
    assert clean_query("\x00 django\t\x1f forms\n\ud800") == "django forms"


def test_long_text_is_cut() -> None:
    assert clean_query("a" * 10_000) == "a" * MAX_TEXT_LENGTH


def test_words_are_lower_case_and_different() -> None:
    assert distinct_words("Django FORMS django  é") == ["django", "forms", "é"]


def test_a_word_with_a_lists_punctuation_is_no_name() -> None:
    assert is_searchable_name("gasman")
    assert not any(is_searchable_name(word) for word in ('"', "[", "]", ",", "a\\b"))


@given(st.text())
def test_any_text_can_be_looked_for(text: str) -> None:
    cleaned = clean_query(text)
    cleaned.encode()
    assert len(cleaned) <= MAX_TEXT_LENGTH
    assert "\x00" not in cleaned
    assert len(distinct_words(text)) <= MAX_WORDS
