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

from pkgsite.rules.slugs import LARGEST_ID, slug_problem

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
class Unreadable:
    """A record that can't be taken: what it calls itself, and what is wrong with it."""

    id: int | None
    slug: str | None
    problems: tuple[str, ...]


def record_name(noun: str, record_id: int | None, slug: str | None) -> str:
    """Return how a report calls a record; what a terminal would obey rather than show is left out.

    >>> record_name("package", 12, "foo")
    'package 12 “foo”'
    """
    shown = "".join(letter for letter in slug or "" if letter.isprintable())[:60]
    number = "without ID" if record_id is None else str(record_id)
    return f"{noun} {number} “{shown}”" if shown else f"{noun} {number}"


def read_category(raw: object) -> CategoryFacts | Unreadable:
    """Return a category of API v4 in our names, or what is wrong with it."""
    return _read(raw, _CATEGORY, CategoryFacts)


def read_grid(raw: object) -> GridFacts | Unreadable:
    """Return a grid of API v4 in our names, or what is wrong with it."""
    return _read(raw, _GRID, GridFacts)


def read_package(raw: object) -> PackageFacts | Unreadable:
    """Return a package of API v4 in our names, or what is wrong with it."""
    return _read(raw, _PACKAGE, PackageFacts)


# Readers: each turns one JSON value into ours, or raises ValueError with words that follow the field's name.

Reader = Callable[[object], Any]


def text(longest: int | None = None, *, blank: bool = True) -> Reader:
    """Return a reader of texts that both databases can hold, of `longest` characters at most."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("is not a string")
        if longest is not None and len(value) > longest:
            raise ValueError(f"is longer than {longest} characters")
        if not blank and not value.strip():
            raise ValueError("is empty")
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("contains a character that can't be stored")
        return value

    return read


def slug(value: object) -> str:
    written: str = text()(value)
    problem = slug_problem(written)
    if problem:
        raise ValueError(problem)
    return written


def web_address(value: object) -> str:
    """Read an address that is safe to link to, alive or dead; empty stays empty."""
    address: str = text(200)(value)
    if address and not _WEB_ADDRESS.match(address):
        raise ValueError("is not a valid URL")
    return address


def yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def whole(least: int) -> Reader:
    """Return a reader of whole numbers from `least` to the largest that the database holds."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("is not an integer")
        if not least <= value <= LARGEST_ID:
            raise ValueError(f"is not between {least} and {LARGEST_ID}")
        return value

    return read


def instant(value: object) -> datetime:
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


def linked(noun: str) -> Reader:
    """Return a reader of ids: as a number, or as the API's link to one of `noun`."""
    link = re.compile(rf"/{noun}/([0-9]{{1,10}})(?:/|\.json)?(?:\?.*)?$")

    def read(value: object) -> int:
        if isinstance(value, str):
            found = link.search(value)
            if not found:
                raise ValueError(f"is not a link to a record under /{noun}/")
            value = int(found.group(1))
        number: int = whole(1)(value)
        return number

    return read


def each(reader: Reader) -> Reader:
    """Return a reader of lists whose every item `reader` can read."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("is not a list")
        try:
            return tuple(reader(item) for item in value)
        except ValueError as error:
            raise ValueError(f"has an item that {error}") from None

    return read


def weeks(value: object) -> tuple[int, ...]:
    numbers: tuple[int, ...] = each(whole(0))(value)
    if len(numbers) not in {0, WEEKS}:
        raise ValueError(f"has {len(numbers)} values instead of {WEEKS} or none")
    return numbers


def or_null(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: its name on the wire, ours, and how it is read."""

    wire: str
    ours: str
    read: Reader
    optional: bool = False  # left out means "not told"


_OWN_TIMES = (Field("created", "created_at", instant), Field("modified", "modified_at", instant))

_CATEGORY = (
    Field("id", "id", whole(1)),
    Field("title", "title", text(50, blank=False)),
    Field("slug", "slug", slug),
    Field("description", "description", text()),
    Field("title_plural", "title_plural", text(50)),
    Field("show_pypi", "show_pypi", yes_or_no),
    *_OWN_TIMES,
)

_GRID = (
    Field("id", "id", whole(1)),
    Field("title", "title", text(100, blank=False)),
    Field("slug", "slug", slug),
    Field("description", "description", text()),
    Field("is_locked", "is_locked", yes_or_no),
    Field("packages", "package_ids", each(linked("packages")), optional=True),
    Field("header", "header", yes_or_no),
    *_OWN_TIMES,
)

_PACKAGE = (
    Field("category", "category_id", linked("categories")),
    Field("grids", "grid_ids", each(linked("grids"))),
    Field("id", "id", whole(1)),
    Field("title", "title", text(100, blank=False)),
    Field("slug", "slug", slug),
    Field("last_updated", "last_commit_at", or_null(instant)),
    Field("last_fetched", "last_fetched_at", or_null(instant)),
    Field("repo_url", "repo_url", web_address),
    Field("pypi_version", "pypi_version", or_null(text(100))),
    *_OWN_TIMES,
    Field("repo_forks", "forks", whole(0)),
    Field("repo_description", "description", text()),
    Field("pypi_url", "pypi_url", text(255)),
    Field("documentation_url", "documentation_url", or_null(web_address)),
    Field("repo_watchers", "stars", whole(0)),
    Field("commits_over_52", "commits_over_52", weeks),
    Field("participants", "participants", each(text())),
    Field("participants_complete", "participants_complete", or_null(yes_or_no), optional=True),
)

Facts = TypeVar("Facts", CategoryFacts, GridFacts, PackageFacts)


def _read(raw: object, fields: tuple[Field, ...], make: Callable[..., Facts]) -> Facts | Unreadable:
    if not isinstance(raw, Mapping):
        return Unreadable(None, None, ("is not an object",))
    values: dict[str, Any] = {}
    problems = []
    for field in fields:
        try:
            if field.wire in raw:
                values[field.ours] = field.read(raw[field.wire])
            elif field.optional:
                values[field.ours] = None
            else:
                raise ValueError("is missing")
        except ValueError as error:
            problems.append(f"{field.wire} {error}")
    if problems:
        written = raw.get("slug")
        return Unreadable(values.get("id"), written if isinstance(written, str) else None, tuple(problems))
    return make(**values)
