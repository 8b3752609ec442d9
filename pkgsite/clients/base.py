"""What clients promise: the interfaces that services know them by, and the facts that they return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pkgsite.rules.records import CategoryFacts, GridFacts, PackageFacts, Unreadable

__all__ = ["CategoryFacts", "GridFacts", "PackageFacts", "Page", "RecordSite", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of one of a site's lists."""

    count: int  # records in the whole list, as the site says
    records: Sequence[Any]  # what the list is of (CategoryFacts, GridFacts, PackageFacts), or Unreadable
    is_last: bool


class RecordSite(Protocol):
    """Another site that lists its categories, grids and packages."""

    def page(self, noun: str, offset: int) -> Page:
        """Return the records of a list ("categories", "grids", "packages") from the `offset`-th on.

        Raises:
            UpstreamError: the site could not be read.
        """
        ...
