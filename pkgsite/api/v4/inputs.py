"""What callers may write: the fields of each record that people write, with the words that forms show of them.

The schemas read types alone. What a field may say is decided by the services, in the same words as on the pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from marshmallow import RAISE, Schema, ValidationError, fields

from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in
from pkgsite.rules.texts import BadText, clean_line
from pkgsite.services import categories, packages
from pkgsite.services.grid_edits import LONGEST_TEXT
from pkgsite.services.grid_edits import LONGEST_TITLE as LONGEST_GRID_TITLE
from pkgsite.services.package_fields import LONGEST_PYPI, LONGEST_REF, LONGEST_TITLE, LONGEST_URL

LONGEST_SLUG = 50
_RECORD = re.compile(r"^(?:https?://[^/]+)?/(?:.*/)?api/v4/[a-z]+/([^/.?#]+)")


class Text(fields.String):
    """A text; null stands for none."""

    default_error_messages = {"required": "This field is required.", "invalid": "Must be a string."}  # noqa: RUF012  # the library's own attribute

    def __init__(self, label: str, *, most: int, help: str = "", lines: int = 1, **options: Any) -> None:
        told = {"label": label, "description": help or label, "maxLength": most, "lines": lines}
        super().__init__(allow_none=True, metadata=told, **options)


class Tick(fields.Field[bool]):
    """Yes or no."""

    default_error_messages = {"required": "This field is required.", "null": "Must be true or false."}  # noqa: RUF012  # the library's own attribute

    def __init__(self, label: str, *, help: str = "") -> None:
        super().__init__(metadata={"label": label, "description": help or label, "type": "boolean"})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:  # noqa: ARG002
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class Whole(fields.Integer):
    """A whole number; 3.0 is one, as JSON has it, and true is none."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        is_whole = isinstance(value, float) and value.is_integer()
        return super()._validated(int(value) if is_whole else value)


class Reference(fields.Field[Any]):
    """Another record, named by its address, its id or its slug."""

    default_error_messages = {"required": "This field is required."}  # noqa: RUF012  # the library's own attribute

    def __init__(self, label: str, *, help: str = "", **options: Any) -> None:
        told = {"label": label, "description": help or label, "maxLength": LONGEST_REF, "lines": 1}
        super().__init__(allow_none=True, metadata=told, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:  # noqa: ARG002
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValidationError("Must be a URL, an ID or a slug.")
        try:
            key = clean_line(key_in(clean_line(value, 10 * LONGEST_REF)), LONGEST_REF)
        except BadText as refusal:
            raise ValidationError(str(refusal)) from None
        return self.named(key) if key else None

    def named(self, key: str) -> Any:
        """Return what a service takes for the record with this id or slug."""
        raise NotImplementedError


class CategoryReference(Reference):
    """A category; read into its slug."""

    def named(self, key: str) -> str:
        number = id_in(key)
        try:
            return key if number is None else categories.category_by_id(db.session(), number).slug
        except NotFound:
            raise ValidationError("Category not found.") from None


class PackageReference(Reference):
    """A package; read into its slug, or whatever else it was named by."""

    def named(self, key: str) -> str:
        number = id_in(key)
        try:
            return key if number is None else packages.package_by_id(db.session(), number).slug
        except NotFound:
            raise ValidationError("Package not found.") from None


def key_in(written: str) -> str:
    """Return the id or slug at the end of a record's address; what is no address of ours, as it is.

    >>> key_in("https://packages.example.org/api/v4/categories/1/")
    '1'
    """
    found = _RECORD.search(written)
    return unquote(found.group(1)) if found else written


class Input(Schema):
    """What is written of a record.

    Attributes:
        told: The other fields of the record, which come from elsewhere: sent along they are left alone.
        elsewhere: Fields that are changed at other addresses, with the words that say so.
        whole: The fields that a PUT has to give.
    """

    error_messages = {"unknown": "Unknown field."}  # noqa: RUF012  # the library's own attribute
    told: ClassVar[frozenset[str]] = frozenset()
    elsewhere: ClassVar[Mapping[str, str]] = {}
    whole: ClassVar[tuple[str, ...]] = ()

    class Meta:
        unknown = RAISE


class PackageInput(Input):
    """What is written of a package."""

    told = frozenset(
        {"id", "last_updated", "last_fetched", "pypi_version", "created", "modified", "repo_forks", "repo_description"}
        | {"repo_watchers", "commits_over_52", "participants"}
    )
    elsewhere = {"grids": "Read-only here. Add the package to a grid at grids/{id}/packages/."}  # noqa: RUF012
    whole = ("title", "slug", "category", "repo_url", "pypi_url", "documentation_url")

    title = Text("Title", most=LONGEST_TITLE, required=True)
    slug = Text("Slug", most=LONGEST_SLUG, help="If empty, a new package gets a slug made from its title.")
    category = CategoryReference("Category", help="URL, ID or slug.", required=True)
    repo_url = Text("Repository URL", most=10 * LONGEST_URL)
    pypi_url = Text("PyPI project name", most=LONGEST_PYPI, help="A PyPI URL or an install command also works.")
    documentation_url = Text("Documentation URL", most=LONGEST_URL)
    is_deprecated = Tick("Deprecated", help="Not recommended for new projects.")
    replaced_by = PackageReference("Replaced by", help="URL, ID or slug of another package.")


class GridInput(Input):
    """What is written of a grid itself."""

    told = frozenset({"id", "created", "modified"})
    elsewhere = {  # noqa: RUF012
        "packages": "Read-only here. Add and remove packages at grids/{id}/packages/.",
        "features": "Read-only here. Edit features at grids/{id}/features/.",
    }
    whole = ("title", "slug", "description", "header", "is_locked")

    title = Text("Title", most=LONGEST_GRID_TITLE, required=True)
    slug = Text("Slug", most=LONGEST_SLUG, help="If empty, a new grid gets a slug made from its title.")
    description = Text("Description", most=LONGEST_TEXT, lines=6)
    header = Tick(
        "Show on home page", help="Whether the grid is shown on the home page. Only moderators can change this."
    )
    is_locked = Tick("Locked", help="Whether only moderators can edit the grid. Only moderators can change this.")


class MemberInput(Input):
    """A package that is put into a grid."""

    package = PackageReference("Package", help="URL, ID or slug.", required=True)


class FeatureInput(Input):
    """What is written of a feature of a grid."""

    told = frozenset({"id", "grid", "cells"})
    whole = ("title", "description", "position")

    title = Text("Title", most=LONGEST_GRID_TITLE, required=True)
    description = Text("Description", most=LONGEST_TEXT, lines=3)
    position = Whole(strict=True, metadata={"label": "Position", "description": "Position in the grid, starting at 0."})


class CellInput(Input):
    """What is written of a package about a feature."""

    told = frozenset({"grid", "feature", "package"})
    whole = ("text",)

    text = Text("Text", most=LONGEST_TEXT, lines=6, required=True)
