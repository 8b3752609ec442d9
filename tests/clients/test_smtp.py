"""Sending email through a real SMTP server on loopback."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.clients.smtp import SmtpEmailSender
from pkgsite.errors import BadResponse, NotAllowed, Unavailable
from tests.databases import free_port
from tests.login_client import PASSWORD, LoginClient, make_login_user


class SmtpHandler:
    """Accepts every message, or sends another reply."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.reply = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        if self.reply.startswith("250"):
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.reply


@pytest.fixture
def received_emails() -> SmtpHandler:
    return SmtpHandler()


@pytest.fixture
def smtp_server(received_emails: SmtpHandler) -> Iterator[Callable[..., int]]:
    """A function that starts the server with options of `Controller`, and returns its port."""
    started: list[Controller] = []

    def start(**options: Any) -> int:
        controller = Controller(received_emails, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        started.append(controller)
        return int(controller.port)

    yield start
    for controller in started:
        controller.stop()


def mailer(port: int, **changed: Any) -> SmtpEmailSender:
    options: dict[str, Any] = {
        "host": "127.0.0.1", "port": port, "user": "", "password": "", "tls": "none",
        "sender": "Packages <packages@example.org>", "domain": "packages.example.org", "timeout_s": 5,
    }  # fmt: skip
    return SmtpEmailSender(**options | changed)


def send(sender: SmtpEmailSender, to: str = "ada@example.org") -> None:
    sender.send(
        to=to, subject="Reset your pässword", body="Öpen this:\n\nhttps://packages.example.org/" + "x" * 200 + "\n"
    )


def smtp_settings(port: int) -> dict[str, str]:
    return {"MAIL": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_TLS": "none",
            "MAIL_FROM": "Packages <packages@example.org>", "PUBLIC_URL": "http://localhost"}  # fmt: skip


def test_email_arrives_unchanged(received_emails: SmtpHandler, smtp_server: Callable[..., int]) -> None:
    send(mailer(smtp_server()))
    (message,) = received_emails.messages
    assert (message["To"], message["From"]) == ("ada@example.org", "Packages <packages@example.org>")
    assert message["Subject"] == "Reset your pässword"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@packages.example.org>")
    assert message["Date"]
    assert (
        message.get_content().replace("\r\n", "\n") == "Öpen this:\n\nhttps://packages.example.org/" + "x" * 200 + "\n"
    )


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_server_with_authentication(received_emails: SmtpHandler, smtp_server: Callable[..., int]) -> None:
    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"me", b"a secret"), handled=False)

    port = smtp_server(authenticator=check, auth_required=True, auth_require_tls=False)
    send(mailer(port, user="me", password="a secret"))
    assert len(received_emails.messages) == 1
    with pytest.raises(NotAllowed, match="the login to the mail server or the encryption failed: 535"):
        send(mailer(port, user="me", password="wrong"))
    with pytest.raises((Unavailable, BadResponse), match="530"):
        send(mailer(port))


def test_starttls_is_never_downgraded(received_emails: SmtpHandler, smtp_server: Callable[..., int]) -> None:
    with pytest.raises(NotAllowed):
        send(mailer(smtp_server(), tls="starttls", user="me", password="a secret"))
    assert received_emails.messages == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_starttls_and_implicit_tls(
    received_emails: SmtpHandler, smtp_server: Callable[..., int], certificate: Path, tls: str
) -> None:
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    client_context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    options: dict[str, Any] = (
        {"ssl_context": server_context} if tls == "tls" else {"tls_context": server_context, "require_starttls": True}
    )
    port = smtp_server(**options)
    send(mailer(port, tls=tls, context=client_context))
    assert len(received_emails.messages) == 1
    with pytest.raises(NotAllowed, match="certificate verify failed"):
        send(mailer(port, tls=tls))


@pytest.mark.parametrize(("reply", "kind"), [("451 Come back later", Unavailable), ("554 No", BadResponse)])
def test_transient_and_permanent_rejections_differ(
    received_emails: SmtpHandler, smtp_server: Callable[..., int], reply: str, kind: type[Exception]
) -> None:
    received_emails.reply = reply
    with pytest.raises(kind, match=reply):
        send(mailer(smtp_server()))


def test_unreachable_server_is_unavailable(smtp_server: Callable[..., int]) -> None:
    with pytest.raises(Unavailable, match="the connection to the mail server failed: Connection refused"):
        send(mailer(free_port()))


def test_registration_by_email(
    session: Session, make_app: Callable[..., Flask], received_emails: SmtpHandler, smtp_server: Callable[..., int]
) -> None:
    app = make_app(**smtp_settings(smtp_server()))
    browser = LoginClient(app)
    response = browser.post("/account/register/", {"username": "ada", "email": "ada@example.org"})
    assert response.status_code == 303
    assert "outbox" not in browser.get(response.headers["Location"]).text
    (message,) = received_emails.messages
    (line,) = [line for line in message.get_content().splitlines() if line.startswith("http")]
    path = line.removeprefix("http://localhost")
    assert browser.post(path, {"username": "ada", "password": PASSWORD}).status_code == 303
    assert browser.username == "ada"
    assert browser.get("/account/outbox/").status_code == 404


def test_failing_mail_server_loses_nothing(session: Session, make_app: Callable[..., Flask]) -> None:
    make_login_user(session)
    app = make_app(**smtp_settings(free_port()))
    browser = LoginClient(app)
    results = set()
    for data in ({"username": "new", "email": "new@example.org"}, {"username": "new", "email": "ada@example.org"}):
        response = browser.post("/account/register/", data)
        results.add((response.status_code, "Try again" in response.text))
        assert f'value="{data["email"]}"' in response.text
    for email in ("ada@example.org", "nobody@example.org"):
        response = browser.post("/account/reset/", {"email": email})
        results.add((response.status_code, "Try again" in response.text))
    browser.log_in()
    response = browser.post("/account/email/", {"email": "new@example.org", "current_password": PASSWORD})
    results.add((response.status_code, "Try again" in response.text))
    assert results == {(503, True)}
    response = browser.post("/account/password/", {"current_password": PASSWORD, "password": "three green bicycles"})
    assert response.status_code == 303, "the change is saved even if the email fails"
