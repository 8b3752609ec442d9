"""Pages of a long list: which one is asked for, and which ones are linked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of a list of `count` things, `size` to a page. Pages count from 1; an empty list has one page."""

    number: int
    size: int
    count: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.count // self.size))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        """The place, counted from 1, of the page's first thing; 0 where there is none."""
        return self.offset + 1 if self.count else 0

    @property
    def last(self) -> int:
        return min(self.offset + self.size, self.count)

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.pages else None

    @property
    def links(self) -> list[int | None]:
        """The pages to link: the ends and the neighbours, with None for each gap of more than one page."""
        near = {1, self.pages, *range(self.number - 1, self.number + 2)}
        shown = sorted(page for page in near if 1 <= page <= self.pages)
        links: list[int | None] = []
        for page in shown:
            before = links[-1] if links else None
            if before is not None and page - before == 2:
                links.append(page - 1)
            elif before is not None and page - before > 2:
                links.append(None)
            links.append(page)
        return links


def paging(asked: str, *, size: int, count: int) -> Paging:
    """Return the page that somebody asked for: what is no number means the first, what lies beyond the end the last.

    >>> paging("last", size=20, count=45).number
    3
    >>> paging("-1", size=20, count=45).number
    1
    """
    pages = Paging(1, size, count).pages
    if asked == "last":
        return Paging(pages, size, count)
    if not (asked.isascii() and asked.isdigit()):
        return Paging(1, size, count)
    digits = asked.lstrip("0")
    number = pages if len(digits) > 9 else min(int(digits or "0"), pages)
    return Paging(max(1, number), size, count)
