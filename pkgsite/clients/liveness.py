"""Checks that an API is reachable before a 404 from it is trusted.

A wrong API URL, or a proxy without its server, returns 404 for everything. Without this check, every repository would
count as missing within days.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pkgsite.clients.http import JsonClient
from pkgsite.errors import BadResponse, Gone, NotAllowed

ALIVE_FOR_S = 600.0  # after a successful response


class Liveness:
    """Remembers when each API last responded, and probes it otherwise."""

    def __init__(self, client: JsonClient, probe_path: str) -> None:
        """Create the check.

        Args:
            client: Sends the probe.
            probe_path: Path below the API URL that exists on every host of the kind, publicly or with a token.
        """
        self._client = client
        self._probe_path = probe_path
        self._last_response: dict[str, float] = {}  # time.monotonic by API URL

    def record_response(self, api: str) -> None:
        """Record that an API has just responded."""
        self._last_response[api] = time.monotonic()

    def ensure_alive(self, api: str, headers: Mapping[str, str] | None) -> None:
        """Probe an API that returned 404, unless it responded recently.

        Raises:
            BadResponse: There is no API at this URL.
            UpstreamError: The probe failed.
        """
        if time.monotonic() - self._last_response.get(api, -ALIVE_FOR_S) < ALIVE_FOR_S:
            return
        try:
            self._client.request(f"{api}/{self._probe_path}", headers=headers)
        except NotAllowed as failure:
            if failure.is_host_wide:
                raise
            # Otherwise the API exists and requires authentication.
        except Gone as failure:
            message = f"{api} is not this host's API: {self._probe_path} not found (see the setting CODE_HOSTS)"
            raise BadResponse(message) from failure
        self.record_response(api)
