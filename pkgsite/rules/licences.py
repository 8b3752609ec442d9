"""Licences, as releases name them: by SPDX expression, in words, or by classifier."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_NAME_LENGTH = 60  # characters; more, or more than one line, is a licence's text rather than its name

# What people and classifiers write, lower-cased, and the SPDX identifier that it means.
# Names that leave the version or the number of clauses open ("BSD License", "GPL") stay as they stand.
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
    """Return the licences of a release, the chief one first; none where nothing names one.

    Args:
        expression: The SPDX expression of the metadata; kept whole, in its canonical spelling.
        free_text: The older free text, heard only where there is no expression, and only if it is a short name.
        classifiers: Trove classifiers, of which the last parts of "License :: …" count.
    """
    names = [expression or ""] if (expression or "").strip() else [_short_name(free_text or "")]
    names += [name.rpartition("::")[2] for name in classifiers if name.startswith("License ::")]
    return tuple(dict.fromkeys(licence for name in names if (licence := canonical_licence(name))))


def canonical_licence(name: str) -> str | None:
    """Return a licence's name in its canonical spelling, as it stands where it has none, or None for no name at all."""
    name = " ".join(name.split())
    if name.lower() in _PLACEHOLDERS:
        return None
    alias = _ALIASES.get(name.lower())
    if alias:
        return alias
    try:
        return str(canonicalize_license_expression(name))
    except (InvalidLicenseExpression, RecursionError, MemoryError):  # the last two: a thousand brackets
        return name


def _short_name(free_text: str) -> str:
    """Return words that can be a name, or nothing; a trove classifier among them counts by its last part."""
    free_text = free_text.strip()
    if free_text.startswith("License ::"):
        free_text = free_text.rpartition("::")[2].strip()
    return free_text if len(free_text) <= MAX_NAME_LENGTH and len(free_text.splitlines()) <= 1 else ""
