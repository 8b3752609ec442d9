"""Records of other sites are parsed strictly, and every error names its field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import String

from pkgsite.models import Base, Category, Grid, Package
from pkgsite.rules import records
from pkgsite.rules.records import (
    CategoryFacts,
    InvalidRecord,
    PackageFacts,
    RecordParser,
    describe_record,
    parse_category,
    parse_grid,
    parse_package,
)
from tests.fakes.v4_site import FakeV4Site

FAKE = FakeV4Site()
CATEGORY = FAKE.add_category(1, "apps")
GRID = FAKE.add_grid(7, "caching", packages=[12, 13])
PACKAGE = FAKE.add_package(12, "django-foo", category=1, grids=(7, 9))


def test_a_valid_category_is_parsed() -> None:
    assert parse_category(CATEGORY) == CategoryFacts(
        id=1,
        title="Apps",
        slug="apps",
        description="",
        title_plural="Appss",
        show_pypi=True,
        created_at=datetime(2014, 2, 18, 14, 0, 3, 904872, UTC),
        modified_at=datetime(2026, 1, 28, 18, 56, 56, 732864, UTC),
    )


def test_links_and_ids_are_equivalent() -> None:
    linked = PACKAGE | {
        "category": "https://h.example/api/v4/categories/1/",
        "grids": ["https://h.example/api/v4/grids/7/", "https://h.example/api/v4/grids/9.json?format=json"],
    }
    assert parse_package(linked) == parse_package(PACKAGE)


def test_empty_and_null_are_different() -> None:
    empty = parse_package(PACKAGE | {"documentation_url": "", "pypi_url": "", "repo_url": ""})
    null = parse_package(PACKAGE | {"documentation_url": None, "last_updated": None, "last_fetched": None})
    assert not isinstance(empty, InvalidRecord)
    assert not isinstance(null, InvalidRecord)
    assert (empty.documentation_url, empty.pypi_url, empty.repo_url) == ("", "", "")
    assert (null.documentation_url, null.last_commit_at, null.last_fetched_at) == (None, None, None)


def test_unknown_fields_are_ignored() -> None:
    assert parse_package(PACKAGE | {"score": 90}) == parse_package(PACKAGE)


@pytest.mark.parametrize("slug", ["#", "django__q", "Django-CMS", "master", "ünïcode", "包", "a.b", "2012", "a" * 50])
def test_unusual_slugs_are_accepted_unchanged(slug: str) -> None:
    record = parse_package(PACKAGE | {"slug": slug})
    assert not isinstance(record, InvalidRecord)
    assert record.slug == slug


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("id", None, "id is not an integer"),
        ("id", "12", "id is not an integer"),
        ("id", True, "id is not an integer"),
        ("id", 0, "id is not between 1 and 2147483647"),
        ("id", 2**31, "id is not between 1 and 2147483647"),
        ("title", "", "title is empty"),
        ("title", "x" * 101, "title is longer than 100 characters"),
        ("title", 5, "title is not a string"),
        ("title", "a\x00b", "title contains a character that can't be stored"),
        ("title", "a\ud800b", "title contains a character that can't be stored"),
        ("slug", "", "slug is empty"),
        ("slug", "a/b", "slug contains a character that is not allowed in URLs"),
        ("slug", "x" * 51, "slug is longer than 50 characters"),
        ("category", None, "category is not an integer"),
        ("category", "https://h.example/api/v4/grids/1/", "category is not a link to a record under /categories/"),
        ("category", "http://[::1/", "category is not a link to a record under /categories/"),
        ("grids", "7", "grids is not a list"),
        ("grids", [7, "x"], "grids has an item that is not a link to a record under /grids/"),
        ("repo_url", "https://h.example/" + "x" * 200, "repo_url is longer than 200 characters"),
        ("repo_url", "javascript:alert(1)", "repo_url is not a valid URL"),
        ("repo_url", None, "repo_url is not a string"),
        ("documentation_url", "data:text/html,x", "documentation_url is not a valid URL"),
        ("pypi_url", "x" * 256, "pypi_url is longer than 255 characters"),
        ("pypi_version", "1" * 101, "pypi_version is longer than 100 characters"),
        ("repo_watchers", -1, "repo_watchers is not between 0 and 2147483647"),
        ("repo_forks", 1.5, "repo_forks is not an integer"),
        ("commits_over_52", [1] * 51, "commits_over_52 has 51 values instead of 52 or none"),
        ("commits_over_52", [None] * 52, "commits_over_52 has an item that is not an integer"),
        ("participants", "gasman, kaedroho", "participants is not a list"),
        ("participants", ["gasman", None], "participants has an item that is not a string"),
        ("created", None, "created is not a valid timestamp"),
        ("created", "yesterday", "created is not a valid timestamp"),
        ("created", "2014-02-18T09:00:03", "created is a timestamp without a UTC offset"),
        ("created", "2014-02-18", "created is a timestamp without a UTC offset"),
        ("created", "0001-01-01T00:00:00+05:00", "created is not a valid timestamp"),
        ("last_fetched", "2014-02-30T09:00:03Z", "last_fetched is not a valid timestamp"),
    ],
)
def test_an_invalid_field_of_a_package_is_named(field: str, value: Any, problem: str) -> None:
    record = parse_package(PACKAGE | {field: value})
    assert isinstance(record, InvalidRecord)
    assert record.problems == (problem,)


def test_times_without_an_offset_are_in_the_given_zone() -> None:
    raw = PACKAGE | {"created": "2024-06-03T17:19:48.550707", "last_updated": "2024-06-01T07:50:28"}
    for zone, hours in ((UTC, 0), (ZoneInfo("America/Chicago"), 5)):
        parser = RecordParser(zone)
        parser.package(PACKAGE)
        assert not parser.has_local_times
        record = parser.package(raw)
        assert isinstance(record, PackageFacts)
        assert record.created_at == datetime(2024, 6, 3, 17 + hours, 19, 48, 550707, UTC)
        assert record.last_commit_at == datetime(2024, 6, 1, 7 + hours, 50, 28, tzinfo=UTC)
        assert record.modified_at == datetime(2026, 1, 28, 18, 56, 56, 732864, UTC)  # it has an offset
        assert parser.has_local_times


def test_a_date_is_not_a_time() -> None:
    record = RecordParser(UTC).package(PACKAGE | {"created": "2014-02-18"})
    assert isinstance(record, InvalidRecord)
    assert record.problems == ("created is a timestamp without a UTC offset",)


@pytest.mark.parametrize("field", sorted(PACKAGE))
def test_every_field_of_a_package_is_required(field: str) -> None:
    record = parse_package({name: value for name, value in PACKAGE.items() if name != field})
    assert isinstance(record, InvalidRecord)
    assert record.problems == (f"{field} is missing",)
    assert record.id == (None if field == "id" else 12)
    assert record.slug == (None if field == "slug" else "django-foo")


@pytest.mark.parametrize(
    ("parse", "raw", "problem"),
    [
        (parse_category, CATEGORY | {"title": "x" * 51}, "title is longer than 50 characters"),
        (parse_category, CATEGORY | {"title_plural": "x" * 51}, "title_plural is longer than 50 characters"),
        (parse_category, CATEGORY | {"show_pypi": "yes"}, "show_pypi is not true or false"),
        (parse_grid, GRID | {"is_locked": 0}, "is_locked is not true or false"),
        (parse_grid, GRID | {"packages": [None]}, "packages has an item that is not an integer"),
        (parse_grid, GRID | {"description": None}, "description is not a string"),
        (parse_grid, ["a list"], "is not an object"),
    ],
)
def test_an_invalid_field_of_another_record_is_named(parse: Any, raw: Any, problem: str) -> None:
    record = parse(raw)
    assert isinstance(record, InvalidRecord)
    assert record.problems == (problem,)


def test_all_problems_of_a_record_are_reported() -> None:
    record = parse_package(PACKAGE | {"title": "", "repo_forks": None})
    assert isinstance(record, InvalidRecord)
    assert record.problems == ("title is empty", "repo_forks is not an integer")


@pytest.mark.parametrize(
    ("fields", "model"), [(records._CATEGORY, Category), (records._GRID, Grid), (records._PACKAGE, Package)]
)
def test_every_accepted_string_fits_its_column(fields: tuple[records.FieldSpec, ...], model: type[Base]) -> None:
    for field in fields:
        column = model.__table__.columns.get(field.attribute)
        if column is None or not isinstance(column.type, String) or column.type.length is None:
            continue
        start = "https://h.example/" if field.attribute in {"repo_url", "documentation_url"} else ""
        longest = start + "x" * (column.type.length - len(start))
        assert field.parse(longest) == longest
        with pytest.raises(ValueError, match="longer"):
            field.parse(longest + "x")


def test_descriptions_contain_no_control_characters() -> None:
    assert describe_record("package", 12, "\x1b[2Jfoo\u202e") == "package 12 “[2Jfoo”"
    assert describe_record("package", None, None) == "package without ID"
