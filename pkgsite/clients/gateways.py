"""The live clients, one for each host that the settings name, all kept to the hosts that may be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pkgsite.clients.base import CodeHost, Gateways
from pkgsite.clients.bitbucket import Bitbucket
from pkgsite.clients.egress import Outside
from pkgsite.clients.forgejo import Forgejo
from pkgsite.clients.github import GitHub
from pkgsite.clients.gitlab import GitLab
from pkgsite.clients.http import JsonReader, Patience
from pkgsite.clients.pypi import PyPI
from pkgsite.clients.rest_host import RestHost

# A limit is not waited out but told: the refresh leaves that host alone until then, and goes on with others.
PATIENCE = Patience(timeout_s=15, whole_s=60, attempts=2, longest_wait_s=0)
# The list of all projects on the index is some 50 MiB, and grows.
PATIENCE_WITH_ALL = replace(PATIENCE, timeout_s=30, whole_s=300, largest_bytes=256 * 2**20)
REST_HOSTS: Mapping[str, type[RestHost]] = {"gitlab": GitLab, "bitbucket": Bitbucket, "forgejo": Forgejo}
USUAL_API: Mapping[str, Callable[[str], str]] = {
    "github": GitHub.usual_api,
    **{kind: client.usual_api for kind, client in REST_HOSTS.items()},
}


def user_agent(settings: Mapping[str, Any]) -> str:
    """Return the name by which the site asks other hosts: with whom to write to, where it is set."""
    contact = settings["CONTACT"] or settings["PUBLIC_URL"]
    return f"pkgsite (+{contact})" if contact else "pkgsite"


def open_gateways(settings: Mapping[str, Any], *, patience: Patience = PATIENCE) -> Gateways:
    """Return the clients of all hosts that the settings name; nothing is asked yet."""
    apis = {name: host.api or USUAL_API[host.kind](name) for name, host in settings["CODE_HOSTS"].items()}
    index, counts = settings["PACKAGE_INDEX_URL"], settings["DOWNLOAD_COUNTS_URL"]
    outside = Outside.of([place(url) for url in (*apis.values(), index, counts)], settings["ALLOWED_HOSTS_OUT"])
    tokens: Mapping[str, str] = settings["CODE_HOST_TOKENS"]

    def reader(patience: Patience = patience) -> JsonReader:
        # Each host has a session of its own, since several are asked at once.
        return JsonReader(user_agent=user_agent(settings), patience=patience, outside=outside)

    def code_host(name: str, kind: str) -> CodeHost:
        if kind == "github":
            return GitHub(apis[name], reader(), tokens.get(name))
        return REST_HOSTS[kind](reader(), api=apis.__getitem__, tokens=tokens)

    return Gateways(
        code_hosts={name: code_host(name, host.kind) for name, host in settings["CODE_HOSTS"].items()},
        kinds={name: host.kind for name, host in settings["CODE_HOSTS"].items()},
        index=PyPI(
            index, counts, reader(), serials_reader=reader(replace(PATIENCE_WITH_ALL, attempts=patience.attempts))
        ),
        index_host=place(index),
        counts_host=place(counts),
    )


def place(url: str) -> str:
    """Return an address's host, with its port where it names one."""
    return urlsplit(url).netloc.lower()
