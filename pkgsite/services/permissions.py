"""The current user and their permissions."""

from __future__ import annotations

from dataclasses import dataclass

from pkgsite.errors import Forbidden

MODERATOR_ROLES = frozenset({"moderator", "staff"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """The user on whose behalf a request is made, anonymous if not logged in."""

    user_id: int | None = None
    username: str = ""
    role: str = "user"

    @property
    def is_authenticated(self) -> bool:
        return self.user_id is not None

    @property
    def is_moderator(self) -> bool:
        return self.is_authenticated and self.role in MODERATOR_ROLES


ANONYMOUS = Viewer()


def require_login(viewer: Viewer) -> int:
    """Return the id of the logged-in user.

    Raises:
        Forbidden: The viewer is not logged in.
    """
    if viewer.user_id is None:
        raise Forbidden("Log in to continue.")
    return viewer.user_id


def require_moderator(viewer: Viewer) -> None:
    """Raise an error unless the viewer is a moderator.

    Raises:
        Forbidden: The viewer is not a moderator.
    """
    if not viewer.is_moderator:
        raise Forbidden("Only moderators can do this.")


def require_owner_or_moderator(viewer: Viewer, owner_id: int | None) -> None:
    """Raise an error unless the viewer is the owner or a moderator.

    Raises:
        Forbidden: The viewer is neither.
    """
    if owner_id is None or viewer.user_id != owner_id:
        require_moderator(viewer)
