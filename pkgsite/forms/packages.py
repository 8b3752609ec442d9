"""The forms about packages."""

from __future__ import annotations

from collections.abc import Sequence

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Optional

from pkgsite.forms import trimmed
from pkgsite.services.packages.drafts import Draft
from pkgsite.services.packages.edits import PackageToEdit
from pkgsite.services.packages.fields import LONGEST_PYPI, LONGEST_REF, LONGEST_TITLE, LONGEST_URL, PackageChanges
from pkgsite.services.packages.flags import KIND_WORDS, LONGEST_REASON
from pkgsite.services.packages.sites import SiteToEdit

LONGEST_SLUG = 50
LONGEST_WHY = 300
NEEDED = InputRequired("This field is required.")
PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
CHOOSE = SelectChoice("", "Select a category")
NO_VERSION = -1  # of nothing


def _plain(most: int) -> dict[str, str]:
    return {"maxlength": str(most), **PLAIN}


class WhereForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The one question with which adding a package begins."""

    where = StringField(
        "Repository URL or PyPI project name", [NEEDED], [trimmed], render_kw={"inputmode": "url", **PLAIN}
    )


class _PackageForm(FlaskForm):  # type: ignore[misc]
    title = StringField("Title", [NEEDED], [trimmed], render_kw={"maxlength": str(LONGEST_TITLE)})
    slug = StringField("Slug", [Optional()], [trimmed], render_kw=_plain(LONGEST_SLUG))
    category = SelectField("Category", validate_choice=False)
    repo_url = StringField("Repository URL", [Optional()], [trimmed], render_kw={"inputmode": "url", **PLAIN})
    pypi_url = StringField("PyPI project name", [Optional()], [trimmed], render_kw=_plain(LONGEST_PYPI))
    documentation_url = StringField(
        "Documentation URL", [Optional()], [trimmed], render_kw={"inputmode": "url", **_plain(LONGEST_URL)}
    )

    def offer(self, categories: Sequence[tuple[str, str]], *, is_open: bool) -> None:
        """Say which categories there are."""
        found = [SelectChoice(slug, title) for slug, title in categories]
        self.category.choices = [CHOOSE, *found] if is_open else found


class AddForm(_PackageForm):
    grid = HiddenField()

    def changes(self) -> PackageChanges:
        """Return what was typed, as a service takes it."""
        return {
            "title": self.title.data or "",
            "slug": self.slug.data or None,
            "category": self.category.data or "",
            "repo_url": self.repo_url.data or None,
            "pypi_url": self.pypi_url.data or None,
            "documentation_url": self.documentation_url.data or None,
        }


class EditForm(_PackageForm):
    is_deprecated = BooleanField("Deprecated (not recommended for new projects)")
    replaced_by = StringField("Replaced by", [Optional()], [trimmed], render_kw=_plain(LONGEST_REF))
    reason = StringField("Reason", [Optional()], [trimmed], render_kw={"maxlength": str(LONGEST_WHY)})
    package_id = HiddenField()
    version = HiddenField()

    def changes(self, package: PackageToEdit) -> PackageChanges:
        """Return those of the fields that are not as the package has them."""
        typed: PackageChanges = {
            "title": self.title.data or "",
            "slug": self.slug.data or None,
            "category": self.category.data or "",
            "repo_url": self.repo_url.data or None,
            "pypi_url": self.pypi_url.data or None,
            "documentation_url": self.documentation_url.data or None,
            "is_deprecated": bool(self.is_deprecated.data),
            "replaced_by": self.replaced_by.data or None,
        }
        names = [name for name, value in typed.items() if (value or "") != (package.field(name) or "")]
        return {name: typed[name] for name in names}  # type: ignore[literal-required,return-value]

    def begin_on(self, package: PackageToEdit) -> None:
        """Let the form say on which version of the package it began."""
        self.package_id.data, self.version.data = str(package.id), str(package.version)


class DocumentationForm(FlaskForm):  # type: ignore[misc]
    documentation_url = StringField(
        "Documentation URL", [Optional()], [trimmed], render_kw={"inputmode": "url", **_plain(LONGEST_URL)}
    )
    version = HiddenField()


class SiteForm(FlaskForm):  # type: ignore[misc]
    title = StringField("Site name", [NEEDED], [trimmed], render_kw={"maxlength": str(LONGEST_TITLE)})
    url = StringField("URL", [NEEDED], [trimmed], render_kw={"inputmode": "url", **_plain(LONGEST_URL)})
    version = HiddenField()


class FlagForm(FlaskForm):  # type: ignore[misc]
    kind = RadioField(
        "Reason",
        [NEEDED],
        choices=[SelectChoice(kind, words) for kind, words in KIND_WORDS.items()],
        validate_choice=False,
    )
    reason = TextAreaField("Details", [NEEDED], [trimmed], render_kw={"maxlength": str(LONGEST_REASON)})


class AnswerForm(FlaskForm):  # type: ignore[misc]
    answer = TextAreaField("Reply", [Optional()], [trimmed], render_kw={"maxlength": str(LONGEST_REASON)})


def add_form(draft: Draft, slug: str, grid: str | None) -> AddForm:
    """Return the form of a new package with what is known of it."""
    known = {"title": draft.title, "slug": slug, "repo_url": draft.repo_url, "pypi_url": draft.pypi_url, "grid": grid}
    return AddForm(formdata=None, data=known)


def edit_form(package: PackageToEdit) -> EditForm:
    """Return the form with what people have written of a package."""
    names = ("title", "slug", "category", "repo_url", "pypi_url", "documentation_url", "is_deprecated", "replaced_by")
    form = EditForm(formdata=None, data={name: package.field(name) for name in names})
    form.begin_on(package)
    return form


def site_form(site: SiteToEdit) -> SiteForm:
    """Return the form with a link as it is."""
    return SiteForm(formdata=None, data={"title": site.title, "url": site.url, "version": str(site.version)})


def number_in(typed: str | None) -> int:
    """Return the number that a hidden field holds; one that nothing has where it holds none."""
    typed = typed or ""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 9 else NO_VERSION
