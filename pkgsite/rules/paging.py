"""Pages of a long list: which one is asked for, and which ones are linked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pagination:
    """One page of a list of `count` things, `page_size` to a page. Pages count from 1; an empty list has one page."""

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
        """The place, counted from 1, of the page's first thing; 0 where there is none."""
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
        """The pages to link: the ends and the neighbours, with None for each gap of more than one page."""
        linked = {1, self.page_count, *range(self.page_number - 1, self.page_number + 2)}
        visible = sorted(page for page in linked if 1 <= page <= self.page_count)
        links: list[int | None] = []
        for page in visible:
            before = links[-1] if links else None
            if before is not None and page - before == 2:
                links.append(page - 1)
            elif before is not None and page - before > 2:
                links.append(None)
            links.append(page)
        return links


def paginate(requested: str, *, size: int, count: int) -> Pagination:
    """Return the page that somebody asked for: what is no number means the first, what lies beyond the end the last.

    >>> paginate("last", size=20, count=45).number
    3
    >>> paginate("-1", size=20, count=45).number
    1
    """
    pages = Pagination(1, size, count).page_count
    if requested == "last":
        return Pagination(pages, size, count)
    if not (requested.isascii() and requested.isdigit()):
        return Pagination(1, size, count)
    digits = requested.lstrip("0")
    number = pages if len(digits) > 9 else min(int(digits or "0"), pages)
    return Pagination(max(1, number), size, count)
