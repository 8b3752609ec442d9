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
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The hosts that may be asked: `allowed_hosts` by name, and of these the `private_hosts` ones, which may lie on our network."""

    allowed_hosts: frozenset[str]
    private_hosts: frozenset[str] = frozenset()

    @classmethod
    def from_hosts(cls, allowed: Collection[str], private: Collection[str] = ()) -> EgressPolicy:
        names = frozenset(name.lower() for name in private)
        return cls(frozenset(name.lower() for name in allowed) | names, names)

    def check_url(self, url: str) -> None:
        """Refuse an address whose scheme or host is not allowed.

        Raises:
            NotAllowed: with words that name the setting.
        """
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not _host_names(url) & self.allowed_hosts:
            raise NotAllowed(f"Requests to {parts.netloc} are not allowed (see the setting ALLOWED_HOSTS_OUT)")

    def allows_private(self, host: str, port: int) -> bool:
        return bool({host.lower(), f"{host.lower()}:{port}"} & self.private_hosts)


def _host_names(url: str) -> set[str]:
    """Return the names by which an address's host may stand on the list; on the usual port it needs no port."""
    parts = urlsplit(url)
    host, default_port = (parts.hostname or "").lower(), DEFAULT_PORTS.get(parts.scheme)
    port = parts.port or default_port
    return {f"{host}:{port}", host} if port == default_port else {f"{host}:{port}"}


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet's."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if ip in NAT64:
        mapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return (mapped or ip).is_global and not (mapped or ip).is_multicast


class EgressAdapter(HTTPAdapter):
    """Connects a session to allowed addresses only."""

    def __init__(self, egress: EgressPolicy, **options: Any) -> None:
        self._outside = egress
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


def _pool(pool: type[Any], connection: type[Any], egress: EgressPolicy) -> type[Any]:
    def new_connection(self: Any) -> socket.socket:
        return connect_checked(self._dns_host, self.port, self.timeout, egress)

    connection_class = type(f"Guarded{connection.__name__}", (connection,), {"_new_conn": new_connection})
    return type(f"Guarded{pool.__name__}", (pool,), {"ConnectionCls": connection_class})


def connect_checked(host: str, port: int, timeout: Any, egress: EgressPolicy) -> socket.socket:
    """Return a connection to a host, to an address that was looked at before.

    Raises:
        NotAllowed: the name leads to an address of this machine or its network.
        OSError: no address can be reached.
    """
    failure: OSError | None = None
    allows_private = egress.allows_private(host, port)
    for family, kind, protocol, _name, socket_address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not allows_private and not is_public(str(socket_address[0])):
            # Which address is for the log alone: the failure's words are shown to everybody.
            log.warning("%s resolves to %s, which is not a public address", host, socket_address[0])
            raise NotAllowed(f"{host} resolves to a non-public address")
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout if isinstance(timeout, (int, float)) else None)
            connection.connect(socket_address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure or OSError(f"{host} could not be resolved")


def restricted_session(egress: EgressPolicy) -> requests.Session:
    """Return a session that keeps to the allowed hosts, whatever the machine's environment says of proxies."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, EgressAdapter(egress))
    return session
