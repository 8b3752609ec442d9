"""What people type into a search box or an address, made fit to be looked for."""

from __future__ import annotations

import re

LONGEST = 200  # characters; a database refuses patterns of many thousands
MOST_WORDS = 12

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_STRUCTURE = re.compile(r'[\[\]",\\]')


def clean(text: str) -> str:
    """Return the text without control characters, with single blanks, and cut to its first 200 characters.

    >>> clean("  django\\x00  forms ")
    'django forms'
    """
    return " ".join(_CONTROL.sub(" ", text).split())[:LONGEST].rstrip()


def words_in(text: str) -> list[str]:
    """Return the different words of a cleaned text, in their order, twelve at most."""
    return list(dict.fromkeys(clean(text).lower().split()))[:MOST_WORDS]


def may_be_a_name(word: str) -> bool:
    """Tell whether a word can be looked for in a stored list of names without meeting the list's own punctuation."""
    return not _STRUCTURE.search(word)
