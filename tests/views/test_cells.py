"""The markup of cells as it is drawn: whatever people write, it stays text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment, PackageLoader

from pkgsite.rules.grid_cells import parse_cell

RENDERED = {"span", "svg", "use", "a", "br"}
macros = Environment(loader=PackageLoader("pkgsite"), autoescape=True).get_template("macros/cells.html").module


class Reader(HTMLParser):
    """Collects the elements, the attributes and the words of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.links += [value or "" for name, value in attrs if name == "href" and tag == "a"]

    def handle_data(self, data: str) -> None:
        self.words += data


def render(written: str) -> Reader:
    reader = Reader()
    reader.feed(str(macros.cell(parse_cell(written))))  # type: ignore[attr-defined]
    reader.close()
    return reader


@given(
    st.one_of(
        st.text(),
        st.text(alphabet="<>\"'&= /:;httpsyesno+-\n#script").map(lambda text: f"https://x.org/{text}"),
        st.text(alphabet="<>\"'&= /\n").map(lambda text: f"yes{text}"),
    )
)
@example("<script>alert(1)</script>")
@example('https://example.org/"onmouseover="alert(1)')
@example("no <img src=x onerror=alert(1)>")
@example("https://example.org/'><b>")
def test_what_people_write_is_always_escaped(written: str) -> None:
    reader = render(written)
    assert reader.elements <= RENDERED
    assert reader.attributes <= {"class", "aria-hidden", "focusable", "href", "rel"}
    assert all(link.lower().startswith(("http://", "https://")) for link in reader.links)
    for piece in parse_cell(written).pieces:
        assert piece.text in reader.words


def test_icons_have_words() -> None:
    assert "yes, very strongly" in render("+++").words
    assert "no" in render("no").words
    assert "unknown" in render("").words
