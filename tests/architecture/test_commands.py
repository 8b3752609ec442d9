"""Commands: each that the site has is documented, with every option and argument."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from flask import Flask

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
OF_FLASK_MIGRATE = "db"  # of these only the one that operators need is ours to explain


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the site's own commands, those within groups too, each with its whole name."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            if name != OF_FLASK_MIGRATE:
                yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def words_of(parameter: click.Parameter) -> list[str]:
    """Return what a person may write for an option or argument."""
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
    found = dict(commands(app.cli))
    assert {"serve", "refresh", "import-v4", "load-catalogue", "jobs run"} <= set(found)
    for name, command in found.items():
        told = section(name)
        assert f"    .venv/bin/flask --app wsgi {name}" in told, name
        assert "Exit status: 0 " in told, name
        for parameter in command.params:
            for word in words_of(parameter):
                assert word in told, f"{name} does not tell of {word}"
    assert "    .venv/bin/flask --app wsgi db upgrade" in section("db upgrade")


def test_no_command_is_documented_that_is_not_there(app: Flask) -> None:
    sections = {line.removeprefix("## ") for line in PAGE.read_text().splitlines() if line.startswith("## ")}
    assert sections == {*dict(commands(app.cli)), "db upgrade"}
