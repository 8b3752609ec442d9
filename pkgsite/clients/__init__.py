"""Clients for other hosts: each returns frozen facts or raises an `UpstreamError` of `pkgsite.errors`."""
