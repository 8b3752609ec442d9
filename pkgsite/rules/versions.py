"""Version numbers, and the Pythons that a release runs on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

PYTHON_3 = "Programming Language :: Python :: 3"
_STATUS = re.compile(r"Development Status :: ([1-7]) - ")
MAX_PYTHON_MINOR = 30  # no Python 3 beyond this minor version is looked for
# The first and a late patch of each minor version: ">3.11", "!=3.12.0" and "<3.9" are all judged by what they mean.
_PYTHONS = tuple(f"3.{minor}{patch}" for minor in range(MAX_PYTHON_MINOR + 1) for patch in (".0", ".99"))


def version_key(number: str) -> tuple[int, Version, str]:
    """Return a key that sorts version numbers from oldest to newest; those that break the rules come first, as text."""
    version = _parse_version(number)
    return (0, Version("0"), number) if version is None else (1, version, number)


def is_prerelease(number: str) -> bool:
    """Tell whether a number names a pre-release or development release; one that breaks the rules is taken as final."""
    version = _parse_version(number)
    return version is not None and version.is_prerelease


def latest_version(numbers: Iterable[str]) -> str | None:
    """Return the newest final version, or the newest pre-release where there is no final one; None of none.

    A number that breaks the rules is chosen only where no other is.
    """
    return max(numbers, key=lambda number: (_rank(number), version_key(number)), default=None)


def supports_python3(requires_python: str | None, classifiers: Iterable[str]) -> bool | None:
    """Tell whether a release runs on some Python 3; None where nothing says so.

    `requires_python` is the stronger word; where it is missing or malformed, the classifiers are asked.
    """
    if requires_python and requires_python.strip():
        try:
            specifiers = SpecifierSet(requires_python)
            return any(specifiers.contains(python, prereleases=True) for python in _PYTHONS)
        except (InvalidSpecifier, ValueError):  # ValueError: a number of thousands of digits
            return _python3_classifier(classifiers)
    return _python3_classifier(classifiers)


def development_status(classifiers: Iterable[str]) -> int | None:
    """Return the development status that the classifiers name: 1 planning … 5 stable, 6 mature, 7 inactive."""
    found = [int(match.group(1)) for name in classifiers if (match := _STATUS.match(name))]
    return max(found, default=None)


def _parse_version(number: str) -> Version | None:
    try:
        return Version(number)
    except (InvalidVersion, ValueError):  # ValueError: a number of thousands of digits
        return None


def _rank(number: str) -> int:
    version = _parse_version(number)
    if version is None:
        return 0
    return 1 if version.is_prerelease else 2


def _python3_classifier(classifiers: Iterable[str]) -> bool | None:
    named = any(name == PYTHON_3 or name.startswith((f"{PYTHON_3}.", f"{PYTHON_3} ::")) for name in classifiers)
    return True if named else None
