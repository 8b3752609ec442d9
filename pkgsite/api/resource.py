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
from pkgsite.api.authentication import caller, challenge, writer
from pkgsite.api.browse import described, done, forms_for, page_answer
from pkgsite.api.caching import cacheable, tag_of
from pkgsite.api.inputs import Input
from pkgsite.api.mutations import Answer, is_trial
from pkgsite.api.negotiation import ALLOWED, Rendering, json_answer, negotiate
from pkgsite.api.request_body import FORMS
from pkgsite.errors import Moved, SiteError
from pkgsite.extensions import db
from pkgsite.services.permissions import Viewer

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
METHODS = ("GET", "HEAD", "OPTIONS", *UNSAFE)
DONE = {200, 201, 202, 204}


class KeyConverter(BaseConverter):
    """An id or a slug: anything but a slash or a dot, which begins a format's name."""

    regex = "[^/.]+"
    part_isolating = True


class SuffixConverter(BaseConverter):
    """The name of a format at the end of a URL; those of whole lists have URLs of their own, which only read."""

    regex = "(?!(?:ndjson|csv)(?:$|[?]))[a-z0-9]+"
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
    """One URL of the API. A subclass has `get`, which returns the body, and a method for each way to change it."""

    init_every_request = False

    name: ClassVar[str]  # as OPTIONS tells it
    description: ClassVar[str]
    get: ClassVar[Callable[..., Any]]  # takes the URL's keys, where it has some; returns what the body says
    post: ClassVar[Callable[..., Answer]]  # these may be absent; each takes the URL's keys
    put: ClassVar[Callable[..., Answer]]
    patch: ClassVar[Callable[..., Answer]]
    delete: ClassVar[Callable[..., Answer]]
    takes: ClassVar[type[Input] | None] = None  # what may be written
    is_one: ClassVar[bool] = False  # it tells of one record
    asks_who: ClassVar[bool] = False  # who may not change it for want of credentials is told so

    def may(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        """Tell whether somebody who is known may use a method that there is."""
        return True

    def dispatch_request(self, suffix: str | None = None, **keys: str) -> Response:
        rendering = Rendering()
        try:
            rendering = negotiate(suffix)
            g.links, g.changed_at = Links(suffix), None
            answer = self._answer(**keys)
            response = _sent(answer, rendering)
        except Moved as moved:
            return _redirect(moved, suffix)
        except (HTTPException, SiteError) as error:
            response = errors.answer(error, rendering)
            answer = Answer(response.get_json(), response.status_code)
        response.headers["Allow"] = ", ".join(self._allowed(keys))
        if rendering.is_page:
            response = self._page(answer, response, keys)
        if request.method in {"GET", "HEAD"} and response.status_code == HTTPStatus.OK:
            cacheable(response, changed_at=g.changed_at, is_one=self.is_one)
        elif "caller" in g and g.caller.is_known:
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _answer(self, **keys: str) -> Answer:
        method = asked_method()
        if method in {"GET", "HEAD"}:
            return Answer(self.get(**keys))
        if method == "OPTIONS":
            return Answer(self._options(keys))
        if not caller().is_known:
            if self.asks_who and hasattr(self, method.lower()):
                raise Unauthorized("Log in or send an API token.", www_authenticate=challenge())
            raise MethodNotAllowed
        if not hasattr(self, method.lower()):
            raise MethodNotAllowed
        writer()
        answer: Answer = getattr(self, method.lower())(**keys)
        return answer

    def _allowed(self, keys: dict[str, str]) -> list[str]:
        """Return what this caller may do here."""
        return ["GET", *self._open_to(keys), "HEAD", "OPTIONS"]

    def _open_to(self, keys: dict[str, str]) -> list[str]:
        """Return the methods by which this caller may change something here."""
        try:
            found = caller()
            if not found.may_write:
                return []
            there = [method for method in UNSAFE if hasattr(self, method.lower())]
            return [method for method in there if self.may(method, found.viewer, **keys)]
        except (HTTPException, SiteError):  # the token opens nothing, or there is no such record
            return []

    def _options(self, keys: dict[str, str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "renders": ["application/json", "text/html"],
            "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
        }
        if self.takes is not None and (methods := [one for one in self._open_to(keys) if one != "DELETE"]):
            body["actions"] = {method: described(self.takes) for method in methods}
        return body

    def _page(self, answer: Answer, response: Response, keys: dict[str, str]) -> Response:
        """Return the answer as a page; after a form that did what it should, the way to what there is now."""
        allowed = response.headers["Allow"]
        if asked_method() in UNSAFE and answer.status in DONE and not is_trial():
            return done(answer)
        present = answer.body if answer.status == HTTPStatus.OK and asked_method() == "GET" else self._present(keys)
        forms = forms_for(self.takes, self._open_to(keys), present) if caller().may_write else []
        page = page_answer(self.name, self.description, response, answer.body, forms)
        page.headers["Allow"] = allowed
        return page

    def _present(self, keys: dict[str, str]) -> Any:
        """Return the record as it is, for a form that was refused."""
        db.session.rollback()
        try:
            return self.get(**keys)
        except SiteError:
            return None


class Editable(Resource):
    """A record of which PUT changes the whole, and PATCH a part. A subclass has `edit`."""

    edit: ClassVar[Callable[..., Answer]]  # takes the URL's keys, and whether the whole is given

    def put(self, **keys: str) -> Answer:
        return self.edit(is_whole=True, **keys)

    def patch(self, **keys: str) -> Answer:
        return self.edit(is_whole=False, **keys)


def asked_method() -> str:
    """Return what the request asks to do: a form of ours says in its fields what forms can't."""
    wanted = request.form.get("_method", "") if request.method == "POST" and request.mimetype in FORMS else ""
    return wanted if wanted in {"PUT", "PATCH", "DELETE"} else request.method


def _sent(answer: Answer, rendering: Rendering) -> Response:
    response = json_answer(answer.body, rendering, answer.status)
    if answer.status == HTTPStatus.NO_CONTENT:
        response.set_data(b"")
        del response.headers["Content-Type"]
    if answer.location:
        response.headers["Location"] = answer.location
        response.autocorrect_location_header = False
    if answer.is_record:
        response.set_etag(tag_of(json_answer(answer.body, Rendering()).get_data()))
    if answer.is_replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _redirect(moved: Moved, suffix: str | None) -> Response:
    """Send the caller to the present slug, in the same format and with the same query."""
    parts = request.path.removeprefix("/api/v4/").split("/")
    tail = "/".join(parts[2:]) if len(parts) > 2 and not suffix else ""
    path = f"{request.script_root}/api/v4/{parts[0]}/{quote(moved.slug, safe='')}"
    path += f".{suffix}" if suffix else f"/{tail}"
    query = request.query_string.decode("latin-1")
    # An unsafe method has to stay the same on its way: 301 makes many clients GET.
    status = 301 if request.method in {"GET", "HEAD"} else 308
    return Response(status=status, headers={"Location": f"{path}?{query}" if query else path, "Allow": ALLOWED})
