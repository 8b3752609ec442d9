"""Which hosts clients may ask, and the connections that keep them to it.

A name is checked against the list before it is looked up, and each address that it leads to before it is connected
to: a host on the list that points at this machine or its neighbours is refused, redirects too. Hosts named with a port,
as in `gitlab.example.org:8443`, are allowed on that port only.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from pkgsite.errors import NotAllowed

log = logging.getLogger(__name__)

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 addresses, as IPv6 alone reaches them
USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Outside:
    """The hosts that may be asked: `allowed` by name, and of these the `private` ones, which may lie on our network."""

    allowed: frozenset[str]
    private: frozenset[str] = frozenset()

    @classmethod
    def of(cls, allowed: Collection[str], private: Collection[str] = ()) -> Outside:
        names = frozenset(name.lower() for name in private)
        return cls(frozenset(name.lower() for name in allowed) | names, names)

    def check_url(self, url: str) -> None:
        """Refuse an address whose scheme or host is not allowed.

        Raises:
            NotAllowed: with words that name the setting.
        """
        parts = urlsplit(url)
        if parts.scheme not in USUAL_PORTS or not _names(url) & self.allowed:
            raise NotAllowed(f"Requests to {parts.netloc} are not allowed (see the setting ALLOWED_HOSTS_OUT)")

    def may_be_private(self, host: str, port: int) -> bool:
        return bool({host.lower(), f"{host.lower()}:{port}"} & self.private)


def _names(url: str) -> set[str]:
    """Return the names by which an address's host may stand on the list; on the usual port it needs no port."""
    parts = urlsplit(url)
    host, usual = (parts.hostname or "").lower(), USUAL_PORTS.get(parts.scheme)
    port = parts.port or usual
    return {f"{host}:{port}", host} if port == usual else {f"{host}:{port}"}


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet's."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    if found in NAT64:
        mapped = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return (mapped or found).is_global and not (mapped or found).is_multicast


class GuardedAdapter(HTTPAdapter):
    """Connects a session to allowed addresses only."""

    def __init__(self, outside: Outside, **options: Any) -> None:
        self._outside = outside
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self._outside),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self._outside),
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self._outside.check_url(request.url or "")
        return super().send(request, *args, **options)


def _pool(pool: type[Any], connection: type[Any], outside: Outside) -> type[Any]:
    def new_connection(self: Any) -> socket.socket:
        return connect(self._dns_host, self.port, self.timeout, outside)

    guarded = type(f"Guarded{connection.__name__}", (connection,), {"_new_conn": new_connection})
    return type(f"Guarded{pool.__name__}", (pool,), {"ConnectionCls": guarded})


def connect(host: str, port: int, timeout: Any, outside: Outside) -> socket.socket:
    """Return a connection to a host, to an address that was looked at before.

    Raises:
        NotAllowed: the name leads to an address of this machine or its network.
        OSError: no address can be reached.
    """
    failure: OSError | None = None
    private_too = outside.may_be_private(host, port)
    for family, kind, protocol, _name, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not private_too and not is_public(str(place[0])):
            # Which address is for the log alone: the failure's words are shown to everybody.
            log.warning("%s resolves to %s, which is not a public address", host, place[0])
            raise NotAllowed(f"{host} resolves to a non-public address")
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout if isinstance(timeout, (int, float)) else None)
            connection.connect(place)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure or OSError(f"{host} could not be resolved")


def guarded_session(outside: Outside) -> requests.Session:
    """Return a session that keeps to the allowed hosts, whatever the machine's environment says of proxies."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, GuardedAdapter(outside))
    return session
