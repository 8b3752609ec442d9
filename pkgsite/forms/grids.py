"""The forms about grids."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Optional

from pkgsite.forms import strip_whitespace
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.services.grids.edits import MAX_TEXT_LENGTH, MAX_TITLE_LENGTH, GridChanges

REQUIRED = InputRequired("This field is required.")
PLAIN_TEXT_ATTRIBUTES = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


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
        """Return what was typed, as a service takes it."""
        found: GridChanges = {
            "title": self.title.data or "",
            "slug": self.slug.data or None,
            "description": self.description.data or "",
        }
        if by_moderator:
            found["header"] = bool(self.header.data)
        return found


class FeatureForm(_TitledForm):
    def values(self) -> dict[str, Any]:
        """Return what was typed, as a service takes it."""
        return {"title": self.title.data or "", "description": self.description.data or ""}


class CellForm(FlaskForm):  # type: ignore[misc]
    text = TextAreaField("Cell text", [Optional()], render_kw={"maxlength": str(MAX_TEXT_LENGTH), "rows": "4"})
    version = HiddenField()
