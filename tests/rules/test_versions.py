"""Which version is the newest, and which Pythons it runs on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.versions import development_status, is_prerelease, latest_version, supports_python3, version_key

PYTHON_3 = "Programming Language :: Python :: 3"


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (["1.9", "1.10", "1.2"], "1.10"),
        (["1.0", "2.0rc1"], "1.0"),
        (["2.0.dev1", "2.0rc1", "2.0a3"], "2.0rc1"),
        (["1.0", "1.0.post1"], "1.0.post1"),
        (["2024.1", "1!0.1"], "1!0.1"),
        (["best-ever", "0.1a1"], "0.1a1"),
        (["best", "better"], "better"),
        ([], None),
    ],
)
def test_the_newest_is_final_where_one_is(numbers: list[str], expected: str | None) -> None:
    assert latest_version(numbers) == expected
    assert latest_version(reversed(numbers)) == expected


@pytest.mark.parametrize(
    ("requires", "classifiers", "expected"),
    [
        (">=3.10", [], True),
        (">3.11", [], True),
        (">=2.7,!=3.0.*,!=3.1.*", [], True),
        ("==3.12.*", [], True),
        (">=3.15", [], True),
        ("<3", [PYTHON_3], False),
        ("~=2.7", [], False),
        (">=2.7, <3.0", [], False),
        (">=3.x", [f"{PYTHON_3}.8"], True),
        (">=3.x", [], None),
        (" ", [f"{PYTHON_3} :: Only"], True),
        (None, [PYTHON_3], True),
        (None, ["Programming Language :: Python :: 2.7"], None),
        (None, ["Programming Language :: Python :: 30"], None),
        (None, [], None),
    ],
)
def test_python_3_is_yes_no_or_not_told(requires: str | None, classifiers: list[str], expected: bool | None) -> None:
    assert supports_python3(requires, classifiers) is expected


def test_the_highest_development_status_counts() -> None:
    assert development_status(["Development Status :: 4 - Beta", "Development Status :: 5 - Production/Stable"]) == 5
    assert development_status(["Development Status :: 9 - Odd", "Framework :: Django"]) is None


def test_a_number_of_thousands_of_digits_is_no_version() -> None:
    endless = "1" * 10_000
    assert latest_version([endless, "1.0"]) == "1.0"
    assert supports_python3(f">={endless}", [PYTHON_3]) is True


@given(st.lists(st.text() | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|rc|\.dev|\.post)[0-9])?", fullmatch=True)))
def test_no_numbers_are_too_odd_to_choose_from(numbers: list[str]) -> None:
    chosen = latest_version(numbers)
    assert (chosen is None) == (not numbers)
    if chosen is not None:
        assert chosen in numbers
        if not is_prerelease(chosen) and version_key(chosen)[0]:
            final = [number for number in numbers if version_key(number)[0] and not is_prerelease(number)]
            assert all(version_key(number) <= version_key(chosen) for number in final)


@given(st.text(alphabet="<>=!~, .*0123456789x") | st.text(), st.lists(st.text()))
def test_no_words_about_python_raise(requires: str, classifiers: list[str]) -> None:
    assert supports_python3(requires, classifiers) in {True, False, None}
    assert development_status(classifiers) in {1, 2, 3, 4, 5, 6, 7, None}
