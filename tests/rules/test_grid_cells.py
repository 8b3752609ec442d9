"""The markup of grid cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.grid_cells import EMPTY, CellSegment, CellView, parse_cell
from pkgsite.rules.links import safe_url


def verdict(text: str) -> tuple[str | None, int]:
    view = parse_cell(text)
    return view.verdict, view.strength


def visible_text(markup: str) -> str:
    return "".join("\n" if segment.kind == "break" else segment.text for segment in parse_cell(markup).pieces)


@pytest.mark.parametrize("text", ["check", "yes", "good", "Yes", "GOOD", "+", "+1", " yes \n", "+01"])
def test_words_and_signs_for_yes(text: str) -> None:
    assert verdict(text) == ("yes", 1)


@pytest.mark.parametrize("text", ["bad", "negative", "evil", "sucks", "no", "No", "-", "-1"])
def test_words_and_signs_for_no(text: str) -> None:
    assert verdict(text) == ("no", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("++", ("yes", 2)),
        ("+2", ("yes", 2)),
        ("+++", ("yes", 3)),
        ("+3", ("yes", 3)),
        ("+9", ("yes", 3)),
        ("+10", ("yes", 3)),
        ("++++++++", ("yes", 3)),
        ("--", ("no", 2)),
        ("-2", ("no", 2)),
        ("---", ("no", 3)),
        ("-" * 40, ("no", 3)),
        ("+0", (None, 0)),
        ("+-", (None, 0)),
        ("-1 to 5", (None, 0)),
    ],
)
def test_repeated_signs_and_numbers_set_the_strength(text: str, expected: tuple[str | None, int]) -> None:
    assert verdict(text) == expected


@pytest.mark.parametrize(
    "text", ["nothing", "goodness", "checkered", "badge", "no-one", "yes/no", "note", "nö", "no_x"]
)
def test_other_words_are_text(text: str) -> None:
    assert verdict(text) == (None, 0)
    assert visible_text(text) == text


@pytest.mark.parametrize(
    ("text", "expected_verdict", "expected_text"),
    [
        ("no way", "no", "way"),
        ("Yes indeed", "yes", "indeed"),
        ("yes, since 4.2", "yes", "since 4.2"),
        ("No.", "no", ""),
        ("yes (beta)", "yes", "(beta)"),
        ("yes\nsecond line", "yes", "second line"),
    ],
)
def test_a_word_at_the_start_becomes_an_icon(text: str, expected_verdict: str, expected_text: str) -> None:
    assert verdict(text) == (expected_verdict, 1)
    assert visible_text(text) == expected_text


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_a_cell_without_text_is_empty(text: str) -> None:
    assert parse_cell(text) == EMPTY
    assert EMPTY.is_empty


def test_urls_become_links_without_the_punctuation_after_them() -> None:
    assert parse_cell("see https://example.org/a_(b). Or not").pieces == (
        CellSegment("text", "see "),
        CellSegment("link", "https://example.org/a_(b)"),
        CellSegment("text", ". Or not"),
    )


@pytest.mark.parametrize(
    ("before", "url", "after"),
    [
        # Sentences in scripts without spaces
        ("", "https://example.org/a", "。次"),
        ("见", "https://example.org/a", "，然后"),
        ("", "https://example.org/a", "！"),
        ("", "https://example.org/a", "？次"),
        ("", "https://example.org/a", "、次"),
        ("", "https://example.org/a", "；次"),
        ("", "https://example.org/a", "：次"),
        ("", "https://example.org/a", "｡次"),
        ("", "https://example.org/a", "．次"),
        ("", "https://example.org/a", "…次"),
        # Punctuation of other scripts
        ("", "https://example.org/a", "؟"),
        ("", "https://example.org/a", "، ثم"),
        ("", "https://example.org/a", "۔"),
        ("", "https://example.org/a", "।"),
        ("", "https://example.org/a", "։"),
        ("", "https://example.org/a", "።"),
        # Quotation marks and backticks
        ('"', "https://example.org/a", '"'),
        ("“", "https://example.org/a", "”次"),
        ("„", "https://example.org/a", "“."),
        ("«", "https://example.org/a", "»."),
        ("'", "https://example.org/a", "'s"),
        ("‘", "https://example.org/a", "’次"),
        ("‹", "https://example.org/a", "›"),
        ("`", "https://example.org/a", "`"),
        ("`", "https://example.org/a", "`."),
        # Brackets of all widths
        ("(", "https://example.org/a", ")"),
        ("(", "https://example.org/a", "),b"),
        ("(", "https://example.org/a_(b)", ")."),
        ("[", "https://example.org/a", "]"),
        ("{", "https://example.org/a", "}"),
        ("<", "https://example.org/a", ">"),
        ("「", "https://example.org/a", "」次"),
        ("『", "https://example.org/a", "』"),
        ("（", "https://example.org/a", "）次"),
        ("", "https://example.org/a", "（次）"),
        ("【", "https://example.org/a", "】"),
        ("《", "https://example.org/a", "》"),
        ("〈", "https://example.org/a", "〉"),
        ("［", "https://example.org/a", "］"),
        ("⟨", "https://example.org/a", "⟩"),
        ("＜", "https://example.org/a", "＞"),
        ("≪", "https://example.org/a", "≫"),
        ("｀", "https://example.org/a", "｀"),
        # ASCII punctuation
        ("**", "https://example.org/a", "**"),
        ("_", "https://example.org/a", "_."),
        ("~~", "https://example.org/~ada/a_b*c", "~~"),
        ("", "https://example.org/a", "\\b"),
        ("", "https://example.org/a", "."),
        ("", "https://example.org/a", "?!"),
        ("", "https://example.org/a", "..."),
        ("", "https://example.org/a", ");"),
        ("", "https://example.org/a", " (b)"),
        # Invisible characters
        ("", "https://example.org/a", "\u200b次"),
        ("\u2067", "https://example.org/a", "\u2069 x"),
        ("", "https://example.org/a", "\u3000次"),
        # Punctuation within URLs
        ("", "https://example.org/a?b=c;d,e:f!g'h&i=[1]#{j}", ""),
        ("", "https://[2001:db8::1]:8000/a", ""),
        ("", "https://ja.wikipedia.org/wiki/スティーブ・ジョブズ", ""),
        ("", "https://fr.wikipedia.org/wiki/L’Équipe", "."),
        ("", "https://ca.wikipedia.org/wiki/Col·lecció", "."),
        ("", "https://en.wikipedia.org/wiki/Lotka–Volterra_equations", " – see"),
        ("", "https://zh.wikipedia.org/wiki/Python_(程式語言)", "。"),
        ("", "https://fa.wikipedia.org/wiki/می\u200cخواهم", "."),
    ],
)
def test_a_link_ends_before_the_punctuation_of_its_sentence(before: str, url: str, after: str) -> None:
    pieces = parse_cell(before + url + after).pieces
    assert [piece.text for piece in pieces if piece.kind == "link"] == [url]
    assert "".join(piece.text for piece in pieces) == before + url + after


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:text/html,x", "ftp://example.org/", "https://", "//host/"]
)
def test_urls_with_other_schemes_are_text(text: str) -> None:
    assert parse_cell(text) == CellView(pieces=(CellSegment("text", text),))


def test_line_breaks_are_kept() -> None:
    assert [segment.kind for segment in parse_cell("one\ntwo\r\nthree").pieces] == [
        "text",
        "break",
        "text",
        "break",
        "text",
    ]


@given(st.text())
def test_any_text_can_be_parsed_and_every_link_is_safe(text: str) -> None:
    view = parse_cell(text)
    assert 0 <= view.strength <= 3
    assert (view.verdict is None) == (view.strength == 0)
    assert all(safe_url(segment.text) == segment.text for segment in view.pieces if segment.kind == "link")


@given(st.text(alphabet="nogodyescheck +-\n"))
def test_no_text_is_lost_except_the_first_word(text: str) -> None:
    remaining = visible_text(text).replace("\n", "").replace(" ", "")
    assert "".join(text.split()).endswith(remaining)
