"""Strict parsers for categories, grids and packages in the format of API v4 and of catalogue files.

They check only the format: types, lengths, times. `services.importing.records` checks whether a record fits the
existing data. Wire names are those of API v4; files can have ids where the API has links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar

from pkgsite.rules.activity import WEEKS
from pkgsite.rules.slugs import MAX_ID, slug_problem

_WEB_URL = re.compile(r"\s*(?:https?|ftps?)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CategoryFacts:
    id: int
    title: str
    slug: str
    description: str
    title_plural: str
    show_pypi: bool
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class GridFacts:
    id: int
    title: str
    slug: str
    description: str
    is_locked: bool
    header: bool
    created_at: datetime
    modified_at: datetime
    package_ids: tuple[int, ...] | None  # None if not included


@dataclass(frozen=True, slots=True)
class PackageFacts:
    id: int
    title: str
    slug: str
    category_id: int
    grid_ids: tuple[int, ...]  # in the order in which the package was added to them
    repo_url: str
    pypi_url: str
    documentation_url: str | None
    description: str
    stars: int
    forks: int
    last_commit_at: datetime | None
    commits_over_52: tuple[int, ...]  # by week, oldest first; 52 values or none
    participants: tuple[str, ...]
    participants_complete: bool | None  # None if not included
    pypi_version: str | None
    created_at: datetime
    modified_at: datetime
    last_fetched_at: datetime | None


@dataclass(frozen=True, slots=True)
class InvalidRecord:
    """A record that can't be imported: its id and slug, if known, and the problems with it."""

    id: int | None
    slug: str | None
    problems: tuple[str, ...]


def describe_record(noun: str, record_id: int | None, slug: str | None) -> str:
    """Return a description of a record for messages, without control characters.

    >>> describe_record("package", 12, "foo")
    'package 12 “foo”'
    """
    printable_slug = "".join(char for char in slug or "" if char.isprintable())[:60]
    identifier = "without ID" if record_id is None else str(record_id)
    return f"{noun} {identifier} “{printable_slug}”" if printable_slug else f"{noun} {identifier}"


class RecordParser:
    """Parses the categories, grids and packages of API v4.

    Attributes:
        time_zone: The zone of times without a UTC offset; None to reject them.
        has_local_times: Whether a parsed record had such a time.
    """

    def __init__(self, time_zone: tzinfo | None = None) -> None:
        self.time_zone = time_zone
        self.has_local_times = False
        times = (
            FieldSpec("created", "created_at", self._timestamp),
            FieldSpec("modified", "modified_at", self._timestamp),
        )
        last_commit_at = FieldSpec("last_updated", "last_commit_at", nullable(self._timestamp))
        last_fetched_at = FieldSpec("last_fetched", "last_fetched_at", nullable(self._timestamp))
        self._category = (*_CATEGORY, *times)
        self._grid = (*_GRID, *times)
        self._package = (*_PACKAGE, last_commit_at, last_fetched_at, *times)

    def parse(self, collection: str, raw: object) -> CategoryFacts | GridFacts | PackageFacts | InvalidRecord:
        """Parse a record of one of the lists "categories", "grids" and "packages"."""
        parsers: dict[str, Callable[[object], CategoryFacts | GridFacts | PackageFacts | InvalidRecord]] = {
            "categories": self.category,
            "grids": self.grid,
            "packages": self.package,
        }
        return parsers[collection](raw)

    def category(self, raw: object) -> CategoryFacts | InvalidRecord:
        """Parse a category."""
        return _parse_record(raw, self._category, CategoryFacts)

    def grid(self, raw: object) -> GridFacts | InvalidRecord:
        """Parse a grid."""
        return _parse_record(raw, self._grid, GridFacts)

    def package(self, raw: object) -> PackageFacts | InvalidRecord:
        """Parse a package."""
        return _parse_record(raw, self._package, PackageFacts)

    def _timestamp(self, value: object) -> datetime:
        """Read an ISO 8601 timestamp; return it in UTC."""
        try:
            raw_timestamp: str = text()(value)
            parsed = datetime.fromisoformat(raw_timestamp)
        except ValueError:
            raise ValueError("is not a valid timestamp") from None
        if parsed.tzinfo is None:
            if self.time_zone is None or ":" not in raw_timestamp:  # a date alone is not a time
                raise ValueError("is a timestamp without a UTC offset")
            self.has_local_times = True
            parsed = parsed.replace(tzinfo=self.time_zone)
        try:
            return parsed.astimezone(UTC)
        except OverflowError:
            raise ValueError("is not a valid timestamp") from None


def parse_category(raw: object) -> CategoryFacts | InvalidRecord:
    """Parse a category; its times must have a UTC offset."""
    return RecordParser().category(raw)


def parse_grid(raw: object) -> GridFacts | InvalidRecord:
    """Parse a grid; its times must have a UTC offset."""
    return RecordParser().grid(raw)


def parse_package(raw: object) -> PackageFacts | InvalidRecord:
    """Parse a package; its times must have a UTC offset."""
    return RecordParser().package(raw)


# Each reader converts one JSON value, or raises a ValueError whose message follows the name of the field.

Reader = Callable[[object], Any]


def text(max_length: int | None = None, *, allow_blank: bool = True) -> Reader:
    """Return a reader for strings of at most `max_length` characters that both databases can store."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("is not a string")
        if max_length is not None and len(value) > max_length:
            raise ValueError(f"is longer than {max_length} characters")
        if not allow_blank and not value.strip():
            raise ValueError("is empty")
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("contains a character that can't be stored")
        return value

    return read


def slug(value: object) -> str:
    raw_slug: str = text()(value)
    problem = slug_problem(raw_slug)
    if problem:
        raise ValueError(problem)
    return raw_slug


def web_url(value: object) -> str:
    """Read a URL that is safe to link to; an empty value stays empty."""
    url: str = text(200)(value)
    if url and not _WEB_URL.match(url):
        raise ValueError("is not a valid URL")
    return url


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def integer(minimum: int) -> Reader:
    """Return a reader for integers from `minimum` to the maximum of a database integer."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("is not an integer")
        if not minimum <= value <= MAX_ID:
            raise ValueError(f"is not between {minimum} and {MAX_ID}")
        return value

    return read


def id_or_link(noun: str) -> Reader:
    """Return a reader for ids, given as an integer or as a link of the API below /<noun>/."""
    link = re.compile(rf"/{noun}/([0-9]{{1,10}})(?:/|\.json)?(?:\?.*)?$")

    def read(value: object) -> int:
        if isinstance(value, str):
            match = link.search(value)
            if not match:
                raise ValueError(f"is not a link to a record under /{noun}/")
            value = int(match.group(1))
        record_id: int = integer(1)(value)
        return record_id

    return read


def list_of(reader: Reader) -> Reader:
    """Return a reader for lists whose items are read by `reader`."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("is not a list")
        try:
            return tuple(reader(item) for item in value)
        except ValueError as error:
            raise ValueError(f"has an item that {error}") from None

    return read


def weekly_commits(value: object) -> tuple[int, ...]:
    counts: tuple[int, ...] = list_of(integer(0))(value)
    if len(counts) not in {0, WEEKS}:
        raise ValueError(f"has {len(counts)} values instead of {WEEKS} or none")
    return counts


def nullable(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a record: its wire name, the attribute that it sets, and its reader."""

    wire_name: str
    attribute: str
    parse: Reader
    is_optional: bool = False  # None if missing


# The fields of each kind of record, without its times; see `RecordParser`.
_CATEGORY = (
    FieldSpec("id", "id", integer(1)),
    FieldSpec("title", "title", text(50, allow_blank=False)),
    FieldSpec("slug", "slug", slug),
    FieldSpec("description", "description", text()),
    FieldSpec("title_plural", "title_plural", text(50)),
    FieldSpec("show_pypi", "show_pypi", boolean),
)

_GRID = (
    FieldSpec("id", "id", integer(1)),
    FieldSpec("title", "title", text(100, allow_blank=False)),
    FieldSpec("slug", "slug", slug),
    FieldSpec("description", "description", text()),
    FieldSpec("is_locked", "is_locked", boolean),
    FieldSpec("packages", "package_ids", list_of(id_or_link("packages")), is_optional=True),
    FieldSpec("header", "header", boolean),
)

_PACKAGE = (
    FieldSpec("category", "category_id", id_or_link("categories")),
    FieldSpec("grids", "grid_ids", list_of(id_or_link("grids"))),
    FieldSpec("id", "id", integer(1)),
    FieldSpec("title", "title", text(100, allow_blank=False)),
    FieldSpec("slug", "slug", slug),
    FieldSpec("repo_url", "repo_url", web_url),
    FieldSpec("pypi_version", "pypi_version", nullable(text(100))),
    FieldSpec("repo_forks", "forks", integer(0)),
    FieldSpec("repo_description", "description", text()),
    FieldSpec("pypi_url", "pypi_url", text(255)),
    FieldSpec("documentation_url", "documentation_url", nullable(web_url)),
    FieldSpec("repo_watchers", "stars", integer(0)),
    FieldSpec("commits_over_52", "commits_over_52", weekly_commits),
    FieldSpec("participants", "participants", list_of(text())),
    FieldSpec("participants_complete", "participants_complete", nullable(boolean), is_optional=True),
)

Facts = TypeVar("Facts", CategoryFacts, GridFacts, PackageFacts)


def _parse_record(
    raw: object, fields: tuple[FieldSpec, ...], record_class: Callable[..., Facts]
) -> Facts | InvalidRecord:
    if not isinstance(raw, Mapping):
        return InvalidRecord(None, None, ("is not an object",))
    values: dict[str, Any] = {}
    problems = []
    for field in fields:
        try:
            if field.wire_name in raw:
                values[field.attribute] = field.parse(raw[field.wire_name])
            elif field.is_optional:
                values[field.attribute] = None
            else:
                raise ValueError("is missing")
        except ValueError as error:
            problems.append(f"{field.wire_name} {error}")
    if problems:
        raw_slug = raw.get("slug")
        return InvalidRecord(values.get("id"), raw_slug if isinstance(raw_slug, str) else None, tuple(problems))
    return record_class(**values)
