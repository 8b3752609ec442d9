"""Version numbers and Python versions of releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.versions import development_status, is_prerelease, latest_version, supports_python3, version_key

PYTHON_3 = "Programming Language :: Python :: 3"


@pytest.mark.parametrize(
    ("versions", "expected"),
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
def test_the_latest_version_is_a_final_one_if_possible(versions: list[str], expected: str | None) -> None:
    assert latest_version(versions) == expected
    assert latest_version(reversed(versions)) == expected


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
        ("==3.8.10", [], True),
        ("==3.14.1", [], True),
        ("~=3.8.2", [], True),
        (">=3.6.*", [], True),
        ("===3.9", [], True),
        (">=3.8.5,<3.8.6", [], True),
        (">=2.7,!=3.*", [PYTHON_3], False),
        ("==2.7.18", [PYTHON_3], False),
        (">=2.7,<3.*", [], False),
        (None, ["Programming Language :: Python :: 2.7"], None),
        (None, ["Programming Language :: Python :: 2 :: Only"], False),
        (">=3.x", ["Programming Language :: Python :: 2 :: Only"], False),
        (None, ["Programming Language :: Python :: 2 :: Only", PYTHON_3], True),
        (">=3.8", ["Programming Language :: Python :: 2 :: Only"], True),
        (None, ["Programming Language :: Python :: 30"], None),
        (None, [], None),
    ],
)
def test_python_3_support_is_true_false_or_unknown(
    requires: str | None, classifiers: list[str], expected: bool | None
) -> None:
    assert supports_python3(requires, classifiers) is expected


def test_the_highest_development_status_is_used() -> None:
    assert development_status(["Development Status :: 4 - Beta", "Development Status :: 5 - Production/Stable"]) == 5
    assert development_status(["Development Status :: 9 - Odd", "Framework :: Django"]) is None


def test_a_number_with_thousands_of_digits_is_not_a_version() -> None:
    long_number = "1" * 10_000
    assert latest_version([long_number, "1.0"]) == "1.0"
    assert supports_python3(f">={long_number}", [PYTHON_3]) is True


@given(st.lists(st.text() | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|rc|\.dev|\.post)[0-9])?", fullmatch=True)))
def test_any_texts_have_a_latest_version(versions: list[str]) -> None:
    latest = latest_version(versions)
    assert (latest is None) == (not versions)
    if latest is not None:
        assert latest in versions
        if not is_prerelease(latest) and version_key(latest)[0]:
            final = [version for version in versions if version_key(version)[0] and not is_prerelease(version)]
            assert all(version_key(version) <= version_key(latest) for version in final)


@given(st.text(alphabet="<>=!~, .*0123456789x") | st.text(), st.lists(st.text()))
def test_any_text_is_accepted_as_requires_python_and_classifiers(requires: str, classifiers: list[str]) -> None:
    assert supports_python3(requires, classifiers) in {True, False, None}
    assert development_status(classifiers) in {1, 2, 3, 4, 5, 6, 7, None}
