"""Passwords: kept as argon2id hashes, checked in the same time whether or not there is an account.

Hashing takes some 20 ms and 19 MiB on purpose. No transaction should be open meanwhile.
"""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pkgsite.rules.passwords import MAX_LENGTH, normalise

# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def hash_password(password: str) -> str:
    return HASHER.hash(_encode(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether a password is the one whose hash is stored; without one (nobody, or no password) the work is the
    same, and the answer no."""
    try:
        HASHER.verify(password_hash or _dummy_hash(), _encode(password[: MAX_LENGTH + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Tell whether a hash was made at another cost than new ones are."""
    return HASHER.check_needs_rehash(password_hash)


@cache
def _dummy_hash() -> str:
    return hash_password("the password of nobody at all")


def _encode(password: str) -> bytes:
    return normalise(password).encode("utf-8", "replace")
