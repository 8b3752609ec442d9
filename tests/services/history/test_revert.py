"""Taking changes back, in random histories: what a state was is recorded as it is, not as revisions tell it."""

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
    last_revision,
    restore,
    revert,
    revert_all_by,
)
from pkgsite.services.permissions import Viewer
from tests.factories import NOW, make_package
from tests.users import make_user, viewer_of

EDITS = 200
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
    """A grid, its packages and some people who change them at random; each act is recorded with the state around it."""

    session: Session
    dice: random.Random
    people: list[Viewer]
    packages: list[int]
    grid_id: int = 0
    acts: list[tuple[int, State, State]] = field(default_factory=list)  # the head, the state before, the state after
    count: int = 0

    def changeset(self, by: Viewer | None = None) -> Changeset:
        self.session.rollback()
        self.count += 1
        return Changeset(self.session, by=by or self.dice.choice(self.people), now=NOW + timedelta(minutes=self.count))

    def state(self) -> State:
        """Return everything that is there, but for the numbers of versions."""
        rows: list[Any] = []
        for model in (Package, Grid, Feature, GridPackage, Cell):
            rows += self.session.scalars(select(model).execution_options(populate_existing=True))
        return {(tracked_model_of(row).name, row.id): without_version(snapshot(row)) for row in rows}

    def record(self, work: Callable[[Changeset], None], by: Viewer | None = None) -> None:
        before = self.state()
        with self.changeset(by) as changeset:
            work(changeset)
        self.session.commit()
        if changeset.head_id:
            self.acts.append((changeset.head_id, before, self.state()))

    def random_edit(self) -> None:
        """Do one thing, chosen by dice; what can't be done now is left for another."""
        steps = [self.edit_package, self.edit_grid, self.add_feature, self.edit_feature, self.edit_feature,
                 self.move_features, self.delete_feature, self.add_member, self.add_member, self.remove_member,
                 self.fill_cell, self.fill_cell, self.fill_cell, self.fill_cell, self.delete_cell, self.revert_one,
                 self.restore_one]  # fmt: skip
        if self.dice.random() < 0.01:
            steps = [self.delete_grid]
        if self.one(Grid) is None:
            steps = [self.restore_one, self.revert_one]
        self.dice.choice(steps)()

    def one(self, model: type[Any]) -> Any:
        rows = self.session.scalars(select(model).order_by(model.id)).all()
        return self.dice.choice(rows) if rows else None

    def words(self) -> str:
        return f"words {self.dice.randrange(10**9)}"

    def change(self, model: type[Any], **values: Any) -> None:
        row = self.one(model)
        if row is not None:
            number = row.id
            self.record(lambda changeset: changeset.edit(changeset.session.get_one(model, number), values) and None)

    def edit_package(self) -> None:
        values = {
            "title": self.words(),
            "slug": f"p-{self.dice.randrange(10**9)}",
            "documentation_url": self.dice.choice([None, f"https://docs.example/{self.count}"]),
            "deprecated_at": self.dice.choice([None, NOW + timedelta(days=self.count)]),
            "replaced_by_id": self.dice.choice([None, *self.packages]),
        }
        names = self.dice.sample(sorted(values), 2)
        self.change(Package, **{name: values[name] for name in names})

    def edit_grid(self) -> None:
        values = {"title": self.words(), "slug": f"g-{self.count}-{self.dice.randrange(10**6)}", "is_locked": True}
        name = self.dice.choice(sorted(values))
        self.change(Grid, **{name: values[name]})

    def add_feature(self) -> None:
        position = self.session.scalar(select(func.count()).select_from(Feature)) or 0
        feature = Feature(grid_id=self.grid_id, title=self.words(), description="", position=position)
        self.record(lambda changeset: changeset.add(feature))

    def edit_feature(self) -> None:
        name = self.dice.choice(["title", "description"])
        self.change(Feature, **{name: self.words()})

    def move_features(self) -> None:
        numbers = list(self.session.scalars(select(Feature.id).order_by(Feature.id)))
        self.dice.shuffle(numbers)

        def move(changeset: Changeset) -> None:
            for position, number in enumerate(numbers):
                changeset.edit(changeset.session.get_one(Feature, number), {"position": position})

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
        row = self.one(model)
        if row is not None:
            number = row.id
            self.record(lambda changeset: changeset.delete(changeset.session.get_one(model, number)))

    def add_member(self) -> None:
        inside = set(self.session.scalars(select(GridPackage.package_id)))
        outside = [number for number in self.packages if number not in inside]
        if outside:
            member = GridPackage(grid_id=self.grid_id, package_id=self.dice.choice(outside), position=self.count)
            self.record(lambda changeset: changeset.add(member))

    def fill_cell(self) -> None:
        member, feature = self.one(GridPackage), self.one(Feature)
        if member is None or feature is None:
            return
        place = {"grid_package_id": member.id, "feature_id": feature.id}
        words = self.words()

        def fill(changeset: Changeset) -> None:
            cell = changeset.session.scalar(select(Cell).filter_by(**place))
            if cell is None:
                changeset.add(Cell(**place, text=words))
            else:
                changeset.edit(cell, {"text": words})

        self.record(fill)

    def revert_one(self) -> None:
        if self.acts:
            head = self.dice.choice(self.acts[-10:])[0]
            self.attempt(lambda changeset: revert(changeset, head))

    def restore_one(self) -> None:
        heads = [head for head, *_ in self.acts[-10:]]
        in_grid = select(Revision.id).where(Revision.id.in_(heads), Revision.grid_id.is_not(None))
        found = self.session.scalars(in_grid.order_by(Revision.id)).all()
        if found:
            scope, to = HistoryScope("grid", self.grid_id), self.dice.choice(found)
            self.attempt(
                lambda changeset: (
                    restore(changeset, scope, to, last_seen_id=last_revision(changeset.session, scope)) and None
                )
            )

    def attempt(self, work: Callable[[Changeset], None]) -> None:
        try:
            self.record(work)
        except Conflict:
            self.session.rollback()


def without_version(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "version"}


def random_history(session: Session, seed: int) -> RandomHistory:
    """Let people make two hundred random changes."""
    packages = [make_package(session, f"start-{place}").id for place in range(4)]
    people = [viewer_of(make_user(session, name, role="moderator")) for name in ("ada", "bob", "eve")]
    session.commit()
    life = RandomHistory(session, random.Random(seed), people, packages)

    def begin(changeset: Changeset) -> None:
        grid = Grid(title="Caching", slug="caching", description="", is_locked=False, header=False)
        changeset.add(grid)
        life.grid_id = grid.id

    life.record(begin)
    while len(life.acts) < EDITS:
        life.random_edit()
    return life


@pytest.fixture
def clear(session: Session) -> Callable[[], Session]:
    """A function that empties the tables, for the next random history."""

    def cleared() -> Session:
        session.rollback()
        for model in (Revision, Cell, GridPackage, Feature, Grid, Package, Category, User):
            session.execute(delete(model))
        session.commit()
        session.expunge_all()
        return session

    return cleared


def of_grid(state: State) -> State:
    return {key: values for key, values in state.items() if key[0] != "package"}


@pytest.mark.long
@RANDOM
@given(seed=SEEDS)
def test_a_grid_comes_back_as_it_was_after_any_of_its_revisions(clear: Callable[[], Session], seed: int) -> None:
    life = random_history(clear(), seed)
    session, scope = life.session, HistoryScope("grid", life.grid_id)
    deletions = 0
    for head, _, after in life.acts:
        last = changeset_revisions(session, head)[-1]
        if last.grid_id is None:
            continue
        deletions += last.action == "delete"
        with life.changeset() as changeset:
            restore(changeset, scope, last.id, last_seen_id=last_revision(session, scope))
        assert of_grid(life.state()) == of_grid(after), f"after revision {last.id}"
        session.rollback()
    assert deletions > 5


@pytest.mark.long
@RANDOM
@given(seed=SEEDS)
def test_a_package_comes_back_as_it_was_after_any_of_its_revisions(clear: Callable[[], Session], seed: int) -> None:
    life = random_history(clear(), seed)
    restored = 0
    for head, _, after in life.acts:
        for revision in changeset_revisions(life.session, head):
            if revision.object_type == "package":
                key = "package", revision.object_id
                scope = HistoryScope(*key)
                with life.changeset() as changeset:
                    restore(changeset, scope, revision.id, last_seen_id=last_revision(changeset.session, scope))
                assert life.state()[key] == after[key]
                life.session.rollback()
                restored += 1
    assert restored


@pytest.mark.long
@RANDOM
@given(seed=SEEDS)
def test_an_act_can_be_undone_just_when_nothing_later_touches_the_same(clear: Callable[[], Session], seed: int) -> None:
    life = random_history(clear(), seed)
    present = life.state()
    touched = [touched_fields(before, after) for _, before, after in life.acts]
    done = refused = 0
    for place, (head, before, _) in enumerate(life.acts):
        is_free = not any(conflict(touched[place], later) for later in touched[place + 1 :])
        try:
            with life.changeset() as changeset:
                revert(changeset, head)
        except Conflict:
            assert not is_free, f"revision {head} was refused"
            refused += 1
            life.session.rollback()
            assert life.state() == present
        else:
            assert is_free, f"revision {head} was undone"
            done += 1
            assert life.state() == reverted_state(present, touched[place], before)
        life.session.rollback()
    assert done > 3
    assert refused > 3


Touched = dict[Key, tuple[set[str] | None, dict[str, Any]]]  # fields, None for the whole; and the object


def touched_fields(before: State, after: State) -> Touched:
    """Return what differs between two states."""
    found: Touched = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            whole = with_parents(key, old or new or {}, before if new is None else after)
            found[key] = None, whole
        elif old != new:
            found[key] = {name for name in old if old[name] != new[name]}, with_parents(key, new, after)
    return found


def with_parents(key: Key, values: dict[str, Any], state: State) -> dict[str, Any]:
    """Return an object with the grid, package and feature that it belongs to."""
    if key[0] == "cell":
        return values | {
            name: state["membership", values["grid_package_id"]][name] for name in ("grid_id", "package_id")
        }
    return values | ({"grid_id": key[1]} if key[0] == "grid" else {})


def conflict(one: Touched, other: Touched) -> bool:
    return any(
        is_same_or_contained(a, mine, b, theirs)
        and (
            mine[0] is None
            or theirs[0] is None
            or (name_of(a, mine[1]) == name_of(b, theirs[1]) and bool(mine[0] & theirs[0]))
        )
        for a, mine in one.items()
        for b, theirs in other.items()
    )


def is_same_or_contained(a: Key, first: tuple[Any, dict[str, Any]], b: Key, second: tuple[Any, dict[str, Any]]) -> bool:
    """Tell whether two are the same, or one of them, gone or new as a whole, holds the other."""
    if name_of(a, first[1]) == name_of(b, second[1]):
        return True
    return (first[0] is None and contains(a, first[1], b, second[1])) or (
        second[0] is None and contains(b, second[1], a, first[1])
    )


def name_of(key: Key, values: dict[str, Any]) -> tuple[Any, ...]:
    if key[0] == "membership":
        return "membership", values["grid_id"], values["package_id"]
    if key[0] == "cell":
        return "cell", values["feature_id"], values["package_id"]
    return key


def contains(key: Key, values: dict[str, Any], part: Key, of_part: dict[str, Any]) -> bool:
    kind = key[0]
    if kind == "grid":
        return part[0] != "package" and of_part["grid_id"] == key[1]
    if kind == "feature":
        return part[0] == "cell" and of_part["feature_id"] == key[1]
    same_place = part[0] == "cell" and all(of_part[name] == values[name] for name in ("grid_id", "package_id"))
    return kind == "membership" and same_place


def reverted_state(state: State, touched: Touched, before: State) -> State:
    """Return a state in which what was touched is as before."""
    found = {key: dict(values) for key, values in state.items()}
    for key, (names, _) in touched.items():
        if names is None:
            found.pop(key, None)
            if key in before:
                found[key] = before[key]
        else:
            found[key] |= {name: before[key][name] for name in names}
    return found


def test_every_kind_of_object_is_known() -> None:
    assert set(TRACKED_MODELS) == {"package", "grid", "feature", "membership", "cell", "site"}


def test_what_somebody_has_not_seen_is_not_undone(session: Session) -> None:
    package, ada = make_package(session), viewer_of(make_user(session, role="moderator"))
    session.commit()
    heads = [edit(session, package, ada, title=title) for title in ("One", "Two", "Three")]
    session.rollback()
    scope = HistoryScope("package", package.id)
    with pytest.raises(Conflict), make_changeset(session, ada) as changeset:
        restore(changeset, scope, heads[0], last_seen_id=heads[1])
    session.rollback()
    with make_changeset(session, ada) as changeset:
        assert restore(changeset, scope, heads[0], last_seen_id=heads[2])
    session.commit()
    assert package.title == "One"
    assert package.version == 5


def test_others_edits_are_taken_back_by_moderators_only(session: Session) -> None:
    package = make_package(session, title="First")
    ada, bob, mod = (
        viewer_of(make_user(session, name, role=role))
        for name, role in (("ada", "user"), ("bob", "user"), ("mod", "moderator"))
    )
    session.commit()
    by_ada = edit(session, package, ada, title="By Ada")
    by_bob = edit(session, package, bob, documentation_url="https://bob.example/")
    for head in (by_ada, by_ada):
        with pytest.raises(Forbidden), make_changeset(session, bob) as changeset:
            revert(changeset, head)
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


def test_a_slug_that_is_anothers_now_is_not_taken(session: Session) -> None:
    package, ada = make_package(session, "one"), viewer_of(make_user(session, role="moderator"))
    session.commit()
    head = edit(session, package, ada, slug="two")
    make_package(session, "One")
    session.commit()
    with pytest.raises(Conflict, match="another package"), make_changeset(session, ada) as changeset:
        revert(changeset, head)
    session.rollback()
    assert package.slug == "two"


def test_everything_of_one_person_is_undone_but_what_others_have_touched(session: Session) -> None:
    spammer, mod = (viewer_of(make_user(session, name, role=role)) for name, role in (("eve", "user"), ("m", "staff")))
    one, two = make_package(session, "one", title="One"), make_package(session, "two", title="Two")
    session.commit()
    first = edit(session, one, spammer, title="Buy")
    edit(session, one, spammer, title="Buy now", documentation_url="https://spam.example/")
    kept = edit(session, two, spammer, title="Spam")
    edit(session, two, mod, title="Twice")
    category_id = one.category_id
    with make_changeset(session, spammer) as changeset:
        spam = Package(slug="spam", title="Spam", category_id=category_id)
        changeset.add(spam)
    session.commit()
    with make_changeset(session, mod) as changeset:
        came = revert_all_by(changeset, spammer.user_id or 0)
    session.commit()
    assert kept in came.skipped
    assert first in came.reverted
    assert (one.title, one.documentation_url, two.title) == ("One", None, "Twice")
    assert spam.hidden_at == NOW  # what hangs on a package outlives it


def test_a_revision_that_never_was(session: Session) -> None:
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
