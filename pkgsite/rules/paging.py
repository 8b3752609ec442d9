"""Pagination of lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pagination:
    """One page of a list of `count` records. Page numbers start at 1; an empty list has one page."""

    page_number: int
    page_size: int
    count: int

    @property
    def page_count(self) -> int:
        return max(1, -(-self.count // self.page_size))

    @property
    def offset(self) -> int:
        return (self.page_number - 1) * self.page_size

    @property
    def first(self) -> int:
        """The position of the page's first record in the list, from 1; 0 if the list is empty."""
        return self.offset + 1 if self.count else 0

    @property
    def last(self) -> int:
        return min(self.offset + self.page_size, self.count)

    @property
    def previous(self) -> int | None:
        return self.page_number - 1 if self.page_number > 1 else None

    @property
    def next(self) -> int | None:
        return self.page_number + 1 if self.page_number < self.page_count else None

    @property
    def page_links(self) -> list[int | None]:
        """The page numbers to link: the first, the last and the neighbours, with None for gaps of several pages."""
        linked = {1, self.page_count, *range(self.page_number - 1, self.page_number + 2)}
        visible = sorted(page for page in linked if 1 <= page <= self.page_count)
        links: list[int | None] = []
        for page in visible:
            previous = links[-1] if links else None
            if previous is not None and page - previous == 2:
                links.append(page - 1)
            elif previous is not None and page - previous > 2:
                links.append(None)
            links.append(page)
        return links


def paginate(requested: str, *, size: int, count: int) -> Pagination:
    """Return the requested page: the first one if `requested` is not a number, the last one if it is too large.

    >>> paginate("last", size=20, count=45).page_number
    3
    >>> paginate("-1", size=20, count=45).page_number
    1
    """
    page_count = Pagination(1, size, count).page_count
    if requested == "last":
        return Pagination(page_count, size, count)
    if not (requested.isascii() and requested.isdigit()):
        return Pagination(1, size, count)
    digits = requested.lstrip("0")
    page_number = page_count if len(digits) > 9 else min(int(digits or "0"), page_count)
    return Pagination(max(1, page_number), size, count)
