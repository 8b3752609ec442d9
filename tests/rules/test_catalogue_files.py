"""A catalogue file is taken whole or not at all, and says where it is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from pkgsite.errors import Invalid
from pkgsite.rules.catalogue_files import FeatureFacts, parse_catalogue
from tests.fakes.v4_site import FakeV4Site

FAKE = FakeV4Site()
FILE: dict[str, Any] = {
    "note": "Any other key is left alone.",
    "categories": [FAKE.add_category(1, "apps")],
    "grids": [
        FAKE.add_grid(
            7,
            "caching",
            features=[
                {"title": "Is fast", "description": "In our eyes.", "cells": {"foo": "yes"}},
                {"title": "Is small", "description": ""},
            ],
        )
    ],
    "packages": [
        FAKE.add_package(12, "foo", grids=(7,), participants_complete=False),
        FAKE.add_package(13, "bar"),
    ],
}


def written(**changed: Any) -> bytes:
    return json.dumps(FILE | changed, indent=1).encode()


def problems_of(file: bytes) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as error:
        parse_catalogue(file)
    return error.value.problems


def test_a_sound_file() -> None:
    catalogue = parse_catalogue(written())
    assert [category.slug for category in catalogue.categories] == ["apps"]
    assert [grid.slug for grid in catalogue.grids] == ["caching"]
    assert [(package.slug, package.participants_complete) for package in catalogue.packages] == [
        ("foo", False),
        ("bar", None),
    ]
    assert catalogue.features == [
        FeatureFacts(7, "Is fast", "In our eyes.", {12: "yes"}),
        FeatureFacts(7, "Is small", "", {}),
    ]


@pytest.mark.parametrize(
    ("file", "problems"),
    [
        (b"", {"line 1, column 1": ["Expecting value"]}),
        (b'{\n "grids": [,]\n}', {"line 2, column 12": ["Expecting value"]}),
        (b'{\n "note": "\xff"\n}', {"line 2": ["is not UTF-8 text"]}),
        (b"[]", {"the file": ["is not a JSON object"]}),
        (b"{}", {"the file": [f"has no “{name}” list" for name in ("categories", "grids", "packages")]}),
        (written(grids={}), {"the file": ["has no “grids” list"]}),
        (written(packages=["foo"]), {"package without ID, item 1 in the list": ["is not an object"]}),
    ],
)
def test_a_file_of_another_shape(file: bytes, problems: dict[str, list[str]]) -> None:
    assert problems_of(file) == problems


def test_lists_in_lists_without_end() -> None:
    assert list(problems_of(b"[" * 100_000)) == ["the file"]


def change(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(file: dict[str, Any]) -> None:
        for key in path[:-1]:
            file = file[key]
        file[path[-1]] = to

    return apply


FOO, BAR, CACHING = "package 12 “foo”", "package 13 “bar”", "grid 7 “caching”"
FEATURE = ("grids", 0, "features", 0)


@pytest.mark.parametrize(
    ("spoil", "place", "words"),
    [
        (change("packages", 0, "title", to=None), FOO, "title is not a string"),
        (change("packages", 0, "category", to=3), FOO, "category 3 is not in the file"),
        (change("packages", 0, "grids", to=[7, 8]), FOO, "grid 8 is not in the file"),
        (change("packages", 1, "id", to=12), "package 12 “bar”", "has the same ID or slug as an earlier record"),
        (change("packages", 1, "slug", to="Foo"), "package 13 “Foo”", "has the same ID or slug as an earlier record"),
        (change("grids", 0, "created", to="today"), CACHING, "created is not a valid timestamp"),
        (change("grids", 0, "features", to={}), CACHING, "“features” is not a list"),
        (change(*FEATURE, to="Is fast"), CACHING, "feature 1 is not an object"),
        (change(*FEATURE, "title", to=None), CACHING, "feature 1 has a title that is not a string"),
        (change(*FEATURE, "title", to="x" * 101), CACHING, "feature 1 has a title that is longer than 100 characters"),
        (
            change(*FEATURE, "title", to="Is small"),
            CACHING,
            "feature 2 has the same title as an earlier feature: “Is small”",
        ),
        (change(*FEATURE, "description", to=None), CACHING, "feature 1 has a description that is not a string"),
        (change(*FEATURE, "cells", to=[]), CACHING, "feature 1 has a “cells” value that is not an object"),
        (change(*FEATURE, "cells", "foo", to=1), CACHING, "feature 1 has a foo that is not a string"),
        (
            change(*FEATURE, "cells", "bar", to="no"),
            CACHING,
            "feature 1 has cells for packages that are not in the grid: bar",
        ),
    ],
)
def test_a_record_that_is_not_sound(spoil: Callable[[dict[str, Any]], None], place: str, words: str) -> None:
    file = copy.deepcopy(FILE)
    spoil(file)
    assert problems_of(json.dumps(file).encode()) == {place: [words]}
