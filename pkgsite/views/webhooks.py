"""Webhooks for code hosts. The secret of a request is checked before its payload is parsed."""

from __future__ import annotations

from codecs import BOM_UTF8
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
from pkgsite.rules.signatures import is_valid_secret, is_valid_signature
from pkgsite.services.packages.webhooks import RepositoryChange, apply_change, parse_github_change, parse_gitlab_change

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 20  # GitHub sends one
PATHS = ("/packages/github-webhook/", "/packages/gitlab-webhook/")  # their errors are JSON
STATUS_CODES: dict[type[SiteError], int] = {Forbidden: 403, Invalid: 400, NotFound: 404}

pages = Blueprint("webhooks", __name__, url_prefix="/packages")
csrf.exempt(pages)  # requests are authenticated by the webhook secret


def require_secret(is_authorised: Callable[[str], bool]) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """Return a decorator that calls a webhook view only if `is_authorised(secret)` is true."""

    def guard(view: Callable[[], Response]) -> Callable[[], Response]:
        @wraps(view)
        def guarded() -> Response:
            if not is_authorised(current_app.config["WEBHOOK_SECRET"]):
                raise Forbidden
            return view()

        return guarded

    return guard


def has_valid_signature(secret: str) -> bool:
    return is_valid_signature(secret, request.get_data(), request.headers.get("X-Hub-Signature-256", ""))


def has_valid_token(secret: str) -> bool:
    return is_valid_secret(secret, request.headers.get("X-Gitlab-Token", ""))


@pages.post("/github-webhook/")
@require_secret(has_valid_signature)
def github() -> Response:
    event, payload = request.headers.get("X-GitHub-Event", ""), read_payload()
    if event == "ping":
        return json_response("The webhook works.")
    return handle_change(parse_github_change(event, payload))


@pages.post("/gitlab-webhook/")
@require_secret(has_valid_token)
def gitlab() -> Response:
    return handle_change(parse_gitlab_change(read_payload()))


def handle_change(change: RepositoryChange | None) -> Response:
    """Schedule the refreshes that a webhook calls for, and return a response that says so."""
    if change is None:
        return json_response("Event ignored.", 202)
    session = db.session()
    result = apply_change(session, change, gateways(), now=utc_now())
    session.commit()
    message = "Refresh scheduled." if result.requeued_count else "A refresh is already scheduled."
    return json_response(message, packages=result.slugs, sources=result.requeued_count)


def read_payload() -> dict[str, Any]:
    """Return the JSON payload of this request: its body, or the field `payload` if it is a form.

    Raises:
        Invalid: The payload is missing or malformed.
    """
    body: bytes | str = request.get_data().removeprefix(BOM_UTF8)
    if request.mimetype == FORM_TYPE:
        body = _form_field(request.get_data())
    if not body:
        raise _payload_error("The payload is empty.")
    try:
        payload = orjson.loads(body)  # rejects excessive nesting
    except ValueError:
        raise _payload_error("The payload is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise _payload_error("The payload is not a JSON object.")
    return payload


def _form_field(body: bytes) -> str:
    # Werkzeug's form parser has a lower size limit than the site has for request bodies.
    try:
        fields = parse_qs(body.decode(), max_num_fields=MAX_FORM_FIELDS, errors="strict")
    except ValueError:
        raise _payload_error("The form data is invalid.") from None
    return fields.get("payload", [""])[0]


def _payload_error(message: str) -> Invalid:
    return Invalid({"payload": [message]})


def json_response(detail: str, status: int = 200, **fields: Any) -> Response:
    return Response(orjson.dumps({"detail": detail} | fields), status, content_type="application/json")


def error_response(error: HTTPException | SiteError) -> Response:
    """Return the error response to a webhook, which the code host shows in its log of deliveries."""
    if isinstance(error, SiteError):
        status = next((status for kind, status in STATUS_CODES.items() if isinstance(error, kind)), 500)
        return json_response(_error_message(error), status)
    if isinstance(error, MethodNotAllowed):
        response = json_response("Method not allowed. Send webhooks with POST.", 405)
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response
    return json_response(f"{error.name}.", error.code or 500)


def _error_message(error: SiteError) -> str:
    if isinstance(error, Invalid):
        return " ".join(message for messages in error.problems.values() for message in messages)
    if isinstance(error, NotFound):
        return "No package on this site uses this repository."
    if isinstance(error, Forbidden):
        if current_app.config["WEBHOOK_SECRET"]:
            return "Missing or invalid signature or secret."
        return "Webhooks are disabled: no secret is configured."
    return "Internal server error. The error has been logged."
