"""What every resource of the API does alike: negotiation, methods, OPTIONS, links, and the answer's headers."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from flask import Response, g, request
from flask.views import View
from werkzeug.exceptions import HTTPException, MethodNotAllowed, Unauthorized
from werkzeug.routing import BaseConverter

from pkgsite.api import errors
from pkgsite.api.authentication import current_principal, require_write_scope, token_challenge
from pkgsite.api.browse import describe_inputs, edit_forms, html_response, redirect_after_edit
from pkgsite.api.caching import make_conditional, make_etag
from pkgsite.api.inputs import Input
from pkgsite.api.mutations import ApiResult, is_dry_run
from pkgsite.api.negotiation import READ_METHODS, ResponseFormat, json_response, negotiate
from pkgsite.api.request_body import FORM_TYPES
from pkgsite.errors import Moved, SiteError
from pkgsite.extensions import db
from pkgsite.services.permissions import Viewer

UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
METHODS = ("GET", "HEAD", "OPTIONS", *UNSAFE_METHODS)
SUCCESS_CODES = {200, 201, 202, 204}


class KeyConverter(BaseConverter):
    """An id or a slug: anything but a slash or a dot, which begins a format's name."""

    regex = "[^/.]+"
    part_isolating = True


class SuffixConverter(BaseConverter):
    """The name of a format at the end of a URL; those of whole lists have URLs of their own, which only read."""

    regex = "(?!(?:ndjson|csv)(?:$|[?]))[a-z0-9]+"
    part_isolating = True


class UrlBuilder:
    """Makes the absolute URLs of an answer; a format that was asked for is carried into them."""

    def __init__(self, suffix: str | None) -> None:
        formats = request.args.getlist("format")
        query = f"?{urlencode({'format': formats[-1]})}" if formats else ""
        self._root = f"{request.url_root}api/v4/"
        self._suffix = (f".{suffix}" if suffix else "/") + query

    def url_for(self, path: str) -> str:
        """Return the URL of a resource, given its path without slashes at the ends."""
        return f"{self._root}{path}{self._suffix}"


class Resource(View):
    """One URL of the API. A subclass has `get`, which returns the body, and a method for each way to change it."""

    init_every_request = False

    name: ClassVar[str]  # as OPTIONS tells it
    description: ClassVar[str]
    get: ClassVar[Callable[..., Any]]  # takes the URL's keys, where it has some; returns what the body says
    post: ClassVar[Callable[..., ApiResult]]  # these may be absent; each takes the URL's keys
    put: ClassVar[Callable[..., ApiResult]]
    patch: ClassVar[Callable[..., ApiResult]]
    delete: ClassVar[Callable[..., ApiResult]]
    input_schema: ClassVar[type[Input] | None] = None  # what may be written
    is_single_record: ClassVar[bool] = False  # it tells of one record
    requires_login: ClassVar[bool] = False  # who may not change it for want of credentials is told so

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        """Tell whether somebody who is known may use a method that there is."""
        return True

    def dispatch_request(self, suffix: str | None = None, **keys: str) -> Response:
        rendering = ResponseFormat()
        try:
            rendering = negotiate(suffix)
            g.urls, g.changed_at = UrlBuilder(suffix), None
            result = self._dispatch_method(**keys)
            response = _to_response(result, rendering)
        except Moved as moved:
            return _redirect_to_current_slug(moved, suffix)
        except (HTTPException, SiteError) as error:
            response = errors.error_response(error, rendering)
            result = ApiResult(response.get_json(), response.status_code)
        response.headers["Allow"] = ", ".join(self._allowed_methods(keys))
        if rendering.is_html:
            response = self._html_response(result, response, keys)
        if request.method in {"GET", "HEAD"} and response.status_code == HTTPStatus.OK:
            make_conditional(response, changed_at=g.changed_at, is_single_record=self.is_single_record)
        elif "principal" in g and g.principal.is_authenticated:
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _dispatch_method(self, **keys: str) -> ApiResult:
        method = requested_method()
        if method in {"GET", "HEAD"}:
            return ApiResult(self.get(**keys))
        if method == "OPTIONS":
            return ApiResult(self._describe(keys))
        if not current_principal().is_authenticated:
            if self.requires_login and hasattr(self, method.lower()):
                raise Unauthorized("Log in or send an API token.", www_authenticate=token_challenge())
            raise MethodNotAllowed
        if not hasattr(self, method.lower()):
            raise MethodNotAllowed
        require_write_scope()
        result: ApiResult = getattr(self, method.lower())(**keys)
        return result

    def _allowed_methods(self, keys: dict[str, str]) -> list[str]:
        """Return what this caller may do here."""
        return ["GET", *self._write_methods(keys), "HEAD", "OPTIONS"]

    def _write_methods(self, keys: dict[str, str]) -> list[str]:
        """Return the methods by which this caller may change something here."""
        try:
            principal = current_principal()
            if not principal.can_write:
                return []
            implemented = [method for method in UNSAFE_METHODS if hasattr(self, method.lower())]
            return [method for method in implemented if self.is_allowed(method, principal.viewer, **keys)]
        except (HTTPException, SiteError):  # the token opens nothing, or there is no such record
            return []

    def _describe(self, keys: dict[str, str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "renders": ["application/json", "text/html"],
            "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
        }
        if self.input_schema is not None and (methods := [one for one in self._write_methods(keys) if one != "DELETE"]):
            body["actions"] = {method: describe_inputs(self.input_schema) for method in methods}
        return body

    def _html_response(self, result: ApiResult, response: Response, keys: dict[str, str]) -> Response:
        """Return the answer as a page; after a form that did what it should, the way to what there is now."""
        allowed = response.headers["Allow"]
        if requested_method() in UNSAFE_METHODS and result.status in SUCCESS_CODES and not is_dry_run():
            return redirect_after_edit(result)
        current = (
            result.body
            if result.status == HTTPStatus.OK and requested_method() == "GET"
            else self._current_record(keys)
        )
        forms = (
            edit_forms(self.input_schema, self._write_methods(keys), current) if current_principal().can_write else []
        )
        page = html_response(self.name, self.description, response, result.body, forms)
        page.headers["Allow"] = allowed
        return page

    def _current_record(self, keys: dict[str, str]) -> Any:
        """Return the record as it is, for a form that was refused."""
        db.session.rollback()
        try:
            return self.get(**keys)
        except SiteError:
            return None


class Editable(Resource):
    """A record of which PUT changes the whole, and PATCH a part. A subclass has `update`."""

    update: ClassVar[Callable[..., ApiResult]]  # takes the URL's keys, and whether the whole is given

    def put(self, **keys: str) -> ApiResult:
        return self.update(is_full_update=True, **keys)

    def patch(self, **keys: str) -> ApiResult:
        return self.update(is_full_update=False, **keys)


def requested_method() -> str:
    """Return what the request asks to do: a form of ours says in its fields what forms can't."""
    override = request.form.get("_method", "") if request.method == "POST" and request.mimetype in FORM_TYPES else ""
    return override if override in {"PUT", "PATCH", "DELETE"} else request.method


def _to_response(result: ApiResult, rendering: ResponseFormat) -> Response:
    response = json_response(result.body, rendering, result.status)
    if result.status == HTTPStatus.NO_CONTENT:
        response.set_data(b"")
        del response.headers["Content-Type"]
    if result.location:
        response.headers["Location"] = result.location
        response.autocorrect_location_header = False
    if result.is_record:
        response.set_etag(make_etag(json_response(result.body, ResponseFormat()).get_data()))
    if result.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _redirect_to_current_slug(moved: Moved, suffix: str | None) -> Response:
    """Send the caller to the present slug, in the same format and with the same query."""
    parts = request.path.removeprefix("/api/v4/").split("/")
    tail = "/".join(parts[2:]) if len(parts) > 2 and not suffix else ""
    path = f"{request.script_root}/api/v4/{parts[0]}/{quote(moved.slug, safe='')}"
    path += f".{suffix}" if suffix else f"/{tail}"
    query = request.query_string.decode("latin-1")
    # An unsafe method has to stay the same on its way: 301 makes many clients GET.
    status = 301 if request.method in {"GET", "HEAD"} else 308
    return Response(status=status, headers={"Location": f"{path}?{query}" if query else path, "Allow": READ_METHODS})
