"""A fake site with an API v4: it paginates like the real ones, and fails on request."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

CREATED = "2014-02-18T09:00:03.904872-05:00"
MODIFIED = "2026-01-28T13:56:56.732864-05:00"
FETCHED = "2026-02-15T14:35:30.283665-05:00"


class FakeV4Site:
    """A WSGI application over three lists of records, newest first as DRF lists them.

    Attributes:
        max_per_page: Maximum number of records per page, regardless of the requested limit.
        request_log: Path and query of every request.
        scripted_responses: Responses by request number (from 1), each used once in place of the page.
    """

    def __init__(self, max_per_page: int = 100) -> None:
        self.max_per_page = max_per_page
        self.request_log: list[str] = []
        self.scripted_responses: dict[int, WsgiApp] = {}
        self.lists: dict[str, list[Any]] = {"categories": [], "grids": [], "packages": []}

    def add_category(self, category_id: int, slug: str, **fields: Any) -> dict[str, Any]:
        record: dict[str, Any] = {
            "id": category_id,
            "title": slug.title(),
            "slug": slug,
            "description": "",
            "title_plural": f"{slug.title()}s",
            "show_pypi": True,
            "created": CREATED,
            "modified": MODIFIED,
        }
        record |= fields
        self.lists["categories"].append(record)
        return record

    def add_grid(self, grid_id: int, slug: str, **fields: Any) -> dict[str, Any]:
        """Add a grid; its list of packages is computed unless `packages` is given."""
        record: dict[str, Any] = {
            "id": grid_id,
            "title": slug.title(),
            "slug": slug,
            "description": "A description.",
            "is_locked": False,
            "header": False,
            "created": CREATED,
            "modified": MODIFIED,
        }
        record |= fields
        self.lists["grids"].append(record)
        return record

    def add_package(
        self, package_id: int, slug: str, *, category: int = 1, grids: tuple[int, ...] = (), **fields: Any
    ) -> dict[str, Any]:
        record: dict[str, Any] = {
            "category": category,
            "grids": list(grids),
            "id": package_id,
            "title": slug,
            "slug": slug,
            "last_updated": "2025-12-04T07:52:57-05:00",
            "last_fetched": FETCHED,
            "repo_url": f"https://github.com/example/{package_id}",
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
        record |= fields
        self.lists["packages"].append(record)
        return record

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.request_log.append(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        scripted = self.scripted_responses.pop(len(self.request_log), None)
        if scripted:
            return scripted(environ, start_response)
        collection = environ["PATH_INFO"].removeprefix("/api/v4/").rstrip("/")
        if environ["REQUEST_METHOD"] != "GET" or collection not in self.lists:
            return response("404 Not Found", {"detail": "Not found."})(environ, start_response)
        return response("200 OK", self.page(collection, environ))(environ, start_response)

    def page(self, collection: str, environ: dict[str, Any]) -> dict[str, Any]:
        """Return a page in the format of DRF's limit/offset pagination."""
        query = parse_qs(environ["QUERY_STRING"])
        limit = min(int(query["limit"][0]), self.max_per_page)
        offset = int(query["offset"][0])
        root = f"http://{environ['HTTP_HOST']}/api/v4/"
        records = [self.with_links(collection, record, root) for record in reversed(self.lists[collection])]
        end = offset + limit
        return {
            "count": len(records),
            "next": f"{root}{collection}/?limit={limit}&offset={end}" if end < len(records) else None,
            "previous": None,
            "results": records[offset:end],
        }

    def with_links(self, collection: str, record: Any, root: str) -> Any:
        """Return a record as in the API, with links instead of ids."""
        if not isinstance(record, dict):
            return record
        record_body = dict(record)
        if collection == "grids" and "packages" not in record:
            record_body["packages"] = [
                package["id"]
                for package in self.lists["packages"]
                if isinstance(package, dict) and record["id"] in package.get("grids", ())
            ]
        for name, linked in (("category", "categories"), ("grids", "grids"), ("packages", "packages")):
            if isinstance(record_body.get(name), int):
                record_body[name] = f"{root}{linked}/{record_body[name]}/"
            elif isinstance(record_body.get(name), list):
                record_body[name] = [f"{root}{linked}/{record_id}/" for record_id in record_body[name]]
        return record_body


def response(status: str, body: Any, kind: str = "application/json", **headers: str) -> WsgiApp:
    """Return a response with this body, which is encoded as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    header_list = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def respond(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(data))), *header_list])
        return [data]

    return respond


def html_response() -> WsgiApp:
    return response("200 OK", b"<!doctype html><title>Welcome</title>", "text/html; charset=utf-8")


def truncated_response(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Send less than the Content-Length, and close the connection."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RD)  # so that the server does not wait for the client's end
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
    return [b'{"count": 1, "next": null, "results": [']


def connection_reset(environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    """Reset the TCP connection without a response."""
    connection = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)  # so that the server's thread does not wait for another request
    connection.close()
    raise ConnectionResetError


class HangingResponse:
    """A response that is not sent until the test sets `released`."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.released = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.requested.set()
        self.released.wait(timeout=60)
        return response("200 OK", {})(environ, start_response)
