"""The form that makes a token for a program."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from pkgsite.forms import strip_whitespace
from pkgsite.services.accounts.tokens import MAX_NAME_LENGTH

REQUIRED = InputRequired("This field is required.")
EXPIRY_CHOICES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "No expiry"))
DEFAULT_EXPIRY = "90"
SCOPE_CHOICES = (("read", "Read-only"), ("write", "Read and write (everything your account can do)"))


class TokenForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    name = StringField(
        "Token name",
        [REQUIRED],
        [strip_whitespace],
        render_kw={"maxlength": str(MAX_NAME_LENGTH), "autocomplete": "off"},
    )
    scope = RadioField("Permissions", [REQUIRED], choices=[SelectChoice(*one) for one in SCOPE_CHOICES], default="read")
    expires_in = SelectField("Expires", choices=[SelectChoice(*one) for one in EXPIRY_CHOICES], default=DEFAULT_EXPIRY)

    def expires_at(self, now: datetime) -> datetime | None:
        """Return when the token ends; None: never."""
        return now + timedelta(days=int(self.expires_in.data)) if self.expires_in.data else None
