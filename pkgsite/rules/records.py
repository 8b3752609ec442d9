"""Categories, grids and packages as API v4 sites and catalogue files write them, read strictly into our own names.

Only the shape is judged here: types, lengths, times. Whether a record fits the data that is already here is for
`services.records`. Wire names are those of API v4; a file may give ids where the API gives links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pkgsite.rules.slugs import MAX_ID, slug_problem

WEEKS = 52

_WEB_ADDRESS = re.compile(r"\s*(?:https?|ftps?)://", re.IGNORECASE)


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
    package_ids: tuple[int, ...] | None  # None: not told


@dataclass(frozen=True, slots=True)
class PackageFacts:
    id: int
    title: str
    slug: str
    category_id: int
    grid_ids: tuple[int, ...]  # in the order in which the package was put into them
    repo_url: str
    pypi_url: str
    documentation_url: str | None
    description: str
    stars: int
    forks: int
    last_commit_at: datetime | None
    commits_over_52: tuple[int, ...]  # one number a week, oldest first; 52 or none
    participants: tuple[str, ...]
    participants_complete: bool | None  # None: not told
    pypi_version: str | None
    created_at: datetime
    modified_at: datetime
    last_fetched_at: datetime | None


@dataclass(frozen=True, slots=True)
class InvalidRecord:
    """A record that can't be taken: what it calls itself, and what is wrong with it."""

    id: int | None
    slug: str | None
    problems: tuple[str, ...]


def describe_record(noun: str, record_id: int | None, slug: str | None) -> str:
    """Return how a report calls a record; what a terminal would obey rather than show is left out.

    >>> describe_record("package", 12, "foo")
    'package 12 “foo”'
    """
    printable_slug = "".join(char for char in slug or "" if char.isprintable())[:60]
    number = "without ID" if record_id is None else str(record_id)
    return f"{noun} {number} “{printable_slug}”" if printable_slug else f"{noun} {number}"


def parse_category(raw: object) -> CategoryFacts | InvalidRecord:
    """Return a category of API v4 in our names, or what is wrong with it."""
    return _parse_record(raw, _CATEGORY, CategoryFacts)


def parse_grid(raw: object) -> GridFacts | InvalidRecord:
    """Return a grid of API v4 in our names, or what is wrong with it."""
    return _parse_record(raw, _GRID, GridFacts)


def parse_package(raw: object) -> PackageFacts | InvalidRecord:
    """Return a package of API v4 in our names, or what is wrong with it."""
    return _parse_record(raw, _PACKAGE, PackageFacts)


# Readers: each turns one JSON value into ours, or raises ValueError with words that follow the field's name.

Reader = Callable[[object], Any]


def text(max_length: int | None = None, *, allow_blank: bool = True) -> Reader:
    """Return a reader of texts that both databases can hold, of `max_length` characters at most."""

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


def web_address(value: object) -> str:
    """Read an address that is safe to link to, alive or dead; empty stays empty."""
    address: str = text(200)(value)
    if address and not _WEB_ADDRESS.match(address):
        raise ValueError("is not a valid URL")
    return address


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def integer(minimum: int) -> Reader:
    """Return a reader of whole numbers from `minimum` to the largest that the database holds."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("is not an integer")
        if not minimum <= value <= MAX_ID:
            raise ValueError(f"is not between {minimum} and {MAX_ID}")
        return value

    return read


def timestamp(value: object) -> datetime:
    """Read an ISO 8601 time that says its offset, and return it in UTC."""
    try:
        moment = datetime.fromisoformat(text()(value))
    except ValueError:
        raise ValueError("is not a valid timestamp") from None
    if moment.tzinfo is None:
        raise ValueError("is a timestamp without a UTC offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not a valid timestamp") from None


def id_or_link(noun: str) -> Reader:
    """Return a reader of ids: as a number, or as the API's link to one of `noun`."""
    link = re.compile(rf"/{noun}/([0-9]{{1,10}})(?:/|\.json)?(?:\?.*)?$")

    def read(value: object) -> int:
        if isinstance(value, str):
            found = link.search(value)
            if not found:
                raise ValueError(f"is not a link to a record under /{noun}/")
            value = int(found.group(1))
        number: int = integer(1)(value)
        return number

    return read


def list_of(reader: Reader) -> Reader:
    """Return a reader of lists whose every item `reader` can read."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("is not a list")
        try:
            return tuple(reader(item) for item in value)
        except ValueError as error:
            raise ValueError(f"has an item that {error}") from None

    return read


def weekly_commits(value: object) -> tuple[int, ...]:
    numbers: tuple[int, ...] = list_of(integer(0))(value)
    if len(numbers) not in {0, WEEKS}:
        raise ValueError(f"has {len(numbers)} values instead of {WEEKS} or none")
    return numbers


def nullable(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a record: its name on the wire, ours, and how it is read."""

    wire_name: str
    attribute: str
    parse: Reader
    is_optional: bool = False  # left out means "not told"


_OWN_TIMES = (FieldSpec("created", "created_at", timestamp), FieldSpec("modified", "modified_at", timestamp))

_CATEGORY = (
    FieldSpec("id", "id", integer(1)),
    FieldSpec("title", "title", text(50, allow_blank=False)),
    FieldSpec("slug", "slug", slug),
    FieldSpec("description", "description", text()),
    FieldSpec("title_plural", "title_plural", text(50)),
    FieldSpec("show_pypi", "show_pypi", boolean),
    *_OWN_TIMES,
)

_GRID = (
    FieldSpec("id", "id", integer(1)),
    FieldSpec("title", "title", text(100, allow_blank=False)),
    FieldSpec("slug", "slug", slug),
    FieldSpec("description", "description", text()),
    FieldSpec("is_locked", "is_locked", boolean),
    FieldSpec("packages", "package_ids", list_of(id_or_link("packages")), is_optional=True),
    FieldSpec("header", "header", boolean),
    *_OWN_TIMES,
)

_PACKAGE = (
    FieldSpec("category", "category_id", id_or_link("categories")),
    FieldSpec("grids", "grid_ids", list_of(id_or_link("grids"))),
    FieldSpec("id", "id", integer(1)),
    FieldSpec("title", "title", text(100, allow_blank=False)),
    FieldSpec("slug", "slug", slug),
    FieldSpec("last_updated", "last_commit_at", nullable(timestamp)),
    FieldSpec("last_fetched", "last_fetched_at", nullable(timestamp)),
    FieldSpec("repo_url", "repo_url", web_address),
    FieldSpec("pypi_version", "pypi_version", nullable(text(100))),
    *_OWN_TIMES,
    FieldSpec("repo_forks", "forks", integer(0)),
    FieldSpec("repo_description", "description", text()),
    FieldSpec("pypi_url", "pypi_url", text(255)),
    FieldSpec("documentation_url", "documentation_url", nullable(web_address)),
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
