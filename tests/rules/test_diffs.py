"""Word-level diffs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.diffs import ADDED, MAX_TOKENS, REMOVED, SAME, DiffSegment, collapse_unchanged, word_diff


def segments(before: str, after: str) -> list[tuple[str, str]]:
    return [(segment.kind, segment.text) for segment in word_diff(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
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
def test_words_are_compared(before: str, after: str, expected: list[tuple[str, str]]) -> None:
    assert segments(before, after) == expected


TEXTS = st.text(alphabet="ab \n.<&é", max_size=60)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_restored_from_a_diff(before: str, after: str) -> None:
    diff = word_diff(before, after)
    assert "".join(segment.text for segment in diff if segment.kind != ADDED) == before
    assert "".join(segment.text for segment in diff if segment.kind != REMOVED) == after
    assert all(segment.text for segment in diff)
    assert all(segment.kind != following.kind for segment, following in pairwise(diff))


def test_texts_that_are_too_long_are_not_compared() -> None:
    long = "word " * MAX_TOKENS
    assert segments(long, long + "end") == [(REMOVED, long), (ADDED, long + "end")]


def test_unchanged_text_far_from_a_change_is_shortened() -> None:
    before, after = "a" * 300, "z" * 300
    diff = [
        DiffSegment(before, SAME),
        DiffSegment("x", REMOVED),
        DiffSegment("m" * 300, SAME),
        DiffSegment("y", ADDED),
        DiffSegment(after, SAME),
    ]
    assert [segment.text for segment in collapse_unchanged(diff)] == [
        " … " + "a" * 60, "x", "m" * 60 + " … " + "m" * 60, "y", "z" * 60 + " … ",
    ]  # fmt: skip
    short = [DiffSegment("stays", SAME), DiffSegment("goes", REMOVED)]
    assert collapse_unchanged(short) == short
    long = [DiffSegment("w" * 900, ADDED)]
    assert collapse_unchanged(long) == long
