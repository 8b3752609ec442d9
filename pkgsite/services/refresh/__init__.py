"""Refreshing facts from code hosts and the package index."""
