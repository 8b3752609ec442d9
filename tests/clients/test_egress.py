"""The egress policy: requests go to allowed hosts at public addresses only."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, redirect

from pkgsite.clients.egress import EgressPolicy, connect_checked, is_public
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.errors import NotAllowed, UpstreamError

SINGLE_ATTEMPT = Timeouts(read_timeout_s=5, attempts=1)


def json_client(allowed: tuple[str, ...] = (), private: tuple[str, ...] = ()) -> JsonClient:
    return JsonClient(user_agent="pkgsite", timeouts=SINGLE_ATTEMPT, egress=EgressPolicy.from_hosts(allowed, private))


@pytest.fixture
def site(serve_app: Callable[[Any], str]) -> str:
    """The URL of a local host that serves JSON."""
    host = Flask("host")
    host.add_url_rule("/", "index", lambda: {"good": True})
    host.add_url_rule("/redirect/", "redirect", lambda: redirect("http://127.0.0.1:9/"))
    return serve_app(host)


def test_listed_private_host_is_allowed(site: str) -> None:
    assert json_client(private=(site.removeprefix("http://"),)).get(site) == {"good": True}


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param("{host}", id="an allowed host may not resolve to this machine"),
        pytest.param("github.com", id="another host is not allowed"),
        pytest.param("127.0.0.1", id="a name without a port allows the default port only"),
    ],
)
def test_other_hosts_are_rejected(site: str, allowed: str) -> None:
    with pytest.raises(NotAllowed):
        json_client(allowed=(allowed.format(host=site.removeprefix("http://")),)).get(site)


def test_redirect_to_another_host_is_rejected(site: str) -> None:
    with pytest.raises(UpstreamError):
        json_client(private=(site.removeprefix("http://"), "127.0.0.1:9")).get(f"{site}/redirect/")


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher"])
def test_other_schemes_are_rejected(scheme: str) -> None:
    with pytest.raises(NotAllowed):
        EgressPolicy.from_hosts(("github.com",)).check_url(f"{scheme}://github.com/")


@pytest.mark.parametrize("url", ["https://github.com/x", "https://GITHUB.com:443/x", "http://github.com/x"])
def test_host_names_ignore_case_and_default_port(url: str) -> None:
    EgressPolicy.from_hosts(("GitHub.com",)).check_url(url)
    with pytest.raises(NotAllowed, match="ALLOWED_HOSTS_OUT"):
        EgressPolicy.from_hosts(("evil-github.com", "github.com:8443")).check_url(url)


@pytest.mark.parametrize("url", ["https://github.com.evil.example/", "https://github.com@evil.example/", "https:///x"])
def test_similar_host_names_are_rejected(url: str) -> None:
    with pytest.raises(NotAllowed):
        EgressPolicy.from_hosts(("github.com",)).check_url(url)


PRIVATE = (
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 "
    "::1 :: fe80::1 fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 2002:7f00:1:: "
    "64:ff9b::a00:1 64:ff9b:1::a00:1 ::10.0.0.1 fec0::1 5f00::1 3fff::1 2001:db8::1 198.18.0.1 240.0.0.1"
)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_non_public_addresses_are_rejected(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to such an address is rejected before anything is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    addresses = [(family, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: addresses)
    assert not is_public(address)
    with pytest.raises(NotAllowed, match=r"rebound\.example resolves to"):
        connect_checked("rebound.example", 443, 1.0, EgressPolicy.from_hosts(("rebound.example",)))


@pytest.mark.parametrize(
    "address", ["140.82.121.4", "2606:50c0:8000::154", "::ffff:140.82.121.4", "64:ff9b::8c52:7904"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)
