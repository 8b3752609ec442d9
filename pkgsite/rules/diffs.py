"""What became of a text, for people to read: which words stayed, which went, which came."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import attrgetter

SAME, REMOVED, ADDED = "same", "removed", "added"
MAX_TOKENS = 3000  # of both texts together; comparing takes the square of it
MIN_SIMILARITY = 0.4  # texts that share less than this part of their words are shown one after the other
CONTEXT_CHARS = 60  # characters that are kept on each side of a change where what stayed is cut
ELLIPSIS = " … "

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class DiffSegment:
    """Some words of a diff, with what became of them: "same", "removed" or "added"."""

    text: str
    kind: str


def word_diff(before: str, after: str) -> list[DiffSegment]:
    """Return how one text became another, word by word; two that have little in common come whole.

    The pieces that are not "added" make the text before, those that are not "removed" the text after.

    >>> [(piece.state, piece.words) for piece in word_diff("yes, since 2.0", "yes, since 3.0")]
    [('same', 'yes, since '), ('removed', '2'), ('added', '3'), ('same', '.0')]
    """
    if before == after:
        return _merge_segments([(SAME, before)])
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    replacement = [(REMOVED, before), (ADDED, after)]
    if len(old) + len(new) > MAX_TOKENS:
        return _merge_segments(replacement)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if _similarity(matcher, old, new) < MIN_SIMILARITY:
        return _merge_segments(replacement)
    return _merge_segments(_diff_tokens(matcher, old, new))


def collapse_unchanged(pieces: Sequence[DiffSegment]) -> list[DiffSegment]:
    """Return a diff with the middle of what stayed, far from any change, left out.

    >>> collapse_unchanged([DiffSegment("a" * 500, "same"), DiffSegment("b", "added")])[0].words == " … " + "a" * 60
    True
    """
    last = len(pieces) - 1
    return [
        DiffSegment(_elide(piece.text, keep_start=index > 0, keep_end=index < last), SAME)
        if piece.kind == SAME
        else piece
        for index, piece in enumerate(pieces)
    ]


def _similarity(matcher: SequenceMatcher[str], old: Sequence[str], new: Sequence[str]) -> float:
    """Return the part of the words, blanks aside, that both texts share: 1 if all, 0 if none."""
    shared = sum(
        not token.isspace() for block in matcher.get_matching_blocks() for token in old[block.a : block.a + block.size]
    )
    words = sum(not token.isspace() for token in [*old, *new])
    return 2 * shared / words if words else 0.0


def _diff_tokens(matcher: SequenceMatcher[str], old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pieces of a diff, where a lone blank between two changes counts as changed with them."""
    segments: list[tuple[str, str]] = []
    removed = added = ""
    codes = matcher.get_opcodes()
    for index, (code, old_from, old_to, new_from, new_to) in enumerate(codes):
        words = "".join(old[old_from:old_to])
        if code == "equal" and not (words.isspace() and 0 < index < len(codes) - 1):
            segments += [(REMOVED, removed), (ADDED, added), (SAME, words)]
            removed = added = ""
        else:
            removed += words
            added += "".join(new[new_from:new_to])
    return [*segments, (REMOVED, removed), (ADDED, added)]


def _merge_segments(segments: Iterable[tuple[str, str]]) -> list[DiffSegment]:
    """Return pieces without empty ones, neighbours of a kind as one."""
    pieces = [DiffSegment(words, state) for state, words in segments if words]
    return [DiffSegment("".join(p.text for p in run), state) for state, run in groupby(pieces, attrgetter("kind"))]


def _elide(words: str, *, keep_start: bool, keep_end: bool) -> str:
    """Return what stayed with its ends next to a change only: `keep_start` after one, `keep_end` before one."""
    if len(words) <= (keep_start + keep_end) * CONTEXT_CHARS + len(ELLIPSIS) * 4:
        return words
    return (words[:CONTEXT_CHARS] if keep_start else "") + ELLIPSIS + (words[-CONTEXT_CHARS:] if keep_end else "")
