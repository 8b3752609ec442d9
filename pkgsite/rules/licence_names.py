"""Names of licences as people write them, and the SPDX identifiers that they stand for.

A name is compared by its words: case, punctuation and words such as "the", "license" and "version" do not matter. A
name that leaves the version or the number of clauses open ("BSD License", "GPL") stands for a family of licences and
has no identifier. Identifiers: https://spdx.org/licenses/
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_LENGTH = 200  # characters; longer names are not read, apart from SPDX expressions
MAX_PUNCTUATION = 20  # characters; a shorter text of punctuation only means "no licence"
# The classifiers of GNU licences, which name "or later" if they include later versions.
GNU_CLASSIFIER = re.compile(
    r"GNU (?:Lesser )?General Public License v[0-9] \(L?GPLv[0-9]\)|GNU Affero General Public License v3", re.IGNORECASE
)
GNU_ID = re.compile(r"(?P<kind>[AL]?GPL)-(?P<version>[0-9.]+)(?P<suffix>-only|-or-later)?")

_NOISE = frozenset(
    [
        "the",
        "a",
        "an",
        "license",
        "licenses",
        "licensed",
        "licensing",
        "version",
        "v",
        "ver",
        "under",
        "terms",
        "of",
        "software",
    ]
)
_SPDX_IDS_BY_NAME = {
    "0BSD": ("BSD Zero Clause", "Zero-Clause BSD", "BSD 0-Clause"),
    "AFL-3.0": ("Academic Free License 3.0",),
    "Apache-1.1": ("Apache 1.1", "Apache Software License 1.1", "ASL 1.1"),
    "Apache-2.0": ("Apache 2.0", "Apache Software Foundation License 2.0", "Apache Public License 2.0", "ASL 2.0"),
    "Artistic-2.0": ("Artistic 2.0",),
    "BlueOak-1.0.0": ("Blue Oak Model License", "Blue Oak Model License 1.0.0"),
    "BSD-2-Clause": (
        "BSD 2",
        "2-Clause BSD",
        "Simplified BSD",
        "BSD Simplified",
        "FreeBSD",
        "Two-Clause BSD",
        "BSD Two-Clause",
        "BSD 2-Clause Simplified",
    ),
    "BSD-3-Clause": (
        "BSD 3",
        "3-Clause BSD",
        "New BSD",
        "BSD New",
        "Modified BSD",
        "Revised BSD",
        "BSD Revised",
        "New-style BSD",
        "Three-Clause BSD",
        "BSD Three-Clause",
        "BSD 3-Clause New or Revised",
        "New or Revised BSD",
        "BSD Modified",
        "3-Clause New BSD",
        "BSD 3-Clause New",
        "BSD 3-Clause Revised",
        "BSD-new",
        "BSD3",
    ),
    "BSD-4-Clause": ("BSD 4", "4-Clause BSD", "Original BSD", "Four-Clause BSD"),
    "BSL-1.0": ("Boost Software License", "Boost Software License 1.0", "Boost"),
    "CC-BY-4.0": ("Creative Commons Attribution 4.0", "Creative Commons Attribution 4.0 International"),
    "CC-BY-SA-4.0": (
        "Creative Commons Attribution-ShareAlike 4.0",
        "Creative Commons Attribution-ShareAlike 4.0 International",
    ),
    "CC0-1.0": (
        "CC0",
        "CC0 1.0 Universal",
        "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication",
        "Creative Commons Zero",
        "Creative Commons Zero 1.0 Universal",
    ),
    "CDDL-1.0": ("Common Development and Distribution License 1.0",),
    "CNRI-Python": ("CNRI Python License", "Python License (CNRI Python License)"),
    "EPL-1.0": ("Eclipse Public License 1.0",),
    "EPL-2.0": ("Eclipse Public License 2.0",),
    "EUPL-1.1": ("European Union Public License 1.1",),
    "EUPL-1.2": ("European Union Public License 1.2",),
    "HPND": ("Historical Permission Notice and Disclaimer",),
    "ISC": ("ISC", "ISCL", "ISC License (ISCL)"),
    "MIT": (
        "MIT",
        "Expat",
        "MIT/Expat",
        "Expat/MIT",
        "MIT Expat",
        "MIT/X11",
        "X11/MIT",
        "MIT X11",
        "MIT Open Source License",
        "MIT Public License",
    ),
    "MIT-0": ("MIT No Attribution", "MIT-0"),
    "MPL-1.0": ("Mozilla Public License 1.0", "Mozilla Public License 1.0 (MPL)"),
    "MPL-1.1": ("Mozilla Public License 1.1",),
    "MPL-2.0": ("Mozilla Public License 2.0", "MPL2", "Mozilla 2.0"),
    "MS-PL": ("Microsoft Public License",),
    "MulanPSL-2.0": ("Mulan Permissive Software License v2", "Mulan PSL v2"),
    "NCSA": ("University of Illinois/NCSA Open Source License",),
    "OFL-1.1": ("SIL Open Font License 1.1", "SIL OFL 1.1", "Open Font License 1.1"),
    "OSL-3.0": ("Open Software License 3.0",),
    "PostgreSQL": ("PostgreSQL",),
    "PSF-2.0": (
        "Python Software Foundation License",
        "Python Software Foundation License 2.0",
        "PSF",
        "PSFL",
        "PSF 2.0",
        "PSF License Agreement",
        "Python Software Foundation License Version 2",
    ),
    "UPL-1.0": (
        "Universal Permissive License",
        "Universal Permissive License 1.0",
        "Universal Permissive License (UPL)",
    ),
    "Unlicense": ("Unlicense", "The Unlicense (Unlicense)"),
    "W3C": ("W3C",),
    "WTFPL": ("WTFPL", "WTFPL 2", "Do What The Fuck You Want To Public License"),
    "Zlib": ("zlib", "zlib/libpng"),
    "ZPL-2.1": ("Zope Public License 2.1", "ZPL 2.1"),
}
_FAMILIES_BY_NAME = {
    "afl": ("AFL", "Academic Free License", "Academic Free License (AFL)"),
    "apache": ("Apache", "ASL"),
    "artistic": ("Artistic",),
    "bsd": ("BSD", "BSD-like", "BSD-style", "BSD Style", "Berkeley"),
    "cddl": ("CDDL",),
    "epl": ("EPL", "Eclipse Public License"),
    "eupl": ("EUPL", "European Union Public License"),
    "mpl": ("MPL", "Mozilla Public License", "Mozilla Public License (MPL)"),
    "osl": ("OSL", "Open Software License"),
    "zpl": ("ZPL", "Zope Public License"),
}
# How a family is shown, in the spelling of its classifier if there is one.
FAMILY_NAMES = {
    "afl": "Academic Free License (AFL)",
    "apache": "Apache Software License",
    "artistic": "Artistic License",
    "bsd": "BSD License",
    "gpl": "GPL",
    "lgpl": "LGPL",
    "agpl": "AGPL",
    "zpl": "Zope Public License",
}

_GNU_WORDS = frozenset(
    [
        "gnu",
        "gpl",
        "lgpl",
        "agpl",
        "gplv",
        "lgplv",
        "agplv",
        "general",
        "public",
        "lesser",
        "library",
        "affero",
        "or",
        "and",
        "later",
        "newer",
        "above",
        "higher",
        "greater",
        "any",
        "only",
        "+",
        "plus",
        "at",
        "your",
        "option",
        "foundation",
        "fsf",
    ]
)
_LATER_WORDS = frozenset(["later", "newer", "above", "higher", "greater", "+", "plus"])
_GNU_VERSIONS = {"GPL": {"1.0", "2.0", "3.0"}, "LGPL": {"2.0", "2.1", "3.0"}, "AGPL": {"1.0", "3.0"}}
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(\+?)")
_WITH_ABBREVIATION = re.compile(r"(.+?)\s*\(([^()]+)\)")

_PLACEHOLDERS = frozenset(
    {"", "unknown", "none", "null", "osi approved", "dfsg approved", "license", "licenses", "n/a", "na", "tbd", "todo"}
    | {"dual license", "dual licensed", "multiple licenses", "various"}
    | {"no license", "not specified", "unspecified", "undefined", "noassertion", "other", "unlicensed", "license file"}
)
_FILE = r"(?:licen[sc]es?|copying|copyright|notice|readme|file|repository|repo|source)"
_POINTER = re.compile(
    rf"(?:please\s+)?(?:see|check|read|refer to|look at|cf\.?|as per|as in|in)\b.*\b{_FILE}\b.*"  # See LICENSE file
    rf"|\W*file\W*[:=].*"  # file = LICENSE
    rf"|\S*(?:licen[sc]es?|copying|copyright|readme)\S*\.(?:txt|md|rst|html?)\S*(?:\s+file)?"  # LICENSE.txt
    rf"|(?:the\s+)?(?:licen[sc]e|copying)(?:[-_.]\w+)*(?:\s+file)?",  # LICENSE-MIT
    re.IGNORECASE,
)
_POINTER_TAIL = re.compile(rf"[\s,;.(–-]+(?:please\s+)?see\b.*\b{_FILE}\b.*", re.IGNORECASE)


def is_placeholder(name: str) -> bool:
    """Return whether a text names no licence: a placeholder, punctuation, or a reference to a file."""
    folded = _fold(name)
    if folded in _PLACEHOLDERS or (len(folded) <= MAX_PUNCTUATION and not any(map(str.isalnum, folded))):
        return True
    return spdx_id(name) is None and bool(_POINTER.fullmatch(folded) or _is_web_url(folded))


def spdx_id(name: str) -> str | None:
    """Return the SPDX identifier or expression that a name stands for, or None if it stands for no exact licence.

    >>> spdx_id("The Apache Software License, Version 2.0")
    'Apache-2.0'
    >>> spdx_id("GPLv2+")
    'GPL-2.0-or-later'
    >>> spdx_id("BSD") is None
    True
    """
    return canonical_expression(name) if len(name) > MAX_LENGTH else _spdx_id(name)


@lru_cache(maxsize=4096)
def _spdx_id(name: str) -> str | None:
    name = without_reference(name.strip())
    if GNU_CLASSIFIER.fullmatch(name):
        return f"{_id_by_words(name)}-only"
    return canonical_expression(name) or _simple_id(name) or _id_from_url(name) or _combined_id(name)


def without_reference(name: str) -> str:
    """Return a name without a reference to a file at its end: "BSD, see LICENSE" is "BSD"."""
    return _POINTER_TAIL.sub("", name) or name


def licence_family(name: str) -> str | None:
    """Return the family that a name without a version stands for, such as "bsd" or "gpl"; None for other names."""
    gnu = _gnu_licence(name)
    if gnu is not None:
        kind, version, _ = gnu
        return None if version else kind.lower()
    return _FAMILIES.get(_key(name))


def canonical_expression(expression: str) -> str | None:
    """Return an SPDX expression in canonical form, or None if it is invalid."""
    try:
        canonical = str(canonicalize_license_expression(expression))
    except (InvalidLicenseExpression, RecursionError, MemoryError):  # the last two: thousands of parentheses
        return None
    canonical = re.sub(r"\b([AL]?GPL-[0-9.]+)\+", r"\1-or-later", canonical)
    return re.sub(r"^\(([^()]*)\)$", r"\1", canonical)


def _simple_id(name: str) -> str | None:
    """Return the identifier of one licence, with or without its abbreviation in parentheses."""
    by_words = _id_by_words(name)
    if by_words:
        return by_words
    match = _WITH_ABBREVIATION.fullmatch(name.strip())
    if not match:
        return None
    full, short = _id_by_words(match[1]), _id_by_words(match[2])
    if full and short and full != short:
        return None
    if short:
        return short if not licence_family(match[1]) or _family_of_id(short) == licence_family(match[1]) else None
    return full if full and is_placeholder(match[2]) else None


def _id_by_words(name: str) -> str | None:
    gnu = _gnu_licence(name)
    if gnu is not None:
        kind, version, suffix = gnu
        return f"{kind}-{version}{suffix}" if version else None
    key = _key(name)
    return _IDS.get(key) or _id_with_hyphens(key)


def _id_with_hyphens(key: str) -> str | None:
    """Return the identifier whose words are those of the key: "eupl 1.2" is EUPL-1.2."""
    words = key.split()
    if not words or len(words) > 5:
        return None
    joined = "-".join(words)
    has_major_only = len(words) > 1 and words[-1].isdecimal()
    return (canonical_expression(f"{joined}.0") if has_major_only else None) or canonical_expression(joined)


def _combined_id(name: str) -> str | None:
    """Return the expression of a list of exact licences: "MIT or Apache 2.0", "MIT/BSD-3-Clause"."""
    for separator, operator in ((r"\s+or\s+|\s*[/|]\s*", "OR"), (r"\s+and\s+|\s*&\s*", "AND")):
        parts = re.split(separator, name.strip(), flags=re.IGNORECASE)
        if 2 <= len(parts) <= 4:
            ids = [canonical_expression(part) or _simple_id(part) for part in parts]
            if all(ids):
                return canonical_expression(f" {operator} ".join(dict.fromkeys(filter(None, ids))))
    return None


def _id_from_url(name: str) -> str | None:
    """Return the identifier of a URL of a well-known site, such as https://opensource.org/licenses/MIT."""
    url = name.strip().lower()
    if not _is_web_url(url) or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host, path = (parts.hostname or "").removeprefix("www."), re.sub(r"\.(?:html?|txt|php)$", "", parts.path.strip("/"))
    if host == "apache.org" and path.startswith("licenses/license-"):
        return _id_by_words(path.replace("licenses/license-", "apache "))
    if host in {"mozilla.org", "mozilla.com"} and "mpl" in path:
        return _id_by_words(path[path.index("mpl") :].replace("/", " "))
    if host in {"opensource.org", "spdx.org", "choosealicense.com", "gnu.org"}:
        return _id_by_words(path.rpartition("/")[2].removesuffix("-license"))
    return None


def _gnu_licence(name: str) -> tuple[str, str, str] | None:
    """Return the kind ("LGPL"), version (empty if not named) and suffix of a GNU licence, or None for other names.

    A name without "only" or "or later" has no suffix: "GPLv2" does not say whether later versions are included.
    """
    words = _words(name.replace(">=", "+").replace("+", " + "))
    numbers = {_full_version(match[1]) for word in words if (match := _VERSION.fullmatch(word))}
    others = {word for word in words if not _VERSION.fullmatch(word)}
    kind = _gnu_kind(others)
    if kind is None or others - _GNU_WORDS or len(numbers) > 1:
        return None
    version = next(iter(numbers), "")
    if version and version not in _GNU_VERSIONS[kind]:
        return None
    return kind, version, "-or-later" if others & _LATER_WORDS else "-only" if "only" in others else ""


def _gnu_kind(words: set[str]) -> str | None:
    is_affero, is_lesser = (
        bool(words & {"affero", "agpl", "agplv"}),
        bool(words & {"lesser", "library", "lgpl", "lgplv"}),
    )
    is_general = bool(words & {"gpl", "gplv"}) or {"general", "public"} <= words
    if (is_affero and is_lesser) or not (is_affero or is_lesser or is_general):
        return None
    if words & {"gpl", "gplv"} and words & {"lgpl", "lgplv", "agpl", "agplv"}:
        return None  # "GPL/LGPL" names two licences
    if not is_general and not words & {"agpl", "agplv", "lgpl", "lgplv"}:
        return None  # "affero" and "library" alone are ordinary words
    return "AGPL" if is_affero else "LGPL" if is_lesser else "GPL"


def _family_of_id(identifier: str) -> str:
    match = re.match(r"[A-Za-z]+", identifier)
    return match[0].lower() if match else identifier


def _key(name: str) -> str:
    """Return the words of a name that matter, with versions without trailing zeros."""
    words = [_short_version(word) for word in _words(name)]
    half = len(words) // 2
    return " ".join(words[:half] if len(words) % 2 == 0 and words[:half] == words[half:] else words)


def _words(name: str) -> list[str]:
    text = re.sub(r"[^\w.+]+|_", " ", _fold(name))
    text = re.sub(r"(?<=[a-z])v(?=\s?\d)", " ", text)  # "aslv2", "gplv3"
    text = re.sub(r"(?<=[a-z])(?=\d)", " ", text)  # "apache2"
    return [word for raw in text.split() if (word := raw.strip(".")) and word not in _NOISE]


def _fold(name: str) -> str:
    return " ".join(name.casefold().replace("licence", "license").split())


def _short_version(word: str) -> str:
    return re.sub(r"(?:\.0)+$", "", word) if _VERSION.fullmatch(word) else word


def _full_version(version: str) -> str:
    short = _short_version(version)
    return short if "." in short else f"{short}.0"


def _is_web_url(text: str) -> bool:
    return text.startswith(("http://", "https://", "www."))


_IDS = {_key(name): identifier for identifier, names in _SPDX_IDS_BY_NAME.items() for name in (identifier, *names)}
_FAMILIES = {_key(name): family for family, names in _FAMILIES_BY_NAME.items() for name in names}
