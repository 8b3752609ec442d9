"""Texts that people type: brought into one form, and measured, before anything else is done with them."""

from __future__ import annotations

import re
import unicodedata
from typing import Protocol

from pkgsite.errors import Invalid, Taken

_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_MOST_EMPTY_LINES = re.compile(r"\n{4,}")
# Characters that turn round the text around them: a text shown beside others has no business with those.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NO_TEXT = frozenset({"Cc", "Cs"})  # control characters, halves of characters


class BadText(ValueError):
    """A text can't be taken; the words are a sentence for whoever typed it."""


def clean_line(written: str | None, most: int, *, is_needed: bool = False) -> str:
    r"""Return a text of one line: composed (NFC), with single blanks, without what can't be seen or turns text round.

    >>> clean_line("  a\x00 b\n c ", 10)
    'a b c'

    Args:
        written: As it was typed.
        most: The number of characters that it may have at most.
        is_needed: Whether it must say something.

    Raises:
        BadText: it is too long, or needed and empty.
    """
    return _measured(" ".join(_without_strays(written or "", line_end=" ").split()), most, is_needed)


def clean_text(written: str | None, most: int, *, is_needed: bool = False) -> str:
    r"""Return a text of several lines: the same, but that its lines stay and the blanks within them.

    >>> clean_text(" one\r\n  two\x00 \r\n", 20)
    'one\n  two'

    Raises:
        BadText: it is too long, or needed and empty.
    """
    lines = _without_strays(written or "", line_end="\n").split("\n")
    text = "\n".join(line.rstrip() for line in lines).strip()
    return _measured(_MOST_EMPTY_LINES.sub("\n\n\n", text), most, is_needed)


def says_nothing(text: str) -> bool:
    """Tell whether a text shows nothing at all, be it empty or made of characters that can't be seen."""
    return not any(unicodedata.category(letter)[0] not in "ZC" for letter in text)


class _Cleaner(Protocol):
    def __call__(self, written: str | None, most: int, *, is_needed: bool = False) -> str: ...


class Typed:
    """Reads what people typed into several fields, and refuses all that is wrong with them at once.

    Attributes:
        problems: For each field's name, the sentences that say what is wrong with it.
    """

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}
        self._are_all_taken = True

    def line(self, name: str, written: str | None, most: int, *, is_needed: bool = False) -> str:
        """Return a field's line, as `clean_line`; where it can't be taken, empty."""
        return self._read(name, clean_line, written, most, is_needed)

    def text(self, name: str, written: str | None, most: int, *, is_needed: bool = False) -> str:
        """Return a field's text, as `clean_text`; where it can't be taken, empty."""
        return self._read(name, clean_text, written, most, is_needed)

    def refuse(self, name: str, words: str, *, is_taken: bool = False) -> None:
        """Note what is wrong with a field; `is_taken`: nothing but that another thing has it."""
        self.problems.setdefault(name, []).append(words)
        self._are_all_taken = self._are_all_taken and is_taken

    def check(self) -> None:
        """Refuse what was typed if anything is wrong with it.

        Raises:
            Invalid: something is.
            Taken: nothing is, but that other things have what was typed.
        """
        if self.problems:
            raise (Taken if self._are_all_taken else Invalid)(self.problems)

    def _read(self, name: str, clean: _Cleaner, written: str | None, most: int, is_needed: bool) -> str:
        try:
            return clean(written, most, is_needed=is_needed)
        except BadText as refusal:
            self.refuse(name, str(refusal))
            return ""


def _without_strays(written: str, *, line_end: str) -> str:
    composed = unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", written)).replace("\t", " ").replace("\n", line_end)
    return "".join(letter for letter in composed if letter == "\n" or not _is_stray(letter))


def _is_stray(letter: str) -> bool:
    """Tell whether a character has no place in any text; some of them no database or feed can hold."""
    code = ord(letter)
    never_a_character = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or letter == "\ufeff"
    return never_a_character or letter in _TURNING or unicodedata.category(letter) in _NO_TEXT


def _measured(text: str, most: int, is_needed: bool) -> str:
    if says_nothing(text):
        if is_needed:
            raise BadText("This field is required.")
        return ""
    if len(text) > most:
        raise BadText(f"Must be {most:,} characters or fewer (currently {len(text):,}).")
    return text
