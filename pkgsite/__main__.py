"""The `pkgsite` command: the same commands as `flask --app wsgi`, without Flask's built-in ones."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

import click
from flask import Flask
from flask.cli import ScriptInfo
from flask_migrate.cli import db
from werkzeug.utils import import_string

import pkgsite
from pkgsite import cli, server


@click.group()
@click.version_option(pkgsite.__version__, prog_name="pkgsite")
@click.pass_context
def main(context: click.Context) -> None:
    """Run and manage a pkgsite site. Settings are environment variables."""
    context.obj = ScriptInfo(create_app=load_app)


def load_app() -> Flask:
    """Return the application. Only commands that need it load it: `--help` works even if a setting is invalid."""
    return cast(Flask, import_string("wsgi:app"))


cli.add_commands(main)
main.add_command(server.serve)
main.add_command(db)
for extension in entry_points(group="flask.commands"):  # as `flask` does
    main.add_command(extension.load(), extension.name)

if __name__ == "__main__":
    main(prog_name="pkgsite")
