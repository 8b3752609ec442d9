"""Declarations of source trees, and the file with those of the bundled catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pkgsite.rules.declarations import Declaration, from_record, parse_declarations
from pkgsite.services.importing.catalogue import BUNDLED_CATALOGUE, BUNDLED_DECLARATIONS

DECLARATION = Declaration(
    version="1.2",
    licence="BSD",
    requires_python=None,
    classifiers=(
        "Development Status :: 5 - Production/Stable",
        "Framework :: Django :: 4.2",
        "Framework :: Django :: 1.11",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.14t",
        "Programming Language :: Python :: Implementation :: CPython",
    ),
    project_urls={"docs": "https://docs.example.org/", "Bad": "javascript:alert(1)"},
    repo="ada/one",
    path="setup.py",
    commit="0" * 40,
)


def test_facts_are_read_from_the_classifiers() -> None:
    assert DECLARATION.python_versions == "3.9, 3.10"
    assert DECLARATION.django_versions == "1.11, 4.2"
    assert DECLARATION.supports_python3 is True
    assert DECLARATION.development_status == 5


def test_nothing_is_read_from_an_empty_declaration() -> None:
    empty = replace(DECLARATION, licence=None, classifiers=(), project_urls={})
    facts = (empty.main_licence, empty.python_versions, empty.django_versions, empty.supports_python3)
    assert facts == (None, None, None, None)
    assert (empty.development_status, empty.documentation_url, empty.links) == (None, None, [])


def test_a_range_of_python_versions_takes_precedence() -> None:
    assert replace(DECLARATION, requires_python=">=3.8").python_versions == ">=3.8"


def test_only_safe_links_are_used() -> None:
    assert DECLARATION.links == [("docs", "https://docs.example.org/")]
    assert DECLARATION.documentation_url == "https://docs.example.org/"


def test_the_source_is_named_by_version_or_commit() -> None:
    assert DECLARATION.source_name == "setup.py 1.2"
    assert replace(DECLARATION, version=None).source_name == "setup.py at 0000000"
    assert DECLARATION.source_url == f"https://github.com/ada/one/blob/{'0' * 40}/setup.py"


def test_a_stored_declaration_is_read_back() -> None:
    assert from_record(json.loads(json.dumps(DECLARATION.as_record()))) == DECLARATION


def test_the_bundled_declarations_belong_to_packages_of_the_bundled_catalogue() -> None:
    declarations = parse_declarations(BUNDLED_DECLARATIONS.read_bytes())
    slugs = {record["slug"] for record in json.loads(BUNDLED_CATALOGUE.read_bytes())["packages"]}
    assert len(declarations) == 59
    assert declarations.keys() <= slugs


def test_a_declaration_needs_a_commit() -> None:
    record = DECLARATION.as_record() | {"package": "one", "commit": "main"}
    with pytest.raises(ValueError, match="without a commit: one"):
        parse_declarations(json.dumps({"declarations": [record]}).encode())
