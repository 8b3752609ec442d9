"""Each setting reaches the client that it is for: addresses, tokens, and whom the site may ask at all."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import config
from pkgsite.clients.base import Fetched, Gateways, RepoRef, RepoRequest
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
    """Return the gateways of a site with these settings, as its environment gives them."""
    return open_gateways(config.read_settings(settings), timeouts=FAST_TIMEOUTS)


def ask_repo(gateways: Gateways, host: str) -> UpstreamError | None:
    """Ask a code host for a repository, and return how it failed, if it did."""
    (outcome,) = gateways.code_hosts[host].repo_facts(
        [RepoRequest(RepoRef(gateways.host_kinds[host], host, PATH), {})], now=NOW
    )
    return None if isinstance(outcome, Fetched) else outcome


@dataclass(frozen=True)
class OutgoingRequest:
    """A request on its way out."""

    url: str
    head: Mapping[str, str]


@pytest.fixture
def outgoing_requests(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingRequest]:
    """What would have been sent: each request gets this far only if it may, and then no further."""
    found: list[OutgoingRequest] = []

    def note(_self: HTTPAdapter, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        found.append(OutgoingRequest(request.url or "", request.headers))
        raise requests.ConnectionError("the cable is out")

    monkeypatch.setattr(HTTPAdapter, "send", note)
    return found


def fetch_everything(gateways: Gateways) -> None:
    """Ask every host of all that it can tell."""
    for name, host in gateways.code_hosts.items():
        ref = RepoRef(gateways.host_kinds[name], name, PATH)
        ask_repo(gateways, name)
        for ask in (
            lambda host=host, ref=ref: host.activity_facts(ref, validators={}, now=NOW),
            lambda host=host, ref=ref: host.participant_facts(ref, validators={}),
        ):
            with pytest.raises(Unavailable):
                ask()
    for ask in (
        lambda: gateways.index.index_facts("one", validators={}),
        lambda: gateways.index.serials(["one"], validators={}),
        lambda: gateways.index.download_facts("one"),
    ):
        with pytest.raises(Unavailable):
            ask()


def api_roots(outgoing_requests: list[OutgoingRequest]) -> list[str]:
    """Return the address of each API that was asked, in order: up to where it is asked for something."""
    words = ("graphql", "repos/", "projects/", "repositories/", "pypi/", "simple/", "api/packages/")
    starts = [one.url[: min(one.url.find(word) for word in words if word in one.url)] for one in outgoing_requests]
    return list(dict.fromkeys(starts))


DEFAULT_API_URLS = [
    "https://api.github.com/",
    "https://gitlab.com/api/v4/",
    "https://api.bitbucket.org/2.0/",
    "https://codeberg.org/api/v1/",
    "https://pypi.org/",
    "https://pypistats.org/",
]


@pytest.mark.parametrize("tokens", ["", "github.com=ghp_x"])
def test_without_settings_the_usual_hosts_are_asked(outgoing_requests: list[OutgoingRequest], tokens: str) -> None:
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
    ("host", "start"),
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
def test_a_code_host_of_ones_own(outgoing_requests: list[OutgoingRequest], host: str, start: str) -> None:
    gateways = open_test_gateways(CODE_HOSTS=host)
    (name,) = gateways.code_hosts
    assert isinstance(ask_repo(gateways, name), Unavailable)
    assert api_roots(outgoing_requests) == [start]


def test_an_index_of_ones_own(outgoing_requests: list[OutgoingRequest]) -> None:
    gateways = open_test_gateways(
        CODE_HOSTS="",
        PACKAGE_INDEX_URL="https://Index.example:444/pypi-mirror/",
        DOWNLOAD_COUNTS_URL="http://counts.example",
    )
    fetch_everything(gateways)
    assert [one.url for one in outgoing_requests] == [
        "https://index.example:444/pypi-mirror/pypi/one/json",
        "https://index.example:444/pypi-mirror/simple/",
        "http://counts.example/api/packages/one/recent",
    ]
    assert (gateways.package_index_host, gateways.downloads_host) == ("index.example:444", "counts.example")


def test_a_token_goes_to_its_own_host_only(outgoing_requests: list[OutgoingRequest]) -> None:
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
        told = {netloc(one.url) for one in outgoing_requests if one.head.get("Authorization")}
        assert told == {api}
        assert {one.head.get("Authorization") for one in outgoing_requests if netloc(one.url) == api} == {
            scheme.format("s3cret")
        }
        assert not [one for one in outgoing_requests if "s3cret" in one.url]


def test_a_token_of_a_host_that_is_not_asked_goes_nowhere(outgoing_requests: list[OutgoingRequest]) -> None:
    fetch_everything(open_test_gateways(CODE_HOST_TOKENS="git.example.org=s3cret,pypi.org=s3cret,pypistats.org=s3cret"))
    assert api_roots(outgoing_requests) == DEFAULT_API_URLS
    assert {one.head.get("Authorization") for one in outgoing_requests} == {None}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "pkgsite"),
        ({"PUBLIC_URL": "https://packages.example"}, "pkgsite (+https://packages.example)"),
        ({"PUBLIC_URL": "https://packages.example", "CONTACT": "ada@example.org"}, "pkgsite (+ada@example.org)"),
    ],
)
def test_every_host_is_told_whom_it_can_write_to(
    outgoing_requests: list[OutgoingRequest], settings: dict[str, str], name: str
) -> None:
    fetch_everything(open_test_gateways(**settings))
    assert api_roots(outgoing_requests) == DEFAULT_API_URLS
    assert {one.head["User-Agent"] for one in outgoing_requests} == {name}
    assert user_agent(config.read_settings(settings)) == name


REST_HOSTS: dict[str, tuple[type[FakeHost], str]] = {
    "gitlab": (FakeGitLab, "/api/v4"),
    "bitbucket": (FakeBitbucket, "/2.0"),
    "forgejo": (FakeForgejo, "/api/v1"),
}


def make_fake_host(kind: str) -> tuple[Any, str]:
    """Return a host with one repository, and where its API is."""
    if kind == "github":
        github = FakeGitHub()
        github.add(PATH)
        return github, ""
    fake, api = REST_HOSTS[kind]
    return fake(FakeRepository(PATH, 7, make_commits(3))), api


@pytest.mark.parametrize("kind", ["github", "gitlab", "bitbucket", "forgejo"])
def test_a_host_on_this_machine_is_asked_only_if_it_is_named(serve_app: Serve, kind: str) -> None:
    fake, api = make_fake_host(kind)
    address = serve_app(fake)
    settings = {"CODE_HOSTS": f"git.example.org {kind} {address}{api}"}
    failure = ask_repo(open_test_gateways(**settings), "git.example.org")
    assert isinstance(failure, NotAllowed)
    assert "a non-public address" in str(failure)
    assert isinstance(
        ask_repo(open_test_gateways(**settings, ALLOWED_HOSTS_OUT="127.0.0.1:9"), "git.example.org"), NotAllowed
    )
    assert fake.asked == []
    assert ask_repo(open_test_gateways(**settings, ALLOWED_HOSTS_OUT=netloc(address)), "git.example.org") is None
    assert fake.asked


def test_an_index_on_this_machine_is_asked_only_if_it_is_named(serve_app: Serve) -> None:
    fake = FakePyPI()
    fake.add("one", "1.0", downloads=30)
    address = serve_app(fake)
    settings = {"PACKAGE_INDEX_URL": address, "DOWNLOAD_COUNTS_URL": address}
    refused = open_test_gateways(**settings).index
    for ask in (
        lambda: refused.index_facts("one", validators={}),
        lambda: refused.serials(["one"], validators={}),
        lambda: refused.download_facts("one"),
    ):
        with pytest.raises(NotAllowed):
            ask()
    assert fake.request_log == []
    index = open_test_gateways(**settings, ALLOWED_HOSTS_OUT=netloc(address)).index
    told = index.index_facts("one", validators={}).facts, index.download_facts("one").facts
    assert (told[0] and told[0].version, told[1] and told[1].last_month) == ("1.0", 30)
    assert index.serials(["one"], validators={}).facts == {"one": fake.projects["one"].serial}


def point_host_at(monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    """Let a name lead to an address on this machine, as whoever owns the name can."""
    host, _, port = address.removeprefix("http://").partition(":")

    def look_up(asked: str, *_args: object, **_options: object) -> list[Any]:
        assert asked == name
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_name_that_leads_to_this_machine_is_refused_unless_it_is_named(
    serve_app: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, api = make_fake_host("gitlab")
    address = serve_app(fake)
    point_host_at(monkeypatch, "git.example.org", address)
    port = address.rpartition(":")[2]
    settings = {"CODE_HOSTS": f"git.example.org gitlab http://git.example.org:{port}{api}"}
    for allowed in ("", "other.example", f"127.0.0.1:{port}", "git.example.org:1"):
        failure = ask_repo(open_test_gateways(**settings, ALLOWED_HOSTS_OUT=allowed), "git.example.org")
        assert isinstance(failure, NotAllowed), allowed
        assert str(failure) == "git.example.org resolves to a non-public address"
    assert fake.asked == []
    for allowed in ("git.example.org", f"other.example, GIT.example.org:{port}"):
        assert ask_repo(open_test_gateways(**settings, ALLOWED_HOSTS_OUT=allowed), "git.example.org") is None


def redirect_response(location: str) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    return response("302 Found", b"", Location=location)


def test_no_answer_leads_to_another_host(serve_app: Serve) -> None:
    """Not to one that may be asked too, since our token would go with the question; nor to one that may not."""
    fake, api = make_fake_host("gitlab")
    other = FakeGitLab(FakeRepository(PATH, 7, make_commits(3)))
    address, elsewhere = serve_app(fake), serve_app(other)
    gateways = open_test_gateways(
        CODE_HOSTS=f"git.example.org gitlab {address}{api}, other.example gitlab {elsewhere}{api}",
        CODE_HOST_TOKENS="git.example.org=s3cret",
        ALLOWED_HOSTS_OUT=f"{netloc(address)},{netloc(elsewhere)}",
    )
    fake.faults[""] = redirect_response(f"{elsewhere}{api}/projects/ada%2Fone")
    assert isinstance(ask_repo(gateways, "git.example.org"), BadResponse)
    fake.faults[""] = redirect_response(f"https://127.0.0.1{api}/projects/ada%2Fone")  # its own name, but not its port
    failure = ask_repo(gateways, "git.example.org")
    assert isinstance(failure, NotAllowed)
    assert str(failure) == "Requests to 127.0.0.1 are not allowed (see the setting ALLOWED_HOSTS_OUT)"
    assert {head["HTTP_AUTHORIZATION"] for head in fake.heads} == {"Bearer s3cret"}
    assert other.request_log == []
    assert ask_repo(gateways, "other.example") is None
    assert not [head for head in other.request_headers if "HTTP_AUTHORIZATION" in head]


def test_what_one_host_gave_us_to_keep_no_other_host_gets(serve_app: Serve) -> None:
    """Cookies know no ports: with one session for all, hosts on one machine would get each other's."""
    one, api = make_fake_host("gitlab")
    two, _ = make_fake_host("gitlab")
    addresses = serve_app(one), serve_app(two)
    gateways = open_test_gateways(
        CODE_HOSTS=f"one.example gitlab {addresses[0]}{api}, two.example gitlab {addresses[1]}{api}",
        ALLOWED_HOSTS_OUT=",".join(map(netloc, addresses)),
    )
    one.faults[""] = response("401 Unauthorized", {}, Set_Cookie="visitor=7; Path=/")
    for name in ("one.example", "one.example", "two.example"):
        ask_repo(gateways, name)
    assert one.heads[-1]["HTTP_COOKIE"] == "visitor=7"
    assert not [head for head in two.heads if "HTTP_COOKIE" in head]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://Git.Example.org/api", "git.example.org"),
        ("http://git.example.org:81/", "git.example.org:81"),
        ("http://[::1]:81/x", "[::1]:81"),
        ("", ""),
    ],
)
def test_a_host_is_known_by_name_and_port(url: str, name: str) -> None:
    assert netloc(url) == name
