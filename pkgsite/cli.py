"""The commands: each asks a service, commits, and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pkgsite.clients.base import RecordSite
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.v4_site import V4Site
from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Invalid, NotFound, UpstreamError
from pkgsite.extensions import db
from pkgsite.jobs import commands
from pkgsite.models import begin_write
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
SIGINT_EXIT_STATUS = 130  # what a shell expects of a program that Ctrl-C stopped
KIND_PLURALS = {Kind.PACKAGE: "packages", Kind.GRID: "grids", Kind.CATEGORY: "categories", Kind.PERSON: "people"}
ROLES = ("user", "moderator", "staff")


def init_app(app: Flask) -> None:
    add_commands(app.cli)


def add_commands(group: click.Group) -> None:
    """Add the site's commands to `flask` or to `pkgsite`."""
    group.add_command(import_v4)
    group.add_command(load_catalogue_file)
    commands.add_commands(group)
    group.add_command(users)
    group.add_command(search)


@click.command("import-v4")
@click.argument("url")
@with_appcontext
def import_v4(url: str) -> None:
    """Import categories, grids and packages from another site's API v4 at URL.

    You can stop the import and run it again: it resumes where it stopped, and later runs only apply changes. Exits
    with status 0 if everything was read, even if some records were skipped, and 1 if the import failed.
    """
    require_tables()
    public_url = current_app.config["PUBLIC_URL"]
    reader = JsonClient(user_agent=f"pkgsite (+{public_url})" if public_url else "pkgsite", timeouts=TIMEOUTS)
    try:
        site = V4Site(url, reader)
    except Invalid as refusal:
        raise click.ClickException(" ".join(refusal.problems["url"])) from refusal
    session = db.session()
    try:
        state = run_import(session, site)
    except KeyboardInterrupt:
        session.rollback()
        click.echo(f"Import stopped. {interruption_message(session, site)}", err=True)
        sys.exit(SIGINT_EXIT_STATUS)
    except (UpstreamError, Conflict, DBAPIError) as failure:
        session.rollback()
        message = failure.orig if isinstance(failure, DBAPIError) else failure
        raise click.ClickException(f"{message}.\n{interruption_message(session, site)}") from failure
    print_summary(state.tallies, ("categories", "grids", "packages"))


def run_import(session: Session, site: RecordSite) -> ImportCursor:
    """Bring an import to its end, from wherever it stands."""
    state = load_import_cursor(session, site.root)
    session.commit()
    if state != ImportCursor(site.root):
        click.echo(f"Resuming the last import: {state.stage}, {state.offset} done.", err=True)
    while state.stage != DONE:
        state = import_stage(session, site, state)
    return state


def import_stage(session: Session, site: RecordSite, state: ImportCursor) -> ImportCursor:
    """Read the rest of a stage page by page, each with no transaction open, and take each in one transaction."""
    stage = state.stage
    page = site.page(state.collection, state.offset)
    with click.progressbar(
        length=page.count, label=f"{stage:10}", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        while True:
            state = import_page(session, state, page, now=utc_now())
            session.commit()
            if state.stage != stage:
                bar.update(page.count - bar.pos)
                return state
            bar.update(state.offset - bar.pos)
            page = site.page(state.collection, state.offset)


def interruption_message(session: Session, site: RecordSite) -> str:
    """Return what a person should know who sees an import break off."""
    if load_import_cursor(session, site.root) == ImportCursor(site.root):
        return f"Nothing was imported. Is {site.root} the root URL of an API v4?"
    return "The records imported so far are kept. Run the command again to resume."


@click.command("load-catalogue")
@click.argument("file", type=click.File("rb"), required=False)
@with_appcontext
def load_catalogue_file(file: BinaryIO | None) -> None:
    """Load a catalogue from FILE, or the bundled one. Edits made on this site are kept."""
    require_tables()
    content, name = (file.read(), file.name) if file else (BUNDLED_CATALOGUE.read_bytes(), str(BUNDLED_CATALOGUE))
    session = db.session()
    try:
        tallies = load_catalogue(session, content, now=utc_now())
    except Invalid as refusal:
        problems = [f"  {location}: {word}" for location, message in refusal.problems.items() for word in message]
        raise click.ClickException("\n".join([f"Could not load {name}. No changes were made.", *problems])) from refusal
    session.commit()
    print_summary(tallies, tuple(tallies))


def require_tables() -> None:
    """Stop at once, in plain words, where the database is still to be made."""
    if not inspect(db.engine).has_table("import_progress"):
        command = f"{current_app.config['COMMAND']} db upgrade"
        raise click.ClickException(f"The database has no tables yet. Run this first: {command}")


def print_summary(tallies: Mapping[str, ImportTally], nouns: tuple[str, ...]) -> None:
    """Print a line for each noun, then every remark."""
    counts = {noun: {outcome: tallies[noun].count(outcome) for outcome in Outcome} for noun in nouns}
    for noun, of_noun in counts.items():
        columns = ", ".join(f"{number:5} {outcome}" for outcome, number in of_noun.items())
        click.echo(f"{noun:10} {columns}, {len(tallies[noun].skipped):5} skipped")
    if not any(of_noun[Outcome.ADDED] or of_noun[Outcome.CHANGED] for of_noun in counts.values()):
        click.echo("No changes: everything is already up to date.")
    newer_here = sum(tally.newer_facts_kept for tally in tallies.values())
    if newer_here:
        click.echo(
            f"Kept the newer facts on this site for {newer_here} {'package' if newer_here == 1 else 'packages'}."
        )
    remarks = [remark for tally in tallies.values() for remark in tally.warnings]
    if remarks:
        click.echo(f"\n{len(remarks)} {'warning' if len(remarks) == 1 else 'warnings'}:")
    for remark in remarks:
        click.echo(f"  {remark}")


@click.group()
def search() -> None:
    """Manage the search index."""


@search.command()
@with_appcontext
def rebuild() -> None:
    """Rebuild the search index for all packages, grids, categories and people.

    Search keeps using the old index until the new one is complete; edits wait until then. If you stop the command,
    the old index stays in place. Run it after changing SEARCH_PREFIX or after editing the database directly.
    """
    require_tables()
    session = db.session()
    begin_write(session)
    with click.progressbar(
        length=1, label="Indexing", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        prefixes = tuple(current_app.config["SEARCH_PREFIX"])
        found = search_index.rebuild(session, ignored_prefixes=prefixes, now=utc_now(), on_progress=tell)
        session.commit()
    for kind, number in found.items():
        click.echo(f"{KIND_PLURALS[kind]:10} {number:8} indexed")


@click.group()
def users() -> None:
    """Manage user accounts."""


@users.command()
@click.argument("username")
@click.option("--email", default="", help="Email address (treated as confirmed).")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="Role of the account.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of prompting.")
@with_appcontext
def create(username: str, email: str, role: str, password_stdin: bool) -> None:
    """Create the account USERNAME.

    Prompts for the password, so that it does not appear in the process list or shell history.
    """
    try:
        password = _read_password(password_stdin)
        validate_new_password(password, username, email)
        create_user_as_operator(db.session(), username, email, hash_password(password), role, now=utc_now())
    except Invalid as refusal:
        raise _click_error(refusal) from refusal
    db.session.commit()
    click.echo(f"Created account {username} with the role {role}. Log in at {_absolute_url('accounts.login')}")


@users.command()
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="moderator", show_default=True, help="Role of the account.")
@with_appcontext
def promote(username: str, role: str) -> None:
    """Change the role of the account USERNAME (username or email address)."""
    try:
        name = account_settings.set_role(db.session(), username, role)
    except NotFound as gone:
        raise _unknown_user(username) from gone
    db.session.commit()
    click.echo(f"{name} now has the role {role}.")


@users.command()
@click.argument("username")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@with_appcontext
def disable(username: str, undo: bool) -> None:
    """Disable the account USERNAME: end its sessions, revoke its API tokens and block login."""
    try:
        name = account_settings.set_active(db.session(), username, is_active=undo, now=utc_now())
    except NotFound as gone:
        raise _unknown_user(username) from gone
    db.session.commit()
    click.echo(
        f"{name} can log in again." if undo else f"{name} has been logged out everywhere and can no longer log in."
    )


@users.command("reset-link")
@click.argument("username")
@with_appcontext
def reset_link(username: str) -> None:
    """Print a single-use password reset link for USERNAME, valid for two hours.

    Share it only with the account's owner.
    """
    try:
        user = get_user_by_login(db.session(), username)
    except NotFound as gone:
        raise _unknown_user(username) from gone
    if not user.is_active:
        undo = f"{current_app.config['COMMAND']} users disable --undo …"
        raise click.ClickException(f"{user.username} is disabled. Run this first: {undo}")
    site = SiteContext(current_app.config["SITE_TITLE"], str(current_app.secret_key), _absolute_url)
    click.echo(account_settings.reset_url(site, user))


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _absolute_url(endpoint: str, **values: Any) -> str:
    """Return the full address of a page, as the settings let it be known."""
    settings = current_app.config
    host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
    root = settings["PUBLIC_URL"] or f"http://{host}:{settings['PORT']}"
    return str(root + current_app.url_map.bind("site").build(endpoint, values))


def _click_error(error: Invalid) -> click.ClickException:
    return click.ClickException(" ".join(word for message in error.problems.values() for word in message))


def _unknown_user(username: str) -> click.ClickException:
    return click.ClickException(f"No account found for {username}.")
