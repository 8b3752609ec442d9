"""Cleaning and validation of text from users."""

from __future__ import annotations

import re
import unicodedata
from typing import Protocol

from pkgsite.errors import AlreadyExists, Invalid

_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_EXCESS_BLANK_LINES = re.compile(r"\n{4,}")
# Characters that change the direction of the text that follows, even outside their field.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL_CATEGORIES = frozenset({"Cc", "Cs"})  # control characters, surrogates


class InvalidText(ValueError):
    """The text is invalid; the message is shown to the user."""


def clean_line(value: str | None, max_length: int, *, is_required: bool = False) -> str:
    r"""Return a text as one line: in NFC, with single spaces, without control characters.

    >>> clean_line("  a\x00 b\n c ", 10)
    'a b c'

    Args:
        value: The text as entered.
        max_length: Maximum length in characters.
        is_required: Whether the text must not be empty.

    Raises:
        InvalidText: The text is too long, or required and empty.
    """
    line = " ".join(_strip_invalid_characters(value or "", line_end=" ").split())
    return _check_length(line, max_length, is_required)


def clean_text(value: str | None, max_length: int, *, is_required: bool = False) -> str:
    r"""Return a text of several lines: like `clean_line`, but line breaks and spaces within lines are kept.

    >>> clean_text(" one\r\n  two\x00 \r\n", 20)
    'one\n  two'

    Raises:
        InvalidText: The text is too long, or required and empty.
    """
    lines = _strip_invalid_characters(value or "", line_end="\n").split("\n")
    text = "\n".join(line.rstrip() for line in lines).strip()
    return _check_length(_EXCESS_BLANK_LINES.sub("\n\n\n", text), max_length, is_required)


def is_blank(text: str) -> bool:
    """Return whether a text is empty or has only invisible characters."""
    return not any(unicodedata.category(char)[0] not in "ZC" for char in text)


class _Cleaner(Protocol):
    def __call__(self, value: str | None, max_length: int, *, is_required: bool = False) -> str: ...


class FieldReader:
    """Cleans the fields of a form and collects all error messages.

    Attributes:
        problems: The error messages by field name.
    """

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}
        self._all_already_exist = True

    def read_line(self, name: str, value: str | None, max_length: int, *, is_required: bool = False) -> str:
        """Return a field cleaned by `clean_line`; empty if it is invalid."""
        return self._read(name, clean_line, value, max_length, is_required)

    def read_text(self, name: str, value: str | None, max_length: int, *, is_required: bool = False) -> str:
        """Return a field cleaned by `clean_text`; empty if it is invalid."""
        return self._read(name, clean_text, value, max_length, is_required)

    def add_error(self, name: str, message: str, *, already_exists: bool = False) -> None:
        """Add an error message to a field. `already_exists`: the value is valid, but another record has it."""
        self.problems.setdefault(name, []).append(message)
        self._all_already_exist = self._all_already_exist and already_exists

    def raise_if_invalid(self) -> None:
        """Raise the collected errors, if any.

        Raises:
            AlreadyExists: The only errors are values that other records have.
            Invalid: There are errors of another kind.
        """
        if self.problems:
            raise (AlreadyExists if self._all_already_exist else Invalid)(self.problems)

    def _read(self, name: str, clean: _Cleaner, value: str | None, max_length: int, is_required: bool) -> str:
        try:
            return clean(value, max_length, is_required=is_required)
        except InvalidText as error:
            self.add_error(name, str(error))
            return ""


def _strip_invalid_characters(value: str, *, line_end: str) -> str:
    composed = unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", value)).replace("\t", " ").replace("\n", line_end)
    return "".join(char for char in composed if char == "\n" or not _is_invalid_character(char))


def _is_invalid_character(char: str) -> bool:
    """Return whether a character is removed from all texts; some of these can't be stored or sent in feeds."""
    code = ord(char)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or char == "\ufeff"
    return is_noncharacter or char in _BIDI_CONTROLS or unicodedata.category(char) in _CONTROL_CATEGORIES


def _check_length(text: str, max_length: int, is_required: bool) -> str:
    if is_blank(text):
        if is_required:
            raise InvalidText("This field is required.")
        return ""
    if len(text) > max_length:
        raise InvalidText(f"Must be {max_length:,} characters or fewer (currently {len(text):,}).")
    return text
