"""Whether a message comes from somebody who knows our secret."""

from __future__ import annotations

import hashlib
import hmac

PREFIX = "sha256="


def sign(secret: str, body: bytes) -> str:
    """Return the signature of these bytes, as GitHub sends it."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_valid_signature(secret: str, body: bytes, signature: str) -> bool:
    """Tell whether this is the signature of these bytes; without a secret of ours nothing is signed."""
    return bool(secret) and hmac.compare_digest(sign(secret, body).encode(), _header_bytes(signature))


def is_valid_secret(secret: str, candidate: str) -> bool:
    """Tell whether somebody has told our secret itself; without one of ours nobody has."""
    return bool(secret) and hmac.compare_digest(secret.encode(), _header_bytes(candidate))


def _header_bytes(header: str) -> bytes:
    """Return the bytes of a header as they were sent: WSGI hands each of them over as one character."""
    return header.encode("latin-1", "replace")
