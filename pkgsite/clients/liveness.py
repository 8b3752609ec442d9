"""Whether an API is there at all: only one that is can say that something is missing.

Behind a wrong address, or a proxy that has lost its server, all is answered 404: believed, that would make every
repository count as gone within days.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pkgsite.clients.http import JsonClient
from pkgsite.errors import BadResponse, Gone, NotAllowed

ALIVE_FOR_S = 600.0  # after a good answer; what is gone for good is answered 404 for days


class Liveness:
    """Remembers when each API last answered, and asks those that did not for what each of its kind has."""

    def __init__(self, reader: JsonClient, probe_path: str) -> None:
        """Know how to ask.

        Args:
            reader: Asks.
            probe_path: A path below the API's address that is there on every host of the kind, for everybody or for
                those with a token.
        """
        self._reader = reader
        self._landmark = probe_path
        self._last_response: dict[str, float] = {}  # by API, by time.monotonic

    def record_response(self, api: str) -> None:
        """Note that an API has just answered."""
        self._last_response[api] = time.monotonic()

    def ensure_alive(self, api: str, headers: Mapping[str, str] | None) -> None:
        """Make sure that an API that answered 404 is there; one that answered lately is not asked.

        Raises:
            BadAnswer: it is not, or what is there is none.
            UpstreamError: the host could not tell.
        """
        if time.monotonic() - self._last_response.get(api, -ALIVE_FOR_S) < ALIVE_FOR_S:
            return
        try:
            self._reader.request(f"{api}/{self._landmark}", headers=headers)
        except NotAllowed:  # it is there, and wants to know who asks
            pass
        except Gone as failure:
            message = f"{api} is not this host's API: {self._landmark} not found (see the setting CODE_HOSTS)"
            raise BadResponse(message) from failure
        self.record_response(api)
