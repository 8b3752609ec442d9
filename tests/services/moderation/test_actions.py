"""Edits are stored while they wait for review, and read again unchanged."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pkgsite.services.changeset import Edit
from pkgsite.services.grids.edits import (
    AddFeature,
    AddGrid,
    AddGridPackage,
    DeleteFeature,
    DeleteGrid,
    EditCell,
    EditFeature,
    EditGrid,
    LockGrid,
    MoveFeature,
    RemoveGridPackage,
)
from pkgsite.services.moderation.actions import EDIT_TYPES, decode_edit, encode_edit
from pkgsite.services.packages.edits import AddPackage, EditDocumentation, EditPackage
from pkgsite.services.packages.sites import AddSite, DeleteSite, EditSite

# One edit of each type, with its stored name and JSON as earlier releases wrote them.
STORED: list[tuple[Edit[Any], str, dict[str, Any]]] = [
    (AddPackage({"title": "One"}, "caching"), "package.add", {"changes": {"title": "One"}, "grid": "caching"}),
    (
        EditPackage(1, {"documentation_url": None}, 3),
        "package.edit",
        {"package_id": 1, "changes": {"documentation_url": None}, "version": 3},
    ),
    (
        EditDocumentation(1, "https://docs.example", 3),
        "package.documentation",
        {"package_id": 1, "documentation_url": "https://docs.example", "version": 3},
    ),
    (
        AddSite(1, "A site", "https://a.example"),
        "site.add",
        {"package_id": 1, "title": "A site", "url": "https://a.example"},
    ),
    (
        EditSite(2, "A site", "https://a.example", 1),
        "site.edit",
        {"site_id": 2, "title": "A site", "url": "https://a.example", "version": 1},
    ),
    (DeleteSite(2), "site.delete", {"site_id": 2}),
    (AddGrid({"title": "Caching"}), "grid.add", {"changes": {"title": "Caching"}}),
    (EditGrid(4, {"title": "Caching"}, 2), "grid.edit", {"grid_id": 4, "changes": {"title": "Caching"}, "version": 2}),
    (LockGrid(4, True), "grid.lock", {"grid_id": 4, "is_locked": True}),
    (DeleteGrid(4), "grid.delete", {"grid_id": 4}),
    (AddFeature(4, "Fast", "How fast"), "feature.add", {"grid_id": 4, "title": "Fast", "description": "How fast"}),
    (
        EditFeature(5, "Fast", "How fast", 0, 2),
        "feature.edit",
        {"feature_id": 5, "title": "Fast", "description": "How fast", "position": 0, "version": 2},
    ),
    (MoveFeature(5, -1), "feature.move", {"feature_id": 5, "by": -1}),
    (DeleteFeature(5), "feature.delete", {"feature_id": 5}),
    (AddGridPackage(4, 1), "membership.add", {"grid_id": 4, "package_id": 1}),
    (RemoveGridPackage(4, 1), "membership.remove", {"grid_id": 4, "package_id": 1}),
    (EditCell(1, 5, "yes", 0), "cell.edit", {"package_id": 1, "feature_id": 5, "text": "yes", "version": 0}),
]


def test_every_type_of_edit_is_covered() -> None:
    assert {name for _, name, _ in STORED} == EDIT_TYPES.keys()


@pytest.mark.parametrize(
    ("edit", "name", "arguments"), STORED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_edit_is_stored_as_json_and_read_again(edit: Edit[Any], name: str, arguments: dict[str, Any]) -> None:
    assert encode_edit(edit) == (name, arguments)
    assert decode_edit(name, orjson.loads(orjson.dumps(arguments))) == edit


def test_arguments_that_earlier_releases_left_out_have_their_defaults() -> None:
    assert decode_edit("feature.edit", {"feature_id": 5, "title": "Fast"}) == EditFeature(5, "Fast")
