"""Word-level diffs of texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter

SAME, REMOVED, ADDED = "same", "removed", "added"
MAX_TOKENS = 3000  # of both texts together; the comparison takes quadratic time
MIN_SIMILARITY = 0.4  # texts that share a smaller fraction of their words are shown as replaced
CONTEXT_CHARS = 60  # unchanged characters shown on each side of a change
ELLIPSIS = " … "

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class DiffSegment:
    """A part of a diff; `kind` is "same", "removed" or "added"."""

    text: str
    kind: str


def word_diff(before: str, after: str) -> list[DiffSegment]:
    """Return the differences between two texts, word by word; very different texts are not compared in detail.

    The segments that are not "added" make up the old text, those that are not "removed" the new one.

    >>> [(segment.kind, segment.text) for segment in word_diff("yes, since 2.0", "yes, since 3.0")]
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


def collapse_unchanged(segments: Sequence[DiffSegment]) -> list[DiffSegment]:
    """Return a diff in which long unchanged text is shortened to the parts next to changes.

    >>> collapse_unchanged([DiffSegment("a" * 500, "same"), DiffSegment("b", "added")])[0].text == " … " + "a" * 60
    True
    """
    last = len(segments) - 1
    return [
        DiffSegment(_elide(segment.text, keep_start=index > 0, keep_end=index < last), SAME)
        if segment.kind == SAME
        else segment
        for index, segment in enumerate(segments)
    ]


def _similarity(matcher: SequenceMatcher[str], old: Sequence[str], new: Sequence[str]) -> float:
    """Return the fraction of the words, without whitespace, that both texts share."""
    shared = sum(
        not token.isspace() for block in matcher.get_matching_blocks() for token in old[block.a : block.a + block.size]
    )
    word_count = sum(not token.isspace() for token in [*old, *new])
    return 2 * shared / word_count if word_count else 0.0


def _diff_tokens(matcher: SequenceMatcher[str], old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """Return the segments of a diff; whitespace between two changes counts as changed."""
    segments: list[tuple[str, str]] = []
    removed = added = ""
    codes = matcher.get_opcodes()
    for index, (code, old_from, old_to, new_from, new_to) in enumerate(codes):
        old_text = "".join(old[old_from:old_to])
        if code == "equal" and not (old_text.isspace() and 0 < index < len(codes) - 1):
            segments += [(REMOVED, removed), (ADDED, added), (SAME, old_text)]
            removed = added = ""
        else:
            removed += old_text
            added += "".join(new[new_from:new_to])
    return [*segments, (REMOVED, removed), (ADDED, added)]


def _merge_segments(segments: Iterable[tuple[str, str]]) -> list[DiffSegment]:
    """Return the segments, given as kind and text, without empty ones and with adjacent ones of a kind merged."""
    runs = groupby(((kind, text) for kind, text in segments if text), itemgetter(0))
    return [DiffSegment("".join(text for _, text in run), kind) for kind, run in runs]


def _elide(text: str, *, keep_start: bool, keep_end: bool) -> str:
    """Return unchanged text shortened to its start (if it follows a change) and its end (if it precedes one)."""
    if len(text) <= (keep_start + keep_end) * CONTEXT_CHARS + len(ELLIPSIS) * 4:
        return text
    return (text[:CONTEXT_CHARS] if keep_start else "") + ELLIPSIS + (text[-CONTEXT_CHARS:] if keep_end else "")
