"""Reverting changes: one changeset, all later ones of an object, or all by a user. Each revert is a changeset itself.

An earlier state of an object is computed from the current one by going back through the later revisions, each of
which stores the previous values.
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
    SITE,
    TRACKED_MODELS,
    Changeset,
    Row,
    existing_user_ids,
    from_json_value,
    rebuild_row,
    snapshot,
)

Key = tuple[str, int]  # an object: its kind's name and its id
State = dict[str, Any] | None  # None if the object does not exist

# Objects are added in this order, so that the objects they belong to exist first, and removed in reverse.
DEPENDENCY_ORDER = {PACKAGE.name: 0, GRID.name: 1, SITE.name: 1, FEATURE.name: 2, MEMBERSHIP.name: 3, CELL.name: 4}
WHOLE_OBJECT_ACTIONS = {"add", "delete"}  # actions that concern every field
MODERATOR_FIELDS = {"header", "hidden_at", "merged_into_id", "is_locked", "is_approved"}  # only moderators change these


@dataclass(frozen=True, slots=True)
class HistoryScope:
    """The object that a history is about, with the objects that belong to it."""

    kind: str
    id: int


def in_scope(session: Session, scope: HistoryScope) -> ColumnElement[bool]:
    """Return the condition that a revision belongs to a history.

    Raises:
        NotFound: No such kind of object exists, or the membership never existed.
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


def last_revision_id(session: Session, scope: HistoryScope) -> int:
    """Return the id of the last revision of a history, or 0 if it is empty."""
    return session.scalar(select(func.max(Revision.id)).where(in_scope(session, scope))) or 0


def later_revisions(session: Session, scope: HistoryScope, revision_id: int) -> list[Revision]:
    """Return the revisions of a history after one of its revisions (0: all revisions), newest first.

    Raises:
        NotFound: The history has no such revision.
    """
    condition = in_scope(session, scope)
    if revision_id and session.scalar(select(Revision.id).where(Revision.id == revision_id, condition)) is None:
        raise NotFound("Change")
    newest_first = select(Revision).where(condition, Revision.id > revision_id).order_by(Revision.id.desc())
    return list(session.scalars(newest_first))


def restore(changeset: Changeset, scope: HistoryScope, revision_id: int, *, last_seen_id: int) -> bool:
    """Restore an object, with the objects that belong to it, to the state after one of its revisions.

    Args:
        changeset: The changeset that records the edits.
        scope: The object.
        revision_id: A revision of its history; 0 for the state before the first.
        last_seen_id: The last revision that the user has seen in the preview.

    Returns:
        Whether anything has changed.

    Raises:
        Conflict: The object has changed since the preview, or an object that it belongs to has been deleted.
        Forbidden: The restore would undo other users' changes, and the user is not a moderator.
    """
    _lock(changeset.session, scope)
    if last_revision_id(changeset.session, scope) != last_seen_id:
        raise Conflict("The content has changed since you opened this page.")
    later = later_revisions(changeset.session, scope, revision_id)
    _require_can_revert(changeset, later)
    state = f"after change {revision_id}" if revision_id else "before the first change"
    changeset.reason = _join_reason(f"Restores the state {state}.", changeset.reason)
    return apply_states(changeset, states_before(changeset.session, later))


def revert(changeset: Changeset, revision_id: int) -> None:
    """Revert the changeset that a revision belongs to.

    Raises:
        Conflict: A later revision has edited the same content; nothing is changed.
        Forbidden: The changeset is another user's, and the user is not a moderator.
        NotFound: No such revision exists.
    """
    revisions = changeset_revisions(changeset.session, revision_id)
    for scope in {_lock_scope(revision) for revision in revisions}:
        _lock(changeset.session, scope)
    _require_can_revert(changeset, revisions)
    conflicts = conflicting_revisions(changeset.session, revisions)
    if conflicts:
        raise Conflict(f"The same content was changed again in change {conflicts[0].id}.")
    changeset.reason = _join_reason(f"Reverts change {revisions[0].id}.", changeset.reason)
    apply_states(changeset, states_before(changeset.session, revisions[::-1]))


@dataclass
class BulkRevertResult:
    """The result of reverting a user's changes: the head ids of changesets."""

    reverted: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)  # because others have since edited the same content


def revert_all_by(changeset: Changeset, user_id: int, *, since: datetime | None = None) -> BulkRevertResult:
    """Revert a user's changesets, newest first, except those whose content others have since edited.

    Raises:
        Forbidden: The changes are another user's, and the user is not a moderator.
    """
    session, result, ignored_ids = changeset.session, BulkRevertResult(), set[int]()
    changeset.reason = _join_reason("Reverts a user's changes.", changeset.reason)
    head_ids = select(Revision.id).where(Revision.user_id == user_id, Revision.head_id.is_(None))
    if since is not None:
        head_ids = head_ids.where(Revision.at >= since)
    for head_id in session.scalars(head_ids.order_by(Revision.id.desc())).all():
        revisions = changeset_revisions(session, head_id)
        _require_can_revert(changeset, revisions)
        if conflicting_revisions(session, revisions, ignored_ids=ignored_ids):
            result.skipped.append(head_id)
            continue
        last_id = session.scalar(select(func.max(Revision.id))) or 0
        try:
            with session.begin_nested():
                apply_states(changeset, states_before(session, revisions[::-1]))
        except Conflict:  # such as a slug that another object has now
            result.skipped.append(head_id)
            continue
        # The reverted changes and the revisions of this revert itself do not count as conflicts.
        ignored_ids |= {revision.id for revision in revisions}
        ignored_ids |= set(session.scalars(select(Revision.id).where(Revision.id > last_id)))
        result.reverted.append(head_id)
    return result


def changeset_revisions(session: Session, revision_id: int) -> list[Revision]:
    """Return all revisions of the changeset that a revision belongs to, oldest first.

    Raises:
        NotFound: No such revision exists.
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
    """Return the revisions after a changeset that conflict with it, oldest first.

    Two revisions conflict if they edit the same fields. A revision that adds or deletes an object conflicts with every
    revision of that object and of the objects that belong to it.
    """
    own_ids = {revision.id for revision in revisions}
    later = (
        select(Revision).where(Revision.id > max(own_ids), or_(*conflict_conditions(revisions))).order_by(Revision.id)
    )
    return [
        other
        for other in session.scalars(later)
        if other.id not in ignored_ids and any(conflicts_with(revision, other) for revision in revisions)
    ]


def states_before(session: Session, revisions: Iterable[Revision]) -> dict[Key, State]:
    """Return the state of each object without these revisions, which are ordered newest first."""
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
    """Change objects to these states, and return whether anything has changed.

    Raises:
        Conflict: An object that one belongs to has been deleted, or a value is no longer unique.
    """
    previous_head_id = changeset.head_id
    ordered_keys = sorted(states, key=lambda key: (DEPENDENCY_ORDER[key[0]], key[1]))
    for key in reversed(ordered_keys):
        if states[key] is None:
            _remove(changeset, key)
    user_ids = existing_user_ids(changeset.session, [(state or {}).get("created_by_id") for state in states.values()])
    changed = False
    for key in ordered_keys:
        state = states[key]
        if state is not None:
            changed |= _apply_state(changeset, key, state, user_ids)
    return changed or changeset.head_id != previous_head_id


def _row(session: Session, key: Key) -> Row | None:
    return session.get(TRACKED_MODELS[key[0]].model, key[1])  # type: ignore[return-value]  # mypy joins the models to Base


def _remove(changeset: Changeset, key: Key) -> None:
    row = _row(changeset.session, key)
    if isinstance(row, Package):
        # A package is hidden instead, because its releases, samples and favourites would be deleted with it.
        changeset.edit(row, {"hidden_at": row.hidden_at or changeset.now})
    elif row is not None:
        changeset.delete(row)


def _apply_state(changeset: Changeset, key: Key, state: dict[str, Any], user_ids: Collection[int]) -> bool:
    """Edit an object, or add it if it does not exist, and return whether anything has changed."""
    kind = TRACKED_MODELS[key[0]]
    row = _row(changeset.session, key)
    _check_constraints(changeset.session, key, state)
    if row is None:
        if not set(kind.fields) <= state.keys():
            raise Conflict(f"The {_noun(key[0])} can't be restored, because its earlier state is unknown.")
        changeset.add(rebuild_row(kind, key[1], state, user_ids))
        return True
    return changeset.edit(row, {name: from_json_value(name, state[name]) for name in kind.fields if name in state})


def _check_constraints(session: Session, key: Key, state: dict[str, Any]) -> None:
    """Raise `Conflict` if an object that this one belongs to is missing, or its slug, grid entry or cell is taken."""
    kind, object_id = key
    model = TRACKED_MODELS[kind].model
    if kind in (PACKAGE.name, GRID.name) and "slug" in state:
        if kind == PACKAGE.name:
            has_slug = func.lower(Package.slug) == state["slug"].lower()
            duplicates = select(Package.id).where(has_slug, Package.id != object_id)
        else:
            duplicates = select(Grid.id).where(Grid.slug == state["slug"], Grid.id != object_id)
        if session.scalar(duplicates) is not None:
            raise Conflict(f"Another {kind} now uses the slug {state['slug']}.")
    for column, parent in (("grid_id", GRID), ("feature_id", FEATURE), ("grid_package_id", MEMBERSHIP)):
        if column in state and session.get(parent.model, state[column]) is None:
            raise Conflict(f"The {_noun(parent.name)} that this {_noun(kind)} belongs to has been deleted.")
    for columns, message in (
        (("grid_id", "package_id"), "The grid contains this package again."),
        (("grid_package_id", "feature_id"), "This cell has been filled in again."),
    ):
        if set(columns) <= state.keys():
            pair = [getattr(model, column) == state[column] for column in columns]
            if session.scalar(select(model.id).where(*pair, model.id != object_id)) is not None:
                raise Conflict(message)


def _noun(kind: str) -> str:
    """Return the noun for an object of this kind, for messages."""
    return {MEMBERSHIP.name: "grid entry", SITE.name: "site link"}.get(kind, kind)


def conflicts_with(earlier: Revision, later: Revision) -> bool:
    """Return whether two revisions edit the same content."""
    if _is_same_object(earlier, later):
        if earlier.action in WHOLE_OBJECT_ACTIONS or later.action in WHOLE_OBJECT_ACTIONS:
            return True
        return bool((earlier.after or {}).keys() & (later.after or {}).keys())
    return (earlier.action in WHOLE_OBJECT_ACTIONS and _contains(earlier, later)) or (
        later.action in WHOLE_OBJECT_ACTIONS and _contains(later, earlier)
    )


def _is_same_object(revision: Revision, other: Revision) -> bool:
    """Return whether two revisions are of the same object, or of two that can't exist at the same time."""
    if revision.object_type != other.object_type:
        return False
    if revision.object_type == MEMBERSHIP.name:
        return (revision.grid_id, revision.package_id) == (other.grid_id, other.package_id)
    if revision.object_type == CELL.name:
        return (revision.feature_id, revision.package_id) == (other.feature_id, other.package_id)
    return revision.object_id == other.object_id


def _contains(container: Revision, part: Revision) -> bool:
    """Return whether the object of one revision belongs to that of another."""
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


def conflict_conditions(revisions: Sequence[Revision]) -> list[ColumnElement[bool]]:
    """Return SQL conditions that select, combined with OR, every revision that could conflict.

    These are the revisions of the same grids, packages and sites.
    """
    grid_ids = {revision.grid_id for revision in revisions if revision.grid_id}
    keys_outside_grids = {(revision.object_type, revision.object_id) for revision in revisions if not revision.grid_id}
    conditions: list[ColumnElement[bool]] = [Revision.grid_id.in_(grid_ids)] if grid_ids else []
    conditions += [
        (Revision.object_type == kind) & (Revision.object_id == object_id)
        for kind, object_id in sorted(keys_outside_grids)
    ]
    return conditions


def _lock_scope(revision: Revision) -> HistoryScope:
    """Return the object to lock for a revision: the grid for everything in it, otherwise the package."""
    if revision.grid_id:
        return HistoryScope(GRID.name, revision.grid_id)
    return HistoryScope(PACKAGE.name, revision.package_id or revision.object_id)


def _lock(session: Session, scope: HistoryScope) -> None:
    """Lock an object's grid or package until the transaction ends."""
    kind, object_id = scope.kind, scope.id
    if kind not in (GRID.name, PACKAGE.name):
        revision = session.scalar(select(Revision).where(in_scope(session, scope)).limit(1))
        if revision is None:
            return
        object_id = revision.grid_id or revision.package_id or 0
        kind = GRID.name if revision.grid_id else PACKAGE.name
    session.get(Grid if kind == GRID.name else Package, object_id, with_for_update=True)


def _require_can_revert(changeset: Changeset, revisions: Sequence[Revision]) -> None:
    """Raise `Forbidden` unless the user may undo the changes.

    Only moderators may undo other users' changes, changes of moderators' fields, and changes in locked grids.
    """
    if changeset.by.is_moderator:
        return
    if any(revision.user_id != changeset.user_id for revision in revisions):
        raise Forbidden("Only moderators can undo other people's changes.")
    if any(revision.action == "edit" and MODERATOR_FIELDS & (revision.after or {}).keys() for revision in revisions):
        raise Forbidden("Only moderators can undo this change.")  # for example, one from when the user was a moderator
    grid_ids = {revision.grid_id for revision in revisions if revision.grid_id}
    locked_grids = select(Grid.id).where(Grid.id.in_(grid_ids), Grid.is_locked).limit(1)
    if grid_ids and changeset.session.scalar(locked_grids) is not None:
        raise Forbidden("This grid is locked. Only moderators can edit it.")


def _membership_key(session: Session, membership_id: int) -> tuple[int | None, int | None]:
    current_key = select(GridPackage.grid_id, GridPackage.package_id).where(GridPackage.id == membership_id)
    former_key = (
        select(Revision.grid_id, Revision.package_id)
        .where(Revision.object_type == MEMBERSHIP.name, Revision.object_id == membership_id)
        .limit(1)
    )
    row = session.execute(current_key).one_or_none() or session.execute(former_key).one_or_none()
    if row is None:
        raise NotFound("History")
    return row.grid_id, row.package_id


def _cells_of(grid_id: int | None, package_id: int | None) -> ColumnElement[bool]:
    return (Revision.object_type == CELL.name) & (Revision.grid_id == grid_id) & (Revision.package_id == package_id)


def _join_reason(summary: str, reason: str) -> str:
    return f"{summary} {reason}".strip()
