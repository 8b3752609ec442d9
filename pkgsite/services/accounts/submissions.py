"""Forms sent by someone who is not logged in, saved until they have logged in.

The form travels in the login page, signed, for an hour. Once someone has logged in, or is about to log in elsewhere
(with GitHub or GitLab, by signing up), it is saved in the database for an hour. Passwords are never part of it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import SavedSubmission
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.rules.submissions import SubmittedField, submitted_fields

RETENTION = timedelta(hours=1)
MAX_TOKEN_LENGTH = 400_000  # characters; web servers and Werkzeug limit the size of form fields
_KEY_IN_PATH = re.compile(r"/account/resume/([\w-]{43})/")


@dataclass(frozen=True, slots=True)
class Submission:
    """A submitted form.

    Attributes:
        path: The path and query of the URL that it was sent to.
    """

    path: str
    fields: Sequence[SubmittedField]


def sign_submission(key: str, submission: Submission) -> str | None:
    """Return a form as a signed token; None if it is too large."""
    pairs = [[field.name, field.value] for field in submission.fields]
    token = str(_signer(key).dumps([submission.path, pairs]))
    return token if len(token) <= MAX_TOKEN_LENGTH else None


def verify_submission(key: str, token: str) -> Submission:
    """Return the form of a signed token.

    Raises:
        NotFound: The token is invalid or older than an hour.
    """
    try:
        path, pairs = _signer(key).loads(token[: MAX_TOKEN_LENGTH + 1], max_age=int(RETENTION.total_seconds()))
    except BadSignature as error:
        raise NotFound("Submission") from error
    return _submission(path, pairs)


def save_submission(session: Session, submission: Submission, *, user_id: int | None, now: datetime) -> str:
    """Save a form, delete those that have expired, and return the key to read it with.

    Args:
        session: The database session.
        submission: The form.
        user_id: The only user who can read it; None if the user who logs in next has yet to claim it.
        now: The current time.
    """
    key = secrets.token_urlsafe(32)
    session.execute(delete(SavedSubmission).where(SavedSubmission.at <= now - RETENTION))
    pairs = [[field.name, field.value] for field in submission.fields]
    session.add(
        SavedSubmission(key_hash=_hash(key), user_id=user_id, at=now, path=submission.path, fields=pairs),
    )
    session.flush()
    return key


def claim_submission(session: Session, path: str, user_id: int) -> None:
    """Reserve the saved form that a path refers to for the user who has just logged in."""
    match = _KEY_IN_PATH.search(path)
    if match:
        is_unclaimed = (SavedSubmission.key_hash == _hash(match[1]), SavedSubmission.user_id.is_(None))
        session.execute(update(SavedSubmission).where(*is_unclaimed).values(user_id=user_id))


def get_submission(session: Session, key: str, *, user_id: int | None, now: datetime) -> Submission:
    """Return a saved form.

    Raises:
        NotFound: It does not exist, has expired, or belongs to another user.
    """
    row = session.execute(
        select(SavedSubmission.path, SavedSubmission.fields).where(
            SavedSubmission.key_hash == _hash(key),
            SavedSubmission.at > now - RETENTION,
            or_(SavedSubmission.user_id.is_(None), SavedSubmission.user_id == user_id),
        )
    ).one_or_none()
    if row is None:
        raise NotFound("Submission")
    return _submission(row.path, row.fields)


def _submission(path: str, pairs: Sequence[Sequence[str]]) -> Submission:
    if safe_redirect_path(path) is None:
        raise NotFound("Submission")
    return Submission(path, submitted_fields((name, value) for name, value in pairs))


def _signer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="submission", signer_kwargs={"digest_method": hashlib.sha256})


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
