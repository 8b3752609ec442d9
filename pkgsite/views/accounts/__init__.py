"""Registering, logging in and out, and the settings of one's account: all pages of the blueprint `accounts`."""

from __future__ import annotations

from pkgsite.views.accounts import login as logging_in
from pkgsite.views.accounts import oauth, outbox
from pkgsite.views.accounts import registration as registering
from pkgsite.views.accounts import settings as account_settings
from pkgsite.views.accounts import tokens as account_tokens
from pkgsite.views.accounts.base import pages

SUBMODULES = (account_settings, account_tokens, logging_in, oauth, outbox, registering)  # each adds its pages

__all__ = ["SUBMODULES", "pages"]
