"""Words that were meant: near misses by letters left out, doubled, exchanged or swapped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MIN_WORD_LENGTH = 4  # letters; a shorter word is near to too many others
TWO_EDITS_MIN_LENGTH = 8  # letters of a word in which two slips are forgiven
MAX_SUGGESTIONS = 3  # words that a misspelt one may stand for


@dataclass(frozen=True, slots=True)
class IndexedWord:
    """A word of the index, and in how many things it stands."""

    word: str
    document_count: int


def max_edits(word: str) -> int:
    """Return how many slips may lie between a word and what was meant."""
    return 0 if len(word) < MIN_WORD_LENGTH or word.isdigit() else 1 if len(word) < TWO_EDITS_MIN_LENGTH else 2


def affix_pairs(word: str) -> list[tuple[str, str]]:
    """Return pairs of a beginning and an end: each word that is one slip away has one pair of these, or more.

    A slip, even one that swaps the middle letters, leaves one half as it is, and of the other half one half.

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


def edit_distance(one: str, other: str, max_distance: int) -> int:
    """Return how many letters were left out, added, exchanged or swapped with their neighbour; `max_distance` + 1 for more.

    >>> edit_distance("framewrok", "framework", 2), edit_distance("djngo", "django", 2), edit_distance("abc", "xyz", 2)
    (1, 1, 3)
    """
    if abs(len(one) - len(other)) > max_distance:
        return max_distance + 1
    one, other = _strip_common_affixes(one, other)
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        before, row, last = row, [i], before
        for j, other_char in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != other_char))
            if i > 1 and j > 1 and char == other[j - 2] and other_char == one[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > max_distance:
            return max_distance + 1
    return min(row[-1], max_distance + 1)


def _strip_common_affixes(one: str, other: str) -> tuple[str, str]:
    """Return both without the beginning and the end that they share."""
    shorter = min(len(one), len(other))
    start = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    end = next((at for at in range(shorter - start) if one[-1 - at] != other[-1 - at]), shorter - start)
    return one[start : len(one) - end], other[start : len(other) - end]


def closest_words(
    word: str, known: Iterable[IndexedWord], *, max_distance: int, limit: int = MAX_SUGGESTIONS
) -> list[IndexedWord]:
    """Return the words that were most likely meant, likeliest first: fewer slips, the same first letter, more uses.

    Args:
        word: As it was typed.
        known: Words that may have been meant.
        max_distance: Slips that are forgiven.
        limit: How many words are returned at most.
    """
    found = [
        (edits, other)
        for other in known
        if 0 < (edits := edit_distance(word, other.word, max_distance)) <= max_distance
    ]
    fewest = min((edits for edits, _ in found), default=0)
    likely = [other for edits, other in found if edits == fewest]
    likely.sort(key=lambda other: (other.word[0] != word[0], -other.document_count, other.word))
    return likely[:limit]
