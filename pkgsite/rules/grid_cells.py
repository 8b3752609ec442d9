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
STRONGEST = 3

_WORD = re.compile(rf"({'|'.join((*YES_WORDS, *NO_WORDS))})(?![\w'’/-])", re.IGNORECASE)
_SIGNS = re.compile(r"(\++|-+)")
_NUMBER = re.compile(r"([+-])([0-9]+)")
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_AFTER_WORD = re.compile(r"[\s,;:.–—]+")
_AFTER_URL = ".,;:!?'’)]}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a cell's text."""

    kind: Literal["text", "link", "break"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class CellView:
    """What to draw in a cell: perhaps icons, then perhaps text. Neither means that the cell is empty."""

    verdict: Literal["yes", "no"] | None = None
    strength: int = 0  # 1 to 3: how many icons
    pieces: tuple[Piece, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.verdict is None and not self.pieces


EMPTY = CellView()


def read_cell(written: str) -> CellView:
    """Return what a cell shows for the text that somebody wrote in it.

    >>> read_cell("Yes indeed")
    CellView(verdict='yes', strength=1, pieces=(Piece(kind='text', text='indeed'),))
    >>> read_cell("+2")
    CellView(verdict='yes', strength=2, pieces=())
    >>> read_cell("nothing").verdict is None
    True
    """
    text = written.strip()
    strength = _signed_strength(text)
    if strength:
        return CellView("yes" if strength > 0 else "no", min(abs(strength), STRONGEST))
    word = _WORD.match(text)
    if not word:
        return CellView(pieces=_pieces(text)) if text else EMPTY
    verdict: Literal["yes", "no"] = "yes" if word.group(1).lower() in YES_WORDS else "no"
    rest = (
        _AFTER_WORD.sub("", text[word.end() :], count=1) if _AFTER_WORD.match(text, word.end()) else text[word.end() :]
    )
    return CellView(verdict, 1, _pieces(rest))


def _signed_strength(text: str) -> int:
    """Return how strongly a cell that is nothing but a sign says yes (above 0) or no (below 0); 0 for any other."""
    if _SIGNS.fullmatch(text):
        return len(text) if text[0] == "+" else -len(text)
    number = _NUMBER.fullmatch(text)
    if not number:
        return 0
    size = STRONGEST if len(number.group(2).lstrip("0")) > 1 else int(number.group(2))
    return size if number.group(1) == "+" else -size


def _pieces(text: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for number, line in enumerate(text.splitlines()):
        if number:
            pieces.append(Piece("break"))
        pieces += _line_pieces(line)
    return tuple(pieces)


def _line_pieces(line: str) -> list[Piece]:
    """Return a line's text and links. A full stop or a bracket after an address belongs to the sentence."""
    pieces: list[Piece] = []
    at = 0
    for found in _URL.finditer(line):
        url = found.group().rstrip(_AFTER_URL)
        if found.group()[len(url) :].startswith(")") and "(" in url:
            url += ")"
        if safe_url(url) is None:
            continue
        if found.start() > at:
            pieces.append(Piece("text", line[at : found.start()]))
        pieces.append(Piece("link", url))
        at = found.start() + len(url)
    if at < len(line):
        pieces.append(Piece("text", line[at:]))
    return pieces
