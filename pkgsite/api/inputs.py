"""The writable fields of each record, with their labels and descriptions.

The schemas check only types. Services validate the values, with the same messages as on the pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from marshmallow import RAISE, Schema, ValidationError, fields

from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import parse_id
from pkgsite.rules.texts import InvalidText, clean_line
from pkgsite.services import categories
from pkgsite.services.grids.edits import MAX_TEXT_LENGTH
from pkgsite.services.grids.edits import MAX_TITLE_LENGTH as MAX_GRID_TITLE_LENGTH
from pkgsite.services.packages import records as packages
from pkgsite.services.packages.fields import MAX_PYPI_LENGTH, MAX_REFERENCE_LENGTH, MAX_TITLE_LENGTH, MAX_URL_LENGTH

MAX_SLUG_LENGTH = 50
_RECORD_URL = re.compile(r"^(?:https?://[^/]+)?/(?:.*/)?api/v4/[a-z]+/([^/.?#]+)")


class TextField(fields.String):
    """A text, or null if it is empty."""

    default_error_messages = {"required": "This field is required.", "invalid": "Must be a string."}  # noqa: RUF012  # the library's own attribute

    def __init__(self, label: str, *, max_length: int, description: str = "", rows: int = 1, **options: Any) -> None:
        metadata = {"label": label, "description": description or label, "maxLength": max_length, "rows": rows}
        super().__init__(allow_none=True, metadata=metadata, **options)


class BooleanField(fields.Field[bool]):
    """A boolean."""

    default_error_messages = {"required": "This field is required.", "null": "Must be true or false."}  # noqa: RUF012  # the library's own attribute

    def __init__(self, label: str, *, description: str = "") -> None:
        super().__init__(metadata={"label": label, "description": description or label, "type": "boolean"})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:  # noqa: ARG002
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class IntegerField(fields.Integer):
    """An integer. In JSON, 3.0 is an integer; true is not, although it is an `int` in Python."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        is_integral = isinstance(value, float) and value.is_integer()
        return super()._validated(int(value) if is_integral else value)


class ReferenceField(fields.Field[Any]):
    """A reference to another record by its URL, id or slug."""

    default_error_messages = {"required": "This field is required."}  # noqa: RUF012  # the library's own attribute

    def __init__(self, label: str, *, description: str = "", **options: Any) -> None:
        metadata = {"label": label, "description": description or label, "maxLength": MAX_REFERENCE_LENGTH, "rows": 1}
        super().__init__(allow_none=True, metadata=metadata, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:  # noqa: ARG002
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValidationError("Must be a URL, an ID or a slug.")
        try:
            key = clean_line(extract_key(clean_line(value, 10 * MAX_REFERENCE_LENGTH)), MAX_REFERENCE_LENGTH)
        except InvalidText as error:
            raise ValidationError(str(error)) from None
        return self.resolve(key) if key else None

    def resolve(self, key: str) -> Any:
        """Return the value that services expect for the record with this id or slug."""
        raise NotImplementedError


class CategoryField(ReferenceField):
    """A reference to a category, loaded as its slug."""

    def resolve(self, key: str) -> str:
        record_id = parse_id(key)
        try:
            return key if record_id is None else categories.category_by_id(db.session(), record_id).slug
        except NotFound:
            raise ValidationError("Category not found.") from None


class PackageField(ReferenceField):
    """A reference to a package, loaded as its slug if it is an id or a URL of the API, otherwise unchanged."""

    def resolve(self, key: str) -> str:
        record_id = parse_id(key)
        try:
            return key if record_id is None else packages.package_by_id(db.session(), record_id).slug
        except NotFound:
            raise ValidationError("Package not found.") from None


def extract_key(url: str) -> str:
    """Return the id or slug in a record's API URL; other texts are returned unchanged.

    >>> extract_key("https://packages.example.org/api/v4/categories/1/")
    '1'
    """
    match = _RECORD_URL.search(url)
    return unquote(match.group(1)) if match else url


class Input(Schema):
    """The writable fields of a record.

    Attributes:
        read_only: Fields that are ignored, so that clients can send back an entire record.
        managed_elsewhere: Fields that are changed at other URLs, with the error message that names the URL.
        required_for_put: Fields that a PUT request must contain.
    """

    error_messages = {"unknown": "Unknown field."}  # noqa: RUF012  # the library's own attribute
    read_only: ClassVar[frozenset[str]] = frozenset()
    managed_elsewhere: ClassVar[Mapping[str, str]] = {}
    required_for_put: ClassVar[tuple[str, ...]] = ()

    class Meta:
        unknown = RAISE


class PackageInput(Input):
    """The writable fields of a package."""

    read_only = frozenset(
        {"id", "last_updated", "last_fetched", "pypi_version", "created", "modified", "repo_forks", "repo_description"}
        | {"repo_watchers", "commits_over_52", "participants"}
        # added by `?expand=`
        | {"score", "downloads", "licence", "licences", "python", "status", "topics", "changed", "released", "releases"}
    )
    managed_elsewhere = {"grids": "Read-only here. Add the package to a grid at grids/{id}/packages/."}  # noqa: RUF012
    required_for_put = ("title", "slug", "category", "repo_url", "pypi_url", "documentation_url")

    title = TextField("Title", max_length=MAX_TITLE_LENGTH, required=True)
    slug = TextField("Slug", max_length=MAX_SLUG_LENGTH, description="If empty, it is generated from the title.")
    category = CategoryField("Category", description="URL, ID or slug.", required=True)
    repo_url = TextField("Repository URL", max_length=10 * MAX_URL_LENGTH)
    pypi_url = TextField(
        "PyPI project name", max_length=MAX_PYPI_LENGTH, description="A PyPI URL or an install command also works."
    )
    documentation_url = TextField("Documentation URL", max_length=MAX_URL_LENGTH)
    is_deprecated = BooleanField("Deprecated", description="Not recommended for new projects.")
    replaced_by = PackageField("Replaced by", description="URL, ID or slug of another package.")


class GridInput(Input):
    """The writable fields of a grid."""

    read_only = frozenset({"id", "created", "modified"})
    managed_elsewhere = {  # noqa: RUF012
        "packages": "Read-only here. Add and remove packages at grids/{id}/packages/.",
        "features": "Read-only here. Edit features at grids/{id}/features/.",
    }
    required_for_put = ("title", "slug", "description", "header", "is_locked")

    title = TextField("Title", max_length=MAX_GRID_TITLE_LENGTH, required=True)
    slug = TextField(
        "Slug", max_length=MAX_SLUG_LENGTH, description="If empty, a new grid gets a slug made from its title."
    )
    description = TextField("Description", max_length=MAX_TEXT_LENGTH, rows=6)
    header = BooleanField(
        "Show on home page", description="Whether the grid is shown on the home page. Only moderators can change this."
    )
    is_locked = BooleanField(
        "Locked", description="Whether only moderators can edit the grid. Only moderators can change this."
    )


class MemberInput(Input):
    """The package to add to a grid."""

    package = PackageField("Package", description="URL, ID or slug.", required=True)


class FeatureInput(Input):
    """The writable fields of a feature."""

    read_only = frozenset({"id", "grid", "cells"})
    required_for_put = ("title", "description", "position")

    title = TextField("Title", max_length=MAX_GRID_TITLE_LENGTH, required=True)
    description = TextField("Description", max_length=MAX_TEXT_LENGTH, rows=3)
    position = IntegerField(
        strict=True, metadata={"label": "Position", "description": "Position in the grid, starting at 0."}
    )


class CellInput(Input):
    """The writable field of a cell."""

    read_only = frozenset({"grid", "feature", "package"})
    required_for_put = ("text",)

    text = TextField("Text", max_length=MAX_TEXT_LENGTH, rows=6, required=True)
