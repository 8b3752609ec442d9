"""Sends email through the SMTP server in the settings."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from pkgsite.errors import BadResponse, NotAllowed, Unavailable

TIMEOUT_S = 10.0  # for each SMTP command; the user is waiting


@dataclass(frozen=True, slots=True)
class SmtpEmailSender:
    """Sends each message over a new connection.

    Attributes:
        tls: "starttls", "tls" (implicit TLS) or "none".
    """

    host: str
    port: int
    user: str
    password: str
    tls: str
    sender: str
    domain: str  # the site's domain, for Message-ID headers
    context: ssl.SSLContext | None = None
    timeout_s: float = TIMEOUT_S

    def send(self, *, to: str, subject: str, body: str) -> None:
        """Send a plain-text email.

        Raises:
            Unavailable: The server can't be reached, or may accept the message later.
            NotAllowed: The login or the encryption failed.
            BadResponse: The server rejected the message or its recipient.
        """
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self.domain)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
        try:
            with self._connect() as server:
                server.send_message(message)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
            raise NotAllowed(
                f"the login to the mail server or the encryption failed: {_describe_error(error)}"
            ) from error
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            kind = Unavailable if _is_transient(error) else BadResponse
            raise kind(f"the mail server rejected the message: {_describe_error(error)}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"the connection to the mail server failed: {_describe_error(error)}") from error

    def _connect(self) -> smtplib.SMTP:
        context = self.context or ssl.create_default_context()
        if self.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        try:
            if self.tls == "starttls":
                server.starttls(context=context)
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server


def _is_transient(error: smtplib.SMTPException) -> bool:
    """Return whether the server may accept the message later (a 4xx reply)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _reply in error.recipients.values()]
    else:
        codes = [getattr(error, "smtp_code", 500)]
    return all(400 <= code < 500 for code in codes)


def _describe_error(error: Exception) -> str:
    """Return the message of an SMTP error for the log."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {reply.decode(errors='replace')}" for code, reply in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
