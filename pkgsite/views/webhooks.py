"""Where code hosts tell us of changes. Each call is guarded by a secret, which is checked before the call is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import parse_qs

import orjson
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pkgsite.clock import utc_now
from pkgsite.errors import Forbidden, Invalid, NotFound, SiteError
from pkgsite.extensions import csrf, db, gateways
from pkgsite.rules.signatures import is_secret, is_signed
from pkgsite.services.packages.webhooks import Change, github_change, gitlab_change, take_change

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 20  # of a form; GitHub sends one
PATHS = ("/packages/github-webhook/", "/packages/gitlab-webhook/")  # whose failures are told to programs
STATUSES: dict[type[SiteError], int] = {Forbidden: 403, Invalid: 400, NotFound: 404}

pages = Blueprint("webhooks", __name__, url_prefix="/packages")
csrf.exempt(pages)  # a secret of the site's own guards them


def opened_by(is_open: Callable[[str], bool]) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """Guard a webhook: nothing of a call is read unless `is_open` says yes to our secret."""

    def guard(view: Callable[[], Response]) -> Callable[[], Response]:
        @wraps(view)
        def guarded() -> Response:
            if not is_open(current_app.config["WEBHOOK_SECRET"]):
                raise Forbidden
            return view()

        return guarded

    return guard


def has_signature(secret: str) -> bool:
    return is_signed(secret, request.get_data(), request.headers.get("X-Hub-Signature-256", ""))


def has_token(secret: str) -> bool:
    return is_secret(secret, request.headers.get("X-Gitlab-Token", ""))


@pages.post("/github-webhook/")
@opened_by(has_signature)
def github() -> Response:
    event, payload = request.headers.get("X-GitHub-Event", ""), read_payload()
    if event == "ping":
        return told("The webhook works.")
    return take(github_change(event, payload))


@pages.post("/gitlab-webhook/")
@opened_by(has_token)
def gitlab() -> Response:
    return take(gitlab_change(read_payload()))


def take(change: Change | None) -> Response:
    """Do what follows from a webhook, and answer what that was."""
    if change is None:
        return told("Event ignored.", 202)
    session = db.session()
    taken = take_change(session, change, gateways().kinds, now=utc_now())
    session.commit()
    words = "Refresh scheduled." if taken.forward else "A refresh is already scheduled."
    return told(words, packages=taken.slugs, sources=taken.forward)


def read_payload() -> dict[str, Any]:
    """Return the payload of this call: its body in JSON, or that of the field `payload` where it is a form.

    Raises:
        Invalid: there is none, or it can't be read.
    """
    body: bytes | str = request.get_data()
    if request.mimetype == FORM:
        body = _form_field(request.get_data())
    if not body:
        raise _unreadable("The payload is empty.")
    try:
        payload = orjson.loads(body)  # refuses what is nested too deep
    except ValueError:
        raise _unreadable("The payload is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise _unreadable("The payload is not a JSON object.")
    return payload


def _form_field(body: bytes) -> str:
    # Werkzeug's own reader of forms keeps to a lower limit than the site's for bodies.
    try:
        fields = parse_qs(body.decode(), max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise _unreadable("The form data is invalid.") from None
    return fields.get("payload", [""])[0]


def _unreadable(words: str) -> Invalid:
    return Invalid({"payload": [words]})


def told(detail: str, status: int = 200, **more: Any) -> Response:
    return Response(orjson.dumps({"detail": detail} | more), status, content_type="application/json")


def answer(error: HTTPException | SiteError) -> Response:
    """Return the answer that tells a code host of a failure; its people read it in the log of deliveries."""
    if isinstance(error, SiteError):
        return told(_words(error), next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500))
    if isinstance(error, MethodNotAllowed):
        response = told("Method not allowed. Send webhooks with POST.", 405)
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response
    return told(f"{error.name}.", error.code or 500)


def _words(error: SiteError) -> str:
    if isinstance(error, Invalid):
        return " ".join(words for problem in error.problems.values() for words in problem)
    if isinstance(error, NotFound):
        return "No package on this site uses this repository."
    if isinstance(error, Forbidden):
        if current_app.config["WEBHOOK_SECRET"]:
            return "Missing or invalid signature or secret."
        return "Webhooks are disabled: no secret is configured."
    return "Internal server error. The error has been logged."
