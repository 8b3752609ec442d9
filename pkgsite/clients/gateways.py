"""Creates a client for each host in the settings, restricted to the allowed hosts."""

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

# A rate limit raises an error instead of waiting: the refresh pauses the host and continues with the others.
TIMEOUTS = Timeouts(read_timeout_s=15, total_timeout_s=60, attempts=2, max_wait_s=0)
# The index's list of all projects is about 50 MiB and growing.
ALL_PROJECTS_TIMEOUTS = replace(TIMEOUTS, read_timeout_s=30, total_timeout_s=300, max_bytes=256 * 2**20)
REST_CLIENTS: Mapping[str, type[RestHost]] = {"gitlab": GitLab, "bitbucket": Bitbucket, "forgejo": Forgejo}
DEFAULT_API_URLS: Mapping[str, Callable[[str], str]] = {
    "github": GitHub.default_api_url,
    **{kind: client.default_api_url for kind, client in REST_CLIENTS.items()},
}


def user_agent(settings: Mapping[str, Any]) -> str:
    """Return the User-Agent header for requests, with contact details if they are set."""
    contact = settings["CONTACT"] or settings["PUBLIC_URL"]
    return f"pkgsite (+{contact})" if contact else "pkgsite"


def open_gateways(settings: Mapping[str, Any], *, timeouts: Timeouts = TIMEOUTS) -> Gateways:
    """Return the clients of all hosts in the settings; no request is sent yet."""
    apis = {name: host.api or DEFAULT_API_URLS[host.kind](name) for name, host in settings["CODE_HOSTS"].items()}
    index_url, downloads_url = settings["PACKAGE_INDEX_URL"], settings["DOWNLOAD_COUNTS_URL"]
    egress = EgressPolicy.from_hosts(
        [netloc(url) for url in (*apis.values(), index_url, downloads_url)], settings["ALLOWED_HOSTS_OUT"]
    )
    tokens: Mapping[str, str] = settings["CODE_HOST_TOKENS"]

    def json_client(timeouts: Timeouts = timeouts) -> JsonClient:
        # Each host has its own client, because hosts are queried concurrently.
        return JsonClient(user_agent=user_agent(settings), timeouts=timeouts, egress=egress)

    def code_host(name: str, kind: str) -> CodeHost:
        if kind == "github":
            return GitHub(apis[name], json_client(), tokens.get(name))
        return REST_CLIENTS[kind](json_client(), api=apis.__getitem__, tokens=tokens)

    return Gateways(
        code_hosts={name: code_host(name, host.kind) for name, host in settings["CODE_HOSTS"].items()},
        host_kinds={name: host.kind for name, host in settings["CODE_HOSTS"].items()},
        index=PyPI(
            index_url,
            downloads_url,
            json_client(),
            serials_client=json_client(replace(ALL_PROJECTS_TIMEOUTS, attempts=timeouts.attempts)),
            reads_status=True,
        ),
        package_index_host=netloc(index_url),
        downloads_host=netloc(downloads_url),
        package_index_url=index_url,
    )


def netloc(url: str) -> str:
    """Return the host of a URL, with the port if the URL has one."""
    return urlsplit(url).netloc.lower()
