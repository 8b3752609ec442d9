"""Accounts: logging in, registration, settings, tokens and emails."""
