"""The form that makes a token for a program."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from pkgsite.forms import trimmed
from pkgsite.services.tokens import LONGEST_NAME

NEEDED = InputRequired("This field is required.")
LIVES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "No expiry"))
USUAL_LIFE = "90"
SCOPES = (("read", "Read-only"), ("write", "Read and write (everything your account can do)"))


class TokenForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    name = StringField(
        "Token name", [NEEDED], [trimmed], render_kw={"maxlength": str(LONGEST_NAME), "autocomplete": "off"}
    )
    scope = RadioField("Permissions", [NEEDED], choices=[SelectChoice(*one) for one in SCOPES], default="read")
    life = SelectField("Expires", choices=[SelectChoice(*one) for one in LIVES], default=USUAL_LIFE)

    def expires_at(self, now: datetime) -> datetime | None:
        """Return when the token ends; None: never."""
        return now + timedelta(days=int(self.life.data)) if self.life.data else None
