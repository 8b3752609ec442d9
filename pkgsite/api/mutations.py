"""How callers change something: in whose name, on which version, as a trial, asked again; and what is answered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import current_app, request
from werkzeug.exceptions import BadRequest, PreconditionFailed, PreconditionRequired

from pkgsite.api.authentication import caller
from pkgsite.api.caching import asks_for, tag_of
from pkgsite.api.negotiation import Rendering, json_answer
from pkgsite.api.query_params import YES, word
from pkgsite.clock import utc_now
from pkgsite.errors import Conflict
from pkgsite.extensions import db, gateways
from pkgsite.services.changeset import Act
from pkgsite.services.idempotency import Place, keep, reserve
from pkgsite.services.moderation.actions import Held, do_or_hold

LONGEST_REASON = 300
LONGEST_KEY = 200
WAITS = "Your first edits are reviewed by a moderator. You can follow this one under your pending edits."
LOST = "The record has changed since the version in If-Match. Fetch it again and reapply your change."
NO_VERSION = "Send an If-Match header with the ETag of the version your change is based on."
NOT_COMPARED = {"id", "created", "modified"}  # what differs in any case


@dataclass(frozen=True, slots=True)
class Answer:
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
    is_replayed: bool = False


NOTHING = Answer(None, 204)  # what a deletion leaves


def is_trial() -> bool:
    return word("dry_run").lower() in YES


def begun_on(present: Any, version: int) -> int | None:
    """Return the version on which the caller's change began; None: the caller doesn't say.

    Args:
        present: What a GET of this address would tell now.
        version: Of the record, as of `present`.

    Raises:
        PreconditionFailed: the caller has seen another version than the present one.
        PreconditionRequired: the caller has to say which one they have seen.
    """
    named = request.headers.get("If-Match") or request.form.get("_if_match")
    if not named:
        if current_app.config["API_REQUIRE_IF_MATCH"] and caller().token_id is not None:
            raise PreconditionRequired(NO_VERSION)
        return None
    if not asks_for(tag_of(json_answer(present, Rendering()).get_data()), named):
        raise PreconditionFailed(LOST)
    return None if named.strip() == "*" else version


def write(
    name: str,
    arguments: Mapping[str, Any],
    *,
    title: str,
    show: Callable[[Any], Answer],
    before: Mapping[str, Any] | None = None,
) -> Answer:
    """Do something in the caller's name, or hold it for review, or only try it; commit, and return what to answer.

    Args:
        name: One of the acts that there are.
        arguments: What the act takes.
        title: What it is about, for those who review it.
        show: Makes the answer from the object that the act returns.
        before: The record as it was; None: a new one.

    Raises:
        PreconditionFailed: somebody was faster, and the caller has said on which version they began.
        SiteError: it can't be done.
    """
    session = db.session()
    session.rollback()  # who calls has been read; what follows sees the present
    acting = Act(session, by=caller().viewer, now=utc_now(), gateways=gateways(), via="api", reason=_reason())
    try:
        kept = _kept(acting)
        if kept is not None and kept.status is not None:
            return _replayed(kept)
        with acting:
            review_first = 0 if is_trial() else current_app.config["REVIEW_FIRST_EDITS"]
            done = do_or_hold(acting, name, arguments, title=title, review_first=review_first)
        answer = Answer({"detail": WAITS, "held": done.id}, 202) if isinstance(done, Held) else show(done)
        if is_trial():
            return Answer({"dry_run": True, "changes": differences(before, answer.body)})
        if kept is not None:
            body = orjson.dumps(answer.body).decode()
            keep(session, kept, status=answer.status, location=answer.location, body=body)
        session.commit()
    except Conflict as conflict:
        if arguments.get("version") is not None:
            raise PreconditionFailed(LOST) from conflict
        raise
    finally:
        session.rollback()
    return answer


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return each field in which two states of a record differ, with its value in both; None: there is no record."""
    names = [name for name in {**(before or {}), **(after or {})} if name not in NOT_COMPARED]
    pairs = {name: {"before": (before or {}).get(name), "after": (after or {}).get(name)} for name in names}
    return {name: pair for name, pair in pairs.items() if pair["before"] != pair["after"]}


def _reason() -> str:
    return word("reason")[:LONGEST_REASON]


def _kept(acting: Act) -> Place | None:
    """Return the place for the answer to this request; None: the caller does not ask for one."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key or request.method != "POST" or is_trial():
        return None
    if len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise BadRequest(f"Idempotency-Key must be at most {LONGEST_KEY} printable ASCII characters.")
    asked = b"\n".join([request.method.encode(), request.full_path.encode(), request.get_data()])
    return reserve(
        acting.session,
        user_id=acting.user_id,
        key=key,
        fingerprint=hashlib.sha256(asked).hexdigest(),
        now=acting.now,
    )


def _replayed(kept: Place) -> Answer:
    body = orjson.loads(kept.body or "null")
    return Answer(body, kept.status or 200, kept.location, is_record=kept.status == 201, is_replayed=True)
