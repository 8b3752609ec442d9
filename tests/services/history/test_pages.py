"""What a revision says in words, and what bulk undo foresees."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import Cell, Feature, GridPackage, Package, Revision
from pkgsite.services.changeset import Changeset
from pkgsite.services.history.bulk_revert import bulk_revert_page
from pkgsite.services.history.entries import HistoryEntry, describe_change, label_text
from pkgsite.services.history.names import ObjectReferences, load_names
from pkgsite.services.history.pages import object_history
from pkgsite.services.history.revert import HistoryScope, revert_all_by
from pkgsite.services.permissions import ANONYMOUS, Viewer
from tests.factories import NOW, make_category, make_grid, make_package
from tests.users import make_user, viewer_of

MOD = Viewer(99, "mod", "moderator")


def told(session: Session, kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a revision says of each field: the value before and after, by label."""
    action = "edit" if before and after else "add" if after else "delete"
    revision = Revision(object_type=kind, object_id=1, action=action, before=before, after=after, at=NOW)
    references = ObjectReferences()
    references.add(revision)
    line = describe_change(revision, load_names(session, references, ANONYMOUS))
    return {field.label: (field.before, field.after) for field in line.fields}


def test_values_are_told_in_words(session: Session) -> None:
    app, tool = make_category(session, "a", title="App"), make_category(session, "t", title="Tool")
    two, hidden = make_package(session, "two", title="Two"), make_package(session, "h", title="Secret", hidden_at=NOW)
    at = NOW.isoformat()
    for kind, before, after, says in (
        ("package", {"category_id": app.id}, {"category_id": tool.id}, {"category": ("App", "Tool")}),
        ("package", {"category_id": app.id}, {"category_id": 99}, {"category": ("App", "a deleted category")}),
        ("package", {"replaced_by_id": None}, {"replaced_by_id": two.id}, {"replaced by": (None, "Two")}),
        ("package", {"replaced_by_id": 99}, {"replaced_by_id": hidden.id},
         {"replaced by": ("a deleted package", "a hidden package")}),
        ("package", {"deprecated_at": None}, {"deprecated_at": at}, {"deprecated since": (None, NOW)}),
        ("package", {"hidden_at": "not a day"}, {"hidden_at": None}, {"hidden since": ("not a day", None)}),
        ("grid", {"is_locked": False}, {"is_locked": True}, {"locked": ("no", "yes")}),
        ("site", {"is_approved": None}, {"is_approved": False}, {"approved": ("pending review", "no")}),
        ("feature", {"position": 0, "title": "A"}, {"position": 4, "title": "B"},
         {"title": ("A", "B"), "position": ("1", "5")}),
        ("cell", None, {"text": "yes", "feature_id": 1, "grid_package_id": 1, "created_at": at, "version": 1},
         {"text": (None, "yes")}),
        ("feature", {"title": "A", "description": "", "position": 3, "grid_id": 1}, None, {"title": ("A", None)}),
        ("package", {"by_api": 1}, {"by_api": 2}, {"by api": ("1", "2")}),
        ("unheard_of", {"x": 1}, {"x": [2]}, {"x": ("1", "[2]")}),
    ):  # fmt: skip
        assert told(session, kind, before, after) == says, (kind, before, after)


def entries(session: Session, scope: HistoryScope, viewer: Viewer = ANONYMOUS) -> list[HistoryEntry]:
    return object_history(session, scope, viewer).entries


def test_an_act_is_told_in_each_history_as_far_as_it_concerns_it(session: Session) -> None:
    ada = viewer_of(make_user(session, "ada"))
    one, two = make_package(session, "one"), make_package(session, "two")
    grid = make_grid(session, "g", (one, two))
    ids, grid_id = (one.id, two.id), grid.id
    session.commit()
    with Changeset(session, by=ada, now=NOW) as changeset:
        changeset.delete(grid)
    session.commit()
    assert [len(entry.changes) for entry in entries(session, HistoryScope("grid", grid_id))] == [3]
    for number, title in zip(ids, ("one", "two"), strict=True):
        (entry,) = entries(session, HistoryScope("package", number))
        assert [label_text(line.label) for line in entry.changes] == [f"Package “{title}” in grid “G”"]
    with pytest.raises(NotFound):
        entries(session, HistoryScope("nothing", 1))


@pytest.mark.parametrize("seed", range(4))
def test_what_bulk_undo_foresees_is_what_comes(session: Session, seed: int) -> None:
    dice = random.Random(seed)
    people = [viewer_of(make_user(session, name)) for name in ("eve", "ada")]
    packages = [make_package(session, f"p-{n}") for n in range(3)]
    grid_id = make_grid(session, "g", (packages[0], packages[1])).id
    ids = [package.id for package in packages]
    session.commit()

    def at(step: int) -> datetime:
        return NOW + timedelta(minutes=step)

    for step in range(60):
        session.rollback()
        with Changeset(session, by=dice.choice(people), now=at(step)) as changeset:
            features = session.scalars(select(Feature)).all()
            cells = session.scalars(select(Cell)).all()
            chance = dice.random()
            if chance < 0.25:
                package = session.get_one(Package, dice.choice(ids))
                changeset.edit(package, {dice.choice(["title", "documentation_url"]): f"t {step}"})
            elif chance < 0.5 or not features:
                changeset.add(Feature(grid_id=grid_id, title=f"f {step}", description="", position=step,
                                created_at=at(step), modified_at=at(step)))  # fmt: skip
            elif chance < 0.6:
                changeset.delete(dice.choice(features))
            elif cells and chance < 0.75:
                changeset.edit(dice.choice(cells), {"text": f"c {step}"})
            else:
                member, feature = dice.choice(session.scalars(select(GridPackage)).all()), dice.choice(features)
                taken = {(cell.grid_package_id, cell.feature_id) for cell in cells}
                if (member.id, feature.id) not in taken:
                    changeset.add(Cell(grid_package_id=member.id, feature_id=feature.id, text="x",
                                 created_at=at(step), modified_at=at(step)))  # fmt: skip
        session.commit()
    page = bulk_revert_page(session, "EVE", MOD, days=None, now=at(99))
    assert page.revertible_count
    assert page.skipped_count
    mod = viewer_of(make_user(session, "mod", role="moderator"))
    session.commit()
    with Changeset(session, by=mod, now=at(99)) as changeset:
        done = revert_all_by(changeset, page.user_id)
    assert (page.revertible_count, page.skipped_count) == (len(done.reverted), len(done.skipped))
    assert [entry.id for entry in page.skipped] == done.skipped


def test_only_moderators_foresee(session: Session) -> None:
    make_user(session, "ada")
    with pytest.raises(Forbidden):
        bulk_revert_page(session, "ada", Viewer(1, "ada"), days=None, now=NOW)
    with pytest.raises(NotFound):
        bulk_revert_page(session, "nobody", MOD, days=None, now=NOW)
    assert bulk_revert_page(session, "ada", MOD, days=3, now=NOW).revertible_count == 0
