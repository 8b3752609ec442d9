"""Spelling correction: finds words that differ by a missing, extra, wrong or swapped character."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MIN_WORD_LENGTH = 4  # characters; a shorter word is similar to too many others
TWO_EDITS_MIN_LENGTH = 8  # characters; two typos are allowed from this length
MAX_SUGGESTIONS = 3  # corrections of a misspelt word


@dataclass(frozen=True, slots=True)
class IndexedWord:
    """A word of the index and the number of items that contain it."""

    word: str
    document_count: int


def max_edits(word: str) -> int:
    """Return how many typos are allowed in a word."""
    return 0 if len(word) < MIN_WORD_LENGTH or word.isdigit() else 1 if len(word) < TWO_EDITS_MIN_LENGTH else 2


def affix_pairs(word: str) -> list[tuple[str, str]]:
    """Return pairs of a prefix and a suffix. Every word that is one edit away has both of at least one pair.

    A single edit, even one that swaps the two middle characters, leaves one half of the word unchanged, and at least
    half of the other half.

    >>> affix_pairs("framewrok")
    [('framew', ''), ('fram', 'ok'), ('fr', 'wrok'), ('', 'mewrok')]
    """
    middle = len(word) // 2
    second_cut = middle + (len(word) - middle) // 2
    first_cut = (middle + 1) // 2
    return [
        (word[:second_cut], ""),
        (word[:middle], word[second_cut + 1 :]),
        (word[:first_cut], word[middle + 1 :]),
        ("", word[first_cut + 1 :]),
    ]


def edit_distance(first: str, second: str, max_distance: int) -> int:
    """Return the edit distance of two words, where swapping two neighbouring characters is one edit.

    Larger distances than `max_distance` are returned as `max_distance` + 1.

    >>> edit_distance("framewrok", "framework", 2), edit_distance("djngo", "django", 2), edit_distance("abc", "xyz", 2)
    (1, 1, 3)
    """
    if abs(len(first) - len(second)) > max_distance:
        return max_distance + 1
    first, second = _strip_common_affixes(first, second)
    previous_row: list[int] = []
    row = list(range(len(second) + 1))
    for i, char in enumerate(first, 1):
        previous_row, row, row_before_previous = row, [i], previous_row
        for j, second_char in enumerate(second, 1):
            cost = min(previous_row[j] + 1, row[j - 1] + 1, previous_row[j - 1] + (char != second_char))
            if i > 1 and j > 1 and char == second[j - 2] and second_char == first[i - 2]:
                cost = min(cost, row_before_previous[j - 2] + 1)
            row.append(cost)
        if min(row) > max_distance:
            return max_distance + 1
    return min(row[-1], max_distance + 1)


def _strip_common_affixes(first: str, second: str) -> tuple[str, str]:
    """Return both words without their common prefix and suffix."""
    shorter = min(len(first), len(second))
    start = next((i for i in range(shorter) if first[i] != second[i]), shorter)
    end = next((i for i in range(shorter - start) if first[-1 - i] != second[-1 - i]), shorter - start)
    return first[start : len(first) - end], second[start : len(second) - end]


def closest_words(
    word: str, candidates: Iterable[IndexedWord], *, max_distance: int, limit: int = MAX_SUGGESTIONS
) -> list[IndexedWord]:
    """Return the candidates at the smallest edit distance: same first character first, then the most common.

    Args:
        word: The word of the query.
        candidates: Possible corrections.
        max_distance: Largest edit distance that is allowed.
        limit: Maximum number of words to return.
    """
    similar = [
        (edits, other)
        for other in candidates
        if 0 < (edits := edit_distance(word, other.word, max_distance)) <= max_distance
    ]
    fewest = min((edits for edits, _ in similar), default=0)
    closest = [other for edits, other in similar if edits == fewest]
    closest.sort(key=lambda other: (other.word[0] != word[0], -other.document_count, other.word))
    return closest[:limit]
