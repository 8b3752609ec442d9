"""Opens what accounts need of the world outside: the mail server, and the sites with whose accounts people log in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pkgsite.clients.base import LoginProvider, Mailer, People
from pkgsite.clients.egress import Outside
from pkgsite.clients.gateways import place, user_agent
from pkgsite.clients.oauth import GitHubLogin, GitLabLogin, OAuthProvider
from pkgsite.clients.smtp import SmtpMailer


def open_people(settings: Mapping[str, Any]) -> People:
    """Return the mailer and the providers that the settings name; nothing is asked yet."""
    return People(open_providers(settings), open_mailer(settings))


def open_mailer(settings: Mapping[str, Any]) -> Mailer | None:
    if settings["MAIL"] != "smtp":
        return None
    return SmtpMailer(
        host=settings["SMTP_HOST"],
        port=settings["SMTP_PORT"],
        user=settings["SMTP_USER"],
        password=settings["SMTP_PASSWORD"],
        tls=settings["SMTP_TLS"],
        sender=settings["MAIL_FROM"],
        domain=urlsplit(settings["PUBLIC_URL"]).hostname or "localhost",
    )


def open_providers(settings: Mapping[str, Any]) -> dict[str, LoginProvider]:
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
        outside=Outside.of([place(url), place(api)], settings["ALLOWED_HOSTS_OUT"]),
        user_agent=user_agent(settings),
    )
