"""Sign-up, login, logout and account settings: all pages of the blueprint `accounts`."""

from __future__ import annotations

from pkgsite.views.accounts import login, oauth, outbox, registration, settings, tokens
from pkgsite.views.accounts.base import pages

SUBMODULES = (login, oauth, outbox, registration, settings, tokens)  # importing them adds their views to the blueprint

__all__ = ["SUBMODULES", "pages"]
