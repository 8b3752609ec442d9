"""Reverting and restoring, in random histories whose states are recorded independently of the revisions.

The work grows with the square of the length of a history: `make test` has short ones, `make test-slow` long ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, NotFound
from pkgsite.models import Category, Cell, Feature, Grid, GridPackage, Package, Revision, User
from pkgsite.services.changeset import TRACKED_MODELS, Changeset, snapshot, tracked_model_of
from pkgsite.services.history.revert import (
    HistoryScope,
    changeset_revisions,
    last_revision_id,
    restore,
    revert,
    revert_all_by,
)
from pkgsite.services.permissions import Viewer
from tests.factories import NOW, make_package
from tests.users import make_user, viewer_of

SHORT, LONG = 50, 300  # edits of a random history
Key = tuple[str, int]
State = dict[Key, dict[str, Any]]
# Hypothesis begins with the smallest number, so that a single example would always be the same.
START = random.randrange(10**6)
SEEDS = st.integers(0, 10**6).map(lambda number: number + START)
RANDOM = settings(
    max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@dataclass
class RandomHistory:
    """A grid, its packages and users who edit them at random; each changeset is recorded with the states around it."""

    session: Session
    rng: random.Random
    users: list[Viewer]
    packages: list[int]
    grid_id: int = 0
    changes: list[tuple[int, State, State]] = field(default_factory=list)  # head id, state before, state after
    count: int = 0

    def changeset(self, by: Viewer | None = None) -> Changeset:
        self.session.rollback()
        self.count += 1
        return Changeset(self.session, by=by or self.rng.choice(self.users), now=NOW + timedelta(minutes=self.count))

    def state(self) -> State:
        """Return the fields of all objects, without their versions."""
        rows: list[Any] = []
        for model in (Package, Grid, Feature, GridPackage, Cell):
            rows += self.session.scalars(select(model).execution_options(populate_existing=True))
        return {(tracked_model_of(row).name, row.id): without_version(snapshot(row)) for row in rows}

    def record(self, edit: Callable[[Changeset], object], by: Viewer | None = None) -> None:
        before = self.state()
        with self.changeset(by) as changeset:
            edit(changeset)
        self.session.commit()
        if changeset.head_id:
            self.changes.append((changeset.head_id, before, self.state()))

    def random_edit(self) -> None:
        """Make one random edit; do nothing if it is not possible now."""
        steps = [self.edit_package, self.edit_grid, self.add_feature, self.edit_feature, self.edit_feature,
                 self.move_features, self.delete_feature, self.add_package, self.add_package, self.remove_member,
                 self.fill_cell, self.fill_cell, self.fill_cell, self.fill_cell, self.delete_cell, self.revert_one,
                 self.restore_one]  # fmt: skip
        if self.rng.random() < 0.01:
            steps = [self.delete_grid]
        if self.random_row(Grid) is None:
            steps = [self.restore_one, self.revert_one]
        self.rng.choice(steps)()

    def random_row(self, model: type[Any]) -> Any:
        rows = self.session.scalars(select(model).order_by(model.id)).all()
        return self.rng.choice(rows) if rows else None

    def random_text(self) -> str:
        return f"text {self.rng.randrange(10**9)}"

    def change(self, model: type[Any], **values: Any) -> None:
        row = self.random_row(model)
        if row is not None:
            row_id = row.id
            self.record(lambda changeset: changeset.edit(changeset.session.get_one(model, row_id), values))

    def edit_package(self) -> None:
        values = {
            "title": self.random_text(),
            "slug": f"p-{self.rng.randrange(10**9)}",
            "documentation_url": self.rng.choice([None, f"https://docs.example/{self.count}"]),
            "deprecated_at": self.rng.choice([None, NOW + timedelta(days=self.count)]),
            "replaced_by_id": self.rng.choice([None, *self.packages]),
        }
        names = self.rng.sample(sorted(values), 2)
        self.change(Package, **{name: values[name] for name in names})

    def edit_grid(self) -> None:
        values = {"title": self.random_text(), "slug": f"g-{self.count}-{self.rng.randrange(10**6)}", "is_locked": True}
        name = self.rng.choice(sorted(values))
        self.change(Grid, **{name: values[name]})

    def add_feature(self) -> None:
        position = self.session.scalar(select(func.count()).select_from(Feature)) or 0
        feature = Feature(grid_id=self.grid_id, title=self.random_text(), description="", position=position)
        self.record(lambda changeset: changeset.add(feature))

    def edit_feature(self) -> None:
        name = self.rng.choice(["title", "description"])
        self.change(Feature, **{name: self.random_text()})

    def move_features(self) -> None:
        feature_ids = list(self.session.scalars(select(Feature.id).order_by(Feature.id)))
        self.rng.shuffle(feature_ids)

        def move(changeset: Changeset) -> None:
            for position, feature_id in enumerate(feature_ids):
                changeset.edit(changeset.session.get_one(Feature, feature_id), {"position": position})

        self.record(move)

    def delete_feature(self) -> None:
        self.remove(Feature)

    def delete_cell(self) -> None:
        self.remove(Cell)

    def remove_member(self) -> None:
        self.remove(GridPackage)

    def delete_grid(self) -> None:
        self.remove(Grid)

    def remove(self, model: type[Any]) -> None:
        row = self.random_row(model)
        if row is not None:
            row_id = row.id
            self.record(lambda changeset: changeset.delete(changeset.session.get_one(model, row_id)))

    def add_package(self) -> None:
        member_ids = set(self.session.scalars(select(GridPackage.package_id)))
        other_ids = [package_id for package_id in self.packages if package_id not in member_ids]
        if other_ids:
            member = GridPackage(grid_id=self.grid_id, package_id=self.rng.choice(other_ids), position=self.count)
            self.record(lambda changeset: changeset.add(member))

    def fill_cell(self) -> None:
        member, feature = self.random_row(GridPackage), self.random_row(Feature)
        if member is None or feature is None:
            return
        key = {"grid_package_id": member.id, "feature_id": feature.id}
        text = self.random_text()

        def fill(changeset: Changeset) -> None:
            cell = changeset.session.scalar(select(Cell).filter_by(**key))
            if cell is None:
                changeset.add(Cell(**key, text=text))
            else:
                changeset.edit(cell, {"text": text})

        self.record(fill)

    def revert_one(self) -> None:
        if self.changes:
            head_id = self.rng.choice(self.changes[-10:])[0]
            self.attempt(lambda changeset: revert(changeset, head_id))

    def restore_one(self) -> None:
        head_ids = [head_id for head_id, *_ in self.changes[-10:]]
        in_grid = select(Revision.id).where(Revision.id.in_(head_ids), Revision.grid_id.is_not(None))
        revision_ids = self.session.scalars(in_grid.order_by(Revision.id)).all()
        if revision_ids:
            scope, revision_id = HistoryScope("grid", self.grid_id), self.rng.choice(revision_ids)
            self.attempt(
                lambda changeset: restore(
                    changeset, scope, revision_id, last_seen_id=last_revision_id(changeset.session, scope)
                )
            )

    def attempt(self, edit: Callable[[Changeset], object]) -> None:
        try:
            self.record(edit)
        except Conflict:
            self.session.rollback()


def without_version(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "version"}


def random_history(session: Session, seed: int, edits: int) -> RandomHistory:
    """Return a history of random edits."""
    packages = [make_package(session, f"start-{index}").id for index in range(4)]
    users = [viewer_of(make_user(session, name, role="moderator")) for name in ("ada", "bob", "eve")]
    session.commit()
    history = RandomHistory(session, random.Random(seed), users, packages)

    def add_grid(changeset: Changeset) -> None:
        grid = Grid(title="Caching", slug="caching", description="", is_locked=False, header=False)
        changeset.add(grid)
        history.grid_id = grid.id

    history.record(add_grid)
    while len(history.changes) < edits:
        history.random_edit()
    return history


@pytest.fixture
def clear(session: Session) -> Callable[[], Session]:
    """A function that empties the tables for the next random history, and returns the session."""

    def clear_tables() -> Session:
        session.rollback()
        for model in (Revision, Cell, GridPackage, Feature, Grid, Package, Category, User):
            session.execute(delete(model))
        session.commit()
        session.expunge_all()
        return session

    return clear_tables


each_length = pytest.mark.parametrize(
    "edits", [pytest.param(SHORT, marks=pytest.mark.long), pytest.param(LONG, marks=pytest.mark.slow)]
)


def without_packages(state: State) -> State:
    return {key: values for key, values in state.items() if key[0] != "package"}


@each_length
@RANDOM
@given(seed=SEEDS)
def test_restoring_a_grid_to_any_revision_brings_back_its_state(
    clear: Callable[[], Session], seed: int, edits: int
) -> None:
    history = random_history(clear(), seed, edits)
    session, scope = history.session, HistoryScope("grid", history.grid_id)
    deletions = 0
    for head_id, _, after in history.changes:
        last = changeset_revisions(session, head_id)[-1]
        if last.grid_id is None:
            continue
        deletions += last.action == "delete"
        with history.changeset() as changeset:
            restore(changeset, scope, last.id, last_seen_id=last_revision_id(session, scope))
        assert without_packages(history.state()) == without_packages(after), f"after revision {last.id}"
        session.rollback()
    assert deletions > 2


@each_length
@RANDOM
@given(seed=SEEDS)
def test_restoring_a_package_to_any_revision_brings_back_its_state(
    clear: Callable[[], Session], seed: int, edits: int
) -> None:
    history = random_history(clear(), seed, edits)
    restored = 0
    for head_id, _, after in history.changes:
        for revision in changeset_revisions(history.session, head_id):
            if revision.object_type == "package":
                key = "package", revision.object_id
                scope = HistoryScope(*key)
                with history.changeset() as changeset:
                    restore(changeset, scope, revision.id, last_seen_id=last_revision_id(changeset.session, scope))
                assert history.state()[key] == after[key]
                history.session.rollback()
                restored += 1
    assert restored


@each_length
@RANDOM
@given(seed=SEEDS)
def test_a_changeset_can_be_reverted_unless_a_later_one_conflicts(
    clear: Callable[[], Session], seed: int, edits: int
) -> None:
    history = random_history(clear(), seed, edits)
    current = history.state()
    edited = [edited_fields(before, after) for _, before, after in history.changes]
    reverted_count = conflict_count = 0
    for index, (head_id, before, _) in enumerate(history.changes):
        has_conflict = any(conflict(edited[index], later) for later in edited[index + 1 :])
        try:
            with history.changeset() as changeset:
                revert(changeset, head_id)
        except Conflict:
            assert has_conflict, f"change {head_id} was not reverted"
            conflict_count += 1
            history.session.rollback()
            assert history.state() == current
        else:
            assert not has_conflict, f"change {head_id} was reverted"
            reverted_count += 1
            assert history.state() == reverted_state(current, edited[index], before)
        history.session.rollback()
    assert reverted_count > 3
    assert conflict_count > 3


EditedObject = tuple[set[str] | None, dict[str, Any]]  # the edited fields (None if added or deleted), the object
Edits = dict[Key, EditedObject]


def edited_fields(before: State, after: State) -> Edits:
    """Return the differences between two states."""
    edits: Edits = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            edits[key] = None, with_parents(key, old or new or {}, before if new is None else after)
        elif old != new:
            edits[key] = {name for name in old if old[name] != new[name]}, with_parents(key, new, after)
    return edits


def with_parents(key: Key, values: dict[str, Any], state: State) -> dict[str, Any]:
    """Return an object's fields with the ids of its grid, package and feature."""
    if key[0] == "cell":
        return values | {
            name: state["membership", values["grid_package_id"]][name] for name in ("grid_id", "package_id")
        }
    return values | ({"grid_id": key[1]} if key[0] == "grid" else {})


def conflict(earlier: Edits, later: Edits) -> bool:
    return any(
        objects_conflict(key, first, other_key, second)
        for key, first in earlier.items()
        for other_key, second in later.items()
    )


def objects_conflict(key: Key, first: EditedObject, other_key: Key, second: EditedObject) -> bool:
    """Return whether two edits are of the same fields, or one adds or deletes an object that contains the other."""
    (fields, values), (other_fields, other_values) = first, second
    if identity_of(key, values) == identity_of(other_key, other_values):
        return fields is None or other_fields is None or bool(fields & other_fields)
    return (fields is None and contains(key, values, other_key, other_values)) or (
        other_fields is None and contains(other_key, other_values, key, values)
    )


def identity_of(key: Key, values: dict[str, Any]) -> tuple[Any, ...]:
    if key[0] == "membership":
        return "membership", values["grid_id"], values["package_id"]
    if key[0] == "cell":
        return "cell", values["feature_id"], values["package_id"]
    return key


def contains(key: Key, values: dict[str, Any], part: Key, part_values: dict[str, Any]) -> bool:
    kind = key[0]
    if kind == "grid":
        return part[0] != "package" and bool(part_values["grid_id"] == key[1])
    if kind == "feature":
        return part[0] == "cell" and bool(part_values["feature_id"] == key[1])
    is_in_column = part[0] == "cell" and all(part_values[name] == values[name] for name in ("grid_id", "package_id"))
    return kind == "membership" and is_in_column


def reverted_state(state: State, edits: Edits, before: State) -> State:
    """Return a state in which the edited fields are as before."""
    reverted = {key: dict(values) for key, values in state.items()}
    for key, (names, _) in edits.items():
        if names is None:
            reverted.pop(key, None)
            if key in before:
                reverted[key] = before[key]
        else:
            reverted[key] |= {name: before[key][name] for name in names}
    return reverted


def test_every_kind_of_object_is_tracked() -> None:
    assert set(TRACKED_MODELS) == {"package", "grid", "feature", "membership", "cell", "site"}


def test_a_restore_fails_if_there_are_changes_that_the_user_has_not_seen(session: Session) -> None:
    package, ada = make_package(session), viewer_of(make_user(session, role="moderator"))
    session.commit()
    head_ids = [edit(session, package, ada, title=title) for title in ("One", "Two", "Three")]
    session.rollback()
    scope = HistoryScope("package", package.id)
    with pytest.raises(Conflict), make_changeset(session, ada) as changeset:
        restore(changeset, scope, head_ids[0], last_seen_id=head_ids[1])
    session.rollback()
    with make_changeset(session, ada) as changeset:
        assert restore(changeset, scope, head_ids[0], last_seen_id=head_ids[2])
    session.commit()
    assert package.title == "One"
    assert package.version == 5


def test_only_moderators_revert_other_users_edits(session: Session) -> None:
    package = make_package(session, title="First")
    ada, bob, mod = (
        viewer_of(make_user(session, name, role=role))
        for name, role in (("ada", "user"), ("bob", "user"), ("mod", "moderator"))
    )
    session.commit()
    by_ada = edit(session, package, ada, title="By Ada")
    by_bob = edit(session, package, bob, documentation_url="https://bob.example/")
    with pytest.raises(Forbidden), make_changeset(session, bob) as changeset:
        revert(changeset, by_ada)
    with pytest.raises(Forbidden), make_changeset(session, bob) as changeset:
        restore(changeset, HistoryScope("package", package.id), 0, last_seen_id=by_bob)
    with make_changeset(session, ada) as changeset:
        revert(changeset, by_ada)
    session.commit()
    assert (package.title, package.documentation_url) == ("First", "https://bob.example/")
    with make_changeset(session, mod) as changeset:
        revert(changeset, by_bob)
    session.commit()
    assert package.documentation_url is None


def test_a_revert_fails_if_another_package_uses_the_slug(session: Session) -> None:
    package, ada = make_package(session, "one"), viewer_of(make_user(session, role="moderator"))
    session.commit()
    head_id = edit(session, package, ada, slug="two")
    make_package(session, "One")
    session.commit()
    with pytest.raises(Conflict, match="Another package"), make_changeset(session, ada) as changeset:
        revert(changeset, head_id)
    session.rollback()
    assert package.slug == "two"


def test_a_bulk_revert_keeps_changes_whose_content_others_have_edited(session: Session) -> None:
    spammer, mod = (viewer_of(make_user(session, name, role=role)) for name, role in (("eve", "user"), ("m", "staff")))
    one, two = make_package(session, "one", title="One"), make_package(session, "two", title="Two")
    session.commit()
    first = edit(session, one, spammer, title="Buy")
    edit(session, one, spammer, title="Buy now", documentation_url="https://spam.example/")
    skipped = edit(session, two, spammer, title="Spam")
    edit(session, two, mod, title="Twice")
    category_id = one.category_id
    with make_changeset(session, spammer) as changeset:
        spam = Package(slug="spam", title="Spam", category_id=category_id)
        changeset.add(spam)
    session.commit()
    with make_changeset(session, mod) as changeset:
        result = revert_all_by(changeset, spammer.user_id or 0)
    session.commit()
    assert skipped in result.skipped
    assert first in result.reverted
    assert (one.title, one.documentation_url, two.title) == ("One", None, "Twice")
    assert spam.hidden_at == NOW  # a package is hidden, not deleted


def test_reverting_an_unknown_revision_fails(session: Session) -> None:
    ada = viewer_of(make_user(session, role="moderator"))
    session.commit()
    with pytest.raises(NotFound), make_changeset(session, ada) as changeset:
        revert(changeset, 4711)


def make_changeset(session: Session, by: Viewer) -> Changeset:
    session.rollback()
    return Changeset(session, by=by, now=NOW)


def edit(session: Session, package: Package, by: Viewer, **values: Any) -> int:
    with make_changeset(session, by) as changeset:
        changeset.edit(package, values)
    session.commit()
    assert changeset.head_id is not None
    return changeset.head_id
