"""The base class of API resources: content negotiation, methods, OPTIONS, links and response headers."""

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
from pkgsite.errors import LoginRequired, Moved, SiteError
from pkgsite.extensions import db
from pkgsite.rules.submissions import CSRF_FIELD
from pkgsite.services.permissions import Viewer

UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
METHODS = ("GET", "HEAD", "OPTIONS", *UNSAFE_METHODS)
SUCCESS_CODES = {200, 201, 202, 204}


class DottedKeyConverter(BaseConverter):
    """A slug with dots, or an id or a slug and the format: only the database can tell."""

    regex = r"[^/]*\.[^/]+"
    part_isolating = True


class KeyConverter(BaseConverter):
    """An id or a slug, without slashes and dots: a dot precedes the format."""

    regex = "[^/.]+"
    part_isolating = True


class SuffixConverter(BaseConverter):
    """The format at the end of a URL. The bulk exports (`.ndjson`, `.csv`) have their own URLs."""

    regex = "(?!(?:ndjson|csv)(?:$|[?]))[a-z0-9]+"
    part_isolating = True


class UrlBuilder:
    """Builds the absolute URLs in a response; they keep the format that was requested."""

    def __init__(self, suffix: str | None) -> None:
        formats = request.args.getlist("format")
        query = f"?{urlencode({'format': formats[-1]})}" if formats else ""
        self._root = f"{request.url_root}api/v4/"
        self._suffix = (f".{suffix}" if suffix else "/") + query

    def url_for(self, path: str) -> str:
        """Return the URL of a resource, given its path without leading and trailing slashes."""
        return f"{self._root}{path}{self._suffix}"


class Resource(View):
    """A URL of the API. Subclasses implement `get`, which returns the body, and the unsafe methods that they support.

    Attributes:
        name: The name in the response to OPTIONS and on the HTML page.
        get: Takes the keys in the URL and returns the body of the response.
        post: Optional, like the other writing methods. They take the keys in the URL.
        input_schema: The fields that clients can write; None if there are none.
        is_single_record: Whether the body is a single record.
        requires_login: Whether an unauthenticated write is answered with 401 instead of 405.
    """

    init_every_request = False

    name: ClassVar[str]
    description: ClassVar[str]
    get: ClassVar[Callable[..., Any]]
    post: ClassVar[Callable[..., ApiResult]]
    put: ClassVar[Callable[..., ApiResult]]
    patch: ClassVar[Callable[..., ApiResult]]
    delete: ClassVar[Callable[..., ApiResult]]
    input_schema: ClassVar[type[Input] | None] = None
    is_single_record: ClassVar[bool] = False
    requires_login: ClassVar[bool] = False

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        """Return whether a logged-in user has permission to use a method that this resource implements."""
        return True

    def has_slug(self, slug: str) -> bool:  # noqa: ARG002
        """Return whether a record has this slug, or had it. Resources whose slugs can contain dots override this."""
        return False

    def dispatch_request(self, suffix: str | None = None, **keys: str) -> Response:
        response_format = ResponseFormat()
        try:
            suffix = self._split_suffix(suffix, keys)
            response_format = negotiate(suffix)
            g.urls, g.changed_at = UrlBuilder(suffix), None
            result = self._dispatch_method(**keys)
            response = _to_response(result, response_format)
        except Moved as moved:
            return _redirect_to_current_slug(moved, suffix)
        except (HTTPException, SiteError) as error:
            response = errors.error_response(error, response_format)
            result = ApiResult(response.get_json(), response.status_code)
        response.headers["Allow"] = ", ".join(self._allowed_methods(keys))
        if response_format.is_html:
            response = self._html_response(result, response, keys)
        if request.method in {"GET", "HEAD"} and response.status_code == HTTPStatus.OK:
            make_conditional(response, changed_at=g.changed_at, is_single_record=self.is_single_record)
        elif "principal" in g and g.principal.is_authenticated:
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _split_suffix(self, suffix: str | None, keys: dict[str, str]) -> str | None:
        """Return the format in the URL. If a record has the entire key as its slug, it becomes the key instead."""
        dotted = keys.pop("dotted_key", "") or (f"{keys.get('key', '')}.{suffix}" if suffix and len(keys) == 1 else "")
        if not dotted:
            return suffix
        if self.has_slug(dotted):
            keys["key"] = dotted
            return None
        keys["key"], _, suffix = dotted.rpartition(".")
        return suffix

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
        """Return the methods that this client can use here."""
        return ["GET", *self._write_methods(keys), "HEAD", "OPTIONS"]

    def _write_methods(self, keys: dict[str, str]) -> list[str]:
        """Return the writing methods that this client can use here."""
        try:
            principal = current_principal()
            if not principal.can_write:
                return []
            implemented = [method for method in UNSAFE_METHODS if hasattr(self, method.lower())]
            return [method for method in implemented if self.is_allowed(method, principal.viewer, **keys)]
        except (HTTPException, SiteError):  # the token is invalid, or the record does not exist
            return []

    def _describe(self, keys: dict[str, str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "renders": ["application/json", "text/html"],
            "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
        }
        if self.input_schema is not None:
            inputs = describe_inputs(self.input_schema)
            actions = {method: inputs for method in self._write_methods(keys) if method != "DELETE"}
            body |= {"actions": actions} if actions else {}
        return body

    def _html_response(self, result: ApiResult, response: Response, keys: dict[str, str]) -> Response:
        """Return the response as an HTML page; after a successful form, a redirect to the current record."""
        if not current_principal().is_authenticated and is_own_form():
            raise LoginRequired("Log in to continue.")  # the login page carries the form
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
        """Return the stored record for a form that was rejected; None if there is none."""
        db.session.rollback()
        try:
            return self.get(**keys)
        except SiteError:
            return None


class Editable(Resource):
    """A record that can be changed with PUT and PATCH. Subclasses implement `update`."""

    update: ClassVar[Callable[..., ApiResult]]  # takes the keys in the URL and `is_full_update`

    def put(self, **keys: str) -> ApiResult:
        return self.update(is_full_update=True, **keys)

    def patch(self, **keys: str) -> ApiResult:
        return self.update(is_full_update=False, **keys)


def requested_method() -> str:
    """Return the method of the request.

    HTML forms can only send POST, so the forms of the browsable API name the method in a field.
    """
    override = request.form.get("_method", "") if request.method == "POST" and request.mimetype in FORM_TYPES else ""
    return override if override in {"PUT", "PATCH", "DELETE"} else request.method


def is_own_form() -> bool:
    """Return whether this request comes from a form of the HTML pages; only those have a CSRF token."""
    return request.method == "POST" and request.mimetype in FORM_TYPES and CSRF_FIELD in request.form


def _to_response(result: ApiResult, response_format: ResponseFormat) -> Response:
    response = json_response(result.body, response_format, result.status)
    if result.status == HTTPStatus.NO_CONTENT:
        response.set_data(b"")
        del response.headers["Content-Type"]
    if result.location:
        response.headers["Location"] = result.location
        response.autocorrect_location_header = False
    if result.is_record:
        is_default = response_format == ResponseFormat()
        default = response if is_default else json_response(result.body, ResponseFormat())
        response.set_etag(make_etag(default.get_data()))
    if result.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _redirect_to_current_slug(moved: Moved, suffix: str | None) -> Response:
    """Return a redirect to the current slug, with the same format and query."""
    parts = request.path.removeprefix("/api/v4/").split("/")
    tail = "/".join(parts[2:]) if len(parts) > 2 and not suffix else ""
    path = f"{request.script_root}/api/v4/{parts[0]}/{quote(moved.slug, safe='')}"
    path += f".{suffix}" if suffix else f"/{tail}"
    query = request.query_string.decode("latin-1")
    # After a 301, many clients repeat the request as GET; a 308 keeps the method.
    status = 301 if request.method in {"GET", "HEAD"} else 308
    return Response(status=status, headers={"Location": f"{path}?{query}" if query else path, "Allow": READ_METHODS})
