"""The commands `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import allow_new_file, record_file
from pkgsite.operations.startup import explained
from pkgsite.outages import describe, is_outage
from pkgsite.services.backup import (
    Backup,
    BackupReader,
    InvalidBackup,
    open_backup,
    snapshot_options,
    unconstrained,
    write_backup,
)
from pkgsite.services.search import indexer as search_index

FILE = click.Path(dir_okay=False, path_type=Path)


def add_commands(group: click.Group) -> None:
    group.add_command(backup)
    group.add_command(restore)


@click.command()
@click.argument("file", type=FILE)
@with_appcontext
@explained
def backup(file: Path) -> None:
    """Write all records to the new file FILE, while the site runs.

    The file does not contain the setting SECRET_KEY.
    """
    if file.exists():
        raise click.ClickException(f"{file} already exists. No backup was made.")
    with db.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            raise click.ClickException("The database has no tables yet. No backup was made.")
        connection.rollback()
        connection = connection.execution_options(**snapshot_options(connection.dialect.name))
        with connection.begin():
            try:
                written = write_backup(connection, file, now=utc_now())
            except OSError as error:
                raise click.ClickException(f"Could not write {file}: {error.strerror}. No backup was made.") from error
    click.echo(f"Wrote {_size(written)} to {file} (SHA-256 {written.checksum}).")
    click.echo(f"The secret key (SECRET_KEY) is not included. Keep a copy of {_key_source()} elsewhere.")


@click.command()
@click.argument("file", type=FILE)
@click.option("--check", is_flag=True, help="Only check that FILE is complete and undamaged.")
@with_appcontext
@explained
def restore(file: Path, check: bool) -> None:
    """Restore the backup FILE into an empty database.

    Either everything is restored or nothing.
    """
    try:
        with open_backup(file) as reader:
            if check:
                created_at = reader.backup.created_at
                click.echo(f"{file} is complete and undamaged. It was made at {created_at:%Y-%m-%d %H:%M} UTC.")
                return
            _require_known_revision(reader.backup.revision)
            restored = restore_backup(reader)
    except OSError as error:
        raise click.ClickException(f"Could not read {file}: {error.strerror}.") from error
    except InvalidBackup as error:
        raise click.ClickException(f"{file}: {error} Nothing was restored.") from error
    except DBAPIError as error:
        if is_outage(error):
            raise  # `explained` says what to do
        raise click.ClickException(f"Nothing was restored: {describe(error)}") from error
    click.echo(f"Restored {_size(restored)} from {restored.created_at:%Y-%m-%d %H:%M} UTC.")


def restore_backup(reader: BackupReader) -> Backup:
    """Create the tables, insert the rows, migrate to the current revision and index, all in one transaction."""
    allow_new_file(db.engine)
    with db.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
        _set_foreign_keys(connection, "OFF")
        try:
            with connection.begin():
                if inspect(connection).get_table_names():
                    raise InvalidBackup("The database is not empty.")
                _migrate(connection, reader.backup.revision)
                with unconstrained(connection):
                    reader.load(connection)
                _migrate(connection, "head")
                session = Session(bind=connection)
                prefixes = tuple(current_app.config["SEARCH_PREFIX"])
                search_index.rebuild(
                    session, ignored_prefixes=prefixes, now=utc_now(), on_progress=lambda _done, _total: None
                )
                session.flush()
        finally:
            _set_foreign_keys(connection, "ON")
    record_file(db.engine)
    return reader.backup


def _migrate(connection: Connection, revision: str) -> None:
    """Migrate within the transaction of a connection."""
    config = _alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _alembic_config() -> Config:
    config: Config = current_app.extensions["migrate"].migrate.get_config()
    return config


def _require_known_revision(revision: str) -> None:
    try:
        ScriptDirectory.from_config(_alembic_config()).get_revision(revision)
    except CommandError:
        raise InvalidBackup(
            f"The backup was made by a newer version of pkgsite (database revision {revision}). "
            "Install that version, then restore the backup."
        ) from None


def _set_foreign_keys(connection: Connection, state: str) -> None:
    if connection.dialect.name == "sqlite":
        driver_connection: Any = connection.connection.dbapi_connection
        driver_connection.execute(f"PRAGMA foreign_keys={state}").close()


def _size(content: Backup) -> str:
    rows, tables = sum(content.row_counts.values()), len(content.row_counts)
    return f"{rows:,} rows of {tables} tables"


def _key_source() -> str:
    """Return where the secret key comes from: the file in the data directory, or the setting."""
    path = Path(current_app.config["DATA_DIR"]) / "secret_key"
    is_from_file = path.exists() and path.read_text().strip() == current_app.secret_key
    return f"the file {path}" if is_from_file else "the setting SECRET_KEY"
