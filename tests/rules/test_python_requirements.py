"""Python versions that `Requires-Python` allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.python_requirements import MINORS, allowed_minors, is_readable


def minors(first: int, last: int = 30) -> tuple[str, ...]:
    return tuple(f"3.{minor}" for minor in range(first, last + 1))


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("==3.8.10", ("3.8",)),
        ("==3.14.1", ("3.14",)),
        ("==3.8", ("3.8",)),
        ("==3.12.*", ("3.12",)),
        ("==3.*", minors(0)),
        ("===3.9", ("3.9",)),
        ("===3.9.7", ("3.9",)),
        ("~=3.8.2", ("3.8",)),
        ("~=3.8", minors(8)),
        ("~=2.7", ("2.7",)),
        (">3.7", minors(7)),
        (">3.7.3,<3.9", ("3.7", "3.8")),
        (">3.8.5,<3.8.6", ()),
        (">=3.8.5,<3.8.6", ("3.8",)),
        ("<3.8.1", ("2.7", *minors(0, 8))),
        ("<=3.8", ("2.7", *minors(0, 8))),
        ("<4", MINORS),
        ("!=3.0.*", ("2.7", *minors(1))),
        (">=2.7,!=3.*", ("2.7",)),
        (">=3.8,!=3.8.0,!=3.8.1,<3.9", ("3.8",)),
        (">=3.15.0rc1", minors(15)),
        ("==3.15.0rc1", ("3.15",)),
        (">=4", ()),
    ],
)
def test_a_minor_version_is_allowed_if_any_of_its_patch_releases_is(specifier: str, expected: tuple[str, ...]) -> None:
    assert allowed_minors(specifier) == expected


@pytest.mark.parametrize(
    ("lenient", "strict"),
    [
        (">=3.6.*", ">=3.6"),
        (">= 3.6.*, < 4.0.*", ">=3.6,<4.0"),
        (">3.6.*", ">3.6"),
        (">=3.6.", ">=3.6"),
        (">=3.6,", ">=3.6"),
        (">=3.6 <3.9", ">=3.6,<3.9"),
        (">=3.6<3.9", ">=3.6,<3.9"),
        (">=2.7, !=3.0*", ">=2.7,!=3.0.*"),
        ("=>3.6", ">=3.6"),
        ("'>=3.6'", ">=3.6"),
        ('">=3.6"', ">=3.6"),
    ],
)
def test_mistakes_that_installers_accept_are_read(lenient: str, strict: str) -> None:
    assert allowed_minors(lenient) == allowed_minors(strict)
    assert is_readable(lenient)


@pytest.mark.parametrize("text", [">=3.x", "3.6", "^3.8", "~=3", "three", ">=3.6; x", ",", f">={'1' * 10_000}"])
def test_other_texts_are_unreadable(text: str) -> None:
    assert not is_readable(text)
    assert allowed_minors(text) is None


@pytest.mark.parametrize("text", [None, "", " "])
def test_without_a_text_nothing_is_known(text: str | None) -> None:
    assert allowed_minors(text) is None


@given(st.text(alphabet="<>=!~, .*0123456789x'") | st.text())
def test_any_text_is_accepted(text: str) -> None:
    assert set(allowed_minors(text) or ()) <= set(MINORS)
