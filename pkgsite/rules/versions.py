"""Version numbers, and the Python versions that a release supports."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

PYTHON_3 = "Programming Language :: Python :: 3"
_STATUS = re.compile(r"Development Status :: ([1-7]) - ")
MAX_PYTHON_MINOR = 30  # the highest minor version of Python 3 that is tried
# The first and a late patch of each minor version, so that ">3.11" and "!=3.12.0" allow 3.11.1 and 3.12.1.
_PYTHONS = tuple(f"3.{minor}{patch}" for minor in range(MAX_PYTHON_MINOR + 1) for patch in (".0", ".99"))


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

    The classifiers are only used if `requires_python` is missing or invalid.
    """
    if requires_python and requires_python.strip():
        try:
            specifiers = SpecifierSet(requires_python)
            return any(specifiers.contains(python, prereleases=True) for python in _PYTHONS)
        except (InvalidSpecifier, ValueError):  # ValueError: a number with thousands of digits
            pass
    return _python3_classifier(classifiers)


def development_status(classifiers: Iterable[str]) -> int | None:
    """Return the highest development status in the classifiers: 1 planning … 5 stable, 6 mature, 7 inactive."""
    statuses = [int(match.group(1)) for name in classifiers if (match := _STATUS.match(name))]
    return max(statuses, default=None)


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


def _python3_classifier(classifiers: Iterable[str]) -> bool | None:
    is_python3 = any(name == PYTHON_3 or name.startswith((f"{PYTHON_3}.", f"{PYTHON_3} ::")) for name in classifiers)
    return True if is_python3 else None
