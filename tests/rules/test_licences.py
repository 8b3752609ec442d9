"""Licences of releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.licences import MAX_NAME_LENGTH, canonical_licence, licences

MIT = "License :: OSI Approved :: MIT License"
BSD = "License :: OSI Approved :: BSD License"
LONG = "GPL-2.0-or-later WITH Classpath-exception-2.0 OR MIT AND (LGPL-2.1-or-later OR BSD-3-Clause)"


@pytest.mark.parametrize(
    ("expression", "free_text", "classifiers", "expected"),
    [
        ("mit or apache-2.0", "ignored", [], ("MIT OR Apache-2.0",)),
        (LONG, None, [], (LONG,)),
        (None, "MIT", [MIT], ("MIT",)),
        (None, "BSD", [BSD, MIT], ("BSD", "BSD License", "MIT")),
        (None, MIT, [], ("MIT",)),
        (None, "Copyright (c) 2012\nAll rights reserved", [MIT], ("MIT",)),
        (None, "x" * (MAX_NAME_LENGTH + 1), [], ()),
        ("MIT", "BSD", [BSD], ("MIT", "BSD License")),
        (" ", "UNKNOWN", ["License :: OSI Approved", "Framework :: Django"], ()),
        (None, None, [], ()),
    ],
)
def test_the_expression_comes_first_then_short_free_text_then_classifiers(
    expression: str | None, free_text: str | None, classifiers: list[str], expected: tuple[str, ...]
) -> None:
    assert licences(expression, free_text, classifiers) == expected


def test_an_ambiguous_licence_name_is_kept() -> None:
    assert canonical_licence("BSD License") == "BSD License"
    assert canonical_licence("Apache Software License") == "Apache Software License"


def test_thousands_of_parentheses_are_not_an_error() -> None:
    assert canonical_licence("(" * 5_000 + "MIT" + ")" * 5_000)


@given(
    st.none() | st.text() | st.text(alphabet="()MIT ORANDWITH+-"),
    st.none() | st.text(),
    st.lists(st.text() | st.text().map("License :: {}".format)),
)
def test_any_text_gives_distinct_names_that_are_not_blank(
    expression: str | None, free_text: str | None, classifiers: list[str]
) -> None:
    names = licences(expression, free_text, classifiers)
    assert len(set(names)) == len(names)
    assert all(name.strip() for name in names)
