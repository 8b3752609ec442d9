"""All settings: name, default, unit and meaning, read from environment variables.

An invalid value stops the start with an error that names the setting. A test checks that `docs/settings.md` matches
this list. This module imports nothing from pkgsite.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent


class BadSetting(ValueError):
    """A setting has an invalid value; the message names the setting."""


@dataclass(frozen=True)
class Setting:
    """One setting; `read` parses the environment variable, or raises a ValueError that says what was expected."""

    name: str
    default: str
    read: Callable[[str], Any]
    meaning: str
    is_secret: bool = False  # error messages do not show its value


def text(value: str) -> str:
    return value.strip()


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser for integers from `least` to `most`."""

    def read(value: str) -> int:
        expected = f"expected an integer from {least} to {most}"
        try:
            number = int(value)
        except ValueError:
            raise ValueError(expected) from None
        if not least <= number <= most:
            raise ValueError(expected)
        return number

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that accepts one of these choices."""

    def read(value: str) -> str:
        word = value.strip().lower()
        if word not in choices:
            raise ValueError(f"expected one of {', '.join(filter(None, choices))}")
        return word

    return read


def switch(value: str) -> bool:
    """Parse `on` or `off`."""
    return one_of("on", "off")(value) == "on"


def names(value: str) -> list[str]:
    """Parse a comma-separated list; empty items are dropped."""
    return [name.strip() for name in value.split(",") if name.strip()]


def web_address(value: str) -> str:
    """Parse an HTTP(S) URL and remove a trailing slash; an empty value stays empty."""
    address = value.strip().rstrip("/")
    if address:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected a URL such as https://packages.example.org")
    return address


@dataclass(frozen=True)
class Host:
    """A code host from the setting CODE_HOSTS: its kind, and its API URL if it differs from the default."""

    kind: str
    api: str


def code_hosts(value: str) -> dict[str, Host]:
    """Parse comma-separated hosts, each "name kind" or "name kind api-url"."""
    found = {}
    for entry in names(value):
        words = entry.split()
        if len(words) not in (2, 3) or words[1] not in HOST_KINDS:
            kinds = ", ".join(HOST_KINDS)
            raise ValueError(f"expected entries such as `git.example.org gitlab`; the type must be one of {kinds}")
        found[words[0].lower()] = Host(words[1], web_address("".join(words[2:])))
    return found


def tokens(value: str) -> dict[str, str]:
    """Parse comma-separated "host=token" pairs."""
    found = {}
    for entry in names(value):
        host, equals, token = entry.partition("=")
        if not (host.strip() and equals and token.strip()):
            raise ValueError("expected tokens such as `github.com=ghp_…`")
        found[host.strip().lower()] = token.strip()
    return found


def time_zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value.strip())
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a directory of time zones
        raise ValueError("expected a time zone name such as Europe/Paris") from None


def database_url(value: str) -> str:
    """Parse a SQLAlchemy database URL for SQLite or PostgreSQL; the old scheme `postgres://` is accepted."""
    address = value.strip()
    if address.startswith("postgres://"):
        address = "postgresql://" + address.removeprefix("postgres://")
    if not address.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("expected sqlite:///file.db or postgresql://user@host/name")
    return address


def sender(value: str) -> str:
    """Parse the sender address of emails, with or without a display name."""
    given = value.strip()
    if given and not re.fullmatch(r"(?:[^<>@\x00-\x1f\x7f]+ )?<?[^\s<>@,;]+@[^\s<>@,;]+>?", given):
        raise ValueError("expected an email address such as Packages <packages@example.org>")
    return given


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address, which only this machine can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


HOST_KINDS = ("github", "gitlab", "bitbucket", "forgejo")

SETTINGS = (
    Setting("HOST", "127.0.0.1", text, "Address that the web server listens on."),
    Setting("PORT", "8000", whole(1, 65535), "Port that the web server listens on."),
    Setting("WORKERS", "2", whole(1, 256), "Number of web worker processes."),
    Setting(
        "DATABASE_URL",
        "sqlite:///pkgsite.db",
        database_url,
        "Database URL: SQLite (a relative path is relative to DATA_DIR) or PostgreSQL.",
    ),
    Setting(
        "DATA_DIR",
        str(ROOT / "instance"),
        text,
        "Directory for the SQLite database, the secret key file and the rate limit counters.",
    ),
    Setting(
        "SECRET_KEY",
        "",
        text,
        "Key that signs sessions and links in emails. Empty: generated once and stored in DATA_DIR/secret_key, "
        "readable only by its owner.",
        is_secret=True,
    ),
    Setting("SITE_TITLE", "pkgsite", text, "Site name, shown in the header and in page titles."),
    Setting("SITE_SUBJECT", "Django", text, "What the packages are for, as in “Django packages”. Can be empty."),
    Setting(
        "SEARCH_PREFIX",
        "django",
        names,
        "Comma-separated common prefixes of package names: search also finds packages by name without the prefix. "
        "After changing it, run `flask search rebuild`.",
    ),
    Setting("TIMEZONE", "America/New_York", time_zone, "Time zone of times in the API and on pages."),
    Setting(
        "PUBLIC_URL",
        "",
        web_address,
        "Public URL of the site, used in canonical links, feeds and emails. With https, cookies are Secure and the "
        "HSTS header is sent.",
    ),
    Setting(
        "TRUSTED_HOSTS",
        "",
        names,
        "Comma-separated host names that the site accepts (`.example.org` includes subdomains); requests for other "
        "hosts get status 400. Empty: any host.",
    ),
    Setting(
        "PROXY_HOPS",
        "0",
        whole(0, 10),
        "Number of reverse proxies in front of the site whose X-Forwarded-* headers are trusted. 0: the headers are "
        "ignored.",
    ),
    Setting(
        "MAX_BODY_BYTES",
        "1048576",
        whole(1024, 1 << 30),
        "Maximum size of a request body in bytes; larger requests get status 413.",
    ),
    Setting(
        "SCHEDULER",
        "web",
        one_of("web", "off"),
        "Where scheduled jobs run: in one of the web processes (`web`), or only in `flask jobs run` (`off`).",
    ),
    Setting(
        "PACKAGE_INDEX_URL",
        "https://pypi.org",
        web_address,
        "URL of the Python package index that package pages link to and that releases are read from.",
    ),
    Setting(
        "DOWNLOAD_COUNTS_URL",
        "https://pypistats.org",
        web_address,
        "URL of the service that provides download counts for the package index.",
    ),
    Setting(
        "CODE_HOSTS",
        "github.com github https://api.github.com, gitlab.com gitlab, bitbucket.org bitbucket, codeberg.org forgejo",
        code_hosts,
        "Comma-separated code hosts that repositories are read from: each has a host name, a kind (github, gitlab, "
        "bitbucket or forgejo) and, if it differs from the default, its API URL.",
    ),
    Setting(
        "CODE_HOST_TOKENS",
        "",
        tokens,
        "Comma-separated access tokens for code hosts, as in `github.com=ghp_…`. Read access to public data is "
        "sufficient. Without a token, GitHub allows 60 requests an hour.",
        is_secret=True,
    ),
    Setting(
        "ALLOWED_HOSTS_OUT",
        "",
        names,
        "Comma-separated hosts (with the port, if it is not the default) that the site may connect to even if they are "
        "on this machine or in a private network. All other HTTP requests go only to the hosts of the URL settings, at "
        "public IP addresses.",
    ),
    Setting(
        "CONTACT",
        "",
        text,
        "Contact for the operators of the hosts that the site fetches data from, sent in the User-Agent header: an "
        "email address or a URL. Empty: PUBLIC_URL.",
    ),
    Setting(
        "WEBHOOK_SECRET",
        "",
        text,
        "Secret that authenticates webhooks, as a signature (GitHub) or a token (GitLab). Empty: webhooks are "
        "rejected.",
        is_secret=True,
    ),
    Setting(
        "REVIEW_FIRST_EDITS",
        "0",
        whole(0, 1000),
        "Number of each new user's first edits that a moderator must approve. 0: no review.",
    ),
    Setting(
        "MAIL",
        "",
        one_of("", "smtp", "outbox", "off"),
        "How account emails are sent: `smtp` (through SMTP_HOST; requires PUBLIC_URL and MAIL_FROM), `outbox` (shown "
        "on a page, for trying out the site; refused if other machines can reach the site) or `off`. Empty: `outbox` "
        "if only this machine can reach the site, otherwise `off`.",
    ),
    Setting("SMTP_HOST", "localhost", text, "Host name of the mail server."),
    Setting("SMTP_PORT", "587", whole(1, 65535), "Port of the mail server."),
    Setting("SMTP_USER", "", text, "Username for the mail server. Empty: no authentication."),
    Setting("SMTP_PASSWORD", "", text, "Password for the mail server.", is_secret=True),
    Setting(
        "SMTP_TLS",
        "starttls",
        one_of("starttls", "tls", "none"),
        "Encryption of the connection to the mail server: `starttls`, `tls` (from the start) or `none`.",
    ),
    Setting("MAIL_FROM", "", sender, "Sender address of emails. Required with MAIL=smtp."),
    Setting(
        "API_REQUIRE_IF_MATCH",
        "off",
        switch,
        "Whether API requests that change a record with a token must include If-Match (otherwise status 428). If the "
        "header is sent, changes to an outdated version are rejected with either value.",
    ),
    Setting(
        "LIMITS",
        "on",
        one_of("on", "off"),
        "Whether API requests, searches and logins are rate limited. `off` is meant for benchmarks.",
    ),
    Setting(
        "REDIS_URL",
        "",
        text,
        "Redis database for rate limit counters shared by several machines, as in redis://host:6379/0; requires the "
        "package `redis`. Empty: each machine has its own counters, in DATA_DIR.",
        is_secret=True,
    ),
    Setting("OAUTH_GITHUB_ID", "", text, "Client ID for login with GitHub. Empty: login with GitHub is disabled."),
    Setting("OAUTH_GITHUB_SECRET", "", text, "Client secret for OAUTH_GITHUB_ID.", is_secret=True),
    Setting("OAUTH_GITHUB_URL", "https://github.com", web_address, "URL of the GitHub server used for login."),
    Setting("OAUTH_GITHUB_API", "https://api.github.com", web_address, "API URL of the GitHub server used for login."),
    Setting("OAUTH_GITLAB_ID", "", text, "Client ID for login with GitLab. Empty: login with GitLab is disabled."),
    Setting("OAUTH_GITLAB_SECRET", "", text, "Client secret for OAUTH_GITLAB_ID.", is_secret=True),
    Setting("OAUTH_GITLAB_URL", "https://gitlab.com", web_address, "URL of the GitLab server used for login."),
)


def is_local(values: Mapping[str, Any]) -> bool:
    """Return whether, according to its settings, the site can only be reached from this machine."""
    public = urlsplit(values["PUBLIC_URL"]).hostname
    names_of_others = [name for name in values["TRUSTED_HOSTS"] if not is_loopback(name)]
    return (
        is_loopback(values["HOST"])
        and not values["PROXY_HOPS"]
        and (not public or is_loopback(public))
        and not names_of_others
    )


def clashes(values: Mapping[str, Any]) -> list[str]:
    """Return an error message for each invalid combination of settings, starting with the name of the setting."""
    found = []
    mail = values["MAIL"]
    if mail == "outbox" and not is_local(values):
        found.append(
            "MAIL='outbox': the outbox shows all emails to any visitor, so it is only allowed if the site is reachable "
            "from this machine alone (see HOST, PUBLIC_URL, TRUSTED_HOSTS, PROXY_HOPS); expected smtp or off"
        )
    if mail == "smtp":
        found += [
            f"{name}='': required when MAIL is smtp"
            for name in ("PUBLIC_URL", "MAIL_FROM", "SMTP_HOST")
            if not values[name]
        ]
    for provider in ("GITHUB", "GITLAB"):
        if values[f"OAUTH_{provider}_ID"] and not values[f"OAUTH_{provider}_SECRET"]:
            found.append(f"OAUTH_{provider}_SECRET=…: required when OAUTH_{provider}_ID is set")
    return found


def read_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all settings by name.

    Raises:
        BadSetting: a value is invalid; the message lists all invalid settings.
    """
    values: dict[str, Any] = {}
    refusals = []
    for setting in SETTINGS:
        given = environ.get(setting.name, setting.default)
        try:
            values[setting.name] = setting.read(given)
        except ValueError as error:
            shown = "…" if setting.is_secret else repr(given)
            refusals.append(f"{setting.name}={shown}: {error}")
    refusals += clashes(values) if not refusals else []
    if refusals:
        raise BadSetting("; ".join(refusals))
    values["MAIL"] = values["MAIL"] or ("outbox" if is_local(values) else "off")
    return values


def secret_key(folder: Path) -> str:
    """Return the secret key stored in `folder`; generate it on the first call.

    Several processes may start at the same time: each writes a complete temporary file and links it to the final
    path. The first link wins.
    """
    place = folder / "secret_key"
    if not place.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".secret_key-{os.getpid()}-{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, place)
        except FileExistsError:
            pass  # another process was first: use its key
        finally:
            draft.unlink()
    return place.read_text().strip()


def flask_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration for Flask and its extensions that results from the settings."""
    https = settings["PUBLIC_URL"].startswith("https://")
    return {
        **settings,
        "SECRET_KEY": settings["SECRET_KEY"] or secret_key(Path(settings["DATA_DIR"])),
        "MIGRATIONS": str(ROOT / "migrations"),
        "SQLALCHEMY_DATABASE_URI": settings["DATABASE_URL"],
        "TRUSTED_HOSTS": settings["TRUSTED_HOSTS"] or None,
        "MAX_CONTENT_LENGTH": settings["MAX_BODY_BYTES"],
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,  # a form can stay open as long as its session lasts
        "WTF_CSRF_SSL_STRICT": False,  # the token is sufficient; browsers may omit the Referer header
    }


def from_environment() -> dict[str, Any]:
    """Return the complete configuration, read from the environment variables of this process.

    Raises:
        BadSetting: a value is invalid.
    """
    return flask_config(read_settings(os.environ))
