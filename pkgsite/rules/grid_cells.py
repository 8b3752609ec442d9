"""The markup of grid cells: some words and signs become icons, URLs become links, and line breaks are kept.

If a cell starts with one of the words below, in any case, an icon replaces the word and the punctuation after it; the
remaining text is kept. Only whole words count: "no way" becomes a cross and "way", but "nothing" is text.
A sign (`+`, `--`, `+3` …) becomes icons only if the cell contains nothing else, because "-1 to 5" is a range.
The result is not HTML: templates escape the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from pkgsite.rules.links import safe_url

YES_WORDS = ("check", "yes", "good")
NO_WORDS = ("bad", "negative", "evil", "sucks", "no")
MAX_STRENGTH = 3

_WORD = re.compile(rf"({'|'.join((*YES_WORDS, *NO_WORDS))})(?![\w'’/-])", re.IGNORECASE)
_SIGNS = re.compile(r"(\++|-+)")
_NUMBER = re.compile(r"([+-])([0-9]+)")
_URL = re.compile(r"https?://[^\s<>\"`\\]+", re.IGNORECASE)
_AFTER_WORD = re.compile(r"[\s,;:.–—]+")
# The end of a URL in a text, much as in Unicode's linkification (UTS #58). Some characters always end it: punctuation
# and brackets of scripts that are written without spaces, quotation marks, and invisible formatting characters.
# Others end it only as the last characters, because they also occur within URLs.
_PUNCTUATION = {"Po", "Ps", "Pe", "Pi", "Pf"}
_INVISIBLE = set("\u200b\u200e\u200f\u2028\u2029\u2060\u2066\u2067\u2068\u2069\ufeff") | set(
    "\u202a\u202b\u202c\u202d\u202e"
)
_WITHIN_URL = set("·・’‰‱′″†‡•※")  # non-ASCII punctuation that is common in the paths of international URLs
_SYMBOLS = set("＜＞≪≫｀´")  # brackets and quotation marks that Unicode classifies as symbols
_AFTER_URL = ".,;:!?'’–—·・•*_~"  # as on GitHub, also those of emphasis
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_QUOTES = {"'": "'", "‘": "’"}  # these also occur within words, so they only end a URL that they precede


@dataclass(frozen=True, slots=True)
class CellSegment:
    """A part of a cell's text."""

    kind: Literal["text", "link", "break"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class CellView:
    """The content of a cell: icons, text, both or neither."""

    verdict: Literal["yes", "no"] | None = None
    strength: int = 0  # number of icons: 1 to 3, or 0 without a verdict
    pieces: tuple[CellSegment, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.verdict is None and not self.pieces


EMPTY = CellView()


def parse_cell(markup: str) -> CellView:
    """Return the content of a cell from its markup.

    >>> parse_cell("Yes indeed")
    CellView(verdict='yes', strength=1, pieces=(CellSegment(kind='text', text='indeed'),))
    >>> parse_cell("+2")
    CellView(verdict='yes', strength=2, pieces=())
    >>> parse_cell("nothing").verdict is None
    True
    """
    text = markup.strip()
    strength = _signed_strength(text)
    if strength:
        return CellView("yes" if strength > 0 else "no", min(abs(strength), MAX_STRENGTH))
    word = _WORD.match(text)
    if not word:
        return CellView(pieces=_parse_segments(text)) if text else EMPTY
    verdict: Literal["yes", "no"] = "yes" if word.group(1).lower() in YES_WORDS else "no"
    separator = _AFTER_WORD.match(text, word.end())
    return CellView(verdict, 1, _parse_segments(text[separator.end() if separator else word.end() :]))


def _signed_strength(text: str) -> int:
    """Return the strength of a cell that is only a sign: positive for yes, negative for no; 0 for any other cell."""
    if _SIGNS.fullmatch(text):
        return len(text) if text[0] == "+" else -len(text)
    number = _NUMBER.fullmatch(text)
    if not number:
        return 0
    size = MAX_STRENGTH if len(number.group(2).lstrip("0")) > 1 else int(number.group(2))
    return size if number.group(1) == "+" else -size


def _parse_segments(text: str) -> tuple[CellSegment, ...]:
    segments: list[CellSegment] = []
    for index, line in enumerate(text.splitlines()):
        if index:
            segments.append(CellSegment("break"))
        segments += _parse_line(line)
    return tuple(segments)


def _parse_line(line: str) -> list[CellSegment]:
    """Return the text and links of a line. Punctuation after a URL belongs to the text, not to the link."""
    segments: list[CellSegment] = []
    end = 0
    for match in _URL.finditer(line):
        url = _trim_url(match.group(), before=line[: match.start()][-1:])
        if safe_url(url) is None:
            continue
        if match.start() > end:
            segments.append(CellSegment("text", line[end : match.start()]))
        segments.append(CellSegment("link", url))
        end = match.start() + len(url)
    if end < len(line):
        segments.append(CellSegment("text", line[end:]))
    return segments


def _trim_url(text: str, *, before: str) -> str:
    """Return the URL at the start of a text without spaces.

    Args:
        text: The text, up to the next space.
        before: The character before it, if there is one.
    """
    end_quote = _QUOTES.get(before)
    open_brackets: list[str] = []
    end = len(text)
    for index, char in enumerate(text):
        if char in _BRACKETS.values():
            open_brackets.append(char)
        elif char in _BRACKETS:
            is_unmatched = not open_brackets or open_brackets.pop() != _BRACKETS[char]
            end = index if is_unmatched else end
        elif char == end_quote or _ends_url(char):
            end = index
        if end == index:
            break
    return text[:end].rstrip(_AFTER_URL + "([{")


def _ends_url(char: str) -> bool:
    """Return whether a character always ends a URL."""
    if char.isascii() or char in _WITHIN_URL:
        return False
    return char in _SYMBOLS or char in _INVISIBLE or unicodedata.category(char) in _PUNCTUATION
