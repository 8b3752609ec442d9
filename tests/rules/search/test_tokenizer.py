"""What people type, made fit to be looked for."""

from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.search.tokenizer import LONGEST, MOST_WORDS, clean, may_be_a_name, words_in


def test_blanks_and_control_characters_are_dropped() -> None:
    assert clean("\x00 django\t\x1f forms\n\ud800") == "django forms"


def test_long_text_is_cut() -> None:
    assert clean("a" * 10_000) == "a" * LONGEST


def test_words_are_lower_case_and_different() -> None:
    assert words_in("Django FORMS django  é") == ["django", "forms", "é"]


def test_a_word_with_a_lists_punctuation_is_no_name() -> None:
    assert may_be_a_name("gasman")
    assert not any(may_be_a_name(word) for word in ('"', "[", "]", ",", "a\\b"))


@given(st.text())
def test_any_text_can_be_looked_for(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert len(cleaned) <= LONGEST
    assert "\x00" not in cleaned
    assert len(words_in(text)) <= MOST_WORDS
