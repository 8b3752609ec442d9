"""Forms for packages, site links and flags."""

from __future__ import annotations

from collections.abc import Sequence

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional

from pkgsite.forms import PLAIN_TEXT_ATTRIBUTES, REQUIRED, strip_whitespace
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.services.changeset import MAX_EDIT_REASON_LENGTH
from pkgsite.services.packages.drafts import PackageDraft
from pkgsite.services.packages.edits import EditablePackage
from pkgsite.services.packages.fields import (
    MAX_PYPI_LENGTH,
    MAX_REFERENCE_LENGTH,
    MAX_TITLE_LENGTH,
    MAX_URL_LENGTH,
    PackageChanges,
)
from pkgsite.services.packages.flags import KIND_LABELS, MAX_FLAG_TEXT_LENGTH
from pkgsite.services.packages.sites import EditableSite

PLACEHOLDER_CHOICE = SelectChoice("", "Select a category")
NO_MATCH = -1  # matches no version or id


def _plain_text(max_length: int) -> dict[str, str]:
    return {"maxlength": str(max_length), **PLAIN_TEXT_ATTRIBUTES}


class PackageLookupForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The first step of adding a package."""

    reference = StringField(
        "Repository URL or PyPI project name",
        [REQUIRED],
        [strip_whitespace],
        render_kw={"inputmode": "url", **PLAIN_TEXT_ATTRIBUTES},
    )


class _PackageForm(FlaskForm):  # type: ignore[misc]
    title = StringField("Title", [REQUIRED], [strip_whitespace], render_kw={"maxlength": str(MAX_TITLE_LENGTH)})
    slug = StringField("Slug", [Optional()], [strip_whitespace], render_kw=_plain_text(MAX_SLUG_LENGTH))
    category = SelectField("Category", validate_choice=False)
    repo_url = StringField(
        "Repository URL", [Optional()], [strip_whitespace], render_kw={"inputmode": "url", **PLAIN_TEXT_ATTRIBUTES}
    )
    repo_directory = StringField(
        "Directory in the repository", [Optional()], [strip_whitespace], render_kw=_plain_text(MAX_URL_LENGTH)
    )
    pypi_url = StringField(
        "PyPI project name", [Optional()], [strip_whitespace], render_kw=_plain_text(MAX_PYPI_LENGTH)
    )
    documentation_url = StringField(
        "Documentation URL",
        [Optional()],
        [strip_whitespace],
        render_kw={"inputmode": "url", **_plain_text(MAX_URL_LENGTH)},
    )

    def submitted(self) -> PackageChanges:
        return {
            "title": self.title.data or "",
            "slug": self.slug.data or None,
            "category": self.category.data or "",
            "repo_url": self.repo_url.data or None,
            "pypi_url": self.pypi_url.data or None,
            "documentation_url": self.documentation_url.data or None,
        }

    def set_categories(self, categories: Sequence[tuple[str, str]], *, has_placeholder: bool) -> None:
        """Set the choices of the category field from pairs of slug and title."""
        choices = [SelectChoice(slug, title) for slug, title in categories]
        self.category.choices = [PLACEHOLDER_CHOICE, *choices] if has_placeholder else choices


class AddPackageForm(_PackageForm):
    grid = HiddenField()
    is_another_package = BooleanField("This is another package in the same repository")

    def changes(self) -> PackageChanges:
        """Return the submitted values."""
        changes = self.submitted()
        if self.repo_directory.data:  # it can also be part of the repository URL
            changes["repo_directory"] = self.repo_directory.data
        return changes


class EditPackageForm(_PackageForm):
    is_deprecated = BooleanField("Deprecated (not recommended for new projects)")
    replaced_by = StringField(
        "Replaced by", [Optional()], [strip_whitespace], render_kw=_plain_text(MAX_REFERENCE_LENGTH)
    )
    reason = StringField(
        "Reason", [Optional()], [strip_whitespace], render_kw={"maxlength": str(MAX_EDIT_REASON_LENGTH)}
    )
    is_another_package = BooleanField("This is another package in the same repository")
    package_id = HiddenField()
    version = HiddenField()

    def changes(self, package: EditablePackage) -> PackageChanges:
        """Return the submitted values that differ from the package's."""
        submitted: PackageChanges = {
            **self.submitted(),
            "repo_directory": self.repo_directory.data or None,
            "is_deprecated": bool(self.is_deprecated.data),
            "replaced_by": self.replaced_by.data or None,
        }
        names = [name for name, value in submitted.items() if (value or "") != (package.field(name) or "")]
        return {name: submitted[name] for name in names}  # type: ignore[literal-required,return-value]

    def set_version(self, package: EditablePackage) -> None:
        """Store which version of the package is being edited in the hidden fields."""
        self.package_id.data, self.version.data = str(package.id), str(package.version)


class DocumentationForm(FlaskForm):  # type: ignore[misc]
    documentation_url = StringField(
        "Documentation URL",
        [Optional()],
        [strip_whitespace],
        render_kw={"inputmode": "url", **_plain_text(MAX_URL_LENGTH)},
    )
    version = HiddenField()


class SiteForm(FlaskForm):  # type: ignore[misc]
    title = StringField("Site name", [REQUIRED], [strip_whitespace], render_kw={"maxlength": str(MAX_TITLE_LENGTH)})
    url = StringField(
        "URL", [REQUIRED], [strip_whitespace], render_kw={"inputmode": "url", **_plain_text(MAX_URL_LENGTH)}
    )
    version = HiddenField()


class FlagForm(FlaskForm):  # type: ignore[misc]
    kind = RadioField(
        "Problem",
        [REQUIRED],
        choices=[SelectChoice(kind, ": ".join(labels)) for kind, labels in KIND_LABELS.items()],
        validate_choice=False,
    )
    reason = TextAreaField(
        "Details", [REQUIRED], [strip_whitespace], render_kw={"maxlength": str(MAX_FLAG_TEXT_LENGTH)}
    )


class FlagReplyForm(FlaskForm):  # type: ignore[misc]
    answer = TextAreaField(
        "Reply", [Optional()], [strip_whitespace], render_kw={"maxlength": str(MAX_FLAG_TEXT_LENGTH)}
    )


def add_form(draft: PackageDraft, slug: str, grid: str | None) -> AddPackageForm:
    """Return the form for a new package, filled in from a draft."""
    initial = {
        "title": draft.title,
        "slug": slug,
        "repo_url": draft.repo_url,
        "repo_directory": draft.repo_directory,
        "pypi_url": draft.pypi_url,
        "grid": grid,
    }
    return AddPackageForm(formdata=None, data=initial)


def edit_form(package: EditablePackage) -> EditPackageForm:
    """Return the form filled in with a package's editable fields."""
    names = (
        "title",
        "slug",
        "category",
        "repo_url",
        "repo_directory",
        "pypi_url",
        "documentation_url",
        "is_deprecated",
        "replaced_by",
    )
    form = EditPackageForm(formdata=None, data={name: package.field(name) for name in names})
    form.set_version(package)
    return form


def site_form(site: EditableSite) -> SiteForm:
    """Return the form filled in with a site link."""
    return SiteForm(formdata=None, data={"title": site.title, "url": site.url, "version": str(site.version)})


def parse_hidden_int(submitted: str | None) -> int:
    """Return the number in a hidden field, or `NO_MATCH` if it is not a valid number."""
    submitted = submitted or ""
    return int(submitted) if submitted.isascii() and submitted.isdigit() and len(submitted) <= 9 else NO_MATCH
