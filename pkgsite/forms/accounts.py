"""The forms of accounts. What they are told to fill in helps browsers and password managers."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Optional

from pkgsite.forms import trimmed
from pkgsite.rules import emails, passwords, usernames

NEEDED = InputRequired("This field is required.")


def _kind(autocomplete: str, most: int, **more: str) -> dict[str, str]:
    return {
        "autocomplete": autocomplete,
        "maxlength": str(most),
        "spellcheck": "false",
        "autocapitalize": "none",
        **more,
    }


NEW_PASSWORD = _kind("new-password", passwords.MOST, minlength=str(passwords.LEAST))
PRESENT_PASSWORD = _kind("current-password", passwords.MOST)
USERNAME = _kind("username", usernames.MOST)
EMAIL = _kind("email", emails.LONGEST)


class LoginForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    login = StringField("Username or email address", [NEEDED], [trimmed], render_kw=_kind("username", emails.LONGEST))
    password = PasswordField("Password", [NEEDED], render_kw=PRESENT_PASSWORD)
    next = HiddenField()


class RegisterForm(FlaskForm):  # type: ignore[misc]
    """Where letters are sent: the password is chosen once the address has proved to be theirs."""

    username = StringField("Username", [NEEDED], [trimmed], render_kw=USERNAME)
    email = EmailField("Email address", [NEEDED], [trimmed], render_kw=EMAIL)


class RegisterAtOnceForm(FlaskForm):  # type: ignore[misc]
    """Where no letters are sent."""

    username = StringField("Username", [NEEDED], [trimmed], render_kw=USERNAME)
    email = EmailField("Email address", [Optional()], [trimmed], render_kw=EMAIL)
    password = PasswordField("Password", [NEEDED], render_kw=NEW_PASSWORD)


class FinishForm(FlaskForm):  # type: ignore[misc]
    username = StringField("Username", [NEEDED], [trimmed], render_kw=USERNAME)
    password = PasswordField("Password", [NEEDED], render_kw=NEW_PASSWORD)


class UsernameForm(FlaskForm):  # type: ignore[misc]
    username = StringField("Username", [NEEDED], [trimmed], render_kw=USERNAME)


class ForgottenForm(FlaskForm):  # type: ignore[misc]
    email = EmailField("Email address", [NEEDED], [trimmed], render_kw=EMAIL)


class NewPasswordForm(FlaskForm):  # type: ignore[misc]
    password = PasswordField("New password", [NEEDED], render_kw=NEW_PASSWORD)


class EmailForm(FlaskForm):  # type: ignore[misc]
    email = EmailField("New email address", [Optional()], [trimmed], render_kw=EMAIL)
    present = PasswordField("Current password", [Optional()], render_kw=PRESENT_PASSWORD)


class PasswordForm(FlaskForm):  # type: ignore[misc]
    present = PasswordField("Current password", [Optional()], render_kw=PRESENT_PASSWORD)
    password = PasswordField("New password", [NEEDED], render_kw=NEW_PASSWORD)


class DeleteForm(FlaskForm):  # type: ignore[misc]
    present = PasswordField("Current password", [Optional()], render_kw=PRESENT_PASSWORD)
    username = StringField("Enter your username to confirm", [Optional()], [trimmed], render_kw=_kind("off", 150))
