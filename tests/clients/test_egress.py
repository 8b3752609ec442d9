"""Only allowed hosts are asked, and only at addresses of the open internet, whatever a name leads to."""

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


def reader(allowed: tuple[str, ...] = (), private: tuple[str, ...] = ()) -> JsonClient:
    return JsonClient(user_agent="pkgsite", timeouts=SINGLE_ATTEMPT, egress=EgressPolicy.from_hosts(allowed, private))


@pytest.fixture
def site(serve_app: Callable[[Any], str]) -> str:
    """The address of a host on this machine that answers JSON."""
    host = Flask("host")
    host.add_url_rule("/", "here", lambda: {"good": True})
    host.add_url_rule("/away/", "away", lambda: redirect("http://127.0.0.1:9/"))
    return serve_app(host)


def test_a_private_host_that_is_named_is_asked(site: str) -> None:
    assert reader(private=(site.removeprefix("http://"),)).get(site) == {"good": True}


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param("{place}", id="an allowed name may not lead to this machine"),
        pytest.param("github.com", id="another host is not asked"),
        pytest.param("127.0.0.1", id="a name without a port is for the usual port only"),
    ],
)
def test_other_hosts_are_not_asked(site: str, allowed: str) -> None:
    with pytest.raises(NotAllowed):
        reader(allowed=(allowed.format(place=site.removeprefix("http://")),)).get(site)


def test_a_redirect_leads_nowhere_else(site: str) -> None:
    with pytest.raises(UpstreamError):
        reader(private=(site.removeprefix("http://"), "127.0.0.1:9")).get(f"{site}/away/")


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher"])
def test_only_the_web_is_asked(scheme: str) -> None:
    with pytest.raises(NotAllowed):
        EgressPolicy.from_hosts(("github.com",)).check_url(f"{scheme}://github.com/")


@pytest.mark.parametrize("url", ["https://github.com/x", "https://GITHUB.com:443/x", "http://github.com/x"])
def test_names_are_compared_without_case_and_with_the_usual_port(url: str) -> None:
    EgressPolicy.from_hosts(("GitHub.com",)).check_url(url)
    with pytest.raises(NotAllowed, match="ALLOWED_HOSTS_OUT"):
        EgressPolicy.from_hosts(("evil-github.com", "github.com:8443")).check_url(url)


@pytest.mark.parametrize("url", ["https://github.com.evil.example/", "https://github.com@evil.example/", "https:///x"])
def test_names_that_only_look_like_one_on_the_list(url: str) -> None:
    with pytest.raises(NotAllowed):
        EgressPolicy.from_hosts(("github.com",)).check_url(url)


PRIVATE = (
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 "
    "::1 :: fe80::1 fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 2002:7f00:1::"
)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_public(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose looking up leads to such an address is refused before anything is sent to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answer = [(family, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answer)
    assert not is_public(address)
    with pytest.raises(NotAllowed, match=r"rebound\.example resolves to"):
        connect_checked("rebound.example", 443, 1.0, EgressPolicy.from_hosts(("rebound.example",)))


@pytest.mark.parametrize("address", ["140.82.121.4", "2606:50c0:8000::154", "::ffff:140.82.121.4"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)
