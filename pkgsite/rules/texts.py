"""Texts that people type: brought into one form, and measured, before anything else is done with them."""

from __future__ import annotations

import re
import unicodedata
from typing import Protocol

from pkgsite.errors import AlreadyExists, Invalid

_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_EXCESS_BLANK_LINES = re.compile(r"\n{4,}")
# Characters that turn round the text around them: a text shown beside others has no business with those.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL_CATEGORIES = frozenset({"Cc", "Cs"})  # control characters, halves of characters


class InvalidText(ValueError):
    """A text can't be taken; the words are a sentence for whoever typed it."""


def clean_line(value: str | None, max_length: int, *, is_required: bool = False) -> str:
    r"""Return a text of one line: composed (NFC), with single blanks, without what can't be seen or turns text round.

    >>> clean_line("  a\x00 b\n c ", 10)
    'a b c'

    Args:
        written: As it was typed.
        most: The number of characters that it may have at most.
        is_required: Whether it must say something.

    Raises:
        BadText: it is too long, or needed and empty.
    """
    return _check_length(
        " ".join(_strip_invalid_characters(value or "", line_end=" ").split()), max_length, is_required
    )


def clean_text(value: str | None, max_length: int, *, is_required: bool = False) -> str:
    r"""Return a text of several lines: the same, but that its lines stay and the blanks within them.

    >>> clean_text(" one\r\n  two\x00 \r\n", 20)
    'one\n  two'

    Raises:
        BadText: it is too long, or needed and empty.
    """
    lines = _strip_invalid_characters(value or "", line_end="\n").split("\n")
    text = "\n".join(line.rstrip() for line in lines).strip()
    return _check_length(_EXCESS_BLANK_LINES.sub("\n\n\n", text), max_length, is_required)


def is_blank(text: str) -> bool:
    """Tell whether a text shows nothing at all, be it empty or made of characters that can't be seen."""
    return not any(unicodedata.category(char)[0] not in "ZC" for char in text)


class _Cleaner(Protocol):
    def __call__(self, value: str | None, max_length: int, *, is_required: bool = False) -> str: ...


class FieldReader:
    """Reads what people typed into several fields, and refuses all that is wrong with them at once.

    Attributes:
        problems: For each field's name, the sentences that say what is wrong with it.
    """

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}
        self._all_already_exist = True

    def read_line(self, name: str, value: str | None, max_length: int, *, is_required: bool = False) -> str:
        """Return a field's line, as `clean_line`; where it can't be taken, empty."""
        return self._read(name, clean_line, value, max_length, is_required)

    def read_text(self, name: str, value: str | None, max_length: int, *, is_required: bool = False) -> str:
        """Return a field's text, as `clean_text`; where it can't be taken, empty."""
        return self._read(name, clean_text, value, max_length, is_required)

    def add_error(self, name: str, message: str, *, already_exists: bool = False) -> None:
        """Note what is wrong with a field; `already_exists`: nothing but that another thing has it."""
        self.problems.setdefault(name, []).append(message)
        self._all_already_exist = self._all_already_exist and already_exists

    def raise_if_invalid(self) -> None:
        """Refuse what was typed if anything is wrong with it.

        Raises:
            Invalid: something is.
            Taken: nothing is, but that other things have what was typed.
        """
        if self.problems:
            raise (AlreadyExists if self._all_already_exist else Invalid)(self.problems)

    def _read(self, name: str, clean: _Cleaner, value: str | None, max_length: int, is_required: bool) -> str:
        try:
            return clean(value, max_length, is_required=is_required)
        except InvalidText as refusal:
            self.add_error(name, str(refusal))
            return ""


def _strip_invalid_characters(value: str, *, line_end: str) -> str:
    composed = unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", value)).replace("\t", " ").replace("\n", line_end)
    return "".join(char for char in composed if char == "\n" or not _is_invalid_character(char))


def _is_invalid_character(char: str) -> bool:
    """Tell whether a character has no place in any text; some of them no database or feed can hold."""
    code = ord(char)
    never_a_character = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or char == "\ufeff"
    return never_a_character or char in _BIDI_CONTROLS or unicodedata.category(char) in _CONTROL_CATEGORIES


def _check_length(text: str, max_length: int, is_required: bool) -> str:
    if is_blank(text):
        if is_required:
            raise InvalidText("This field is required.")
        return ""
    if len(text) > max_length:
        raise InvalidText(f"Must be {max_length:,} characters or fewer (currently {len(text):,}).")
    return text
