"""Taking changes back: one act, or everything since a point in an object's history. Both are acts themselves.

The state that an object had is found by walking back from what it is now: each later revision knows what was there
before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, NotFound
from pkgsite.models import Grid, GridPackage, Package, Revision
from pkgsite.services.changeset import (
    CELL,
    FEATURE,
    GRID,
    MEMBERSHIP,
    PACKAGE,
    TRACKED_MODELS,
    Changeset,
    Row,
    existing_user_ids,
    from_json_value,
    rebuild_row,
    snapshot,
)

Key = tuple[str, int]  # an object: its kind's name and its id
State = dict[str, Any] | None  # None: the object is not there

# What is there before what hangs on it; it goes in the opposite order.
DEPENDENCY_ORDER = {kind.name: place for place, kind in enumerate((PACKAGE, GRID, FEATURE, MEMBERSHIP, CELL))} | {
    "site": 1
}
WHOLE_OBJECT_ACTIONS = {"add", "delete"}  # actions that concern every field
MODERATOR_FIELDS = {
    "header",
    "hidden_at",
    "merged_into_id",
    "is_locked",
    "is_approved",
}  # fields that only moderators change


@dataclass(frozen=True, slots=True)
class HistoryScope:
    """What a history is of: an object, with all that hangs on it."""

    kind: str
    id: int


def in_scope(session: Session, scope: HistoryScope) -> ColumnElement[bool]:
    """Return the condition that a revision belongs to a history.

    Raises:
        NotFound: there is no such kind of object, or never was this membership.
    """
    itself = (Revision.object_type == scope.kind) & (Revision.object_id == scope.id)
    if scope.kind == GRID.name:
        return Revision.grid_id == scope.id
    if scope.kind == FEATURE.name:
        return Revision.feature_id == scope.id
    if scope.kind == MEMBERSHIP.name:
        return or_(itself, _cells_of(*_membership_key(session, scope.id)))
    if scope.kind not in TRACKED_MODELS:
        raise NotFound("History")
    return itself


def last_revision(session: Session, scope: HistoryScope) -> int:
    """Return the id of the last revision of a history; 0 if there is none."""
    return session.scalar(select(func.max(Revision.id)).where(in_scope(session, scope))) or 0


def later_revisions(session: Session, scope: HistoryScope, revision_id: int) -> list[Revision]:
    """Return the revisions of a history that came after one of it, newest first.

    Raises:
        NotFound: the history has no such revision.
    """
    condition = in_scope(session, scope)
    if revision_id and session.scalar(select(Revision.id).where(Revision.id == revision_id, condition)) is None:
        raise NotFound("Change")
    newest_first = select(Revision).where(condition, Revision.id > revision_id).order_by(Revision.id.desc())
    return list(session.scalars(newest_first))


def restore(changeset: Changeset, scope: HistoryScope, revision_id: int, *, last_seen_id: int) -> bool:
    """Bring an object, with all that hangs on it, to the state after one of its revisions.

    Args:
        changeset: Whose; what it changes is written down like every other edit.
        scope: The object.
        revision_id: A revision of its history.
        last_seen_id: The last revision of the history that the person has seen, and so knows to be taken back.

    Returns:
        Whether there was anything to change.

    Raises:
        Conflict: the object has changed since the person looked, or what it needs is gone.
        Forbidden: somebody else's edits would be taken back, and this is no moderator.
    """
    _lock(changeset.session, scope)
    if last_revision(changeset.session, scope) != last_seen_id:
        raise Conflict("it has changed since you opened this page")
    later = later_revisions(changeset.session, scope, revision_id)
    _require_can_revert(changeset, later)
    state = f"after change {revision_id}" if revision_id else "before the first change"
    changeset.reason = _join_reason(f"Restores the state {state}.", changeset.reason)
    return apply_states(changeset, states_before(changeset.session, later))


def revert(changeset: Changeset, revision_id: int) -> None:
    """Take back one act, of which this revision is a part.

    Raises:
        Conflict: a later revision touched the same fields; nothing is changed.
        Forbidden: it is somebody else's, and this is no moderator.
        NotFound: there is no such revision.
    """
    revisions = changeset_revisions(changeset.session, revision_id)
    for scope in {_lock_scope(revision) for revision in revisions}:
        _lock(changeset.session, scope)
    _require_can_revert(changeset, revisions)
    overlapping = conflicting_revisions(changeset.session, revisions)
    if overlapping:
        raise Conflict(f"change {overlapping[0].id} has since edited the same content")
    changeset.reason = _join_reason(f"Reverts change {revisions[0].id}.", changeset.reason)
    apply_states(changeset, states_before(changeset.session, revisions[::-1]))


@dataclass
class BulkRevert:
    """What came of taking back everything that a person did: heads of acts."""

    reverted: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)  # others have touched the same since


def revert_all_by(changeset: Changeset, user_id: int, *, since: datetime | None = None) -> BulkRevert:
    """Take back all that a person did, newest first, as far as nobody else has touched the same since.

    Raises:
        Forbidden: it is somebody else's, and this is no moderator.
    """
    session, found, ignored_ids = changeset.session, BulkRevert(), set[int]()
    changeset.reason = _join_reason("Reverts a user's changes.", changeset.reason)
    head_ids = select(Revision.id).where(Revision.user_id == user_id, Revision.head_id.is_(None))
    if since is not None:
        head_ids = head_ids.where(Revision.at >= since)
    for head_id in session.scalars(head_ids.order_by(Revision.id.desc())).all():
        revisions = changeset_revisions(session, head_id)
        _require_can_revert(changeset, revisions)
        if conflicting_revisions(session, revisions, ignored_ids=ignored_ids):
            found.skipped.append(head_id)
            continue
        before = _last_revision_id(session)
        try:
            with session.begin_nested():
                apply_states(changeset, states_before(session, revisions[::-1]))
        except Conflict:  # such as a slug that is now another's
            found.skipped.append(head_id)
            continue
        ignored_ids |= {revision.id for revision in revisions}
        ignored_ids |= set(session.scalars(select(Revision.id).where(Revision.id > before)))
        found.reverted.append(head_id)
    return found


def changeset_revisions(session: Session, revision_id: int) -> list[Revision]:
    """Return all revisions of the act that one belongs to, oldest first.

    Raises:
        NotFound: there is no such revision.
    """
    revision = session.get(Revision, revision_id)
    if revision is None:
        raise NotFound("Change")
    head_id = revision.head_id or revision.id
    parts = select(Revision).where(or_(Revision.id == head_id, Revision.head_id == head_id)).order_by(Revision.id)
    return list(session.scalars(parts))


def conflicting_revisions(
    session: Session, revisions: Sequence[Revision], *, ignored_ids: Collection[int] = ()
) -> list[Revision]:
    """Return the revisions after an act that touched what it touched, oldest first.

    A revision touches the fields that it names. One that adds or removes an object touches all of it, with all that
    hangs on it, and all that a part of it needs.
    """
    own_ids = {revision.id for revision in revisions}
    later = (
        select(Revision).where(Revision.id > max(own_ids), or_(*possible_conflicts(revisions))).order_by(Revision.id)
    )
    return [
        one
        for one in session.scalars(later)
        if one.id not in ignored_ids
        and one.id not in own_ids
        and any(conflicts_with(revision, one) for revision in revisions)
    ]


def states_before(session: Session, revisions: Iterable[Revision]) -> dict[Key, State]:
    """Return what each object would be without these revisions, which come newest first."""
    states: dict[Key, State] = {}
    for revision in revisions:
        key = revision.object_type, revision.object_id
        if key not in states:
            row = _row(session, key)
            states[key] = None if row is None else snapshot(row)
        if revision.action == "add":
            states[key] = None
        elif revision.action == "delete":
            states[key] = dict(revision.before or {})
        else:
            states[key] = (states[key] or {}) | (revision.before or {})
    return states


def apply_states(changeset: Changeset, states: dict[Key, State]) -> bool:
    """Make objects what these states say, and tell whether there was anything to change.

    Raises:
        Conflict: an object needs something that is gone, or has to be unique and no longer is.
    """
    first = changeset.head_id
    ordered_keys = sorted(states, key=lambda key: (DEPENDENCY_ORDER[key[0]], key[1]))
    for key in reversed(ordered_keys):
        if states[key] is None:
            _remove(changeset, key)
    people = existing_user_ids(changeset.session, [(state or {}).get("created_by_id") for state in states.values()])
    changed = False
    for key in ordered_keys:
        state = states[key]
        if state is not None:
            changed |= _apply_state(changeset, key, state, people)
    return changed or changeset.head_id != first


def _row(session: Session, key: Key) -> Row | None:
    return session.get(TRACKED_MODELS[key[0]].model, key[1])  # type: ignore[return-value]  # mypy joins the models to Base


def _remove(changeset: Changeset, key: Key) -> None:
    row = _row(changeset.session, key)
    if isinstance(row, Package):
        # A package is never removed: releases, samples and people's favourites hang on it.
        changeset.edit(row, {"hidden_at": row.hidden_at or changeset.now})
    elif row is not None:
        changeset.delete(row)


def _apply_state(changeset: Changeset, key: Key, state: dict[str, Any], user_ids: Collection[int]) -> bool:
    """Add an object that is not there, or set the fields of one that is."""
    kind = TRACKED_MODELS[key[0]]
    row = _row(changeset.session, key)
    _check_constraints(changeset.session, key, state)
    if row is None:
        if not set(kind.fields) <= state.keys():
            raise Conflict(f"the {_noun(key[0])} has been deleted and its previous state is unknown")
        changeset.add(rebuild_row(kind, key[1], state, user_ids))
        return True
    return changeset.edit(row, {name: from_json_value(name, state[name]) for name in kind.fields if name in state})


def _check_constraints(session: Session, key: Key, state: dict[str, Any]) -> None:
    """Refuse what can't be: an object without what it belongs to, or with a name that is another's."""
    kind, object_id = key
    model = TRACKED_MODELS[kind].model
    if kind in (PACKAGE.name, GRID.name) and "slug" in state:
        named = Package if kind == PACKAGE.name else Grid
        same = select(named.id).where(func.lower(named.slug) == state["slug"].lower(), named.id != object_id)
        if session.scalar(same) is not None:
            raise Conflict(f"another {kind} now uses the slug {state['slug']}")
    for column, parent in (("grid_id", GRID), ("feature_id", FEATURE), ("grid_package_id", MEMBERSHIP)):
        if column in state and session.get(parent.model, state[column]) is None:
            raise Conflict(f"the {_noun(parent.name)} that this {_noun(kind)} belongs to has been deleted")
    for columns in (("grid_id", "package_id"), ("grid_package_id", "feature_id")):
        if set(columns) <= state.keys():
            pair = [getattr(model, column) == state[column] for column in columns]
            if session.scalar(select(model.id).where(*pair, model.id != object_id)) is not None:
                raise Conflict(f"another {_noun(kind)} already exists in its place")


def _noun(kind: str) -> str:
    """Return what people call an object of this kind."""
    return "package in the grid" if kind == MEMBERSHIP.name else kind


def conflicts_with(earlier: Revision, later: Revision) -> bool:
    """Tell whether a later revision touched what an earlier one did."""
    if _is_same_object(earlier, later):
        if earlier.action in WHOLE_OBJECT_ACTIONS or later.action in WHOLE_OBJECT_ACTIONS:
            return True
        return bool((earlier.after or {}).keys() & (later.after or {}).keys())
    return (earlier.action in WHOLE_OBJECT_ACTIONS and _contains(earlier, later)) or (
        later.action in WHOLE_OBJECT_ACTIONS and _contains(later, earlier)
    )


def _is_same_object(one: Revision, other: Revision) -> bool:
    """Tell whether two revisions are of the same object, or of two that can only be there one after the other."""
    if one.object_type != other.object_type:
        return False
    if one.object_type == MEMBERSHIP.name:
        return (one.grid_id, one.package_id) == (other.grid_id, other.package_id)
    if one.object_type == CELL.name:
        return (one.feature_id, one.package_id) == (other.feature_id, other.package_id)
    return one.object_id == other.object_id


def _contains(container: Revision, part: Revision) -> bool:
    """Tell whether the object of one revision hangs on that of another."""
    if container.object_type == GRID.name:
        return part.grid_id == container.object_id
    if container.object_type == FEATURE.name:
        return part.feature_id == container.object_id
    if container.object_type == MEMBERSHIP.name:
        return part.object_type == CELL.name and (part.grid_id, part.package_id) == (
            container.grid_id,
            container.package_id,
        )
    return False


def possible_conflicts(revisions: Sequence[Revision]) -> list[ColumnElement[bool]]:
    """Return conditions that hold for whatever could overlap: the same grids, packages and sites."""
    grids = {revision.grid_id for revision in revisions if revision.grid_id}
    found: list[ColumnElement[bool]] = [Revision.grid_id.in_(grids)] if grids else []
    alone = {(revision.object_type, revision.object_id) for revision in revisions if not revision.grid_id}
    found += [(Revision.object_type == kind) & (Revision.object_id == number) for kind, number in sorted(alone)]
    return found


def _lock_scope(revision: Revision) -> HistoryScope:
    """Return the object that stands for a revision's where locks are taken: a grid for all that it holds."""
    if revision.grid_id:
        return HistoryScope(GRID.name, revision.grid_id)
    return HistoryScope(PACKAGE.name, revision.package_id or revision.object_id)


def _lock(session: Session, scope: HistoryScope) -> None:
    """Let nobody else change an object, until this transaction ends."""
    kind, number = scope.kind, scope.id
    if kind not in (GRID.name, PACKAGE.name):
        revision = session.scalar(select(Revision).where(in_scope(session, scope)).limit(1))
        if revision is None:
            return
        number = revision.grid_id or revision.package_id or 0
        kind = GRID.name if revision.grid_id else PACKAGE.name
    session.get(Grid if kind == GRID.name else Package, number, with_for_update=True)


def _require_can_revert(changeset: Changeset, revisions: Sequence[Revision]) -> None:
    """Let people take back no more than they could have done: nothing of others, of moderators, or of a locked grid."""
    if changeset.by.is_moderator:
        return
    if any(revision.user_id != changeset.user_id for revision in revisions):
        raise Forbidden("Only moderators can undo other people's changes.")
    if any(one.action == "edit" and MODERATOR_FIELDS & (one.after or {}).keys() for one in revisions):
        raise Forbidden("Only moderators can undo this change.")  # such as what somebody did while they were one
    grids = {revision.grid_id for revision in revisions if revision.grid_id}
    if (
        grids
        and changeset.session.scalar(select(Grid.id).where(Grid.id.in_(grids), Grid.is_locked).limit(1)) is not None
    ):
        raise Forbidden("This grid is locked. Only moderators can edit it.")


def _membership_key(session: Session, membership_id: int) -> tuple[int | None, int | None]:
    present = select(GridPackage.grid_id, GridPackage.package_id).where(GridPackage.id == membership_id)
    former_key = (
        select(Revision.grid_id, Revision.package_id)
        .where(Revision.object_type == MEMBERSHIP.name, Revision.object_id == membership_id)
        .limit(1)
    )
    row = session.execute(present).one_or_none() or session.execute(former_key).one_or_none()
    if row is None:
        raise NotFound("History")
    return row.grid_id, row.package_id


def _cells_of(grid_id: int | None, package_id: int | None) -> ColumnElement[bool]:
    return (Revision.object_type == CELL.name) & (Revision.grid_id == grid_id) & (Revision.package_id == package_id)


def _last_revision_id(session: Session) -> int:
    return session.scalar(select(func.max(Revision.id))) or 0


def _join_reason(what: str, reason: str) -> str:
    return f"{what} {reason}".strip()
