"""Licences of releases, from SPDX expressions, free text and classifiers."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_NAME_LENGTH = 60  # characters; longer or multi-line text is a licence text rather than a name

# Common names, in lower case, and their SPDX identifiers.
# Names without a version or number of clauses ("BSD License", "GPL") are ambiguous and not in this list.
_ALIASES = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "gnu affero general public license v3": "AGPL-3.0-only",
    "gnu affero general public license v3 or later (agplv3+)": "AGPL-3.0-or-later",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "gnu lesser general public license v2 (lgplv2)": "LGPL-2.0-only",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.0-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
_PLACEHOLDERS = {"", "unknown", "none", "osi approved", "license"}


def licences(expression: str | None, free_text: str | None, classifiers: Iterable[str]) -> tuple[str, ...]:
    """Return the licences of a release, the main one first.

    Args:
        expression: SPDX expression of the metadata; normalised, but not split.
        free_text: Licence text of older metadata; used only without an expression, and only if it is a short name.
        classifiers: Trove classifiers; the last parts of those that start with "License ::" are used.
    """
    names = [expression or ""] if (expression or "").strip() else [_short_name(free_text or "")]
    names += [name.rpartition("::")[2] for name in classifiers if name.startswith("License ::")]
    return tuple(dict.fromkeys(licence for name in names if (licence := canonical_licence(name))))


def canonical_licence(name: str) -> str | None:
    """Return the canonical name of a licence, the name itself if it is not a known one, or None for placeholders."""
    name = " ".join(name.split())
    if name.lower() in _PLACEHOLDERS:
        return None
    alias = _ALIASES.get(name.lower())
    if alias:
        return alias
    try:
        return str(canonicalize_license_expression(name))
    except (InvalidLicenseExpression, RecursionError, MemoryError):  # the last two: thousands of parentheses
        return name


def _short_name(free_text: str) -> str:
    """Return the text, or the last part of a trove classifier, if it is short enough for a name; otherwise empty."""
    free_text = free_text.strip()
    if free_text.startswith("License ::"):
        free_text = free_text.rpartition("::")[2].strip()
    return free_text if len(free_text) <= MAX_NAME_LENGTH and len(free_text.splitlines()) <= 1 else ""
