"""Commands: every command of the site is documented, with all options and arguments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from flask import Flask

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
FLASK_MIGRATE_GROUP = "db"  # only its `upgrade` command is documented


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the site's commands with their full names, including those in groups."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            if name != FLASK_MIGRATE_GROUP:
                yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def spellings(parameter: click.Parameter) -> list[str]:
    """Return the names and choices of an option, or the name of an argument."""
    if isinstance(parameter, click.Option):
        choices = [str(choice) for choice in parameter.type.choices] if isinstance(parameter.type, click.Choice) else []
        return [*parameter.opts, *parameter.secondary_opts, *choices]
    return [parameter.make_metavar(click.Context(click.Command("any"))).strip("[]…")]


def section(name: str) -> str:
    start = f"\n## {name}\n"
    page = PAGE.read_text()
    assert start in page, f"docs/commands.md has no section {name}"
    return page.partition(start)[2].partition("\n## ")[0]


def test_every_command_is_documented_with_its_options_examples_and_exit_status(app: Flask) -> None:
    commands_by_name = dict(commands(app.cli))
    assert {"serve", "refresh", "import-v4", "load-catalogue", "jobs run"} <= set(commands_by_name)
    for name, command in commands_by_name.items():
        documentation = section(name)
        assert f"    .venv/bin/flask --app wsgi {name}" in documentation, name
        assert "Exit status: 0 " in documentation, name
        for parameter in command.params:
            for spelling in spellings(parameter):
                assert spelling in documentation, f"{name}: {spelling} is not documented"
    assert "    .venv/bin/flask --app wsgi db upgrade" in section("db upgrade")


def test_every_documented_command_exists(app: Flask) -> None:
    sections = {line.removeprefix("## ") for line in PAGE.read_text().splitlines() if line.startswith("## ")}
    assert sections == {*dict(commands(app.cli)), "db upgrade"}
