"""Word-level diffs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.diffs import ADDED, MAX_TOKENS, REMOVED, SAME, DiffSegment, collapse_unchanged, word_diff


def told(before: str, after: str) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text) for piece in word_diff(before, after)]


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
    assert "".join(piece.text for piece in pieces if piece.kind != ADDED) == before
    assert "".join(piece.text for piece in pieces if piece.kind != REMOVED) == after
    assert all(piece.text for piece in pieces)
    assert all(one.kind != other.kind for one, other in pairwise(pieces))


def test_texts_too_long_to_compare_come_whole() -> None:
    long = "word " * MAX_TOKENS
    assert told(long, long + "end") == [(REMOVED, long), (ADDED, long + "end")]


def test_what_stayed_far_from_a_change_is_cut() -> None:
    before, after = "a" * 300, "z" * 300
    pieces = [
        DiffSegment(before, SAME),
        DiffSegment("x", REMOVED),
        DiffSegment("m" * 300, SAME),
        DiffSegment("y", ADDED),
        DiffSegment(after, SAME),
    ]
    assert [piece.text for piece in collapse_unchanged(pieces)] == [
        " … " + "a" * 60, "x", "m" * 60 + " … " + "m" * 60, "y", "z" * 60 + " … ",
    ]  # fmt: skip
    short = [DiffSegment("stays", SAME), DiffSegment("goes", REMOVED)]
    assert collapse_unchanged(short) == short
    long = [DiffSegment("w" * 900, ADDED)]
    assert collapse_unchanged(long) == long
