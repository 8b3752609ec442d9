"""The form of one's own profile."""

from __future__ import annotations

from collections.abc import Sequence

from flask_wtf import FlaskForm
from wtforms import BooleanField, FieldList, Form, FormField, StringField
from wtforms.validators import Optional

from pkgsite.errors import Invalid
from pkgsite.forms import show_refusal, trimmed
from pkgsite.services.people.profiles import LONGEST_LABEL, LONGEST_URL, MOST_LINKS, Link, OwnProfile

EMPTY_ROWS = 3  # beyond what is filled in, for more


class LinkForm(Form):  # type: ignore[misc]  # WTForms has no types
    label = StringField("Label", [Optional()], filters=[trimmed], render_kw={"maxlength": LONGEST_LABEL})
    url = StringField("URL", [Optional()], filters=[trimmed], render_kw={"maxlength": LONGEST_URL, "type": "url"})


class ProfileForm(FlaskForm):  # type: ignore[misc]
    shares_favourites = BooleanField("Show favourites on my profile")
    links = FieldList(FormField(LinkForm), max_entries=MOST_LINKS)

    def wanted_links(self) -> list[Link]:
        return [Link(row["label"] or "", row["url"] or "") for row in self.links.data]

    def refuse(self, refusal: Invalid) -> None:
        """Put each problem on the field of its link."""
        fields = {field.name: field for row in self.links for field in row.form}
        rest = {}
        for name, words in refusal.problems.items():
            if name in fields:
                fields[name].errors = [*fields[name].errors, *words]
            else:
                rest[name] = words
        show_refusal(self, Invalid(rest))


def form_of(profile: OwnProfile) -> ProfileForm:
    """Return the form with what is kept, and some empty rows for more."""
    return ProfileForm(data={"shares_favourites": profile.shares_favourites, "links": _rows(profile.links)})


def _rows(links: Sequence[Link]) -> list[dict[str, str]]:
    rows = [{"label": link.label, "url": link.url} for link in links]
    return (rows + [{"label": "", "url": ""}] * EMPTY_ROWS)[:MOST_LINKS]
