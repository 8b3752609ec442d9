"""Cells are rendered safely: user-supplied text is always escaped."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment, PackageLoader

from pkgsite.rules.grid_cells import parse_cell

ALLOWED_ELEMENTS = {"span", "svg", "use", "a", "br"}
macros = Environment(loader=PackageLoader("pkgsite"), autoescape=True).get_template("macros/cells.html").module


class FragmentParser(HTMLParser):
    """Collects the elements, attributes, links and text of an HTML fragment."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.links += [value or "" for name, value in attrs if name == "href" and tag == "a"]

    def handle_data(self, data: str) -> None:
        self.text += data


def render(markup: str) -> FragmentParser:
    parser = FragmentParser()
    parser.feed(str(macros.cell_content(parse_cell(markup))))  # type: ignore[attr-defined]  # a macro
    parser.close()
    return parser


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
def test_cell_text_is_always_escaped(markup: str) -> None:
    fragment = render(markup)
    assert fragment.elements <= ALLOWED_ELEMENTS
    assert fragment.attributes <= {"class", "aria-hidden", "dir", "focusable", "href", "rel"}
    assert all(link.lower().startswith(("http://", "https://")) for link in fragment.links)
    for piece in parse_cell(markup).pieces:
        assert piece.text in fragment.text


def test_icons_have_text_alternatives() -> None:
    assert "yes, very strongly" in render("+++").text
    assert "no" in render("no").text
    assert "unknown" in render("").text


def test_the_icon_of_a_cell_does_not_decide_the_direction_of_its_text() -> None:
    html = str(macros.cell_content(parse_cell("yes שלום https://example.org/")))  # type: ignore[attr-defined]
    assert 'class="verdict yes" dir="ltr"' in html
    assert '<span dir="ltr"><a href="https://example.org/"' in html
