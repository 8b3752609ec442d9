"""The markup of a grid's cells: a few words and signs become icons, addresses become links, line breaks stay.

A cell that begins with one of the words below, whatever its case, gets an icon in the word's place; what follows is
kept as text, less the comma or stop between them. Only whole words count: "nothing" and "goodness" are words of their
own, "no way" is a cross and "way".
A sign (`+`, `--`, `+3` …) counts only where it is all that the cell holds, since "-1 to 5" is a range.
What comes out is a description; whoever draws it escapes the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pkgsite.rules.links import safe_url

YES_WORDS = ("check", "yes", "good")
NO_WORDS = ("bad", "negative", "evil", "sucks", "no")
MAX_STRENGTH = 3

_WORD = re.compile(rf"({'|'.join((*YES_WORDS, *NO_WORDS))})(?![\w'’/-])", re.IGNORECASE)
_SIGNS = re.compile(r"(\++|-+)")
_NUMBER = re.compile(r"([+-])([0-9]+)")
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_AFTER_WORD = re.compile(r"[\s,;:.–—]+")
_AFTER_URL = ".,;:!?'’)]}"


@dataclass(frozen=True, slots=True)
class CellSegment:
    """A stretch of a cell's text."""

    kind: Literal["text", "link", "break"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class CellView:
    """What to draw in a cell: perhaps icons, then perhaps text. Neither means that the cell is empty."""

    verdict: Literal["yes", "no"] | None = None
    strength: int = 0  # 1 to 3: how many icons
    pieces: tuple[CellSegment, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.verdict is None and not self.pieces


EMPTY = CellView()


def parse_cell(markup: str) -> CellView:
    """Return what a cell shows for the text that somebody wrote in it.

    >>> parse_cell("Yes indeed")
    CellView(verdict='yes', strength=1, pieces=(Piece(kind='text', text='indeed'),))
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
    remainder = (
        _AFTER_WORD.sub("", text[word.end() :], count=1) if _AFTER_WORD.match(text, word.end()) else text[word.end() :]
    )
    return CellView(verdict, 1, _parse_segments(remainder))


def _signed_strength(text: str) -> int:
    """Return how strongly a cell that is nothing but a sign says yes (above 0) or no (below 0); 0 for any other."""
    if _SIGNS.fullmatch(text):
        return len(text) if text[0] == "+" else -len(text)
    number = _NUMBER.fullmatch(text)
    if not number:
        return 0
    size = MAX_STRENGTH if len(number.group(2).lstrip("0")) > 1 else int(number.group(2))
    return size if number.group(1) == "+" else -size


def _parse_segments(text: str) -> tuple[CellSegment, ...]:
    pieces: list[CellSegment] = []
    for number, line in enumerate(text.splitlines()):
        if number:
            pieces.append(CellSegment("break"))
        pieces += _parse_line(line)
    return tuple(pieces)


def _parse_line(line: str) -> list[CellSegment]:
    """Return a line's text and links. A full stop or a bracket after an address belongs to the sentence."""
    pieces: list[CellSegment] = []
    at = 0
    for match in _URL.finditer(line):
        url = match.group().rstrip(_AFTER_URL)
        if match.group()[len(url) :].startswith(")") and "(" in url:
            url += ")"
        if safe_url(url) is None:
            continue
        if match.start() > at:
            pieces.append(CellSegment("text", line[at : match.start()]))
        pieces.append(CellSegment("link", url))
        at = match.start() + len(url)
    if at < len(line):
        pieces.append(CellSegment("text", line[at:]))
    return pieces
