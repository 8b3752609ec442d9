"""Registering, logging in and out, and the settings of one's account: all pages of the blueprint `accounts`."""

from __future__ import annotations

from pkgsite.views import account_settings, account_tokens, logging_in, oauth, outbox, registering
from pkgsite.views.account_parts import pages

PARTS = (account_settings, account_tokens, logging_in, oauth, outbox, registering)  # each adds its pages

__all__ = ["PARTS", "pages"]
