"""The hosts that clients may connect to, and the HTTP adapter that enforces it (against SSRF).

A host name is checked against the allowlist before it is resolved, and each resolved address before connecting: an
allowed host that resolves to this machine or its network is rejected, after redirects too. A host with a port, as in
`gitlab.example.org:8443`, is allowed on that port only.
"""

from __future__ import annotations

import ipaddress
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

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 addresses embedded in IPv6
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all other IPv6 addresses are special
IPV6_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637; `ipaddress` does not know it yet
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The hosts that requests may be sent to.

    Attributes:
        allowed_hosts: Host names, with a port if only that port is allowed.
        private_hosts: The allowed hosts that may resolve to private addresses.
    """

    allowed_hosts: frozenset[str]
    private_hosts: frozenset[str] = frozenset()

    @classmethod
    def from_hosts(cls, allowed: Collection[str], private: Collection[str] = ()) -> EgressPolicy:
        names = frozenset(name.lower() for name in private)
        return cls(frozenset(name.lower() for name in allowed) | names, names)

    def check_url(self, url: str) -> None:
        """Raise an error if the scheme or host of a URL is not allowed.

        Raises:
            NotAllowed: The message names the setting to change.
        """
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not _host_names(url) & self.allowed_hosts:
            message = f"Requests to {parts.netloc} are not allowed (see the setting ALLOWED_HOSTS_OUT)"
            raise NotAllowed(message, is_host_wide=True)

    def allows_private(self, host: str, port: int) -> bool:
        return bool({host.lower(), f"{host.lower()}:{port}"} & self.private_hosts)


def _host_names(url: str) -> set[str]:
    """Return the allowlist entries that match a URL: `host:port`, and `host` on the scheme's default port."""
    parts = urlsplit(url)
    host, default_port = (parts.hostname or "").lower(), DEFAULT_PORTS.get(parts.scheme)
    port = parts.port or default_port
    return {f"{host}:{port}", host} if port == default_port else {f"{host}:{port}"}


def is_public(address: str) -> bool:
    """Return whether an IP address is reachable on the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if ip in NAT64:
        mapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    ip = mapped or ip
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in GLOBAL_UNICAST or ip in IPV6_DOCUMENTATION):
        return False
    return ip.is_global and not ip.is_multicast


class EgressAdapter(HTTPAdapter):
    """Restricts a session to the hosts of an egress policy."""

    def __init__(self, egress: EgressPolicy, **options: Any) -> None:
        self._egress = egress
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self._egress),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self._egress),
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self._egress.check_url(request.url or "")
        return super().send(request, *args, **options)


def _pool(pool: type[Any], connection: type[Any], egress: EgressPolicy) -> type[Any]:
    def new_connection(self: Any) -> socket.socket:
        return connect_checked(self._dns_host, self.port, self.timeout, egress)

    connection_class = type(f"Restricted{connection.__name__}", (connection,), {"_new_conn": new_connection})
    return type(f"Restricted{pool.__name__}", (pool,), {"ConnectionCls": connection_class})


def connect_checked(host: str, port: int, timeout: Any, egress: EgressPolicy) -> socket.socket:
    """Return a connection to a host after checking the resolved address.

    Raises:
        NotAllowed: The host resolves to an address of this machine or its network.
        OSError: No address can be reached.
    """
    failure: OSError | None = None
    allows_private = egress.allows_private(host, port)
    for family, kind, protocol, _name, socket_address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not allows_private and not is_public(str(socket_address[0])):
            # The address goes to the log only, because the error message is public.
            message, address = f"{host} resolves to a non-public address", str(socket_address[0])
            raise NotAllowed(message, is_host_wide=True, log_detail=address)
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
    """Return a session restricted to the allowed hosts, ignoring proxy settings of the environment."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, EgressAdapter(egress))
    return session
