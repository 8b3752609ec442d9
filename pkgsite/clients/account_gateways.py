"""Opens what accounts need of the world outside: the mail server, and the sites with whose accounts people log in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pkgsite.clients.base import AccountGateways, EmailSender, LoginProvider
from pkgsite.clients.egress import EgressPolicy
from pkgsite.clients.gateways import netloc, user_agent
from pkgsite.clients.oauth import GitHubLogin, GitLabLogin, OAuthProvider
from pkgsite.clients.smtp import SmtpEmailSender


def open_account_gateways(settings: Mapping[str, Any]) -> AccountGateways:
    """Return the mailer and the providers that the settings name; nothing is asked yet."""
    return AccountGateways(open_login_providers(settings), open_email_sender(settings))


def open_email_sender(settings: Mapping[str, Any]) -> EmailSender | None:
    if settings["MAIL"] != "smtp":
        return None
    return SmtpEmailSender(
        host=settings["SMTP_HOST"],
        port=settings["SMTP_PORT"],
        user=settings["SMTP_USER"],
        password=settings["SMTP_PASSWORD"],
        tls=settings["SMTP_TLS"],
        sender=settings["MAIL_FROM"],
        domain=urlsplit(settings["PUBLIC_URL"]).hostname or "localhost",
    )


def open_login_providers(settings: Mapping[str, Any]) -> dict[str, LoginProvider]:
    found: dict[str, LoginProvider] = {}
    github, gitlab = settings["OAUTH_GITHUB_URL"], settings["OAUTH_GITLAB_URL"]
    for kind, url, api in ((GitHubLogin, github, settings["OAUTH_GITHUB_API"]), (GitLabLogin, gitlab, gitlab)):
        prefix = f"OAUTH_{kind.name.upper()}"
        if settings[f"{prefix}_ID"]:
            found[kind.name] = _provider(kind, settings, prefix, url, api)
    return found


def _provider(kind: type[OAuthProvider], settings: Mapping[str, Any], prefix: str, url: str, api: str) -> OAuthProvider:
    return kind(
        client_id=settings[f"{prefix}_ID"],
        client_secret=settings[f"{prefix}_SECRET"],
        url=url,
        api=api,
        egress=EgressPolicy.from_hosts([netloc(url), netloc(api)], settings["ALLOWED_HOSTS_OUT"]),
        user_agent=user_agent(settings),
    )
