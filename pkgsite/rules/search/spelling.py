"""Words that were meant: near misses by letters left out, doubled, exchanged or swapped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST = 4  # letters; a shorter word is near to too many others
TWO_SLIPS_FROM = 8  # letters of a word in which two slips are forgiven
MOST_MEANT = 3  # words that a misspelt one may stand for


@dataclass(frozen=True, slots=True)
class Known:
    """A word of the index, and in how many things it stands."""

    word: str
    uses: int


def slips_forgiven(word: str) -> int:
    """Return how many slips may lie between a word and what was meant."""
    return 0 if len(word) < SHORTEST or word.isdigit() else 1 if len(word) < TWO_SLIPS_FROM else 2


def kept(word: str) -> list[tuple[str, str]]:
    """Return pairs of a beginning and an end: each word that is one slip away has one pair of these, or more.

    A slip, even one that swaps the middle letters, leaves one half as it is, and of the other half one half.

    >>> kept("framewrok")
    [('framew', ''), ('fram', 'ok'), ('fr', 'wrok'), ('', 'mewrok')]
    """
    middle = len(word) // 2
    later = middle + (len(word) - middle) // 2
    sooner = (middle + 1) // 2
    return [
        (word[:later], ""),
        (word[:middle], word[later + 1 :]),
        (word[:sooner], word[middle + 1 :]),
        ("", word[sooner + 1 :]),
    ]


def distance(one: str, other: str, most: int) -> int:
    """Return how many letters were left out, added, exchanged or swapped with their neighbour; `most` + 1 for more.

    >>> distance("framewrok", "framework", 2), distance("djngo", "django", 2), distance("abc", "xyz", 2)
    (1, 1, 3)
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    one, other = _different(one, other)
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row, last = row, [i], before
        for j, facing in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != facing))
            if i > 1 and j > 1 and letter == other[j - 2] and facing == one[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _different(one: str, other: str) -> tuple[str, str]:
    """Return both without the beginning and the end that they share."""
    shorter = min(len(one), len(other))
    start = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    end = next((at for at in range(shorter - start) if one[-1 - at] != other[-1 - at]), shorter - start)
    return one[start : len(one) - end], other[start : len(other) - end]


def nearest(word: str, known: Iterable[Known], *, most: int, limit: int = MOST_MEANT) -> list[Known]:
    """Return the words that were most likely meant, likeliest first: fewer slips, the same first letter, more uses.

    Args:
        word: As it was typed.
        known: Words that may have been meant.
        most: Slips that are forgiven.
        limit: How many words are returned at most.
    """
    found = [(slips, other) for other in known if 0 < (slips := distance(word, other.word, most)) <= most]
    fewest = min((slips for slips, _ in found), default=0)
    likely = [other for slips, other in found if slips == fewest]
    likely.sort(key=lambda other: (other.word[0] != word[0], -other.uses, other.word))
    return likely[:limit]
