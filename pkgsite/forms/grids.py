"""Forms for grids, features and cells."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import Optional

from pkgsite.forms import PLAIN_TEXT_ATTRIBUTES, REQUIRED, strip_whitespace
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.services.grids.edits import MAX_TEXT_LENGTH, MAX_TITLE_LENGTH, GridChanges


class _TitledForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    title = StringField("Title", [REQUIRED], [strip_whitespace], render_kw={"maxlength": str(MAX_TITLE_LENGTH)})
    description = TextAreaField(
        "Description", [Optional()], [strip_whitespace], render_kw={"maxlength": str(MAX_TEXT_LENGTH)}
    )
    version = HiddenField()


class GridForm(_TitledForm):
    slug = StringField(
        "Slug", [Optional()], [strip_whitespace], render_kw={"maxlength": str(MAX_SLUG_LENGTH), **PLAIN_TEXT_ATTRIBUTES}
    )
    header = BooleanField("Show on home page")

    def changes(self, *, by_moderator: bool) -> GridChanges:
        """Return the submitted values. Only moderators can set `header`."""
        changes: GridChanges = {
            "title": self.title.data or "",
            "slug": self.slug.data or None,
            "description": self.description.data or "",
        }
        if by_moderator:
            changes["header"] = bool(self.header.data)
        return changes


class FeatureForm(_TitledForm):
    def changes(self) -> dict[str, Any]:
        """Return the submitted values."""
        return {"title": self.title.data or "", "description": self.description.data or ""}


class CellForm(FlaskForm):  # type: ignore[misc]
    text = TextAreaField("Cell text", [Optional()], render_kw={"maxlength": str(MAX_TEXT_LENGTH), "rows": "4"})
    version = HiddenField()
