"""Emoji that code hosts write as words between colons."""

from __future__ import annotations

import emoji


def expand_shortcodes(text: str) -> str:
    """Return the text with GitHub's shortcodes as the emoji that they stand for; unknown ones stay as they are.

    >>> expand_shortcodes(":rocket: fast :nonsense:")
    '🚀 fast :nonsense:'
    """
    return emoji.emojize(text, language="alias")
