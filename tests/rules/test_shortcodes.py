"""Emoji shortcodes."""

from pkgsite.rules.shortcodes import expand_shortcodes


def test_known_shortcodes_are_replaced() -> None:
    assert expand_shortcodes(":rocket: up :tada:") == "🚀 up 🎉"


def test_other_text_is_kept() -> None:
    assert expand_shortcodes("10:30:45 :nonsense: <b>x</b>") == "10:30:45 :nonsense: <b>x</b>"
