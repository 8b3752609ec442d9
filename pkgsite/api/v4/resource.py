"""What every resource of the API does alike: negotiation, methods, OPTIONS, links, and the answer's headers."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from flask import Response, g, request
from flask.views import View
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from pkgsite.api import errors
from pkgsite.api.browse import page_answer
from pkgsite.api.caching import cacheable
from pkgsite.api.negotiation import ALLOWED, Rendering, json_answer, negotiate
from pkgsite.errors import Moved, SiteError

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class KeyConverter(BaseConverter):
    """An id or a slug: anything but a slash or a dot, which begins a format's name."""

    regex = "[^/.]+"
    part_isolating = True


class SuffixConverter(BaseConverter):
    """The name of a format at the end of a URL."""

    regex = "[a-z0-9]+"
    part_isolating = True


class Links:
    """Makes the absolute URLs of an answer; a format that was asked for is carried into them."""

    def __init__(self, suffix: str | None) -> None:
        formats = request.args.getlist("format")
        query = f"?{urlencode({'format': formats[-1]})}" if formats else ""
        self._root = f"{request.url_root}api/v4/"
        self._tail = (f".{suffix}" if suffix else "/") + query

    def to(self, path: str) -> str:
        """Return the URL of a resource, given its path without slashes at the ends."""
        return f"{self._root}{path}{self._tail}"


class Resource(View):
    """One URL of the API. A subclass has `get`, which returns the body."""

    init_every_request = False

    name: ClassVar[str]  # as OPTIONS tells it
    description: ClassVar[str]
    get: ClassVar[Callable[..., Any]]  # takes the URL's key, where it has one; returns what the body says
    is_one: ClassVar[bool] = False  # it tells of one record

    def dispatch_request(self, suffix: str | None = None, **key: str) -> Response:
        rendering = Rendering()
        try:
            rendering = negotiate(suffix)
            g.links, g.changed_at = Links(suffix), None
            body, response = self._answer(rendering, **key)
        except Moved as moved:
            body, response = None, _redirect(moved, suffix)
        except (HTTPException, SiteError) as error:
            response = errors.answer(error, rendering)
            body = response.get_json()
        response.headers["Allow"] = ALLOWED
        if rendering.is_page and body is not None:
            response = page_answer(self.name, self.description, response, body)
            response.headers["Allow"] = ALLOWED
        if request.method in {"GET", "HEAD"} and response.status_code == HTTPStatus.OK:
            cacheable(response, changed_at=g.changed_at, is_one=self.is_one)
        return response

    def _answer(self, rendering: Rendering, **key: str) -> tuple[Any, Response]:
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            raise MethodNotAllowed
        body = self._options() if request.method == "OPTIONS" else self.get(**key)
        return body, json_answer(body, rendering)

    def _options(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "renders": ["application/json", "text/html"],
            "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
        }


def _redirect(moved: Moved, suffix: str | None) -> Response:
    """Send the caller to the present slug, in the same format and with the same query."""
    collection = request.path.removeprefix("/api/v4/").partition("/")[0]
    path = f"{request.script_root}/api/v4/{collection}/{quote(moved.slug, safe='')}" + (f".{suffix}" if suffix else "/")
    query = request.query_string.decode("latin-1")
    return Response(status=301, headers={"Location": f"{path}?{query}" if query else path})
