"""Gateways from settings: URLs, tokens and allowed hosts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import config
from pkgsite.clients.base import DownloadFacts, Fetched, Gateways, RepoRef, RepoRequest
from pkgsite.clients.gateways import netloc, open_gateways, user_agent
from pkgsite.clients.http import Timeouts
from pkgsite.errors import BadResponse, NotAllowed, Unavailable, UpstreamError
from tests.fakes.bitbucket import FakeBitbucket
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.pypi import FakePyPI
from tests.fakes.rest_host import NOW, FakeHost, FakeRepository, Serve, make_commits
from tests.fakes.v4_site import response

FAST_TIMEOUTS = Timeouts(read_timeout_s=5, total_timeout_s=5, attempts=1)
PATH = "ada/one"


def open_test_gateways(**settings: str) -> Gateways:
    """Return the gateways of a site with these environment variables."""
    return open_gateways(config.read_settings(settings), timeouts=FAST_TIMEOUTS)


def fetch_repo_error(gateways: Gateways, host: str) -> UpstreamError | None:
    """Fetch a repository from a code host, and return the error, if any."""
    (outcome,) = gateways.code_hosts[host].repo_facts(
        [RepoRequest(RepoRef(gateways.host_kinds[host], host, PATH), {})], now=NOW
    )
    return None if isinstance(outcome, Fetched) else outcome


@dataclass(frozen=True)
class OutgoingRequest:
    """A request that a client tried to send."""

    url: str
    headers: Mapping[str, str]


@pytest.fixture
def outgoing_requests(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingRequest]:
    """The requests that would have been sent; each passes the egress check and then fails."""
    recorded: list[OutgoingRequest] = []

    def record(
        _self: HTTPAdapter, request: requests.PreparedRequest, *_args: Any, **_options: Any
    ) -> requests.Response:
        recorded.append(OutgoingRequest(request.url or "", request.headers))
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(HTTPAdapter, "send", record)
    return recorded


def fetch_everything(gateways: Gateways) -> None:
    """Fetch all kinds of facts from every host, which fails."""
    for name, host in gateways.code_hosts.items():
        ref = RepoRef(gateways.host_kinds[name], name, PATH)
        fetch_repo_error(gateways, name)
        host_fetches: list[Callable[[], object]] = [
            partial(host.activity_facts, ref, validators={}, now=NOW),
            partial(host.participant_facts, ref, validators={}),
        ]
        for fetch in host_fetches:
            with pytest.raises(Unavailable):
                fetch()
    index_fetches: list[Callable[[], object]] = [
        lambda: gateways.index.index_facts("one", validators={}),
        lambda: gateways.index.serials(["one"], validators={}),
        lambda: gateways.index.download_facts("one"),
    ]
    for fetch in index_fetches:
        with pytest.raises(Unavailable):
            fetch()


def api_roots(outgoing_requests: list[OutgoingRequest]) -> list[str]:
    """Return the root URL of each API that was requested, in order."""
    resources = ("graphql", "repos/", "projects/", "repositories/", "pypi/", "simple/", "api/packages/")
    urls = [request.url for request in outgoing_requests]
    roots = [url[: min(url.find(resource) for resource in resources if resource in url)] for url in urls]
    return list(dict.fromkeys(roots))


DEFAULT_API_URLS = [
    "https://api.github.com/",
    "https://gitlab.com/api/v4/",
    "https://api.bitbucket.org/2.0/",
    "https://codeberg.org/api/v1/",
    "https://pypi.org/",
    "https://pypistats.org/",
]


@pytest.mark.parametrize("tokens", ["", "github.com=ghp_x"])
def test_default_settings_use_the_public_hosts(outgoing_requests: list[OutgoingRequest], tokens: str) -> None:
    gateways = open_test_gateways(CODE_HOST_TOKENS=tokens)
    fetch_everything(gateways)
    assert api_roots(outgoing_requests) == DEFAULT_API_URLS
    assert outgoing_requests[0].url == f"https://api.github.com/{'graphql' if tokens else 'repos/ada/one'}"
    assert gateways.host_kinds == {
        "github.com": "github",
        "gitlab.com": "gitlab",
        "bitbucket.org": "bitbucket",
        "codeberg.org": "forgejo",
    }
    assert (gateways.package_index_host, gateways.downloads_host) == ("pypi.org", "pypistats.org")


@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("git.example.org github", "https://git.example.org/api/v3/"),
        ("git.example.org github https://api.example.org/", "https://api.example.org/"),
        ("git.example.org gitlab", "https://git.example.org/api/v4/"),
        ("Git.Example.org gitlab", "https://git.example.org/api/v4/"),
        ("git.example.org:8443 gitlab", "https://git.example.org:8443/api/v4/"),
        ("git.example.org gitlab http://10.0.0.7:81/lab/api/v4", "http://10.0.0.7:81/lab/api/v4/"),
        ("git.example.org forgejo", "https://git.example.org/api/v1/"),
        ("git.example.org forgejo https://git.example.org/forge/api/v1", "https://git.example.org/forge/api/v1/"),
        ("git.example.org bitbucket https://api.example.org/2.0", "https://api.example.org/2.0/"),
    ],
)
def test_self_hosted_code_host(outgoing_requests: list[OutgoingRequest], host: str, root: str) -> None:
    gateways = open_test_gateways(CODE_HOSTS=host)
    (name,) = gateways.code_hosts
    assert isinstance(fetch_repo_error(gateways, name), Unavailable)
    assert api_roots(outgoing_requests) == [root]


def test_self_hosted_index(outgoing_requests: list[OutgoingRequest]) -> None:
    gateways = open_test_gateways(
        CODE_HOSTS="",
        PACKAGE_INDEX_URL="https://Index.example:444/pypi-mirror/",
        DOWNLOAD_COUNTS_URL="http://counts.example",
    )
    fetch_everything(gateways)
    assert [request.url for request in outgoing_requests] == [
        "https://index.example:444/pypi-mirror/pypi/one/json",
        "https://index.example:444/pypi-mirror/simple/",
        "http://counts.example/api/packages/one/recent",
    ]
    assert (gateways.package_index_host, gateways.downloads_host) == ("index.example:444", "counts.example")


def test_token_is_sent_to_its_host_only(outgoing_requests: list[OutgoingRequest]) -> None:
    hosts = {
        "github.com": ("github https://api.github.com", "Bearer {}"),
        "hub.example": ("github", "Bearer {}"),
        "gitlab.com": ("gitlab", "Bearer {}"),
        "lab.example": ("gitlab", "Bearer {}"),
        "bitbucket.org": ("bitbucket", "Bearer {}"),
        "codeberg.org": ("forgejo", "token {}"),
        "forge.example": ("forgejo", "token {}"),
    }
    code_hosts = ", ".join(f"{name} {rest}" for name, (rest, _) in hosts.items())
    for owner, (_, scheme) in hosts.items():
        outgoing_requests.clear()
        fetch_everything(open_test_gateways(CODE_HOSTS=code_hosts, CODE_HOST_TOKENS=f"{owner.upper()}=s3cret"))
        api = netloc(api_roots(outgoing_requests)[list(hosts).index(owner)])
        hosts_with_token = {netloc(sent.url) for sent in outgoing_requests if sent.headers.get("Authorization")}
        assert hosts_with_token == {api}
        assert {sent.headers.get("Authorization") for sent in outgoing_requests if netloc(sent.url) == api} == {
            scheme.format("s3cret")
        }
        assert not [sent for sent in outgoing_requests if "s3cret" in sent.url]


def test_token_of_an_unused_host_is_not_sent(outgoing_requests: list[OutgoingRequest]) -> None:
    fetch_everything(open_test_gateways(CODE_HOST_TOKENS="git.example.org=s3cret,pypi.org=s3cret,pypistats.org=s3cret"))
    assert api_roots(outgoing_requests) == DEFAULT_API_URLS
    assert {sent.headers.get("Authorization") for sent in outgoing_requests} == {None}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "pkgsite"),
        ({"PUBLIC_URL": "https://packages.example"}, "pkgsite (+https://packages.example)"),
        ({"PUBLIC_URL": "https://packages.example", "CONTACT": "ada@example.org"}, "pkgsite (+ada@example.org)"),
    ],
)
def test_user_agent_has_contact_details(
    outgoing_requests: list[OutgoingRequest], settings: dict[str, str], name: str
) -> None:
    fetch_everything(open_test_gateways(**settings))
    assert api_roots(outgoing_requests) == DEFAULT_API_URLS
    assert {sent.headers["User-Agent"] for sent in outgoing_requests} == {name}
    assert user_agent(config.read_settings(settings)) == name


REST_HOSTS: dict[str, tuple[type[FakeHost], str]] = {
    "gitlab": (FakeGitLab, "/api/v4"),
    "bitbucket": (FakeBitbucket, "/2.0"),
    "forgejo": (FakeForgejo, "/api/v1"),
}


def make_fake_host(kind: str) -> tuple[Any, str]:
    """Return a host with one repository, and the path of its API."""
    if kind == "github":
        github = FakeGitHub()
        github.add(PATH)
        return github, ""
    fake, api = REST_HOSTS[kind]
    return fake(FakeRepository(PATH, 7, make_commits(3))), api


@pytest.mark.parametrize("kind", ["github", "gitlab", "bitbucket", "forgejo"])
def test_local_code_host_needs_to_be_allowed(serve_app: Serve, kind: str) -> None:
    fake, api = make_fake_host(kind)
    address = serve_app(fake)
    settings = {"CODE_HOSTS": f"git.example.org {kind} {address}{api}"}
    failure = fetch_repo_error(open_test_gateways(**settings), "git.example.org")
    assert isinstance(failure, NotAllowed)
    assert "a non-public address" in str(failure)
    assert isinstance(
        fetch_repo_error(open_test_gateways(**settings, ALLOWED_HOSTS_OUT="127.0.0.1:9"), "git.example.org"), NotAllowed
    )
    assert fake.request_log == []
    assert (
        fetch_repo_error(open_test_gateways(**settings, ALLOWED_HOSTS_OUT=netloc(address)), "git.example.org") is None
    )
    assert fake.request_log


def test_local_index_needs_to_be_allowed(serve_app: Serve) -> None:
    fake = FakePyPI()
    fake.add("one", "1.0", downloads=30)
    address = serve_app(fake)
    settings = {"PACKAGE_INDEX_URL": address, "DOWNLOAD_COUNTS_URL": address}
    restricted = open_test_gateways(**settings).index
    fetches: list[Callable[[], object]] = [
        lambda: restricted.index_facts("one", validators={}),
        lambda: restricted.serials(["one"], validators={}),
        lambda: restricted.download_facts("one"),
    ]
    for fetch in fetches:
        with pytest.raises(NotAllowed):
            fetch()
    assert fake.request_log == []
    index = open_test_gateways(**settings, ALLOWED_HOSTS_OUT=netloc(address)).index
    index_facts, download_facts = index.index_facts("one", validators={}).facts, index.download_facts("one").facts
    assert index_facts is not None
    assert index_facts.version == "1.0"
    assert download_facts == DownloadFacts(30)
    assert index.serials(["one"], validators={}).facts == {"one": fake.projects["one"].serial}


def point_host_at(monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    """Make a name resolve to a local address, as the owner of the name could."""
    host, _, port = address.removeprefix("http://").partition(":")

    def getaddrinfo(requested: str, *_args: object, **_options: object) -> list[Any]:
        assert requested == name
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_name_that_resolves_to_this_machine_needs_to_be_allowed(
    serve_app: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, api = make_fake_host("gitlab")
    address = serve_app(fake)
    point_host_at(monkeypatch, "git.example.org", address)
    port = address.rpartition(":")[2]
    settings = {"CODE_HOSTS": f"git.example.org gitlab http://git.example.org:{port}{api}"}
    for allowed in ("", "other.example", f"127.0.0.1:{port}", "git.example.org:1"):
        failure = fetch_repo_error(open_test_gateways(**settings, ALLOWED_HOSTS_OUT=allowed), "git.example.org")
        assert isinstance(failure, NotAllowed), allowed
        assert str(failure) == "git.example.org resolves to a non-public address"
    assert fake.request_log == []
    for allowed in ("git.example.org", f"other.example, GIT.example.org:{port}"):
        assert fetch_repo_error(open_test_gateways(**settings, ALLOWED_HOSTS_OUT=allowed), "git.example.org") is None


def redirect_response(location: str) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    return response("302 Found", b"", Location=location)


def test_redirects_to_other_hosts_are_rejected(serve_app: Serve) -> None:
    """Even if the other host is allowed, because our token would be sent to it."""
    fake, api = make_fake_host("gitlab")
    other = FakeGitLab(FakeRepository(PATH, 7, make_commits(3)))
    address, elsewhere = serve_app(fake), serve_app(other)
    gateways = open_test_gateways(
        CODE_HOSTS=f"git.example.org gitlab {address}{api}, other.example gitlab {elsewhere}{api}",
        CODE_HOST_TOKENS="git.example.org=s3cret",
        ALLOWED_HOSTS_OUT=f"{netloc(address)},{netloc(elsewhere)}",
    )
    fake.faults[""] = redirect_response(f"{elsewhere}{api}/projects/ada%2Fone")
    assert isinstance(fetch_repo_error(gateways, "git.example.org"), BadResponse)
    fake.faults[""] = redirect_response(f"https://127.0.0.1{api}/projects/ada%2Fone")  # the same name, but another port
    failure = fetch_repo_error(gateways, "git.example.org")
    assert isinstance(failure, NotAllowed)
    assert str(failure) == "Requests to 127.0.0.1 are not allowed (see the setting ALLOWED_HOSTS_OUT)"
    assert {headers["HTTP_AUTHORIZATION"] for headers in fake.request_headers} == {"Bearer s3cret"}
    assert other.request_log == []
    assert fetch_repo_error(gateways, "other.example") is None
    assert not [headers for headers in other.request_headers if "HTTP_AUTHORIZATION" in headers]


def test_cookies_are_not_sent_to_other_hosts(serve_app: Serve) -> None:
    """Cookies ignore ports: with a shared session, hosts on one machine would get each other's cookies."""
    one, api = make_fake_host("gitlab")
    two, _ = make_fake_host("gitlab")
    addresses = serve_app(one), serve_app(two)
    gateways = open_test_gateways(
        CODE_HOSTS=f"one.example gitlab {addresses[0]}{api}, two.example gitlab {addresses[1]}{api}",
        ALLOWED_HOSTS_OUT=",".join(map(netloc, addresses)),
    )
    one.faults[""] = response("401 Unauthorized", {}, Set_Cookie="visitor=7; Path=/")
    for name in ("one.example", "one.example", "two.example"):
        fetch_repo_error(gateways, name)
    assert one.request_headers[-1]["HTTP_COOKIE"] == "visitor=7"
    assert not [headers for headers in two.request_headers if "HTTP_COOKIE" in headers]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://Git.Example.org/api", "git.example.org"),
        ("http://git.example.org:81/", "git.example.org:81"),
        ("http://[::1]:81/x", "[::1]:81"),
        ("", ""),
    ],
)
def test_netloc(url: str, name: str) -> None:
    assert netloc(url) == name
