"""The commands: each calls a service, commits and prints the result."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_migrate.cli import db as migration_commands
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pkgsite.clients.base import RecordSite
from pkgsite.clients.gateways import user_agent
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.v4_site import V4Site
from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Invalid, NotFound, UpstreamError
from pkgsite.extensions import db
from pkgsite.jobs import commands as job_commands
from pkgsite.models import begin_write
from pkgsite.models.user import ROLES
from pkgsite.operations import backup_commands
from pkgsite.operations.startup import explained
from pkgsite.rules.search.ranking import Kind
from pkgsite.services.accounts import settings as account_settings
from pkgsite.services.accounts.passwords import hash_password
from pkgsite.services.accounts.registration import create_user_as_operator, validate_new_password
from pkgsite.services.accounts.users import SiteContext, get_user_by_login
from pkgsite.services.importing.catalogue import BUNDLED_CATALOGUE, load_catalogue
from pkgsite.services.importing.records import ImportTally, Outcome
from pkgsite.services.importing.site_import import DONE, ImportCursor, import_page, load_import_cursor
from pkgsite.services.search import indexer as search_index

TIMEOUTS = Timeouts()
KIND_PLURALS = {Kind.PACKAGE: "packages", Kind.GRID: "grids", Kind.CATEGORY: "categories", Kind.PERSON: "people"}


def init_app(app: Flask) -> None:
    add_commands(app.cli)


def add_commands(group: click.Group) -> None:
    """Add the site's commands to `flask` or to `pkgsite`."""
    group.add_command(import_v4)
    group.add_command(load_catalogue_file)
    job_commands.add_commands(group)
    group.add_command(users)
    group.add_command(search)
    backup_commands.add_commands(group)


for _command in migration_commands.commands.values():  # Flask-Migrate adds them itself
    _command.callback = explained(_command.callback)


@click.command("import-v4")
@click.argument("url")
@click.option(
    "--time-zone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    callback=lambda _context, _option, name: parse_time_zone(name),
    help="Time zone of times without a UTC offset, such as America/Chicago.",
)
@with_appcontext
@explained
def import_v4(url: str, time_zone: ZoneInfo) -> None:
    """Import categories, grids and packages from another site's API v4 at URL.

    You can stop the import and run it again: it resumes where it stopped, and later runs only apply changes. Exits
    with status 0 if everything was read, even if some records were skipped, and 1 if the import failed.
    """
    require_tables()
    client = JsonClient(
        user_agent=user_agent(current_app.config),
        timeouts=TIMEOUTS,
        retry_log_level=logging.WARNING,  # a person is waiting
    )
    try:
        site = V4Site(url, client, time_zone=time_zone)
    except Invalid as error:
        raise click.ClickException(" ".join(error.problems["url"])) from error
    session = db.session()
    try:
        cursor = run_import(session, site)
    except KeyboardInterrupt:
        session.rollback()
        click.echo(f"Import stopped. {progress_message(session, site)}", err=True)
        sys.exit(job_commands.SIGINT_EXIT_STATUS)
    except (UpstreamError, Conflict, DBAPIError) as failure:
        session.rollback()
        message = str(failure.orig if isinstance(failure, DBAPIError) else failure).rstrip(".")
        hint = "" if has_progress(session, site) else f" Is {site.root} the root URL of a site with API v4?"
        raise click.ClickException(f"{message}.\n{progress_message(session, site)}{hint}") from failure
    print_summary(cursor.tallies, ("categories", "grids", "packages"))
    if site.has_local_times:
        click.echo(f"Times without a UTC offset were read as {time_zone.key}. Use --time-zone for another zone.")


def parse_time_zone(name: str) -> ZoneInfo:
    """Return the time zone with this name; raise `click.BadParameter` if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name is that of a directory
        raise click.BadParameter(f"There is no time zone “{name}”.") from error


def run_import(session: Session, site: RecordSite) -> ImportCursor:
    """Run an import to its end, resuming at its cursor."""
    cursor = load_import_cursor(session, site.root)
    session.commit()
    if cursor != ImportCursor(site.root):
        click.echo(f"Resuming the last import at stage “{cursor.stage}”: {cursor.offset} records done.", err=True)
    while cursor.stage != DONE:
        cursor = import_stage(session, site, cursor)
    return cursor


def import_stage(session: Session, site: RecordSite, cursor: ImportCursor) -> ImportCursor:
    """Import the rest of a stage. Each page is requested without an open transaction, then stored in its own."""
    stage = cursor.stage
    page = site.page(cursor.collection, cursor.offset)
    with click.progressbar(
        length=page.count, label=f"{stage:10}", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        while True:
            cursor = import_page(session, cursor, page, now=utc_now())
            session.commit()
            if cursor.stage != stage:
                bar.update(page.count - bar.pos)
                return cursor
            bar.update(cursor.offset - bar.pos)
            page = site.page(cursor.collection, cursor.offset)


def has_progress(session: Session, site: RecordSite) -> bool:
    """Return whether an interrupted import has stored any records."""
    return load_import_cursor(session, site.root) != ImportCursor(site.root)


def progress_message(session: Session, site: RecordSite) -> str:
    """Return what an interrupted import has stored, and what to do next."""
    if has_progress(session, site):
        return "The records imported so far are kept. Run the command again to resume."
    return "Nothing was imported."


@click.command("load-catalogue")
@click.argument("file", type=click.File("rb"), required=False)
@with_appcontext
@explained
def load_catalogue_file(file: BinaryIO | None) -> None:
    """Load a catalogue from FILE, or the bundled one. Edits made on this site are kept."""
    require_tables()
    content, name = (file.read(), file.name) if file else (None, str(BUNDLED_CATALOGUE))
    session = db.session()
    try:
        tallies = load_catalogue(session, content, now=utc_now())
    except Invalid as error:
        problems = [f"  {field}: {message}" for field, messages in error.problems.items() for message in messages]
        raise click.ClickException("\n".join([f"Could not load {name}. No changes were made.", *problems])) from error
    session.commit()
    print_summary(tallies, tuple(tallies))


def require_tables() -> None:
    """Raise a `ClickException` if the database has not been created yet."""
    if not inspect(db.engine).has_table("import_progress"):
        command = f"{current_app.config['COMMAND']} db upgrade"
        raise click.ClickException(f"The database has no tables yet. Run this first: {command}")


def print_summary(tallies: Mapping[str, ImportTally], nouns: tuple[str, ...]) -> None:
    """Print a line for each noun, then the warnings."""
    for noun in nouns:
        columns = ", ".join(f"{tallies[noun].count(outcome):5} {outcome}" for outcome in Outcome)
        click.echo(f"{noun:10} {columns}, {len(tallies[noun].skipped):5} skipped")
    if not any(tallies[noun].count(outcome) for noun in nouns for outcome in (Outcome.ADDED, Outcome.CHANGED)):
        click.echo("No changes: everything is already up to date.")
    kept = sum(tally.newer_facts_kept for tally in tallies.values())
    if kept:
        click.echo(f"Kept the newer facts on this site for {_pluralise(kept, 'package')}.")
    warnings = [warning for tally in tallies.values() for warning in tally.warnings]
    if warnings:
        click.echo("\n".join([f"\n{_pluralise(len(warnings), 'warning')}:", *(f"  {warning}" for warning in warnings)]))


def _pluralise(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@click.group()
def search() -> None:
    """Manage the search index."""


@search.command()
@with_appcontext
@explained
def rebuild() -> None:
    """Rebuild the search index for all packages, grids, categories and people.

    Search uses the old index until the new one is complete; edits wait until the command has finished. If you stop
    it, the old index stays in place. Run it after changing SEARCH_PREFIX or after editing the database directly.
    """
    require_tables()
    session = db.session()
    begin_write(session)
    with click.progressbar(
        length=1, label="Indexing", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def show_progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        prefixes = tuple(current_app.config["SEARCH_PREFIX"])
        counts = search_index.rebuild(session, ignored_prefixes=prefixes, now=utc_now(), on_progress=show_progress)
        session.commit()
    for kind, count in counts.items():
        click.echo(f"{KIND_PLURALS[kind]:10} {count:8} indexed")


@click.group()
def users() -> None:
    """Manage user accounts."""


@users.command()
@click.argument("username")
@click.option("--email", default="", help="Email address (treated as confirmed).")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="Role of the account.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of prompting.")
@with_appcontext
@explained
def create(username: str, email: str, role: str, password_stdin: bool) -> None:
    """Create the account USERNAME.

    Prompts for the password, so that it does not appear in the process list or shell history.
    """
    try:
        password = _read_password(password_stdin)
        validate_new_password(password, username, email)
        create_user_as_operator(db.session(), username, email, hash_password(password), role, now=utc_now())
    except Invalid as error:
        raise _to_click_exception(error) from error
    db.session.commit()
    click.echo(f"Created account {username} with the role {role}. Log in at {_absolute_url('accounts.login')}")


@users.command()
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="moderator", show_default=True, help="Role of the account.")
@with_appcontext
@explained
def promote(username: str, role: str) -> None:
    """Change the role of the account USERNAME (username or email address)."""
    try:
        name = account_settings.set_role(db.session(), username, role)
    except NotFound as error:
        raise _unknown_user(username) from error
    db.session.commit()
    click.echo(f"{name} now has the role {role}.")


@users.command()
@click.argument("username")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@with_appcontext
@explained
def disable(username: str, undo: bool) -> None:
    """Disable the account USERNAME: end its sessions, revoke its API tokens and block login."""
    try:
        name = account_settings.set_active(db.session(), username, is_active=undo, now=utc_now())
    except NotFound as error:
        raise _unknown_user(username) from error
    db.session.commit()
    click.echo(
        f"{name} can log in again." if undo else f"{name} has been logged out everywhere and can no longer log in."
    )


@users.command("reset-link")
@click.argument("username")
@with_appcontext
@explained
def reset_link(username: str) -> None:
    """Print a single-use password reset link for USERNAME, valid for two hours.

    Share it only with the account's owner.
    """
    try:
        user = get_user_by_login(db.session(), username)
    except NotFound as error:
        raise _unknown_user(username) from error
    if not user.is_active:
        command = f"{current_app.config['COMMAND']} users disable --undo {user.username}"
        raise click.ClickException(f"{user.username} is disabled. To enable the account, run: {command}")
    site = SiteContext(current_app.config["SITE_TITLE"], str(current_app.secret_key), _absolute_url)
    click.echo(account_settings.reset_url(site, user))


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _absolute_url(endpoint: str, **values: Any) -> str:
    """Return the absolute URL of a page, built from the settings."""
    settings = current_app.config
    host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
    root = settings["PUBLIC_URL"] or f"http://{host}:{settings['PORT']}"
    # Only the path is built, so the server name is not used.
    return str(root + current_app.url_map.bind("unused").build(endpoint, values))


def _to_click_exception(error: Invalid) -> click.ClickException:
    return click.ClickException(" ".join(message for messages in error.problems.values() for message in messages))


def _unknown_user(username: str) -> click.ClickException:
    return click.ClickException(f"No account found for {username}.")
