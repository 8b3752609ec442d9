"""Account forms. Their `autocomplete` attributes help browsers and password managers."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField, PasswordField, StringField
from wtforms.validators import Optional

from pkgsite.forms import REQUIRED, strip_whitespace
from pkgsite.rules import emails, passwords, usernames


def _input_attributes(autocomplete: str, max_length: int, **extra: str) -> dict[str, str]:
    return {
        "autocomplete": autocomplete,
        "maxlength": str(max_length),
        "spellcheck": "false",
        "autocapitalize": "none",
        **extra,
    }


NEW_PASSWORD = _input_attributes("new-password", passwords.MAX_LENGTH, minlength=str(passwords.MIN_LENGTH))
CURRENT_PASSWORD = _input_attributes("current-password", passwords.MAX_LENGTH)
USERNAME = _input_attributes("username", usernames.MAX_LENGTH)
EMAIL = _input_attributes("email", emails.MAX_LENGTH)


class LoginForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    login = StringField(
        "Username or email address",
        [REQUIRED],
        [strip_whitespace],
        render_kw=_input_attributes("username", emails.MAX_LENGTH),
    )
    password = PasswordField("Password", [REQUIRED], render_kw=CURRENT_PASSWORD)
    next = HiddenField()
    resume = HiddenField()  # a signed form to send after the login


class RegistrationForm(FlaskForm):  # type: ignore[misc]
    """Sign-up with email confirmation; the password is chosen after the address has been confirmed."""

    username = StringField("Username", [REQUIRED], [strip_whitespace], render_kw=USERNAME)
    email = EmailField("Email address", [REQUIRED], [strip_whitespace], render_kw=EMAIL)
    next = HiddenField()


class ImmediateRegistrationForm(FlaskForm):  # type: ignore[misc]
    """Sign-up on a site that doesn't send email."""

    username = StringField("Username", [REQUIRED], [strip_whitespace], render_kw=USERNAME)
    email = EmailField("Email address", [Optional()], [strip_whitespace], render_kw=EMAIL)
    password = PasswordField("Password", [REQUIRED], render_kw=NEW_PASSWORD)
    next = HiddenField()


class CompleteRegistrationForm(FlaskForm):  # type: ignore[misc]
    username = StringField("Username", [REQUIRED], [strip_whitespace], render_kw=USERNAME)
    password = PasswordField("Password", [REQUIRED], render_kw=NEW_PASSWORD)
    next = HiddenField()


class UsernameForm(FlaskForm):  # type: ignore[misc]
    username = StringField("Username", [REQUIRED], [strip_whitespace], render_kw=USERNAME)


class ForgotPasswordForm(FlaskForm):  # type: ignore[misc]
    email = EmailField("Email address", [REQUIRED], [strip_whitespace], render_kw=EMAIL)


class ResetPasswordForm(FlaskForm):  # type: ignore[misc]
    password = PasswordField("New password", [REQUIRED], render_kw=NEW_PASSWORD)


class EmailForm(FlaskForm):  # type: ignore[misc]
    email = EmailField("New email address", [Optional()], [strip_whitespace], render_kw=EMAIL)
    current_password = PasswordField("Current password", [Optional()], render_kw=CURRENT_PASSWORD)


class ChangePasswordForm(FlaskForm):  # type: ignore[misc]
    current_password = PasswordField("Current password", [Optional()], render_kw=CURRENT_PASSWORD)
    password = PasswordField("New password", [REQUIRED], render_kw=NEW_PASSWORD)


class DeleteAccountForm(FlaskForm):  # type: ignore[misc]
    current_password = PasswordField("Current password", [Optional()], render_kw=CURRENT_PASSWORD)
    username = StringField(
        "Enter your username to confirm", [Optional()], [strip_whitespace], render_kw=_input_attributes("off", 150)
    )
