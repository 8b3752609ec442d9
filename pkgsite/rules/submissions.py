"""Which fields of a submitted form can be shown and sent again, and how. Passwords and tokens never are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

CSRF_FIELD, RESUME_FIELD = "csrf_token", "resume"
CONTROL_FIELDS = {CSRF_FIELD, RESUME_FIELD}
# Labels of the fields that people type into, by name.
LABELS = {
    "title": "Title",
    "slug": "Slug",
    "description": "Description",
    "repo_url": "Repository URL",
    "pypi_url": "PyPI project name",
    "documentation_url": "Documentation URL",
    "replaced_by": "Replaced by",
    "reference": "Repository URL or PyPI project name",
    "text": "Cell text",
    "url": "URL",
    "reason": "Reason",
    "answer": "Reply",
    "into": "Merge into",
    "name": "Token name",
    "email": "Email address",
    "username": "Username",
    "login": "Username or email address",
}
PASSWORD_LABELS = {"password": "Password", "current_password": "Current password"}
LONG_TEXTS = {"description", "text", "reason", "answer"}
_ROW_LABELS = {"label": "Label", "url": "URL"}
_ROW = re.compile(r"links-(\d{1,3})-(label|url)")


@dataclass(frozen=True, slots=True)
class SubmittedField:
    """A field of a submitted form.

    Attributes:
        kind: How the field is shown when the form is sent again: as a line or several lines of text, as an empty
            password field, or not at all.
    """

    name: str
    value: str
    label: str
    kind: Literal["line", "text", "password", "hidden"]

    @property
    def is_typed(self) -> bool:
        """Whether it contains text that someone has typed."""
        return self.kind in {"line", "text"} and bool(self.value.strip())


def submitted_field(name: str, value: str) -> SubmittedField:
    """Return a field as it can be shown again; the value of a password is dropped.

    >>> submitted_field("text", "yes").kind
    'text'
    >>> submitted_field("current_password", "secret").value
    ''
    """
    if "password" in name:
        return SubmittedField(name, "", PASSWORD_LABELS.get(name, "Password"), "password")
    row = _ROW.fullmatch(name)
    label = f"{_ROW_LABELS[row[2]]} {int(row[1]) + 1}" if row else LABELS.get(name, "")
    if not label:
        return SubmittedField(name, value, "", "hidden")
    is_long = name in LONG_TEXTS or "\n" in value
    return SubmittedField(name, value, label, "text" if is_long else "line")


def submitted_fields(pairs: Iterable[tuple[str, str]]) -> list[SubmittedField]:
    """Return the fields of a form, in their order, without those that protect it (CSRF)."""
    # PostgreSQL can't store the character NUL.
    return [submitted_field(name, value.replace("\0", "")) for name, value in pairs if name not in CONTROL_FIELDS]
