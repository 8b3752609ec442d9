"""Password hashing with argon2id; verification takes the same time whether or not the account exists.

Hashing deliberately takes about 20 ms and 19 MiB, so do it without an open transaction.
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
    """Return whether a password matches the stored hash.

    Without a hash (no such account, or no password set), hash anyway, so that the time does not reveal it.
    """
    try:
        HASHER.verify(password_hash or _dummy_hash(), _encode(password[: MAX_LENGTH + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Return whether a hash was created with other parameters than the current ones."""
    return HASHER.check_needs_rehash(password_hash)


@cache
def _dummy_hash() -> str:
    return hash_password("not the password of any account")


def _encode(password: str) -> bytes:
    return normalise(password).encode("utf-8", "replace")
