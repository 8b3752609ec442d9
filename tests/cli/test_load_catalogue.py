"""`flask load-catalogue [FILE]`, as a person runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import Package
from pkgsite.services.importing.catalogue import BUNDLED_CATALOGUE
from tests.factories import make_package

Run = Callable[..., Result]


def test_the_shipped_catalogue_is_loaded_and_a_second_time_nothing_changes(run_command: Run, session: Session) -> None:
    first = run_command("load-catalogue")
    assert first.exit_code == 0, first.output
    lines = first.stdout.splitlines()
    assert lines[:3] == [
        "categories     4 added,     0 changed,     0 unchanged,     0 skipped",
        "grids         62 added,     0 changed,     0 unchanged,     0 skipped",
        "packages      87 added,     0 changed,     0 unchanged,     0 skipped",
    ]
    assert [line.split()[0] for line in lines[3:]] == ["features", "cells"]
    second = run_command("load-catalogue")
    assert second.exit_code == 0
    assert second.stdout.splitlines()[-1] == "No changes: everything is already up to date."
    assert make_package(session, "ours").id > 5890


def test_a_file_of_ones_own(run_command: Run, tmp_path: Path, session: Session) -> None:
    file = tmp_path / "mine.json"
    file.write_bytes(BUNDLED_CATALOGUE.read_bytes())
    assert run_command("load-catalogue", str(file)).exit_code == 0
    assert session.scalar(select(func.count()).select_from(Package)) == 87


def test_a_bad_file_is_named_with_the_place_and_changes_nothing(
    run_command: Run, tmp_path: Path, session: Session
) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{\n "categories": [],\n "grids": [],\n "packages": [{"id": 12, "slug": "foo"},]\n}')
    result = run_command("load-catalogue", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: Could not load {file}. No changes were made.\n  line 4, column ")
    file.write_text('{"categories": [], "packages": [{"id": 12, "slug": "foo"}]}')
    result = run_command("load-catalogue", str(file))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1] == "  the file: has no “grids” list"
    assert result.stderr.splitlines()[2].startswith("  package 12 “foo”: category is missing; grids is missing;")
    assert session.scalar(select(func.count()).select_from(Package)) == 0


def test_a_file_that_is_not_there(run_command: Run) -> None:
    result = run_command("load-catalogue", "nowhere.json")
    assert result.exit_code == 2
    assert "'nowhere.json': No such file or directory" in result.stderr
