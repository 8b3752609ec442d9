"""Catalogue files: a complete catalogue in one JSON file, with categories, grids, features, cells and packages.

Records have the format of API v4, except that a package refers to its category and grids by id, and can have
`participants_complete`. A grid can have `features`: a list of {"title", "description", "cells": {package slug: text}}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pkgsite.errors import Invalid
from pkgsite.rules.records import (
    CategoryFacts,
    Facts,
    GridFacts,
    InvalidRecord,
    PackageFacts,
    Reader,
    describe_record,
    parse_category,
    parse_grid,
    parse_package,
    text,
)
from pkgsite.rules.slugs import slug_key


@dataclass(frozen=True, slots=True)
class FeatureFacts:
    grid_id: int
    title: str
    description: str
    cells: dict[int, str]  # by package id


@dataclass(frozen=True, slots=True)
class Catalogue:
    categories: list[CategoryFacts]
    grids: list[GridFacts]
    packages: list[PackageFacts]
    features: list[FeatureFacts]  # in the order of each grid


def parse_catalogue(content: bytes) -> Catalogue:
    """Return the catalogue in a file.

    Raises:
        Invalid: The file is not valid; the keys of `problems` are lines and records.
    """
    raw = _parse_json(content)
    problems = _Problems()
    categories = [parse_category(record) for record in _list(raw, "categories", problems)]
    grids = [parse_grid(record) for record in _list(raw, "grids", problems)]
    packages = [parse_package(record) for record in _list(raw, "packages", problems)]
    catalogue = Catalogue(
        _valid_records("category", categories, problems),
        _valid_records("grid", grids, problems),
        _valid_records("package", packages, problems),
        [],
    )
    problems.raise_if_any()
    for grid, record in zip(catalogue.grids, raw["grids"], strict=True):
        catalogue.features.extend(_features(grid, record.get("features", []), catalogue.packages, problems))
    _check_references(catalogue, problems)
    problems.raise_if_any()
    return catalogue


class _Problems:
    """Collects the error messages about a file, by line or record."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}

    def add(self, location: str, message: str) -> None:
        self._messages.setdefault(location, []).append(message)

    def raise_if_any(self) -> None:
        if self._messages:
            raise Invalid(self._messages)


def _parse_json(content: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(content)
    except json.JSONDecodeError as error:
        raise Invalid({f"line {error.lineno}, column {error.colno}": [error.msg]}) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Invalid({f"line {line}": ["is not UTF-8 text"]}) from error
    except (ValueError, RecursionError) as error:  # a number with too many digits, or lists nested too deeply
        raise Invalid({"the file": [str(error)]}) from error
    if not isinstance(raw, dict):
        raise Invalid({"the file": ["is not a JSON object"]})
    return raw


def _list(raw: dict[str, Any], name: str, problems: _Problems) -> list[Any]:
    value = raw.get(name)
    if isinstance(value, list):
        return value
    problems.add("the file", f"has no “{name}” list")
    return []


def _valid_records(noun: str, records: Sequence[Facts | InvalidRecord], problems: _Problems) -> list[Facts]:
    """Return the valid records; add a problem for each invalid or duplicate one."""
    valid = []
    ids: set[int] = set()
    keys: set[str] = set()
    for position, record in enumerate(records, start=1):
        name = describe_record(noun, record.id, record.slug)
        if isinstance(record, InvalidRecord):
            problems.add(name if record.id else f"{name}, item {position} in the list", "; ".join(record.problems))
            continue
        if record.id in ids or slug_key(record.slug) in keys:
            problems.add(name, "has the same ID or slug as an earlier record")
        ids.add(record.id)
        keys.add(slug_key(record.slug))
        valid.append(record)
    return valid


def _check_references(catalogue: Catalogue, problems: _Problems) -> None:
    """Add a problem for each reference to a category or grid that is not in the file."""
    categories = {category.id for category in catalogue.categories}
    grids = {grid.id for grid in catalogue.grids}
    for package in catalogue.packages:
        name = describe_record("package", package.id, package.slug)
        if package.category_id not in categories:
            problems.add(name, f"category {package.category_id} is not in the file")
        for grid_id in package.grid_ids:
            if grid_id not in grids:
                problems.add(name, f"grid {grid_id} is not in the file")


def _features(
    grid: GridFacts, raw: object, packages: list[PackageFacts], problems: _Problems
) -> Iterator[FeatureFacts]:
    """Yield the valid features of a grid; add a problem for each invalid one."""
    members = {package.slug: package.id for package in packages if grid.id in package.grid_ids}
    titles: set[str] = set()
    name = describe_record("grid", grid.id, grid.slug)
    if not isinstance(raw, list):
        problems.add(name, "“features” is not a list")
        return
    for number, feature in enumerate(raw, start=1):
        try:
            if not isinstance(feature, dict):
                raise ValueError("is not an object")
            title = _field(feature, "title", text(100, allow_blank=False))
            if title in titles:
                raise ValueError(f"has the same title as an earlier feature: “{title}”")
            titles.add(title)
            cells = feature.get("cells", {})
            if not isinstance(cells, dict):
                raise ValueError("has a “cells” value that is not an object")
            if unknown_slugs := sorted(cells.keys() - members.keys()):
                raise ValueError(f"has cells for packages that are not in the grid: {', '.join(unknown_slugs)}")
            yield FeatureFacts(
                grid.id,
                title,
                _field(feature, "description", text()),
                {members[slug]: _field(cells, slug, text()) for slug in cells},
            )
        except ValueError as error:
            problems.add(name, f"feature {number} {error}")


def _field(raw: dict[str, Any], name: str, read: Reader) -> Any:
    try:
        return read(raw.get(name))
    except ValueError as error:
        raise ValueError(f"has a {name} that {error}") from None
