"""Emoji shortcodes in texts from code hosts."""

from __future__ import annotations

import emoji


def expand_shortcodes(text: str) -> str:
    """Return the text with GitHub's shortcodes replaced by emoji; unknown ones are kept.

    >>> expand_shortcodes(":rocket: fast :nonsense:")
    '🚀 fast :nonsense:'
    """
    return emoji.emojize(text, language="alias")
