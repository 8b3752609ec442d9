"""Version numbers, and the Python versions that a release supports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from packaging.version import InvalidVersion, Version

from pkgsite.rules.python_requirements import allowed_minors

PYTHON_3 = "Programming Language :: Python :: 3"
PYTHON_2_ONLY = "Programming Language :: Python :: 2 :: Only"
_STATUS = re.compile(r"Development Status :: ([1-7]) - ")
_MINOR_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


def version_key(version: str) -> tuple[int, Version, str]:
    """Return a key that sorts versions from oldest to newest; invalid ones come first, sorted as text."""
    parsed = _parse_version(version)
    return (0, Version("0"), version) if parsed is None else (1, parsed, version)


def is_prerelease(version: str) -> bool:
    """Return whether a version is a pre-release or development release; invalid versions count as final."""
    parsed = _parse_version(version)
    return parsed is not None and parsed.is_prerelease


def latest_version(versions: Iterable[str]) -> str | None:
    """Return the latest final version, or else the latest pre-release; None if there are no versions.

    An invalid version is returned only if there is no valid one.
    """
    return max(versions, key=lambda version: (_rank(version), version_key(version)), default=None)


def supports_python3(requires_python: str | None, classifiers: Iterable[str]) -> bool | None:
    """Return whether a release supports any version of Python 3; None if unknown.

    The classifiers are only used if `requires_python` is missing or unreadable.
    """
    minors = allowed_minors(requires_python)
    if minors is not None:
        return any(minor.startswith("3.") for minor in minors)
    return _python3_classifier(tuple(classifiers))


def development_status(classifiers: Iterable[str]) -> int | None:
    """Return the highest development status in the classifiers: 1 planning … 5 stable, 6 mature, 7 inactive."""
    statuses = [int(match.group(1)) for name in classifiers if (match := _STATUS.match(name))]
    return max(statuses, default=None)


def classified_versions(classifiers: Iterable[str], category: str) -> list[str]:
    """Return the versions that the classifiers of a category list, oldest first, without bare major versions.

    >>> classified_versions(["Framework :: Django", "Framework :: Django :: 5.2"], "Framework :: Django")
    ['5.2']
    """
    numbers = [name.removeprefix(f"{category} :: ") for name in classifiers if name.startswith(f"{category} :: ")]
    versions = {number for number in numbers if _MINOR_VERSION.fullmatch(number)}
    return sorted(versions, key=version_key)


def _parse_version(version: str) -> Version | None:
    try:
        return Version(version)
    except (InvalidVersion, ValueError):  # ValueError: a number with thousands of digits
        return None


def _rank(version: str) -> int:
    parsed = _parse_version(version)
    if parsed is None:
        return 0
    return 1 if parsed.is_prerelease else 2


def _python3_classifier(classifiers: Collection[str]) -> bool | None:
    if any(name == PYTHON_3 or name.startswith((f"{PYTHON_3}.", f"{PYTHON_3} ::")) for name in classifiers):
        return True
    return False if PYTHON_2_ONLY in classifiers else None
