"""Sign-up, login, logout and account settings: all pages of the blueprint `accounts`."""

from __future__ import annotations

from pkgsite.views.accounts import login, oauth, outbox, registration, settings, submissions, tokens
from pkgsite.views.accounts.base import pages

# Importing them adds their views to the blueprint.
SUBMODULES = (login, oauth, outbox, registration, settings, submissions, tokens)

__all__ = ["SUBMODULES", "pages"]
