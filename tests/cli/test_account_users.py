"""The `users` commands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.extensions import db
from pkgsite.models import LoginSession, User
from pkgsite.server import prepare_database
from tests.login_client import OTHER_PASSWORD, PASSWORD, LoginClient, make_login_user


@pytest.fixture
def users(app: Flask, session: Session) -> Callable[..., tuple[int, str]]:
    """A function that runs `flask users …` and returns its exit status and output."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
        session.rollback()  # the command uses its own transaction
        result = app.test_cli_runner().invoke(args=["users", *arguments], input=stdin)
        return result.exit_code, result.output

    return run


Users = Callable[..., tuple[int, str]]


def test_create_the_first_staff_account(session: Session, app: Flask, users: Users) -> None:
    status, output = users(
        "create", "ada", "--role", "staff", "--email", "ada@example.org", stdin=f"{PASSWORD}\n{PASSWORD}\n"
    )
    assert status == 0, output
    assert "Created account ada with the role staff. Log in at http://127.0.0.1:8000/account/login/" in output
    assert PASSWORD not in output
    user = session.query(User).one()
    assert (user.role, user.email) == ("staff", "ada@example.org")
    assert user.email_confirmed_at is not None
    assert LoginClient(app).log_in().status_code == 303


@pytest.mark.long
def test_server_start_explains_how_to_create_a_staff_account(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ".venv/bin/flask --app wsgi users create NAME --role staff"
    prepare_database()
    assert command in capsys.readouterr().err
    make_login_user(session, role="moderator")
    prepare_database()
    assert command in capsys.readouterr().err
    make_login_user(session, "bob", role="staff")
    prepare_database()
    assert command not in capsys.readouterr().err


def test_password_from_standard_input(session: Session, app: Flask, users: Users) -> None:
    assert users("create", "ada", "--password-stdin", stdin=f"{PASSWORD}\n")[0] == 0
    assert LoginClient(app).log_in().status_code == 303
    user = session.query(User).one()
    assert (user.role, user.email) == ("user", None)


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("create", "ada", "--password-stdin"), "short\n", "Use at least 10 characters."),
        (("create", "ada", "--password-stdin"), "", "Use at least 10 characters."),
        (("create", "a/b", "--password-stdin"), f"{PASSWORD}\n", "Use 2 to 39 letters"),
        (("create", "BOB", "--password-stdin"), f"{PASSWORD}\n", "This username is already taken."),
        (("create", "ada", "--password-stdin", "--email", "x"), f"{PASSWORD}\n", "Enter a valid email address"),
        (
            ("create", "ada", "--password-stdin", "--email", "BOB@example.org"),
            f"{PASSWORD}\n",
            "already used by another account",
        ),
        (("promote", "nobody"), "", "No account found for nobody."),
        (("disable", "nobody"), "", "No account found for nobody."),
        (("reset-link", "nobody"), "", "No account found for nobody."),
    ],
)
def test_invalid_arguments_are_reported(
    session: Session, users: Users, arguments: tuple[str, ...], stdin: str, message: str
) -> None:
    make_login_user(session, "bob")
    status, output = users(*arguments, stdin=stdin)
    assert status == 1
    assert output.startswith("Error: ")
    assert message in output
    session.rollback()
    assert session.query(User).count() == 1


def test_password_is_not_an_option(users: Users) -> None:
    assert users("create", "ada", "--password", PASSWORD)[0] == 2
    assert users("create", "ada", "--role", "king")[0] == 2


def test_promote_changes_the_role(session: Session, users: Users) -> None:
    ada = make_login_user(session).id
    for arguments, role in ((("ADA",), "moderator"), (("ada@example.org", "--role", "staff"), "staff"),
                            (("ada", "--role", "user"), "user")):  # fmt: skip
        assert users("promote", *arguments) == (0, f"ada now has the role {role}.\n")
        session.rollback()
        session.expire_all()
        assert session.get_one(User, ada).role == role


def test_account_is_disabled_and_enabled_again(session: Session, app: Flask, users: Users) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.log_in()
    assert users("disable", "ada")[0] == 0
    assert browser.username is None
    session.rollback()
    assert session.query(LoginSession).count() == 0
    assert LoginClient(app).log_in().status_code == 422
    assert users("reset-link", "ada")[0] == 1
    assert users("disable", "--undo", "ada") == (0, "ada can log in again.\n")
    assert LoginClient(app).log_in().status_code == 303


def test_reset_link(make_app: Callable[..., Flask]) -> None:
    app = make_app(MAIL="off", PUBLIC_URL="https://packages.example.org")
    with app.app_context():
        make_login_user(db.session(), email_confirmed_at=None)
    output = app.test_cli_runner().invoke(args=["users", "reset-link", "ada"]).output
    assert output.startswith("https://packages.example.org/account/reset/")
    path = output.strip().removeprefix("https://packages.example.org")
    app.config["SESSION_COOKIE_SECURE"] = False  # the test client uses http
    assert LoginClient(app).post(path, {"password": OTHER_PASSWORD}).status_code == 303
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303
    with app.app_context():
        assert db.session.query(User).one().email_confirmed_at is None, (
            "the operator's link does not confirm the email address"
        )
    assert LoginClient(app).get(path).status_code == 410
