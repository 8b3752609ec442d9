"""Tokenization for search: folds text, splits it into words and normalises names.

Both databases index exactly these words, so that they find the same results.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

import Stemmer

MAX_TEXT_LENGTH = 200  # characters of a query; databases reject patterns of many thousands
MAX_WORDS = 12
MAX_WORD_LENGTH = 60  # characters; longer words are truncated
MIN_PREFIX_LENGTH = 2  # characters; a shorter word is not matched as a prefix

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_STRUCTURE = re.compile(r'[\[\]",\\]')
# Scripts without spaces between words: each character is a word.
_UNSPACED = "\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Letters that Unicode doesn't decompose into a base letter and a diacritic.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
# Names that differ from others only by a symbol.
_SYMBOL_NAMES = (
    (re.compile(r"\bc\+\+", re.IGNORECASE), " cpp "),
    (re.compile(r"\b([cf])#", re.IGNORECASE), r" \1sharp "),
)
_english = Stemmer.Stemmer("english", 0)  # cache size 0, because the cache is not thread-safe


def clean_query(text: str) -> str:
    """Return the text without control characters, with single spaces and truncated to 200 characters.

    >>> clean_query("  django\\x00  forms ")
    'django forms'
    """
    return " ".join(_CONTROL.sub(" ", text).split())[:MAX_TEXT_LENGTH].rstrip()


def distinct_words(text: str) -> list[str]:
    """Return the first twelve distinct words of a text, in lower case but not folded."""
    return list(dict.fromkeys(clean_query(text).lower().split()))[:MAX_WORDS]


def is_searchable_name(word: str) -> bool:
    """Return whether a word can be searched for in a stored JSON list without matching the list's own punctuation."""
    return not _STRUCTURE.search(word)


def fold(text: str) -> str:
    """Return a text in lower case, without accents and other diacritics.

    >>> fold("Ünïcode, Straße, Łódź")
    'unicode, strasse, lodz'
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char)).translate(_PLAIN)


def split_words(text: str) -> list[str]:
    """Return the words of a text, folded and in their order.

    >>> split_words("Caching for the Django ORM, in C++")
    ['caching', 'for', 'the', 'django', 'orm', 'in', 'cpp']
    """
    for pattern, replacement in _SYMBOL_NAMES:
        text = pattern.sub(replacement, text)
    return [word[:MAX_WORD_LENGTH] for word in _WORD.findall(fold(text))]


def name_words(name: str) -> list[str]:
    """Return the words of a name, which is also split at camel case.

    >>> name_words("DjangoDebugToolbar")
    ['django', 'debug', 'toolbar']
    """
    return split_words(_CAMEL_CASE.sub(" ", name))


def normalise_name(name: str) -> str:
    """Return a key that is equal for all spellings of a name.

    >>> normalise_name("Django REST framework"), normalise_name("django_rest-framework")
    ('djangorestframework', 'djangorestframework')
    """
    return "".join(split_words(name))[:MAX_WORD_LENGTH]


def split_fields(texts: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the words of each text, without duplicates and empty ones.

    >>> split_fields(["Caching", "", "caching", "Forms and more"])
    (('caching',), ('forms', 'and', 'more'))
    """
    return _distinct_fields(map(split_words, texts))


def name_fields(names: Sequence[str]) -> tuple[list[str], tuple[tuple[str, ...], ...]]:
    """Return the keys of an item's names, and the fields by which their words are found.

    >>> name_fields(["DjangoDebugToolbar"])
    (['djangodebugtoolbar'], (('djangodebugtoolbar',), ('django', 'debug', 'toolbar')))
    """
    keys = list(dict.fromkeys(key for name in names if (key := normalise_name(name))))
    return keys, _distinct_fields([*map(split_words, names), *map(name_words, names), *([key] for key in keys)])


def _distinct_fields(fields: Iterable[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(tuple(words) for words in fields if words))


def strip_prefix(key: str, ignored_prefixes: tuple[str, ...]) -> str:
    """Return a normalised name without the ignored prefix that it starts with, if any.

    >>> strip_prefix("djangocacheops", ("django", "dj"))
    'cacheops'
    """
    for prefix in ignored_prefixes:
        rest = key.removeprefix(prefix)
        if rest != key and len(rest) >= MIN_PREFIX_LENGTH:
            return rest
    return key


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the stem that a word shares with its other forms.

    >>> stem("caching") == stem("cached") == stem("caches")
    True
    """
    return str(_english.stemWord(word))


def keyword_value(text: str) -> str:
    """Return a filter's value in the form in which filters are compared: folded, with hyphens instead of spaces.

    >>> keyword_value("Apache License 2.0")
    'apache-license-2.0'
    """
    return re.sub(r"[^\w.+-]+", "-", fold(text)).strip("-")[:MAX_WORD_LENGTH]
