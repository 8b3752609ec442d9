"""The live clients, one for each host that the settings name, all kept to the hosts that may be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pkgsite.clients.base import CodeHost, Gateways
from pkgsite.clients.bitbucket import Bitbucket
from pkgsite.clients.egress import EgressPolicy
from pkgsite.clients.forgejo import Forgejo
from pkgsite.clients.github import GitHub
from pkgsite.clients.gitlab import GitLab
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.pypi import PyPI
from pkgsite.clients.rest_host import RestHost

# A limit is not waited out but told: the refresh leaves that host alone until then, and goes on with others.
TIMEOUTS = Timeouts(read_timeout_s=15, total_timeout_s=60, attempts=2, max_wait_s=0)
# The list of all projects on the index is some 50 MiB, and grows.
ALL_PROJECTS_TIMEOUTS = replace(TIMEOUTS, read_timeout_s=30, total_timeout_s=300, max_bytes=256 * 2**20)
REST_CLIENTS: Mapping[str, type[RestHost]] = {"gitlab": GitLab, "bitbucket": Bitbucket, "forgejo": Forgejo}
DEFAULT_API_URLS: Mapping[str, Callable[[str], str]] = {
    "github": GitHub.default_api_url,
    **{kind: client.default_api_url for kind, client in REST_CLIENTS.items()},
}


def user_agent(settings: Mapping[str, Any]) -> str:
    """Return the name by which the site asks other hosts: with whom to write to, where it is set."""
    contact = settings["CONTACT"] or settings["PUBLIC_URL"]
    return f"pkgsite (+{contact})" if contact else "pkgsite"


def open_gateways(settings: Mapping[str, Any], *, timeouts: Timeouts = TIMEOUTS) -> Gateways:
    """Return the clients of all hosts that the settings name; nothing is asked yet."""
    apis = {name: host.api or DEFAULT_API_URLS[host.kind](name) for name, host in settings["CODE_HOSTS"].items()}
    index_url, downloads_url = settings["PACKAGE_INDEX_URL"], settings["DOWNLOAD_COUNTS_URL"]
    egress = EgressPolicy.from_hosts(
        [netloc(url) for url in (*apis.values(), index_url, downloads_url)], settings["ALLOWED_HOSTS_OUT"]
    )
    tokens: Mapping[str, str] = settings["CODE_HOST_TOKENS"]

    def reader(timeouts: Timeouts = timeouts) -> JsonClient:
        # Each host has a session of its own, since several are asked at once.
        return JsonClient(user_agent=user_agent(settings), timeouts=timeouts, egress=egress)

    def code_host(name: str, kind: str) -> CodeHost:
        if kind == "github":
            return GitHub(apis[name], reader(), tokens.get(name))
        return REST_CLIENTS[kind](reader(), api=apis.__getitem__, tokens=tokens)

    return Gateways(
        code_hosts={name: code_host(name, host.kind) for name, host in settings["CODE_HOSTS"].items()},
        host_kinds={name: host.kind for name, host in settings["CODE_HOSTS"].items()},
        index=PyPI(
            index_url,
            downloads_url,
            reader(),
            serials_client=reader(replace(ALL_PROJECTS_TIMEOUTS, attempts=timeouts.attempts)),
        ),
        package_index_host=netloc(index_url),
        downloads_host=netloc(downloads_url),
    )


def netloc(url: str) -> str:
    """Return an address's host, with its port where it names one."""
    return urlsplit(url).netloc.lower()
