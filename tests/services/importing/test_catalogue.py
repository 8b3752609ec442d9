"""Loading a catalogue from a file: whole, again, beside people's work, and into an empty database only once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid
from pkgsite.extensions import db
from pkgsite.models import Category, Cell, Feature, Grid, GridPackage, Package, Revision
from pkgsite.services.importing.catalogue import BUNDLED_CATALOGUE, load_bundled_catalogue_if_empty, load_catalogue
from pkgsite.services.importing.records import ImportTally, Outcome
from pkgsite.services.packages.records import package_by_id
from tests.factories import NOW, make_category, make_feature
from tests.fakes.v4_site import FakeV4Site

LATER = NOW + timedelta(days=1)


@pytest.fixture
def file() -> dict[str, Any]:
    """A catalogue of one grid with two packages and two features."""
    fake = FakeV4Site()
    fast = {"title": "Is fast", "description": "In our eyes.", "cells": {"foo": "yes", "bar": "no"}}
    small = {"title": "Is small", "description": "", "cells": {"foo": "2 KB"}}
    return {
        "categories": [fake.add_category(1, "apps")],
        "grids": [fake.add_grid(7, "caching", features=[fast, small])],
        "packages": [
            fake.add_package(12, "foo", grids=(7,), participants_complete=False),
            fake.add_package(13, "bar", grids=(7,)),
        ],
    }


def load(session: Session, file: dict[str, Any], *, now: datetime = NOW) -> dict[str, ImportTally]:
    tallies = load_catalogue(session, json.dumps(file).encode(), now=now)
    session.commit()
    return tallies


def outcomes(tallies: dict[str, ImportTally]) -> dict[str, tuple[int, ...]]:
    """Return for each noun how many were added, changed, unchanged and skipped."""
    return {
        noun: (*(tally.count(outcome) for outcome in Outcome), len(tally.skipped)) for noun, tally in tallies.items()
    }


def remarks(tallies: dict[str, ImportTally]) -> list[str]:
    return [remark for tally in tallies.values() for remark in tally.warnings]


def features(session: Session) -> list[tuple[str, str, int]]:
    rows = session.execute(select(Feature.title, Feature.description, Feature.position).order_by(Feature.position))
    return [tuple(row) for row in rows]  # type: ignore[misc]


def cells(session: Session) -> dict[tuple[str, str], str]:
    """Return the text of every cell, by feature and package."""
    rows = session.execute(
        select(Feature.title, Package.slug, Cell.text)
        .select_from(Cell)
        .join(Feature)
        .join(GridPackage, GridPackage.id == Cell.grid_package_id)
        .join(Package)
    )
    return {(row.title, row.slug): row.text for row in rows}


def scores(session: Session) -> dict[str, int | None]:
    found = {row.slug: row.score for row in session.execute(select(Package.slug, Package.score))}
    session.rollback()
    return found


def edit_as_user(session: Session, noun: str, number: int, action: str = "edit", **states: Any) -> None:
    """Record that a person did something; `before` and `after` are the states."""
    session.add(Revision(at=NOW, object_type=noun, object_id=number, action=action, **states))


def test_everything_comes_in(session: Session, file: dict[str, Any]) -> None:
    tallies = load(session, file)
    assert outcomes(tallies) == {
        "categories": (1, 0, 0, 0),
        "grids": (1, 0, 0, 0),
        "packages": (2, 0, 0, 0),
        "features": (2, 0, 0, 0),
        "cells": (3, 0, 0, 0),
    }
    assert features(session) == [("Is fast", "In our eyes.", 0), ("Is small", "", 1)]
    assert cells(session) == {("Is fast", "foo"): "yes", ("Is fast", "bar"): "no", ("Is small", "foo"): "2 KB"}
    assert not package_by_id(session, 12).participants_complete
    assert package_by_id(session, 13).participants_complete


def test_scores_are_there_at_once(session: Session, file: dict[str, Any]) -> None:
    file["packages"][0] |= {"repo_watchers": 100, "last_updated": "2025-08-20T00:00:00Z"}  # six whole months before
    load(session, file)
    assert scores(session) == {"foo": 80, "bar": 511}
    load(session, file, now=NOW + timedelta(days=100))  # the facts are the same, but older
    assert scores(session) == {"foo": 70, "bar": 408}
    assert set(session.scalars(select(Package.changed_at))) == {NOW}


def test_a_second_load_changes_nothing(session: Session, file: dict[str, Any]) -> None:
    load(session, file)
    tallies = load(session, file, now=LATER)
    assert {noun: found[:2] for noun, found in outcomes(tallies).items()} == dict.fromkeys(tallies, (0, 0))
    assert remarks(tallies) == []
    assert {*session.scalars(select(Feature.modified_at)), *session.scalars(select(Grid.changed_at))} == {NOW}


def test_what_is_new_in_the_file_comes_in(session: Session, file: dict[str, Any]) -> None:
    load(session, file)
    fast, small = file["grids"][0]["features"]
    fast["cells"]["foo"] = "very"
    small["description"] = "In bytes."
    small["cells"]["bar"] = "3 KB"
    file["grids"][0]["features"] = [small, fast, {"title": "Is new", "description": ""}]
    tallies = load(session, file, now=LATER)
    assert outcomes(tallies)["features"] == (1, 2, 0, 0)
    assert outcomes(tallies)["cells"] == (1, 1, 2, 0)
    assert features(session) == [("Is small", "In bytes.", 0), ("Is fast", "In our eyes.", 1), ("Is new", "", 2)]
    assert cells(session)["Is fast", "foo"] == "very"
    assert session.get_one(Grid, 7).changed_at == LATER


def test_a_file_that_is_not_sound_changes_nothing(session: Session, file: dict[str, Any]) -> None:
    file["packages"][1]["title"] = None
    with pytest.raises(Invalid, match="package 13 “bar”: title is not a string"):
        load(session, file)
    session.commit()
    assert session.scalar(select(func.count()).select_from(Category)) == 0


def test_what_a_person_wrote_is_kept_and_told(session: Session, file: dict[str, Any]) -> None:
    load(session, file)
    fast = session.scalars(select(Feature).where(Feature.title == "Is fast")).one()
    small = session.scalars(select(Feature).where(Feature.title == "Is small")).one()
    cell = session.scalars(select(Cell).where(Cell.text == "2 KB")).one()
    fast.title = "Is quick"
    edit_as_user(session, "feature", fast.id, before={"title": "Is fast"}, after={"title": "Is quick"})
    small.description = "In our words."
    edit_as_user(session, "feature", small.id, before={"description": ""}, after={"description": "In our words."})
    cell.text = "4 KB"
    edit_as_user(session, "cell", cell.id, before={"text": "2 KB"}, after={"text": "4 KB"})
    session.get_one(Grid, 7).title = "Caches"
    edit_as_user(session, "grid", 7, before={"title": "Caching"}, after={"title": "Caches"})
    session.commit()
    tallies = load(session, file)
    assert remarks(tallies) == [
        "grid 7 “caching”: kept values edited on this site: title",
        "feature “Is fast” in grid 7: kept values edited on this site: title",
        "feature “Is small” in grid 7: kept values edited on this site: description",
        "cell for package 12, feature “Is small” in grid 7: kept values edited on this site: text",
    ]
    assert {noun: found[:2] for noun, found in outcomes(tallies).items()} == dict.fromkeys(tallies, (0, 0))
    assert features(session) == [("Is quick", "In our eyes.", 0), ("Is small", "In our words.", 1)]
    assert cells(session)["Is small", "foo"] == "4 KB"
    assert session.get_one(Grid, 7).title == "Caches"


def test_what_a_person_deleted_stays_deleted(session: Session, file: dict[str, Any]) -> None:
    load(session, file)
    fast = session.scalars(select(Feature).where(Feature.title == "Is fast")).one()
    cell = session.scalars(select(Cell).where(Cell.text == "2 KB")).one()
    edit_as_user(session, "feature", fast.id, "delete", before={"grid_id": 7, "title": "Is fast", "description": ""})
    states = {"feature_id": cell.feature_id, "grid_package_id": cell.grid_package_id, "text": "2 KB"}
    edit_as_user(session, "cell", cell.id, "delete", before=states)
    session.delete(fast)
    session.delete(cell)
    session.commit()
    assert remarks(load(session, file)) == [
        "feature “Is fast” in grid 7: deleted on this site, not restored",
        "cell for package 12, feature “Is small” in grid 7: deleted on this site, not restored",
    ]
    assert features(session) == [("Is small", "", 1)]
    assert cells(session) == {}


def test_a_package_that_a_person_took_out_gets_no_cells(session: Session, file: dict[str, Any]) -> None:
    load(session, file)
    session.delete(session.scalars(select(GridPackage).where(GridPackage.package_id == 13)).one())
    edit_as_user(session, "membership", 1, "delete", before={"grid_id": 7, "package_id": 13})
    session.commit()
    assert remarks(load(session, file)) == [
        "package 13 “bar”: removed from grid 7 on this site, not added again",
        "cell for package 13, feature “Is fast” in grid 7: skipped (the package is not in the grid on this site)",
    ]


def test_features_of_our_own_are_our_own(session: Session, file: dict[str, Any]) -> None:
    load(session, file)
    make_feature(session, session.get_one(Grid, 7), "Is ours")
    session.commit()
    assert outcomes(load(session, file))["features"] == (0, 0, 2, 0)
    assert features(session)[-1] == ("Is ours", "", 2)


def test_the_shipped_catalogue_comes_in_whole(session: Session) -> None:
    tallies = load_bundled_catalogue_if_empty(session, now=NOW)
    session.commit()
    assert tallies is not None
    assert remarks(tallies) == []
    assert {noun: tally.count(Outcome.ADDED) for noun, tally in tallies.items()} | {"features": 0, "cells": 0} == {
        "categories": 4,
        "grids": 62,
        "packages": 87,
        "features": 0,
        "cells": 0,
    }
    shipped = json.loads(BUNDLED_CATALOGUE.read_bytes())
    assert tallies["features"].count(Outcome.ADDED) == sum(len(grid["features"]) for grid in shipped["grids"])
    again = load_catalogue(session, BUNDLED_CATALOGUE.read_bytes(), now=LATER)
    assert {noun: found[:2] for noun, found in outcomes(again).items()} == dict.fromkeys(again, (0, 0))


def test_a_shipped_package_is_as_the_file_says(session: Session) -> None:
    load_bundled_catalogue_if_empty(session, now=NOW)
    (wire,) = (package for package in json.loads(BUNDLED_CATALOGUE.read_bytes())["packages"] if package["id"] == 2235)
    ours = package_by_id(session, 2235)
    assert {
        "id": ours.id,
        "title": ours.title,
        "slug": ours.slug,
        "category": ours.category.id,
        "grids": [grid.id for grid in ours.grids],
        "last_updated": ours.last_commit_at,
        "last_fetched": ours.last_fetched_at,
        "repo_url": ours.repo_url,
        "pypi_version": ours.pypi_version,
        "created": ours.created_at,
        "modified": ours.modified_at,
        "repo_forks": ours.forks,
        "repo_watchers": ours.stars,
        "repo_description": ours.description,
        "pypi_url": ours.pypi_url,
        "documentation_url": ours.documentation_url,
        "commits_over_52": ours.commits_over_52,
        "participants": ours.participants,
        "participants_complete": ours.participants_complete,
    } == wire | {
        name: datetime.fromisoformat(wire[name]) for name in ("last_updated", "last_fetched", "created", "modified")
    }


def test_it_is_loaded_only_where_nothing_is(session: Session) -> None:
    make_category(session)
    session.commit()
    assert load_bundled_catalogue_if_empty(session, now=NOW) is None
    session.commit()
    assert session.scalar(select(func.count()).select_from(Package)) == 0


def test_two_servers_that_start_at_once_load_it_once(app: Flask, session: Session) -> None:
    found: list[dict[str, ImportTally] | None] = []

    def other_process() -> None:
        with app.app_context():
            found.append(load_bundled_catalogue_if_empty(db.session(), now=NOW))
            db.session.commit()

    first = load_bundled_catalogue_if_empty(session, now=NOW)
    second = Thread(target=other_process)
    second.start()  # it waits for the first one's commit, or comes after it
    session.commit()
    second.join()
    assert first
    assert found == [None]
