"""What became of a text, for people to read: which words stayed, which went, which came."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import attrgetter

SAME, REMOVED, ADDED = "same", "removed", "added"
MOST_TOKENS = 3000  # of both texts together; comparing takes the square of it
LEAST_ALIKE = 0.4  # texts that share less than this part of their words are shown one after the other
AROUND = 60  # characters that are kept on each side of a change where what stayed is cut
CUT = " … "

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a diff, with what became of them: "same", "removed" or "added"."""

    words: str
    state: str


def word_diff(before: str, after: str) -> list[Piece]:
    """Return how one text became another, word by word; two that have little in common come whole.

    The pieces that are not "added" make the text before, those that are not "removed" the text after.

    >>> [(piece.state, piece.words) for piece in word_diff("yes, since 2.0", "yes, since 3.0")]
    [('same', 'yes, since '), ('removed', '2'), ('added', '3'), ('same', '.0')]
    """
    if before == after:
        return _pieces([(SAME, before)])
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    whole = [(REMOVED, before), (ADDED, after)]
    if len(old) + len(new) > MOST_TOKENS:
        return _pieces(whole)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if _likeness(matcher, old, new) < LEAST_ALIKE:
        return _pieces(whole)
    return _pieces(_tell(matcher, old, new))


def shortened(pieces: Sequence[Piece]) -> list[Piece]:
    """Return a diff with the middle of what stayed, far from any change, left out.

    >>> shortened([Piece("a" * 500, "same"), Piece("b", "added")])[0].words == " … " + "a" * 60
    True
    """
    last = len(pieces) - 1
    return [
        Piece(_cut(piece.words, begin=place > 0, end=place < last), SAME) if piece.state == SAME else piece
        for place, piece in enumerate(pieces)
    ]


def _likeness(matcher: SequenceMatcher[str], old: Sequence[str], new: Sequence[str]) -> float:
    """Return the part of the words, blanks aside, that both texts share: 1 if all, 0 if none."""
    shared = sum(
        not token.isspace() for block in matcher.get_matching_blocks() for token in old[block.a : block.a + block.size]
    )
    words = sum(not token.isspace() for token in [*old, *new])
    return 2 * shared / words if words else 0.0


def _tell(matcher: SequenceMatcher[str], old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pieces of a diff, where a lone blank between two changes counts as changed with them."""
    told: list[tuple[str, str]] = []
    removed = added = ""
    codes = matcher.get_opcodes()
    for place, (code, old_from, old_to, new_from, new_to) in enumerate(codes):
        words = "".join(old[old_from:old_to])
        if code == "equal" and not (words.isspace() and 0 < place < len(codes) - 1):
            told += [(REMOVED, removed), (ADDED, added), (SAME, words)]
            removed = added = ""
        else:
            removed += words
            added += "".join(new[new_from:new_to])
    return [*told, (REMOVED, removed), (ADDED, added)]


def _pieces(told: Iterable[tuple[str, str]]) -> list[Piece]:
    """Return pieces without empty ones, neighbours of a kind as one."""
    pieces = [Piece(words, state) for state, words in told if words]
    return [Piece("".join(p.words for p in run), state) for state, run in groupby(pieces, attrgetter("state"))]


def _cut(words: str, *, begin: bool, end: bool) -> str:
    """Return what stayed with its ends next to a change only: `begin` after one, `end` before one."""
    if len(words) <= (begin + end) * AROUND + len(CUT) * 4:
        return words
    return (words[:AROUND] if begin else "") + CUT + (words[-AROUND:] if end else "")
