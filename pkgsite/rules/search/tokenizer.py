"""Text as search sees it: folded, cut into words, and the names that a thing answers to.

Both databases are given these very words, so that they can't disagree on what a word is.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

MAX_TEXT_LENGTH = 200  # characters of what is typed; a database refuses patterns of many thousands
MAX_WORDS = 12
MAX_WORD_LENGTH = 60  # characters; the rest of a longer one is left out
MIN_PREFIX_LENGTH = 2  # letters that may stand for the words that begin with them

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_STRUCTURE = re.compile(r'[\[\]",\\]')
# Scripts that put no blanks between words: each of their letters is a word.
_UNSPACED = "\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Letters that don't come apart into a plain one and a mark, and names whose marks make them.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_SYMBOL_NAMES = (
    (re.compile(r"\bc\+\+", re.IGNORECASE), " cpp "),
    (re.compile(r"\b([cf])#", re.IGNORECASE), r" \1sharp "),
)
_english = Stemmer.Stemmer("english", 0)  # without its cache, which threads can't share


def clean_query(text: str) -> str:
    """Return the text without control characters, with single blanks, and cut to its first 200 characters.

    >>> clean_query("  django\\x00  forms ")
    'django forms'
    """
    return " ".join(_CONTROL.sub(" ", text).split())[:MAX_TEXT_LENGTH].rstrip()


def distinct_words(text: str) -> list[str]:
    """Return the different words of a cleaned text as they are written, in their order, twelve at most."""
    return list(dict.fromkeys(clean_query(text).lower().split()))[:MAX_WORDS]


def is_searchable_name(word: str) -> bool:
    """Tell whether a word can be looked for in a stored list of names without meeting the list's own punctuation."""
    return not _STRUCTURE.search(word)


def fold(text: str) -> str:
    """Return a text without case, accents and other marks.

    >>> fold("Ünïcode, Straße, Łódź")
    'unicode, strasse, lodz'
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char)).translate(_PLAIN)


def split_words(text: str) -> list[str]:
    """Return the words of a text, folded, in their order.

    >>> split_words("Caching for the Django ORM, in C++")
    ['caching', 'for', 'the', 'django', 'orm', 'in', 'cpp']
    """
    for mark, replacement in _SYMBOL_NAMES:
        text = mark.sub(replacement, text)
    return [word[:MAX_WORD_LENGTH] for word in _WORD.findall(fold(text))]


def name_words(name: str) -> list[str]:
    """Return the words of a name, whose humps part words too.

    >>> name_words("DjangoDebugToolbar")
    ['django', 'debug', 'toolbar']
    """
    return split_words(_CAMEL_CASE.sub(" ", name))


def normalise_name(name: str) -> str:
    """Return what is the same for all ways to write a name.

    >>> normalise_name("Django REST framework"), normalise_name("django_rest-framework")
    ('djangorestframework', 'djangorestframework')
    """
    return "".join(split_words(name))[:MAX_WORD_LENGTH]


def strip_prefix(key: str, ignored_prefixes: tuple[str, ...]) -> str:
    """Return a name's key without the framework's name before it; the key itself where it has none.

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
    """Return what a word shares with its other forms.

    >>> stem("caching") == stem("cached") == stem("caches")
    True
    """
    return str(_english.stemWord(word))


def keyword_value(text: str) -> str:
    """Return what a filter compares of a title, a licence or a person's name: folded, with hyphens for blanks.

    >>> keyword_value("Apache License 2.0")
    'apache-license-2.0'
    """
    return re.sub(r"[^\w.+-]+", "-", fold(text)).strip("-")[:MAX_WORD_LENGTH]
