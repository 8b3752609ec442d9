"""What the markup of cells means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.grid_cells import EMPTY, CellSegment, CellView, parse_cell
from pkgsite.rules.links import safe_url


def verdict(text: str) -> tuple[str | None, int]:
    view = parse_cell(text)
    return view.verdict, view.strength


def words(text: str) -> str:
    return "".join("\n" if piece.kind == "break" else piece.text for piece in parse_cell(text).pieces)


@pytest.mark.parametrize("text", ["check", "yes", "good", "Yes", "GOOD", "+", "+1", " yes \n", "+01"])
def test_words_and_signs_that_say_yes(text: str) -> None:
    assert verdict(text) == ("yes", 1)


@pytest.mark.parametrize("text", ["bad", "negative", "evil", "sucks", "no", "No", "-", "-1"])
def test_words_and_signs_that_say_no(text: str) -> None:
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
def test_signs_say_how_strongly(text: str, expected: tuple[str | None, int]) -> None:
    assert verdict(text) == expected


@pytest.mark.parametrize(
    "text", ["nothing", "goodness", "checkered", "badge", "no-one", "yes/no", "note", "nö", "no_x"]
)
def test_a_word_inside_another_is_text(text: str) -> None:
    assert verdict(text) == (None, 0)
    assert words(text) == text


@pytest.mark.parametrize(
    ("text", "said", "rest"),
    [
        ("no way", "no", "way"),
        ("Yes indeed", "yes", "indeed"),
        ("yes, since 4.2", "yes", "since 4.2"),
        ("No.", "no", ""),
        ("yes (beta)", "yes", "(beta)"),
        ("yes\nsecond line", "yes", "second line"),
    ],
)
def test_a_whole_word_at_the_beginning_becomes_an_icon(text: str, said: str, rest: str) -> None:
    assert verdict(text) == (said, 1)
    assert words(text) == rest


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_a_cell_without_text_is_empty(text: str) -> None:
    assert parse_cell(text) == EMPTY
    assert EMPTY.is_empty


def test_addresses_become_links_and_leave_the_sentence_its_full_stop() -> None:
    assert parse_cell("see https://example.org/a_(b). Or not").pieces == (
        CellSegment("text", "see "),
        CellSegment("link", "https://example.org/a_(b)"),
        CellSegment("text", ". Or not"),
    )


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:text/html,x", "ftp://example.org/", "https://", "//host/"]
)
def test_other_schemes_stay_text(text: str) -> None:
    assert parse_cell(text) == CellView(pieces=(CellSegment("text", text),))


def test_line_breaks_stay() -> None:
    assert [piece.kind for piece in parse_cell("one\ntwo\r\nthree").pieces] == [
        "text",
        "break",
        "text",
        "break",
        "text",
    ]


@given(st.text())
def test_any_text_is_read_and_every_link_is_safe(text: str) -> None:
    view = parse_cell(text)
    assert 0 <= view.strength <= 3
    assert (view.verdict is None) == (view.strength == 0)
    assert all(safe_url(piece.text) == piece.text for piece in view.pieces if piece.kind == "link")


@given(st.text(alphabet="nogodyescheck +-\n"))
def test_nothing_that_was_written_is_lost_but_the_first_word(text: str) -> None:
    kept = words(text).replace("\n", "").replace(" ", "")
    assert "".join(text.split()).endswith(kept)
