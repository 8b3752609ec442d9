"""The outside world: each client returns frozen facts or raises one of the upstream failures of `pkgsite.errors`."""
