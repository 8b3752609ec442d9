"""How callers change something: in whose name, on which version, as a trial, asked again; and what is answered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import current_app, request
from werkzeug.exceptions import BadRequest, PreconditionFailed, PreconditionRequired

from pkgsite.api.authentication import current_principal
from pkgsite.api.caching import make_etag, matches_etag
from pkgsite.api.negotiation import ResponseFormat, json_response
from pkgsite.api.query_params import TRUE_VALUES, param
from pkgsite.clock import utc_now
from pkgsite.errors import Conflict
from pkgsite.extensions import db, gateways
from pkgsite.services.changeset import Changeset
from pkgsite.services.idempotency import StoredResponse, reserve_response, store_response
from pkgsite.services.moderation.actions import QueuedEdit, apply_or_queue

MAX_REASON_LENGTH = 300
MAX_IDEMPOTENCY_KEY_LENGTH = 200
PENDING_MESSAGE = "Your first edits are reviewed by a moderator. You can follow this one under your pending edits."
PRECONDITION_FAILED_MESSAGE = (
    "The record has changed since the version in If-Match. Fetch it again and reapply your change."
)
PRECONDITION_REQUIRED_MESSAGE = "Send an If-Match header with the ETag of the version your change is based on."
UNCOMPARED_FIELDS = {"id", "created", "modified"}  # what differs in any case


@dataclass(frozen=True, slots=True)
class ApiResult:
    """What comes of a request.

    Attributes:
        body: None: there is none.
        location: Where a new record is, as an address.
        is_record: The body is what a GET of the record's address tells.
    """

    body: Any
    status: int = 200
    location: str | None = None
    is_record: bool = False
    is_replay: bool = False


NO_CONTENT = ApiResult(None, 204)  # what a deletion leaves


def is_dry_run() -> bool:
    return param("dry_run").lower() in TRUE_VALUES


def expected_version(current: Any, version: int) -> int | None:
    """Return the version on which the caller's change began; None: the caller doesn't say.

    Args:
        current: What a GET of this address would tell now.
        version: Of the record, as of `current`.

    Raises:
        PreconditionFailed: the caller has seen another version than the present one.
        PreconditionRequired: the caller has to say which one they have seen.
    """
    if_match = request.headers.get("If-Match") or request.form.get("_if_match")
    if not if_match:
        if current_app.config["API_REQUIRE_IF_MATCH"] and current_principal().token_id is not None:
            raise PreconditionRequired(PRECONDITION_REQUIRED_MESSAGE)
        return None
    if not matches_etag(make_etag(json_response(current, ResponseFormat()).get_data()), if_match):
        raise PreconditionFailed(PRECONDITION_FAILED_MESSAGE)
    return None if if_match.strip() == "*" else version


def apply_mutation(
    name: str,
    arguments: Mapping[str, Any],
    *,
    title: str,
    to_response: Callable[[Any], ApiResult],
    original: Mapping[str, Any] | None = None,
) -> ApiResult:
    """Do something in the caller's name, or hold it for review, or only try it; commit, and return what to answer.

    Args:
        name: One of the acts that there are.
        arguments: What the act takes.
        title: What it is about, for those who review it.
        to_response: Makes the answer from the object that the act returns.
        original: The record as it was; None: a new one.

    Raises:
        PreconditionFailed: somebody was faster, and the caller has said on which version they began.
        SiteError: it can't be done.
    """
    session = db.session()
    session.rollback()  # who calls has been read; what follows sees the present
    changeset = Changeset(
        session, by=current_principal().viewer, now=utc_now(), gateways=gateways(), via="api", reason=_edit_reason()
    )
    try:
        stored = _idempotent_response(changeset)
        if stored is not None and stored.status is not None:
            return _replay(stored)
        with changeset:
            review_first = 0 if is_dry_run() else current_app.config["REVIEW_FIRST_EDITS"]
            outcome = apply_or_queue(changeset, name, arguments, title=title, review_threshold=review_first)
        answer = (
            ApiResult({"detail": PENDING_MESSAGE, "held": outcome.id}, 202)
            if isinstance(outcome, QueuedEdit)
            else to_response(outcome)
        )
        if is_dry_run():
            return ApiResult({"dry_run": True, "changes": diff_records(original, answer.body)})
        if stored is not None:
            body = orjson.dumps(answer.body).decode()
            store_response(session, stored, status=answer.status, location=answer.location, body=body)
        session.commit()
    except Conflict as conflict:
        if arguments.get("version") is not None:
            raise PreconditionFailed(PRECONDITION_FAILED_MESSAGE) from conflict
        raise
    finally:
        session.rollback()
    return answer


def diff_records(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return each field in which two states of a record differ, with its value in both; None: there is no record."""
    names = [name for name in {**(before or {}), **(after or {})} if name not in UNCOMPARED_FIELDS]
    pairs = {name: {"before": (before or {}).get(name), "after": (after or {}).get(name)} for name in names}
    return {name: pair for name, pair in pairs.items() if pair["before"] != pair["after"]}


def _edit_reason() -> str:
    return param("reason")[:MAX_REASON_LENGTH]


def _idempotent_response(changeset: Changeset) -> StoredResponse | None:
    """Return the place for the answer to this request; None: the caller does not ask for one."""
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
