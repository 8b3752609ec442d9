"""Error reports to Sentry, for sites that set SENTRY_DSN and install the package `sentry-sdk`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def configure(settings: Mapping[str, Any], release: str) -> None:
    """Report unhandled exceptions and logged errors, without personal data such as cookies and addresses."""
    if settings["SENTRY_DSN"]:
        import sentry_sdk

        sentry_sdk.init(
            dsn=settings["SENTRY_DSN"],
            release=f"pkgsite@{release}",
            send_default_pii=False,
            include_local_variables=False,
        )
