"""The results of a search over packages and grids."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.search import Hit, search
from pkgsite.views.asking import words
from pkgsite.views.limits import limited

MOST = 50

pages = Blueprint("search", __name__)


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found."""

    q: str
    hits: list[Hit]

    @property
    def packages(self) -> list[Hit]:
        return [hit for hit in self.hits if hit.item_type == "package"]

    @property
    def grids(self) -> list[Hit]:
        return [hit for hit in self.hits if hit.item_type == "grid"]

    @property
    def is_cut(self) -> bool:
        return len(self.hits) >= MOST


@pages.get("/search/")
@limited("search")
def results() -> str:
    q = words()
    page = Results(q, search(db.session(), q, limit=MOST, now=utc_now()))
    return render_template("search/results.html", page=page)
