"""Authentication of webhooks by signature or secret."""

from __future__ import annotations

import hashlib
import hmac

PREFIX = "sha256="


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a request body, in GitHub's format."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_valid_signature(secret: str, body: bytes, signature: str) -> bool:
    """Return whether the signature of a request body is valid; always False without a secret."""
    return bool(secret) and hmac.compare_digest(sign(secret, body).encode(), _header_bytes(signature))


def is_valid_secret(secret: str, candidate: str) -> bool:
    """Return whether a client has sent the correct secret; always False without a secret."""
    return bool(secret) and hmac.compare_digest(secret.encode(), _header_bytes(candidate))


def _header_bytes(header: str) -> bytes:
    """Return the original bytes of a header; WSGI decodes headers as Latin-1."""
    return header.encode("latin-1", "replace")
