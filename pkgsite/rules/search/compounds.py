"""Compound words in names, such as "pagetags": they are found by their parts too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pkgsite.rules.search.tokenizer import stem
from pkgsite.rules.search.vocabulary import FUNCTION_WORDS

MIN_PART_LENGTH = 3  # characters; shorter parts are found in too many words by chance
MAX_PARTS = 3


def compound_fields(
    names: Iterable[Sequence[str]], texts: Iterable[Sequence[str]], ignored_prefixes: Collection[str]
) -> tuple[tuple[str, ...], ...]:
    """Return the parts of each compound word in the names of an item.

    The item's texts decide what is a compound: they must have each part, in any form. Without that, a name that only
    contains a word, as "reversetag" contains "tag", would match like one that is about it.

    >>> compound_fields([("cms", "pagetags")], [("tags", "for", "cms", "pages")], ("django",))
    (('page', 'tags'),)
    >>> compound_fields([("reversetag",)], [("replacement", "for", "the", "url", "template", "tag")], ("django",))
    ()

    Args:
        names: The words of each name.
        texts: The words of each text that describes the item.
        ignored_prefixes: Prefixes of names that texts need not have, such as "django".
    """
    words = dict.fromkeys(word for name in names for word in name if len(word) >= 2 * MIN_PART_LENGTH)
    if not words:
        return ()
    known = {stem(word) for text in texts for word in text if word not in FUNCTION_WORDS} | set(ignored_prefixes)
    return tuple(dict.fromkeys(parts for word in words if len(parts := _split(word, known, MAX_PARTS)) > 1))


def _split(word: str, known: Collection[str], max_parts: int) -> tuple[str, ...]:
    """Return the parts of a word, the first as long as possible; empty if it has no parts that are all known."""
    if max_parts < MAX_PARTS and stem(word) in known:
        return (word,)
    if max_parts > 1:
        for size in range(len(word) - MIN_PART_LENGTH, MIN_PART_LENGTH - 1, -1):
            if stem(word[:size]) in known or word[:size] in known:
                rest = _split(word[size:], known, max_parts - 1)
                if rest:
                    return (word[:size], *rest)
    return ()
