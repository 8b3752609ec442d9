"""The form for editing the current user's profile."""

from __future__ import annotations

from collections.abc import Sequence

from flask_wtf import FlaskForm
from wtforms import BooleanField, FieldList, Form, FormField, StringField
from wtforms.validators import Optional

from pkgsite.errors import Invalid
from pkgsite.forms import show_errors, strip_whitespace
from pkgsite.services.people.profiles import MAX_LABEL_LENGTH, MAX_LINKS, MAX_URL_LENGTH, OwnProfile, ProfileLink

EXTRA_ROWS = 3  # empty rows for more links


class LinkForm(Form):  # type: ignore[misc]  # WTForms has no types
    label = StringField("Label", [Optional()], filters=[strip_whitespace], render_kw={"maxlength": MAX_LABEL_LENGTH})
    url = StringField(
        "URL", [Optional()], filters=[strip_whitespace], render_kw={"maxlength": MAX_URL_LENGTH, "type": "url"}
    )


class ProfileForm(FlaskForm):  # type: ignore[misc]
    shares_favourites = BooleanField("Show favourites on my profile")
    links = FieldList(FormField(LinkForm), max_entries=MAX_LINKS)

    def submitted_links(self) -> list[ProfileLink]:
        return [ProfileLink(row["label"] or "", row["url"] or "") for row in self.links.data]

    def show_errors(self, error: Invalid) -> None:
        """Add each error to the field of its link."""
        fields = {field.name: field for row in self.links for field in row.form}
        other_errors = {}
        for name, messages in error.problems.items():
            if name in fields:
                fields[name].errors = [*fields[name].errors, *messages]
            else:
                other_errors[name] = messages
        show_errors(self, Invalid(other_errors))


def profile_form(profile: OwnProfile) -> ProfileForm:
    """Return the form filled in with a profile, followed by some empty rows."""
    return ProfileForm(data={"shares_favourites": profile.shares_favourites, "links": _rows(profile.links)})


def _rows(links: Sequence[ProfileLink]) -> list[dict[str, str]]:
    rows = [{"label": link.label, "url": link.url} for link in links]
    return (rows + [{"label": "", "url": ""}] * EXTRA_ROWS)[:MAX_LINKS]
