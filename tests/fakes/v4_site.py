"""A site with an API v4, small and obedient: it pages like the real ones, and fails where a test tells it to."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

Answer = Callable[[dict[str, Any], Any], Iterable[bytes]]

CREATED = "2014-02-18T09:00:03.904872-05:00"
MODIFIED = "2026-01-28T13:56:56.732864-05:00"
FETCHED = "2026-02-15T14:35:30.283665-05:00"


class FakeV4Site:
    """A WSGI application over three lists of records, newest first as DRF lists them.

    Attributes:
        max_per_page: What a page holds at most, whatever limit is asked for.
        request_log: Path and query of every request so far.
        scripted_responses: What to answer, once, to the request of this number (1 is the first) in place of its page.
    """

    def __init__(self, most_per_page: int = 100) -> None:
        self.max_per_page = most_per_page
        self.request_log: list[str] = []
        self.scripted_responses: dict[int, Answer] = {}
        self.lists: dict[str, list[Any]] = {"categories": [], "grids": [], "packages": []}

    def add_category(self, number: int, slug: str, **fields: Any) -> dict[str, Any]:
        record = {
            "id": number,
            "title": slug.title(),
            "slug": slug,
            "description": "",
            "title_plural": f"{slug.title()}s",
            "show_pypi": True,
            "created": CREATED,
            "modified": MODIFIED,
        }
        self.lists["categories"].append(record | fields)
        return self.lists["categories"][-1]

    def add_grid(self, number: int, slug: str, **fields: Any) -> dict[str, Any]:
        """Add a grid; its own list of packages is right unless `packages` says otherwise."""
        record = {
            "id": number,
            "title": slug.title(),
            "slug": slug,
            "description": "Plain words.",
            "is_locked": False,
            "header": False,
            "created": CREATED,
            "modified": MODIFIED,
        }
        self.lists["grids"].append(record | fields)
        return self.lists["grids"][-1]

    def add_package(
        self, number: int, slug: str, *, category: int = 1, grids: tuple[int, ...] = (), **fields: Any
    ) -> dict[str, Any]:
        record = {
            "category": category,
            "grids": list(grids),
            "id": number,
            "title": slug,
            "slug": slug,
            "last_updated": "2025-12-04T07:52:57-05:00",
            "last_fetched": FETCHED,
            "repo_url": f"https://github.com/example/{number}",
            "pypi_version": "6.4.1",
            "created": CREATED,
            "modified": MODIFIED,
            "repo_forks": 70,
            "repo_description": "Does one thing :rocket:",
            "pypi_url": f"http://pypi.python.org/pypi/{slug}",
            "documentation_url": "",
            "repo_watchers": 511,
            "commits_over_52": [0] * 51 + [3],
            "participants": ["gasman", "kaedroho"],
        }
        self.lists["packages"].append(record | fields)
        return self.lists["packages"][-1]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.request_log.append(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        scripted = self.scripted_responses.pop(len(self.request_log), None)
        if scripted:
            return scripted(environ, start_response)
        noun = environ["PATH_INFO"].removeprefix("/api/v4/").rstrip("/")
        if environ["REQUEST_METHOD"] != "GET" or noun not in self.lists:
            return response("404 Not Found", {"detail": "Not found."})(environ, start_response)
        return response("200 OK", self.page(noun, environ))(environ, start_response)

    def page(self, noun: str, environ: dict[str, Any]) -> dict[str, Any]:
        """Return an envelope as DRF's limit/offset paging makes it."""
        query = parse_qs(environ["QUERY_STRING"])
        limit = min(int(query["limit"][0]), self.max_per_page)
        offset = int(query["offset"][0])
        root = f"http://{environ['HTTP_HOST']}/api/v4/"
        found = [self.with_links(noun, record, root) for record in reversed(self.lists[noun])]
        end = offset + limit
        return {
            "count": len(found),
            "next": f"{root}{noun}/?limit={limit}&offset={end}" if end < len(found) else None,
            "previous": None,
            "results": found[offset:end],
        }

    def with_links(self, noun: str, record: Any, root: str) -> Any:
        """Return a record as the API shows it: with links where a test wrote ids."""
        if not isinstance(record, dict):
            return record
        record_body = dict(record)
        if noun == "grids" and "packages" not in record:
            record_body["packages"] = [
                package["id"]
                for package in self.lists["packages"]
                if isinstance(package, dict) and record["id"] in package.get("grids", ())
            ]
        for name, of in (("category", "categories"), ("grids", "grids"), ("packages", "packages")):
            if isinstance(record_body.get(name), int):
                record_body[name] = f"{root}{of}/{record_body[name]}/"
            elif isinstance(record_body.get(name), list):
                record_body[name] = [f"{root}{of}/{number}/" for number in record_body[name]]
        return record_body


def response(status: str, body: Any, kind: str = "application/json", **headers: str) -> Answer:
    """Return an answer with this body; what is not bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def respond(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(data))), *named])
        return [data]

    return respond


def html_response() -> Answer:
    return response("200 OK", b"<!doctype html><title>Welcome</title>", "text/html; charset=utf-8")


def truncated_response(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Promise more than is sent."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
    return [b'{"count": 1, "next": null, "results": [']


def connection_reset(environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    """Drop the connection without an answer, by a TCP reset."""
    connection = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)  # the server's thread waits for no further request, and lets go
    connection.close()
    raise ConnectionResetError


class HangingResponse:
    """An answer that does not come before the test says so."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked.set()
        self.over.wait(timeout=60)
        return response("200 OK", {})(environ, start_response)
