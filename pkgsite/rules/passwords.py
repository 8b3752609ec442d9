"""Which passwords are too easy to guess. Length is what counts; signs and digits are nobody's duty."""

from __future__ import annotations

import re
import unicodedata

MIN_LENGTH, MAX_LENGTH = 10, 1000  # characters
LEET_TABLE = str.maketrans("013457@$!", "oleastasi")
# What the lists of stolen passwords are full of, without the digits and signs that people put around it.
_COMMON = (
    "1q2w3e4r5t 1qaz2wsx3edc 1qazxsw23edc abc admin administrator adobe alexander angel apple asdf asdfgh asdfghjkl "
    "asdfghjkl; autumn baseball basketball batman bismillah blink butterfly changeit changeme charlie chocolate "
    "christopher computer cookie correcthorsebatterystaple daniel default django donald dragon elizabeth facebook "
    "flower football freedom fuckyou george ginger google guest hannah harley hello helloworld hottie hunter iloveu "
    "iloveyou iloveyouforever internet jennifer jessica jordan killer killerqueen letmein letmeinnow liverpool login "
    "lovelove lovely loveme manchester manchesterunited master matrix michael michelle minecraft monkey mustang "
    "mypassword naruto newpassword nicole ninja nintendo nothing opensesame pass passpass passphrase passw passwd "
    "password passwordpassword passwort patrick pepper playstation pokemon princess python q1w2e3r4t5 qazwsx "
    "qazwsxedc qazwsxedcrfv qwe qweasd qweasdzxc qwer qwert qwerty qwertyqwerty qwertyuiop qwertyuiopasdfghjkl qwertz "
    "qwertzuiop rainbow rockyou root samantha secret server shadow spiderman spring starwars summer sunshine superman "
    "supersecret superuser sweetheart temp temporary test testing testtest thomas tigger trustno trustnoone unknown "
    "user welcome welcomeback whatever william winter world xsw yankees zaq zaqwsx zaqxsw zxcvb zxcvbn zxcvbnm"
)
COMMON = frozenset(_COMMON.split())
KEYBOARD_ROWS = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
)


def normalise(password: str) -> str:
    """Return a password as it is hashed: the same, whichever way a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password)


def password_problems(password: str, *personal_values: str) -> list[str]:
    """Return what is wrong with a password that somebody wants to have.

    Args:
        password: As it was typed.
        personal_values: Names and addresses of the person, which others know.

    >>> password_problems("a long walk at night")
    []
    >>> password_problems("Password123!")
    ['This password is too common. A few unrelated words make a strong password.']
    """
    if len(password) < MIN_LENGTH:
        return [f"Use at least {MIN_LENGTH} characters. A few unrelated words make a strong password."]
    if len(password) > MAX_LENGTH:
        return [f"Use at most {MAX_LENGTH} characters."]
    low = normalise(password).lower()
    if is_common(low):
        return ["This password is too common. A few unrelated words make a strong password."]
    if any(_is_mostly(low, name) for name in personal_values):
        return ["This password is too similar to your username or email address."]
    return []


def is_common(lowercased: str) -> bool:
    """Tell whether a password, in small letters, is a common one or one that a machine tries at once."""
    without_spaces = re.sub(r"\s", "", lowercased)
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", without_spaces)  # without what people put around a word
    unleeted = without_spaces.translate(LEET_TABLE)
    unleeted_core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", unleeted)
    if {
        without_spaces,
        core,
        core.translate(LEET_TABLE),
        unleeted,
        unleeted_core,
        re.sub(r"\d+$", "", without_spaces).translate(LEET_TABLE),
    } & COMMON:
        return True
    if len(set(without_spaces)) < 4 or _is_repetition(without_spaces):
        return True
    return any(without_spaces in row or without_spaces[::-1] in row for row in KEYBOARD_ROWS) or (
        without_spaces.isdigit() and len(without_spaces) <= 12
    )


def _is_repetition(text: str) -> bool:
    """Tell whether a text is a short piece, said again and again."""
    return any(text == (text[:size] * len(text))[: len(text)] for size in range(1, min(6, len(text) // 2) + 1))


def _is_mostly(lowercased: str, name: str) -> bool:
    """Tell whether little is left of a password without a name."""
    parts = {name.lower(), name.lower().partition("@")[0]}
    return any(len(part) >= 4 and part in lowercased and len(lowercased) - len(part) < 6 for part in parts)
