"""Refreshing facts from their hosts."""
