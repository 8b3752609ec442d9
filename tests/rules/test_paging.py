"""Which page of a list is meant, and which pages are linked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.paging import Pagination, paginate


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ("1", 1), ("2", 2), ("03", 3), ("last", 3), ("4", 3), ("9" * 30, 3), ("0", 1), ("000", 1), ("-1", 1), ("", 1),
        ("x", 1), ("1.5", 1), ("²", 1), ("٣", 1), ("LAST", 1),
    ],
)  # fmt: skip
def test_any_text_means_a_page(asked: str, number: int) -> None:
    assert paginate(asked, size=20, count=45).page_number == number


def test_an_empty_list_has_one_page() -> None:
    page = paginate("last", size=20, count=0)
    assert (page.page_number, page.page_count, page.first, page.last, page.previous, page.next) == (
        1,
        1,
        0,
        0,
        None,
        None,
    )


def test_a_page_knows_its_place() -> None:
    page = paginate("last", size=20, count=45)
    assert (page.first, page.last, page.offset, page.previous, page.next) == (41, 45, 40, 2, None)


@pytest.mark.parametrize(
    ("number", "links"),
    [
        (1, [1, 2, None, 20]),
        (3, [1, 2, 3, 4, None, 20]),
        (4, [1, 2, 3, 4, 5, None, 20]),
        (10, [1, None, 9, 10, 11, None, 20]),
        (20, [1, None, 19, 20]),
    ],
)
def test_the_ends_and_the_neighbours_are_linked(number: int, links: list[int | None]) -> None:
    assert Pagination(number, 10, 200).page_links == links


@given(st.text(max_size=40), st.integers(1, 100), st.integers(0, 10**6))
def test_a_page_lies_within_the_list(asked: str, size: int, count: int) -> None:
    page = paginate(asked, size=size, count=count)
    assert 1 <= page.page_number <= page.page_count
    assert 0 <= page.offset <= max(0, count - 1)
    assert page.page_number in page.page_links
