"""Word-level diffs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.diffs import ADDED, MOST_TOKENS, REMOVED, SAME, Piece, shortened, word_diff


def told(before: str, after: str) -> list[tuple[str, str]]:
    return [(piece.state, piece.words) for piece in word_diff(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "pieces"),
    [
        ("", "", []),
        ("", "new", [(ADDED, "new")]),
        ("old", "", [(REMOVED, "old")]),
        ("alike", "alike", [(SAME, "alike")]),
        ("yes", "no", [(REMOVED, "yes"), (ADDED, "no")]),
        (
            "Stores the pages in memory",
            "Stores the pages in Redis",
            [(SAME, "Stores the pages in "), (REMOVED, "memory"), (ADDED, "Redis")],
        ),
        (
            "keeps one old word in its place here",
            "keeps two new word in its place here",
            [(SAME, "keeps "), (REMOVED, "one old"), (ADDED, "two new"), (SAME, " word in its place here")],
        ),
        ("https://a.example/x", "ftp where else", [(REMOVED, "https://a.example/x"), (ADDED, "ftp where else")]),
        ("line one\nline two", "line one\nline 2", [(SAME, "line one\nline "), (REMOVED, "two"), (ADDED, "2")]),
        ("größer als", "größer wie", [(SAME, "größer "), (REMOVED, "als"), (ADDED, "wie")]),
    ],
)
def test_a_diff_tells_words(before: str, after: str, pieces: list[tuple[str, str]]) -> None:
    assert told(before, after) == pieces


TEXTS = st.text(alphabet="ab \n.<&é", max_size=60)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_out_of_a_diff(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(piece.words for piece in pieces if piece.state != ADDED) == before
    assert "".join(piece.words for piece in pieces if piece.state != REMOVED) == after
    assert all(piece.words for piece in pieces)
    assert all(one.state != other.state for one, other in pairwise(pieces))


def test_texts_too_long_to_compare_come_whole() -> None:
    long = "word " * MOST_TOKENS
    assert told(long, long + "end") == [(REMOVED, long), (ADDED, long + "end")]


def test_what_stayed_far_from_a_change_is_cut() -> None:
    before, after = "a" * 300, "z" * 300
    pieces = [Piece(before, SAME), Piece("x", REMOVED), Piece("m" * 300, SAME), Piece("y", ADDED), Piece(after, SAME)]
    assert [piece.words for piece in shortened(pieces)] == [
        " … " + "a" * 60, "x", "m" * 60 + " … " + "m" * 60, "y", "z" * 60 + " … ",
    ]  # fmt: skip
    short = [Piece("stays", SAME), Piece("goes", REMOVED)]
    assert shortened(short) == short
    long = [Piece("w" * 900, ADDED)]
    assert shortened(long) == long
