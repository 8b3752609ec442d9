"""All settings: name, default, unit and meaning, read from environment variables.

If a value is invalid, the site does not start, and the error names the setting. A test checks that
`docs/settings.md` matches this list. This module imports nothing from pkgsite.
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
INSTALLED_MIGRATIONS = ROOT / "pkgsite" / "migrations"
IS_INSTALLED = INSTALLED_MIGRATIONS.is_dir()  # with pip; otherwise the site runs from its source tree


class InvalidSetting(ValueError):
    """A setting has an invalid value; the message names the setting."""


@dataclass(frozen=True)
class Setting:
    """One setting. `parse` parses the environment variable, or raises a ValueError that says what was expected."""

    name: str
    default: str
    parse: Callable[[str], Any]
    description: str
    is_secret: bool = False  # error messages do not show its value


def parse_text(value: str) -> str:
    return value.strip()


def parse_directory(value: str) -> str:
    """Parse the path of a directory; a relative path is relative to the current directory."""
    return str(Path(value.strip()).absolute())


def integer_between(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a parser for integers from `minimum` to `maximum`."""

    def parse(value: str) -> int:
        expected = f"expected an integer from {minimum} to {maximum}"
        try:
            number = int(value)
        except ValueError:
            raise ValueError(expected) from None
        if not minimum <= number <= maximum:
            raise ValueError(expected)
        return number

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that accepts one of these choices."""

    def parse(value: str) -> str:
        choice = value.strip().lower()
        if choice not in choices:
            raise ValueError(f"expected one of {', '.join(filter(None, choices))}")
        return choice

    return parse


def parse_on_off(value: str) -> bool:
    """Parse `on` or `off`."""
    return one_of("on", "off")(value) == "on"


def parse_synonym_table(value: str) -> str | None:
    """Return the content of a file with synonyms; None if there is none."""
    if not value:
        return None
    try:
        text = Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"must be the path of a text file ({error})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#") and not re.match(r"\s*\w+\s*:.*\w", line):
            raise ValueError(
                f"must name a file with lines such as “drf: rest framework”; line {number} has another form"
            )
    return text


def parse_comma_separated(value: str) -> list[str]:
    """Parse a comma-separated list; empty items are dropped."""
    return [name.strip() for name in value.split(",") if name.strip()]


def parse_http_url(value: str) -> str:
    """Parse an HTTP(S) URL and remove a trailing slash; an empty value stays empty."""
    url = value.strip().rstrip("/")
    if url:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected a URL such as https://packages.example.org")
    return url


@dataclass(frozen=True)
class CodeHostSetting:
    """A code host from the setting CODE_HOSTS: its kind, and its API URL if it differs from the default."""

    kind: str
    api: str


def parse_code_hosts(value: str) -> dict[str, CodeHostSetting]:
    """Parse comma-separated hosts, each "name kind" or "name kind api-url"."""
    hosts = {}
    for entry in parse_comma_separated(value):
        parts = entry.split()
        if len(parts) not in (2, 3) or parts[1] not in HOST_KINDS:
            kinds = ", ".join(HOST_KINDS)
            raise ValueError(f"expected entries such as `git.example.org gitlab`; the kind must be one of {kinds}")
        hosts[parts[0].lower()] = CodeHostSetting(parts[1], parse_http_url("".join(parts[2:])))
    return hosts


def parse_tokens(value: str) -> dict[str, str]:
    """Parse comma-separated "host=token" pairs."""
    tokens_by_host = {}
    for entry in parse_comma_separated(value):
        host, equals, token = entry.partition("=")
        if not (host.strip() and equals and token.strip()):
            raise ValueError("expected tokens such as `github.com=ghp_…`")
        tokens_by_host[host.strip().lower()] = token.strip()
    return tokens_by_host


def parse_time_zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value.strip())
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a directory of time zones
        raise ValueError("expected a time zone name such as Europe/Paris") from None


def parse_database_url(value: str) -> str:
    """Parse a SQLAlchemy database URL for SQLite or PostgreSQL; the old scheme `postgres://` is accepted."""
    url = value.strip()
    if url.startswith("postgres://"):
        url = "postgresql://" + url.removeprefix("postgres://")
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("expected sqlite:///file.db or postgresql://user@host/name")
    return url


def parse_email_sender(value: str) -> str:
    """Parse the sender address of emails, with or without a display name."""
    sender = value.strip()
    if sender and not re.fullmatch(r"(?:[^<>@\x00-\x1f\x7f]+ )?<?[^\s<>@,;]+@[^\s<>@,;]+>?", sender):
        raise ValueError("expected an email address such as Packages <packages@example.org>")
    return sender


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address, which only this machine can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


HOST_KINDS = ("github", "gitlab", "bitbucket", "forgejo")

SETTINGS = (
    Setting("HOST", "127.0.0.1", parse_text, "Address that the web server listens on."),
    Setting("PORT", "8000", integer_between(1, 65535), "Port that the web server listens on."),
    Setting("WORKERS", "2", integer_between(1, 256), "Number of web worker processes."),
    Setting(
        "DATABASE_URL",
        "sqlite:///pkgsite.db",
        parse_database_url,
        "Database URL: SQLite (a relative path is relative to DATA_DIR) or PostgreSQL.",
    ),
    Setting(
        "DATA_DIR",
        "instance" if IS_INSTALLED else str(ROOT / "instance"),
        parse_directory,
        "Directory for the SQLite database, the secret key file and the rate limit counters. A relative path is "
        "relative to the current directory. Default: in a clone, its `instance` directory; otherwise `instance` in "
        "the current directory.",
    ),
    Setting(
        "SECRET_KEY",
        "",
        parse_text,
        "Key that signs sessions and links in emails. Empty: generated once and stored in DATA_DIR/secret_key, "
        "readable only by its owner.",
        is_secret=True,
    ),
    Setting("SITE_TITLE", "pkgsite", parse_text, "Site name, shown in the header and in page titles."),
    Setting("SITE_SUBJECT", "Django", parse_text, "What the packages are for, as in “Django packages”. Can be empty."),
    Setting(
        "SEARCH_PREFIX",
        "django",
        parse_comma_separated,
        "Comma-separated common prefixes of package names: search also finds packages by name without the prefix. "
        "After changing it, run the command `search rebuild`.",
    ),
    Setting(
        "SEARCH_SYNONYMS",
        "",
        parse_synonym_table,
        "Path of a file with the synonyms that search uses, instead of the default ones: one word per line, as in "
        "`drf: rest framework, djangorestframework`. An empty file disables synonyms.",
    ),
    Setting("TIMEZONE", "America/New_York", parse_time_zone, "Time zone of times in the API and on pages."),
    Setting(
        "PUBLIC_URL",
        "",
        parse_http_url,
        "Public URL of the site, used in canonical links, feeds and emails. With https, cookies are Secure and the "
        "HSTS header is sent.",
    ),
    Setting(
        "TRUSTED_HOSTS",
        "",
        parse_comma_separated,
        "Comma-separated host names that the site accepts (`.example.org` includes subdomains); requests for other "
        "hosts get status 400. Empty: any host.",
    ),
    Setting(
        "PROXY_HOPS",
        "0",
        integer_between(0, 10),
        "Number of reverse proxies in front of the site whose X-Forwarded-* headers are trusted. 0: the headers are "
        "ignored.",
    ),
    Setting(
        "MAX_BODY_BYTES",
        "1048576",
        integer_between(1024, 1 << 30),
        "Maximum size of a request body in bytes; larger requests get status 413.",
    ),
    Setting(
        "CLIENT_TIMEOUT",
        "20",
        integer_between(1, 600),
        "Seconds after which a client is disconnected that stalls while it sends a request or reads a response.",
    ),
    Setting(
        "SCHEDULER",
        "web",
        one_of("web", "off"),
        "Where scheduled jobs run: in one of the web processes (`web`), or only in the command `jobs run` (`off`).",
    ),
    Setting(
        "PACKAGE_INDEX_URL",
        "https://pypi.org",
        parse_http_url,
        "URL of the Python package index that package pages link to and that releases are read from.",
    ),
    Setting(
        "DOWNLOAD_COUNTS_URL",
        "https://pypistats.org",
        parse_http_url,
        "URL of the service that provides download counts for the package index.",
    ),
    Setting(
        "CODE_HOSTS",
        "github.com github https://api.github.com, gitlab.com gitlab, bitbucket.org bitbucket, codeberg.org forgejo",
        parse_code_hosts,
        "Comma-separated code hosts that repositories are read from: each has a host name, a kind (github, gitlab, "
        "bitbucket or forgejo) and, if it differs from the default, its API URL.",
    ),
    Setting(
        "CODE_HOST_TOKENS",
        "",
        parse_tokens,
        "Comma-separated access tokens for code hosts, as in `github.com=ghp_…`. Read access to public data is "
        "sufficient. Without a token, GitHub allows 60 requests an hour.",
        is_secret=True,
    ),
    Setting(
        "ALLOWED_HOSTS_OUT",
        "",
        parse_comma_separated,
        "Comma-separated hosts (with the port, if it is not the default) that the site may connect to even if they are "
        "on this machine or in a private network. All other HTTP requests go only to the hosts of the URL settings, at "
        "public IP addresses.",
    ),
    Setting(
        "CONTACT",
        "",
        parse_text,
        "Contact for the operators of the hosts that the site fetches data from, sent in the User-Agent header: an "
        "email address or a URL. Empty: PUBLIC_URL.",
    ),
    Setting(
        "WEBHOOK_SECRET",
        "",
        parse_text,
        "Secret that authenticates webhooks, as a signature (GitHub) or a token (GitLab). Empty: webhooks are "
        "rejected.",
        is_secret=True,
    ),
    Setting(
        "REVIEW_FIRST_EDITS",
        "0",
        integer_between(0, 1000),
        "Number of each new user's first edits that a moderator must approve. 0: no review.",
    ),
    Setting(
        "MAIL",
        "",
        one_of("", "smtp", "outbox", "off"),
        "How account emails are sent: `smtp` (through SMTP_HOST; requires PUBLIC_URL and MAIL_FROM), `outbox` (shown "
        "on a page, for trying out the site; not allowed if other machines can reach the site) or `off`. Empty: "
        "`outbox` if only this machine can reach the site, otherwise `off`.",
    ),
    Setting("SMTP_HOST", "localhost", parse_text, "Host name of the mail server."),
    Setting("SMTP_PORT", "587", integer_between(1, 65535), "Port of the mail server."),
    Setting("SMTP_USER", "", parse_text, "Username for the mail server. Empty: no authentication."),
    Setting("SMTP_PASSWORD", "", parse_text, "Password for the mail server.", is_secret=True),
    Setting(
        "SMTP_TLS",
        "starttls",
        one_of("starttls", "tls", "none"),
        "Encryption of the connection to the mail server: `starttls`, `tls` (from the start) or `none`.",
    ),
    Setting("MAIL_FROM", "", parse_email_sender, "Sender address of emails. Required with MAIL=smtp."),
    Setting(
        "API_REQUIRE_IF_MATCH",
        "off",
        parse_on_off,
        "Whether API requests that change a record with a token must include If-Match (otherwise status 428). If the "
        "header is sent, changes to an outdated version are always rejected.",
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
        parse_text,
        "Redis database for rate limit counters shared by several machines, as in redis://host:6379/0; requires the "
        "package `redis`. Empty: each machine has its own counters, in DATA_DIR.",
        is_secret=True,
    ),
    Setting("LOG_FORMAT", "text", one_of("text", "json"), "Format of the log: `text` or `json` (an object per line)."),
    Setting(
        "LOG_LEVEL",
        "info",
        one_of("debug", "info", "warning", "error"),
        "Least severe messages of the site that are logged: `debug`, `info`, `warning` or `error`.",
    ),
    Setting(
        "ACCESS_LOG",
        "off",
        parse_on_off,
        "Whether each request is logged (at the level info), without the tokens in links that emails contain.",
    ),
    Setting(
        "SLOW_QUERY_MS",
        "0",
        integer_between(0, 3_600_000),
        "Milliseconds from which a database statement is logged as slow, without its values. 0: none are logged.",
    ),
    Setting(
        "METRICS_TOKEN",
        "",
        parse_text,
        "Bearer token for the Prometheus metrics at /metrics. Empty: there are no metrics, and the URL does not exist.",
        is_secret=True,
    ),
    Setting(
        "SENTRY_DSN",
        "",
        parse_text,
        "Address (DSN) of the Sentry project that errors are reported to; requires the package `sentry-sdk`.",
        is_secret=True,
    ),
    Setting(
        "OAUTH_GITHUB_ID", "", parse_text, "Client ID for login with GitHub. Empty: login with GitHub is disabled."
    ),
    Setting("OAUTH_GITHUB_SECRET", "", parse_text, "Client secret for OAUTH_GITHUB_ID.", is_secret=True),
    Setting("OAUTH_GITHUB_URL", "https://github.com", parse_http_url, "URL of the GitHub server used for login."),
    Setting(
        "OAUTH_GITHUB_API", "https://api.github.com", parse_http_url, "API URL of the GitHub server used for login."
    ),
    Setting(
        "OAUTH_GITLAB_ID", "", parse_text, "Client ID for login with GitLab. Empty: login with GitLab is disabled."
    ),
    Setting("OAUTH_GITLAB_SECRET", "", parse_text, "Client secret for OAUTH_GITLAB_ID.", is_secret=True),
    Setting("OAUTH_GITLAB_URL", "https://gitlab.com", parse_http_url, "URL of the GitLab server used for login."),
)


def is_local(values: Mapping[str, Any]) -> bool:
    """Return whether, according to its settings, the site can only be reached from this machine."""
    public_host = urlsplit(values["PUBLIC_URL"]).hostname
    non_loopback_hosts = [name for name in values["TRUSTED_HOSTS"] if not is_loopback(name)]
    return (
        is_loopback(values["HOST"])
        and not values["PROXY_HOPS"]
        and (not public_host or is_loopback(public_host))
        and not non_loopback_hosts
    )


def find_conflicts(values: Mapping[str, Any]) -> list[str]:
    """Return an error message for each invalid combination of settings, starting with the name of the setting."""
    errors = []
    email_mode = values["MAIL"]
    if email_mode == "outbox" and not is_local(values):
        errors.append(
            "MAIL='outbox': the outbox shows all emails to any visitor, so it is only allowed if the site is reachable "
            "from this machine alone (see HOST, PUBLIC_URL, TRUSTED_HOSTS, PROXY_HOPS); expected smtp or off"
        )
    if email_mode == "smtp":
        errors += [
            f"{name}='': required when MAIL is smtp"
            for name in ("PUBLIC_URL", "MAIL_FROM", "SMTP_HOST")
            if not values[name]
        ]
    for provider in ("GITHUB", "GITLAB"):
        if values[f"OAUTH_{provider}_ID"] and not values[f"OAUTH_{provider}_SECRET"]:
            errors.append(f"OAUTH_{provider}_SECRET='': required when OAUTH_{provider}_ID is set")
    return errors


def read_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all settings by name.

    Raises:
        InvalidSetting: A value is invalid; the message lists all invalid settings.
    """
    values: dict[str, Any] = {}
    errors = []
    for setting in SETTINGS:
        raw_value = environ.get(setting.name, setting.default)
        try:
            values[setting.name] = setting.parse(raw_value)
        except ValueError as error:
            masked_value = "…" if setting.is_secret else repr(raw_value)
            errors.append(f"{setting.name}={masked_value}: {error}")
    if not errors:
        errors = find_conflicts(values)
    if errors:
        raise InvalidSetting("; ".join(errors))
    values["MAIL"] = values["MAIL"] or ("outbox" if is_local(values) else "off")
    return values


def load_or_create_secret_key(folder: Path) -> str:
    """Return the secret key stored in `folder`; generate it on the first call.

    Several processes may start at the same time: each writes a complete temporary file and links it to the final
    path. The first link wins.
    """
    key_path = folder / "secret_key"
    if not key_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary_path = folder / f".secret_key-{os.getpid()}-{secrets.token_hex(4)}"
        descriptor = os.open(temporary_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(temporary_path, key_path)
        except FileExistsError:
            pass  # another process was first: use its key
        finally:
            temporary_path.unlink()
    return key_path.read_text().strip()


def flask_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration for Flask and its extensions that results from the settings."""
    https = settings["PUBLIC_URL"].startswith("https://")
    return {
        **settings,
        "SECRET_KEY": settings["SECRET_KEY"] or load_or_create_secret_key(Path(settings["DATA_DIR"])),
        "MIGRATIONS": str(INSTALLED_MIGRATIONS if IS_INSTALLED else ROOT / "migrations"),
        "COMMAND": "pkgsite" if IS_INSTALLED else ".venv/bin/flask --app wsgi",  # as users type it
        "SQLALCHEMY_DATABASE_URI": settings["DATABASE_URL"],
        "TRUSTED_HOSTS": settings["TRUSTED_HOSTS"] or None,
        "MAX_CONTENT_LENGTH": settings["MAX_BODY_BYTES"],
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,  # a form can stay open as long as its session lasts
        "WTF_CSRF_SSL_STRICT": False,  # the token is sufficient; browsers may omit the Referer header
    }


def load_config() -> dict[str, Any]:
    """Return the complete configuration, read from the environment variables of this process.

    Raises:
        InvalidSetting: A value is invalid.
    """
    return flask_config(read_settings(os.environ))
