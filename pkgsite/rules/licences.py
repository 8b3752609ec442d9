"""Licences of releases and repositories, from SPDX expressions, free text, classifiers and code hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pkgsite.rules.licence_names import (
    FAMILY_NAMES,
    GNU_ID,
    canonical_expression,
    is_placeholder,
    licence_family,
    spdx_id,
    without_reference,
)

MAX_NAME_LENGTH = 60  # characters; longer or multi-line text is a licence text rather than a name

MAX_TITLE_LENGTH = 120  # of a licence text, in characters

_SEPARATOR = re.compile(r"\s*[/,;|&+]\s*|\s+(?:and|or)\s+", re.IGNORECASE)
# A table of pyproject.toml as old tools wrote it: {text = "MIT"}.
_INLINE_TEXT = re.compile(r"\{?\s*[\"']?text[\"']?\s*[=:]\s*[\"']?(?P<text>.*?)[\"']?\s*\}?", re.DOTALL)
_TITLE_DATE = re.compile(r",?\s+(?:\d{1,2}\s+)?(?:January|June|November|February|March)\s+\d{4}$", re.IGNORECASE)

# A licence that is part of an expression: its family, and its identifier ("" if the name leaves the version open).
_Part = tuple[str, str]


def licences(expression: str | None, free_text: str | None, classifiers: Iterable[str]) -> tuple[str, ...]:
    """Return the licences of a release, the main one first, and each of them once.

    A name that leaves open what a more exact one says ("BSD License" beside BSD-3-Clause) adds nothing.

    Args:
        expression: SPDX expression of the metadata; normalised, but not split.
        free_text: Licence text of older metadata; used only without an expression, and only if it is a short name or
            starts with the name of a known licence.
        classifiers: Trove classifiers; the last parts of those that start with "License ::" are used.
    """
    has_expression = bool((expression or "").strip()) and not is_placeholder(expression or "")
    main = canonical_licence((expression or "") if has_expression else _short_name(free_text or ""))
    classified = [canonical_licence(_last_part(name)) for name in classifiers if name.startswith("License ::")]
    distinct: list[str] = []
    for name in [main, *classified]:
        if name is not None and not (name is main and _is_list_of(name, classified)):
            _add(distinct, FAMILY_NAMES.get(licence_family(name) or "", name))
    return tuple(distinct)


def canonical_licence(name: str) -> str | None:
    """Return the SPDX identifier of a licence, the name itself if it has none, or None if it names no licence."""
    name = " ".join(name.split())
    return None if is_placeholder(name) else spdx_id(name) or without_reference(name)


def host_licence(names: Iterable[str | None]) -> str | None:
    """Return the SPDX identifier of a repository's licence, as its code host detected it.

    Args:
        names: The identifiers or keys from the host, in any case.

    Returns:
        None if the host names none or no known one, or several, because how they combine is unknown. Hosts recognise
        GNU licences by their text, which is the same with and without "or later": "-only" beside "-or-later" is one.
    """
    identifiers = {identifier for name in names if name and (identifier := canonical_expression(name))}
    if len(identifiers) > 1:
        identifiers = {re.sub(r"(?<=GPL-\d\.\d)-(?:only|or-later)$", "", identifier) for identifier in identifiers}
    return identifiers.pop() if len(identifiers) == 1 else None


def _is_list_of(name: str, classified: Iterable[str | None]) -> bool:
    """Return whether a name only lists licences that the classifiers name too: "MIT/BSD"."""
    parts = [canonical_licence(part) for part in _SEPARATOR.split(name)]
    known = [licence for licence in classified if licence]
    return len(parts) > 1 and all(part and any(_covers(licence, part) for licence in known) for part in parts)


def _last_part(classifier: str) -> str:
    return classifier.rpartition("::")[2].strip()


def _short_name(free_text: str) -> str:
    """Return the name in a licence text: the text itself if it is short, or its first line if that is a known name."""
    inline = _INLINE_TEXT.fullmatch(free_text.strip())
    lines = [line.strip() for line in (inline["text"] if inline else free_text).strip().splitlines() if line.strip()]
    first = lines[0] if lines else ""
    if " :: " in first:
        return _last_part(first)
    # The titles of the Apache and GNU licences have a second line: "Version 3, 29 June 2007".
    titles = [_TITLE_DATE.sub("", " ".join(lines[:count])) for count in (2, 1)]
    exact = next((title for title in titles if len(title) <= MAX_TITLE_LENGTH and spdx_id(title)), "")
    return exact or (first if len(lines) == 1 and len(first) <= MAX_NAME_LENGTH else "")


def _add(names: list[str], name: str) -> None:
    """Add a licence to the list, unless one of the list says as much; it replaces those that say less."""
    if any(_covers(known, name) for known in names):
        return
    less_exact = [known for known in names if _covers(name, known)]
    if less_exact:
        names[names.index(less_exact[0])] = name
        for known in less_exact[1:]:
            names.remove(known)
    else:
        names.append(name)


def _covers(exact: str, name: str) -> bool:
    """Return whether a licence says at least as much as another."""
    exact_parts = _parts(exact)
    return all(any(_part_covers(known, part) for known in exact_parts) for part in _parts(name))


def _parts(name: str) -> list[_Part]:
    family = licence_family(name)
    if family is not None:
        return [(family, "")]
    if spdx_id(name) is None:
        return [(name.casefold(), name.casefold())]
    identifiers = [word for word in re.split(r"[\s()]+", name) if word and word not in {"OR", "AND", "WITH"}]
    return [(_family(identifier), identifier) for identifier in identifiers]


def _family(identifier: str) -> str:
    gnu = GNU_ID.fullmatch(identifier)
    return gnu["kind"].lower() if gnu else identifier.partition("-")[0].lower()


def _part_covers(exact: _Part, part: _Part) -> bool:
    if exact[0] != part[0]:
        return False
    if part[1] in {"", exact[1]}:
        return True
    exact_gnu, gnu = GNU_ID.fullmatch(exact[1]), GNU_ID.fullmatch(part[1])
    if not exact_gnu or not gnu:
        return False
    if exact_gnu["version"] == gnu["version"]:
        return gnu["suffix"] is None
    # There are no classifiers for LGPL 2.1; those for 2.0 stand for it.
    return (gnu["kind"], gnu["version"], exact_gnu["version"]) == ("LGPL", "2.0", "2.1")
