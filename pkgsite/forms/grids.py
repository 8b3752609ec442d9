"""The forms about grids."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Optional

from pkgsite.forms import trimmed
from pkgsite.rules.slugs import LONGEST as LONGEST_SLUG
from pkgsite.services.grids.edits import LONGEST_TEXT, LONGEST_TITLE, GridChanges

NEEDED = InputRequired("This field is required.")
PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class _Titled(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    title = StringField("Title", [NEEDED], [trimmed], render_kw={"maxlength": str(LONGEST_TITLE)})
    description = TextAreaField("Description", [Optional()], [trimmed], render_kw={"maxlength": str(LONGEST_TEXT)})
    version = HiddenField()


class GridForm(_Titled):
    slug = StringField("Slug", [Optional()], [trimmed], render_kw={"maxlength": str(LONGEST_SLUG), **PLAIN})
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


class FeatureForm(_Titled):
    def values(self) -> dict[str, Any]:
        """Return what was typed, as a service takes it."""
        return {"title": self.title.data or "", "description": self.description.data or ""}


class CellForm(FlaskForm):  # type: ignore[misc]
    text = TextAreaField("Cell text", [Optional()], render_kw={"maxlength": str(LONGEST_TEXT), "rows": "4"})
    version = HiddenField()
