"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from pkgsite.errors import Forbidden

MODERATOR_ROLES = frozenset({"moderator", "staff"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person or program behind a request, as far as what they may see and do depends on it."""

    user_id: int | None = None
    username: str = ""
    role: str = "user"

    @property
    def is_authenticated(self) -> bool:
        return self.user_id is not None

    @property
    def is_moderator(self) -> bool:
        return self.is_authenticated and self.role in MODERATOR_ROLES

    @property
    def is_staff(self) -> bool:
        return self.is_authenticated and self.role == "staff"


ANONYMOUS = Viewer()


def require_login(viewer: Viewer) -> int:
    """Return who is logged in.

    Raises:
        Forbidden: nobody is.
    """
    if viewer.user_id is None:
        raise Forbidden("Log in to continue.")
    return viewer.user_id


def require_moderator(viewer: Viewer) -> None:
    """Refuse all but moderators.

    Raises:
        Forbidden: they are not one.
    """
    if not viewer.is_moderator:
        raise Forbidden("Only moderators can do this.")


def require_staff(viewer: Viewer) -> None:
    """Refuse all but staff.

    Raises:
        Forbidden: they are not.
    """
    if not viewer.is_staff:
        raise Forbidden("Only staff can do this.")


def require_owner_or_moderator(viewer: Viewer, owner_id: int | None) -> None:
    """Refuse all but the owner of a thing and moderators.

    Raises:
        Forbidden: they are neither.
    """
    if owner_id is None or viewer.user_id != owner_id:
        require_moderator(viewer)
