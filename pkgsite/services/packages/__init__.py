"""Packages: reading and editing them."""
