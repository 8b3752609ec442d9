"""Python versions that a release declares with `Requires-Python`.

Specifiers: https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

import re
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

MAX_PYTHON_MINOR = 30  # the highest minor version of Python 3 that is tried
MINORS = ("2.7", *(f"3.{minor}" for minor in range(MAX_PYTHON_MINOR + 1)))

# Mistakes that installers accept, and what they stand for.
_LENIENT_RULES = (
    (re.compile(r"[\"']"), ""),
    (re.compile(r"\s+(?=[<>=!~])(?<![<>=!~,]\s)"), ", "),  # ">=3.6 <4": the comma is missing
    (re.compile(r"(?<=\d)(?=[<>!~]|==)"), ", "),  # ">=3.6<4"
    (re.compile(r"([<>]=?)(\s*v?\d+(?:\.\d+)*)\.\*"), r"\1\2"),  # ">=3.6.*"
    (re.compile(r"([!=]=\s*v?\d+(?:\.\d+)*)\*"), r"\1.*"),  # "!=3.0*": the dot is missing
    (re.compile(r"(\d)\.(?=\s*(?:,|$))"), r"\1"),  # ">=3.6."
    (re.compile(r"=>"), ">="),
    (re.compile(r"=<"), "<="),
)


def is_readable(requires_python: str | None) -> bool:
    """Return whether a text is a version specifier, or one with a mistake that installers accept."""
    return allowed_minors(requires_python) is not None


@lru_cache(maxsize=2048)
def allowed_minors(requires_python: str | None) -> tuple[str, ...] | None:
    """Return the minor versions of which any patch release satisfies a specifier, oldest first.

    Args:
        requires_python: The specifier; None or a blank text if the release has none.

    Returns:
        Those of `MINORS`, such as ("3.11", "3.12"); None without a readable specifier.

    >>> allowed_minors("==3.8.10")
    ('3.8',)
    >>> allowed_minors(">=3.x") is None
    True
    """
    specifiers = _parse(requires_python or "")
    if specifiers is None:
        return None
    versions = [version for specifier in specifiers if (version := _parse_version(specifier.version)) is not None]
    # Between two patch numbers that the specifier mentions, all patch releases are alike.
    patches = {0, 1} | {patch + more for version in versions for patch in version.release[2:3] for more in (0, 1)}
    texts = {specifier.version for specifier in specifiers}
    return tuple(minor for minor in MINORS if _allows_minor(specifiers, minor, patches, versions, texts))


def _allows_minor(
    specifiers: SpecifierSet, minor: str, patches: set[int], versions: list[Version], texts: set[str]
) -> bool:
    # The mentioned versions themselves: "==3.15.0rc1" is a pre-release, and "===3.9" compares the text.
    mentioned = [text for text in texts if text == minor]
    mentioned += [str(version) for version in versions if ".".join(map(str, (*version.release, 0)[:2])) == minor]
    candidates = [*(f"{minor}.{patch}" for patch in sorted(patches)), *mentioned]
    return any(specifiers.contains(candidate, prereleases=True) for candidate in candidates)


def _parse(text: str) -> SpecifierSet | None:
    if not text.strip():
        return None
    for candidate in (text, _repair(text)):
        try:
            specifiers = SpecifierSet(candidate)
            if all(_parse_version(specifier.version) for specifier in specifiers) and len(specifiers):
                return specifiers
        except (InvalidSpecifier, ValueError):  # ValueError: a number with thousands of digits
            continue
    return None


def _repair(text: str) -> str:
    for pattern, replacement in _LENIENT_RULES:
        text = pattern.sub(replacement, text)
    return text


def _parse_version(text: str) -> Version | None:
    try:
        return Version(text.removesuffix(".*"))
    except (InvalidVersion, ValueError):
        return None
