"""Every setting of the site: its name, default, unit and meaning, read from the environment.

A bad value stops the start and names the setting. The same list is the source of `docs/settings.md`'s test.
This file imports nothing of ours.
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
    """A setting has a value that the site can't start with; the message names it."""


@dataclass(frozen=True)
class Setting:
    """One setting: `read` turns the environment's text into a value or raises ValueError saying what was expected."""

    name: str
    default: str
    read: Callable[[str], Any]
    meaning: str
    is_secret: bool = False  # a refusal does not repeat its value


def text(value: str) -> str:
    return value.strip()


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(value: str) -> int:
        expected = f"expected a whole number from {least} to {most}"
        try:
            number = int(value)
        except ValueError:
            raise ValueError(expected) from None
        if not least <= number <= most:
            raise ValueError(expected)
        return number

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader that takes one of the named words."""

    def read(value: str) -> str:
        word = value.strip().lower()
        if word not in choices:
            raise ValueError(f"expected one of {', '.join(filter(None, choices))}")
        return word

    return read


def switch(value: str) -> bool:
    """Read `on` or `off`."""
    return one_of("on", "off")(value) == "on"


def names(value: str) -> list[str]:
    """Read a comma-separated list; blanks are dropped."""
    return [name.strip() for name in value.split(",") if name.strip()]


def web_address(value: str) -> str:
    """Read an http(s) address without a trailing slash; empty stays empty."""
    address = value.strip().rstrip("/")
    if address:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected an address such as https://packages.example.org")
    return address


@dataclass(frozen=True)
class Host:
    """A code host, as the setting CODE_HOSTS names it: its kind, and where its API is if not at the usual place."""

    kind: str
    api: str


def code_hosts(value: str) -> dict[str, Host]:
    """Read comma-separated hosts, each "name kind" or "name kind address-of-its-API"."""
    found = {}
    for entry in names(value):
        words = entry.split()
        if len(words) not in (2, 3) or words[1] not in HOST_KINDS:
            kinds = ", ".join(HOST_KINDS)
            raise ValueError(f"expected hosts such as `git.example.org gitlab`, of one of the kinds {kinds}")
        found[words[0].lower()] = Host(words[1], web_address("".join(words[2:])))
    return found


def tokens(value: str) -> dict[str, str]:
    """Read comma-separated "host=token"."""
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
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder of zones
        raise ValueError("expected a time zone's name such as Europe/Paris") from None


def database_url(value: str) -> str:
    """Read a SQLAlchemy address of SQLite or PostgreSQL; the old `postgres://` spelling is understood."""
    address = value.strip()
    if address.startswith("postgres://"):
        address = "postgresql://" + address.removeprefix("postgres://")
    if not address.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("expected sqlite:///file.db or postgresql://user@host/name")
    return address


def sender(value: str) -> str:
    """Read the address that letters come from, with or without a name before it."""
    given = value.strip()
    if given and not re.fullmatch(r"(?:[^<>@\x00-\x1f\x7f]+ )?<?[^\s<>@,;]+@[^\s<>@,;]+>?", given):
        raise ValueError("expected an address such as Packages <packages@example.org>")
    return given


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host."""
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
        "Where the data is: SQLite (a relative file lies in DATA_DIR) or PostgreSQL.",
    ),
    Setting("DATA_DIR", str(ROOT / "instance"), text, "Folder of the SQLite file and of the secret key's file."),
    Setting(
        "SECRET_KEY",
        "",
        text,
        "Key that signs sessions. Empty: made once and kept in DATA_DIR/secret_key, readable by its owner only.",
        is_secret=True,
    ),
    Setting("SITE_TITLE", "pkgsite", text, "The site's name, in its header and page titles."),
    Setting("SITE_SUBJECT", "Django", text, "What the packages are for, as in “Django packages”; may be empty."),
    Setting(
        "SEARCH_PREFIX",
        "django",
        names,
        "What package names often begin with, comma-separated: search finds a package by its name without it too. "
        "After a change run `flask search rebuild`.",
    ),
    Setting("TIMEZONE", "America/New_York", time_zone, "Time zone in which the API and the pages write times."),
    Setting(
        "PUBLIC_URL",
        "",
        web_address,
        "The site's address as visitors type it, for canonical links, feeds and mails. "
        "With https, cookies are Secure and HSTS is sent.",
    ),
    Setting(
        "TRUSTED_HOSTS",
        "",
        names,
        "Host names that the site answers to, comma-separated (`.example.org` takes subdomains); "
        "others get 400. Empty: any.",
    ),
    Setting(
        "PROXY_HOPS",
        "0",
        whole(0, 10),
        "Number of proxies in front whose X-Forwarded-* headers are believed; 0: none is.",
    ),
    Setting("MAX_BODY_BYTES", "1048576", whole(1024, 1 << 30), "Largest request body taken, in bytes; more is 413."),
    Setting(
        "SCHEDULER",
        "web",
        one_of("web", "off"),
        "Where scheduled jobs run: in one of the web processes, or (`off`) only where `flask jobs run` runs.",
    ),
    Setting(
        "PACKAGE_INDEX_URL",
        "https://pypi.org",
        web_address,
        "Address of the Python package index that package pages link to and releases are read from.",
    ),
    Setting(
        "DOWNLOAD_COUNTS_URL",
        "https://pypistats.org",
        web_address,
        "Address of the host that counts the package index's downloads.",
    ),
    Setting(
        "CODE_HOSTS",
        "github.com github https://api.github.com, gitlab.com gitlab, bitbucket.org bitbucket, codeberg.org forgejo",
        code_hosts,
        "Code hosts that repositories are read from, comma-separated: each a name, a kind (github, gitlab, bitbucket, "
        "forgejo) and, if it is not at the usual place, the address of its API.",
    ),
    Setting(
        "CODE_HOST_TOKENS",
        "",
        tokens,
        "Tokens for code hosts, comma-separated, as in `github.com=ghp_…`; one that may read public data is enough. "
        "Without one GitHub answers 60 requests an hour.",
        is_secret=True,
    ),
    Setting(
        "ALLOWED_HOSTS_OUT",
        "",
        names,
        "Hosts, comma-separated, with the port where it is an unusual one, that may lie on this machine or its "
        "network. The site asks no host but these and those of the addresses above, and those only in the open "
        "internet.",
    ),
    Setting(
        "CONTACT",
        "",
        text,
        "Whom the hosts that the site asks can write to: a mail address or a page. Empty: PUBLIC_URL.",
    ),
    Setting(
        "WEBHOOK_SECRET",
        "",
        text,
        "Secret with which code hosts sign (GitHub) or open (GitLab) what they send. Empty: webhooks are refused.",
        is_secret=True,
    ),
    Setting(
        "REVIEW_FIRST_EDITS",
        "0",
        whole(0, 1000),
        "Number of each person's first edits that are held until a moderator has looked at them; 0: none is.",
    ),
    Setting(
        "MAIL",
        "",
        one_of("", "smtp", "outbox", "off"),
        "How letters about accounts go: `smtp` (through SMTP_HOST; needs PUBLIC_URL), `outbox` (shown on a page, for "
        "trying the site out; refused where others than this machine can reach the site) or `off`. "
        "Empty: `outbox` where only this machine can reach the site, otherwise `off`.",
    ),
    Setting("SMTP_HOST", "localhost", text, "Name of the mail server."),
    Setting("SMTP_PORT", "587", whole(1, 65535), "Port of the mail server."),
    Setting("SMTP_USER", "", text, "Name to log in to the mail server with. Empty: without."),
    Setting("SMTP_PASSWORD", "", text, "Password to log in to the mail server with.", is_secret=True),
    Setting(
        "SMTP_TLS",
        "starttls",
        one_of("starttls", "tls", "none"),
        "How the talk with the mail server is kept secret: `starttls`, `tls` (from the first byte on) or `none`.",
    ),
    Setting("MAIL_FROM", "", sender, "Address that letters come from. With MAIL=smtp it must be set."),
    Setting(
        "API_REQUIRE_IF_MATCH",
        "off",
        switch,
        "Whether a program that changes a record by a token has to say with If-Match which version it has seen (428 "
        "if not). `off`: it may; where it does, a change of another version is refused either way.",
    ),
    Setting(
        "LIMITS",
        "on",
        one_of("on", "off"),
        "Whether it is limited how often one caller may ask the API, search and log in; `off` is for benchmarks.",
    ),
    Setting(
        "REDIS_URL",
        "",
        text,
        "Redis in which the limits of several machines are counted together, as in redis://host:6379/0; needs the "
        "package `redis`. Empty: each machine counts for itself, in DATA_DIR.",
        is_secret=True,
    ),
    Setting("OAUTH_GITHUB_ID", "", text, "Client ID with which people log in by GitHub. Empty: they can't."),
    Setting("OAUTH_GITHUB_SECRET", "", text, "Client secret that belongs to OAUTH_GITHUB_ID.", is_secret=True),
    Setting("OAUTH_GITHUB_URL", "https://github.com", web_address, "Address of the GitHub that people log in by."),
    Setting("OAUTH_GITHUB_API", "https://api.github.com", web_address, "Address of that GitHub's API."),
    Setting("OAUTH_GITLAB_ID", "", text, "Client ID with which people log in by GitLab. Empty: they can't."),
    Setting("OAUTH_GITLAB_SECRET", "", text, "Client secret that belongs to OAUTH_GITLAB_ID.", is_secret=True),
    Setting("OAUTH_GITLAB_URL", "https://gitlab.com", web_address, "Address of the GitLab that people log in by."),
)


def is_local(values: Mapping[str, Any]) -> bool:
    """Tell whether, by its settings, a site can only be reached from its own machine."""
    public = urlsplit(values["PUBLIC_URL"]).hostname
    names_of_others = [name for name in values["TRUSTED_HOSTS"] if not is_loopback(name)]
    return (
        is_loopback(values["HOST"])
        and not values["PROXY_HOPS"]
        and (not public or is_loopback(public))
        and not names_of_others
    )


def clashes(values: Mapping[str, Any]) -> list[str]:
    """Return what does not fit together, each setting by its name."""
    found = []
    mail = values["MAIL"]
    if mail == "outbox" and not is_local(values):
        found.append(
            "MAIL='outbox': it shows every letter to whoever looks, so it is refused where others than this machine "
            "can reach the site (HOST, PUBLIC_URL, TRUSTED_HOSTS, PROXY_HOPS); expected smtp or off"
        )
    if mail == "smtp":
        found += [
            f"{name}='': expected a value, since MAIL is smtp"
            for name in ("PUBLIC_URL", "MAIL_FROM", "SMTP_HOST")
            if not values[name]
        ]
    for provider in ("GITHUB", "GITLAB"):
        if values[f"OAUTH_{provider}_ID"] and not values[f"OAUTH_{provider}_SECRET"]:
            found.append(f"OAUTH_{provider}_SECRET=…: expected a value, since OAUTH_{provider}_ID is set")
    return found


def read_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return every setting's value by name.

    Raises:
        BadSetting: a value can't be used; the message has a line for each such setting.
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
    """Return the key kept in `folder`, making it on the first call.

    Several processes may start at once: the key is written whole beside its place and linked there; the first link
    wins.
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
            pass  # another process was first: its key is the site's
        finally:
            draft.unlink()
    return place.read_text().strip()


def flask_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of Flask and its extensions that follows from the settings."""
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
        "WTF_CSRF_TIME_LIMIT": None,  # a form may lie open as long as its session lasts
        "WTF_CSRF_SSL_STRICT": False,  # the token is enough; a referrer may be withheld
    }


def from_environment() -> dict[str, Any]:
    """Return the whole configuration, read from the process's environment.

    Raises:
        BadSetting: a value can't be used.
    """
    return flask_config(read_settings(os.environ))
