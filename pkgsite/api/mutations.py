"""Applies the changes that API clients send: preconditions, dry runs, idempotency keys and the response."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from flask import current_app, request
from werkzeug.exceptions import BadRequest, PreconditionFailed, PreconditionRequired

from pkgsite.api.authentication import current_principal
from pkgsite.api.caching import make_etag, matches_etag
from pkgsite.api.inputs import Input
from pkgsite.api.negotiation import ResponseFormat, json_response
from pkgsite.api.query_params import TRUE_VALUES, param
from pkgsite.api.request_body import parse_body
from pkgsite.clock import utc_now
from pkgsite.errors import Conflict
from pkgsite.extensions import db, gateways
from pkgsite.services.changeset import MAX_EDIT_REASON_LENGTH, Changeset, Edit
from pkgsite.services.idempotency import StoredResponse, reserve_response, store_response
from pkgsite.services.moderation.actions import PENDING_MESSAGE, QueuedEdit, apply_or_queue

T = TypeVar("T")

MAX_IDEMPOTENCY_KEY_LENGTH = 200
PRECONDITION_FAILED_MESSAGE = (
    "The record no longer matches the version in If-Match. Fetch it again and reapply your change."
)
PRECONDITION_REQUIRED_MESSAGE = "Send an If-Match header with the ETag of the version your change is based on."
UNCOMPARED_FIELDS = {"id", "created", "modified"}  # fields that always differ


@dataclass(frozen=True, slots=True)
class ApiResult:
    """The response to a request, before it is rendered.

    Attributes:
        body: The JSON body; None if there is none.
        location: The URL of a new record.
        is_record: Whether the body equals the response to a GET of the record's URL.
        is_replay: Whether it is the stored response to an earlier request with the same idempotency key.
    """

    body: Any
    status: int = 200
    location: str | None = None
    is_record: bool = False
    is_replay: bool = False


NO_CONTENT = ApiResult(None, 204)  # the response to a deletion


def is_dry_run() -> bool:
    return request.args.get("dry_run", "").strip().lower() in TRUE_VALUES


def check_if_match(current: Any, version: int) -> int | None:
    """Check If-Match, and return the version that the client's change is based on; None if it isn't sent.

    Args:
        current: The current response to a GET of this URL.
        version: The record's version, as in `current`.

    Raises:
        PreconditionFailed: The client has seen another version.
        PreconditionRequired: The site requires If-Match, and the request has none.
    """
    if_match = request.headers.get("If-Match") or request.form.get("_if_match")
    if not if_match:
        if current_app.config["API_REQUIRE_IF_MATCH"] and current_principal().token_id is not None:
            raise PreconditionRequired(PRECONDITION_REQUIRED_MESSAGE)
        return None
    if not matches_etag(make_etag(json_response(current, ResponseFormat()).get_data()), if_match):
        raise PreconditionFailed(PRECONDITION_FAILED_MESSAGE)
    return None if if_match.strip() == "*" else version


def needs_current_record(input_schema: type[Input], *, is_full_update: bool) -> bool:
    """Return whether an update has to be compared with the record as it is now.

    Otherwise it can be applied without reading the record first: a plain PATCH of some fields.
    """
    return (
        is_full_update
        or is_dry_run()
        or "If-Match" in request.headers
        or "_if_match" in request.form
        or bool(current_app.config["API_REQUIRE_IF_MATCH"])
        or bool(parse_body(input_schema).keys() & {*input_schema.read_only, *input_schema.managed_elsewhere})
    )


def apply_mutation(
    edit: Edit[T],
    *,
    title: Callable[[], str],
    to_response: Callable[[T], ApiResult],
    original: Mapping[str, Any] | None = None,
) -> ApiResult:
    """Apply an edit as the caller, queue it for review, or only validate it (dry run); commit, and return the response.

    Args:
        edit: The edit.
        title: Returns the title that the review queue shows.
        to_response: Builds the response from the object that the edit created or changed.
        original: The record before the edit, which a dry run compares with; None for a new record.

    Raises:
        PreconditionFailed: The record no longer matches the version in If-Match.
        SiteError: The edit can't be applied.
    """
    session = db.session()
    session.rollback()  # end the transaction that authenticated the caller, to see the latest data
    changeset = Changeset(
        session, by=current_principal().viewer, now=utc_now(), gateways=gateways(), via="api", reason=_edit_reason()
    )
    try:
        stored = _idempotent_response(changeset)
        if stored is not None and stored.status is not None:
            return _replay(stored)
        with changeset:
            review_threshold = 0 if is_dry_run() else current_app.config["REVIEW_FIRST_EDITS"]
            outcome = apply_or_queue(changeset, edit, title=title, review_threshold=review_threshold)
        if isinstance(outcome, QueuedEdit):
            result = ApiResult({"detail": PENDING_MESSAGE, "held": outcome.id}, 202)
        else:
            result = to_response(outcome)
        if is_dry_run():
            return ApiResult({"dry_run": True, "changes": diff_records(original, result.body)})
        if stored is not None:
            body = orjson.dumps(result.body).decode()
            store_response(session, stored, status=result.status, location=result.location, body=body)
        session.commit()
    except Conflict as conflict:
        if getattr(edit, "expected_version", None) is not None:
            raise PreconditionFailed(PRECONDITION_FAILED_MESSAGE) from conflict
        raise
    finally:
        session.rollback()
    return result


def diff_records(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return each field that differs between two states of a record, with both values; None means no record."""
    names = [name for name in {**(before or {}), **(after or {})} if name not in UNCOMPARED_FIELDS]
    pairs = {name: {"before": (before or {}).get(name), "after": (after or {}).get(name)} for name in names}
    return {name: pair for name, pair in pairs.items() if pair["before"] != pair["after"]}


def _edit_reason() -> str:
    return param("reason")[:MAX_EDIT_REASON_LENGTH] if "reason" in request.args else ""


def _idempotent_response(changeset: Changeset) -> StoredResponse | None:
    """Return the stored or reserved response for the request's idempotency key; None if it has none."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key or request.method != "POST" or is_dry_run():
        return None
    if len(key) > MAX_IDEMPOTENCY_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise BadRequest(f"Idempotency-Key must be at most {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters.")
    fingerprint_source = b"\n".join([request.method.encode(), request.full_path.encode(), request.get_data()])
    return reserve_response(
        changeset.session,
        user_id=changeset.user_id,
        key=key,
        fingerprint=hashlib.sha256(fingerprint_source).hexdigest(),
        now=changeset.now,
    )


def _replay(stored: StoredResponse) -> ApiResult:
    body = orjson.loads(stored.body or "null")
    return ApiResult(body, stored.status or 200, stored.location, is_record=stored.status == 201, is_replay=True)
