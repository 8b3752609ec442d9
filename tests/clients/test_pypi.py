"""The PyPI client: projects, serials, downloads and errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pkgsite.clients.base import DownloadFacts, Fetched, IndexFacts, PackageIndex, ReleaseFacts, Vulnerability
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.pypi import PyPI
from pkgsite.errors import BadResponse, Gone, RateLimited, Unavailable, UpstreamError
from tests.fakes.pypi import FIRST_UPLOAD, SIMPLE_JSON, FakePyPI, project_body
from tests.fakes.rest_host import FAULTS, Serve
from tests.fakes.v4_site import HangingResponse, WsgiApp, response

FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0)
DAY = timedelta(days=1)
NAMES = ("django-x", "a", "b", "other")


def json_client(timeouts: Timeouts = FAST_TIMEOUTS) -> JsonClient:
    return JsonClient(user_agent="pkgsite", timeouts=timeouts)


@pytest.fixture
def fake() -> FakePyPI:
    fake = FakePyPI()
    fake.add("django-x", "1.0", "1.1", downloads=12345)
    return fake


@pytest.fixture
def address(serve_app: Serve, fake: FakePyPI) -> str:
    return serve_app(fake)


@pytest.fixture
def pypi(address: str) -> PackageIndex:
    return PyPI(address, f"{address}/", json_client())


@pytest.fixture
def facts(pypi: PackageIndex) -> Callable[..., IndexFacts]:
    """A function that returns the facts about a project."""

    def fetched_facts(name: str = "django-x") -> IndexFacts:
        project = pypi.index_facts(name, validators={}).facts
        assert project is not None
        return project

    return fetched_facts


Facts = Callable[..., IndexFacts]


# Projects and releases


def test_project_facts(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake["django-x"].info |= {
        "classifiers": ["Development Status :: 5 - Production/Stable", "License :: OSI Approved :: MIT License"],
        "project_urls": {"Docs": "https://x.example.org/", "Source": "https://git.example.org/x"},
    }
    fetched = pypi.index_facts("django-x", validators={})
    assert fetched.facts == IndexFacts(
        name="django-x",
        version="1.1",
        released_at=FIRST_UPLOAD + DAY,
        releases=(
            ReleaseFacts("1.1", FIRST_UPLOAD + DAY, False, None, ">=3.10", True),
            ReleaseFacts("1.0", FIRST_UPLOAD, False, None, ">=3.10", True),
        ),
        summary="Does one thing.",
        licence="MIT",
        licences=("MIT",),
        classifiers=("Development Status :: 5 - Production/Stable", "License :: OSI Approved :: MIT License"),
        requires_python=">=3.10",
        supports_python3=True,
        development_status=5,
        documentation_url="https://x.example.org/",
        project_urls={"Docs": "https://x.example.org/", "Source": "https://git.example.org/x"},
        requires_dist=("Django>=5.2",),
        vulnerabilities=(),
    )
    assert fetched.validators["serial"] == str(fake["django-x"].serial)
    assert set(fetched.validators) == {"etag", "serial"}
    assert fake.counts == {"project": 1}


def test_unchanged_project_has_no_facts(fake: FakePyPI, pypi: PackageIndex) -> None:
    first = pypi.index_facts("django-x", validators={})
    again = pypi.index_facts("django-x", validators=first.validators)
    assert again == Fetched(None, first.validators)
    assert fake.unchanged == {"project": 1}
    fake.release("django-x", "1.2")
    changed = pypi.index_facts("django-x", validators=again.validators)
    assert changed.facts
    assert changed.facts.version == "1.2"
    assert int(changed.validators["serial"]) > int(first.validators["serial"])
    assert changed.validators["etag"] != first.validators["etag"]


def test_304_to_an_unconditional_request_is_not_trusted(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake.faults["django-x"] = response("304 Not Modified", b"")
    with pytest.raises(BadResponse):
        pypi.index_facts("django-x", validators={})


def test_redirect_to_the_normalised_name_is_followed(fake: FakePyPI, pypi: PackageIndex) -> None:
    first = pypi.index_facts("Django_X", validators={})
    assert first.facts
    assert first.facts.name == "django-x"
    assert fake.request_log == ["/pypi/Django_X/json", "/pypi/django-x/json"]
    assert (
        pypi.index_facts("Django_X", validators=first.validators).facts is None
    )  # the redirect keeps the conditional header


def test_name_is_spelled_as_by_the_project(fake: FakePyPI, facts: Facts) -> None:
    fake.add("Django.Y", "1")
    assert facts("django-y").name == "Django.Y"


def test_missing_project_is_gone(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake.remove("django-x")
    with pytest.raises(Gone, match="/pypi/django-x/json returned 404"):
        pypi.index_facts("django-x", validators={})


@pytest.mark.parametrize("name", ["", "-", "a/../b", "django x", "..", "dj?ngo", "django\n", "naïve"])
def test_invalid_name_is_gone_without_a_request(fake: FakePyPI, pypi: PackageIndex, name: str) -> None:
    with pytest.raises(Gone, match="is not a valid project name"):
        pypi.index_facts(name, validators={})
    assert pypi.download_facts(name).facts == DownloadFacts(None)
    assert fake.request_log == []


def test_response_about_another_project_is_rejected(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake["django-x"].info["name"] = "django-y"
    with pytest.raises(BadResponse, match="a different project: 'django-y'"):
        pypi.index_facts("django-x", validators={})


@pytest.mark.parametrize("headers", [{}, {"X_PyPI_Last_Serial": "soon"}, {"X_PyPI_Last_Serial": "9" * 30}])
def test_serial_is_read_from_the_body_without_a_header(
    fake: FakePyPI, pypi: PackageIndex, headers: dict[str, str]
) -> None:
    fake.faults["django-x"] = response("200 OK", project_body(fake["django-x"]), **headers)
    assert pypi.index_facts("django-x", validators={}).validators == {"serial": str(fake["django-x"].serial)}
    fake.faults["django-x"] = response("200 OK", project_body(fake["django-x"]) | {"last_serial": None}, **headers)
    assert pypi.index_facts("django-x", validators={}).validators == {}


def test_newest_final_release_is_the_current_one(fake: FakePyPI, facts: Facts) -> None:
    fake.add("django-x", "1.10", "2.0rc1", "1.9", "2.0.dev3", "1.10.post1")
    project = facts()
    assert project.version == "1.10.post1"
    assert [release.number for release in project.releases] == ["2.0rc1", "2.0.dev3", "1.10.post1", "1.10", "1.9"]
    assert [release.is_prerelease for release in project.releases] == [True, True, False, False, False]


def test_newest_prerelease_is_current_without_final_releases(fake: FakePyPI, facts: Facts) -> None:
    fake.add("django-x", "0.1a1", "0.1b2", "0.1b1")
    assert facts().version == "0.1b2"


def test_yanked_release_is_listed_but_not_current(fake: FakePyPI, facts: Facts) -> None:
    fake.yank("django-x", "1.1", "It deletes everything.")
    project = facts()
    assert (project.version, project.released_at) == ("1.0", FIRST_UPLOAD)
    assert [release.yanked_reason for release in project.releases] == ["It deletes everything.", None]
    assert project.vulnerabilities == ()
    fake.yank("django-x", "1.1")
    assert facts().releases[0].yanked_reason == ""
    fake.unyank("django-x", "1.1")
    assert facts().version == "1.1"


def test_release_with_one_file_left_is_not_yanked(fake: FakePyPI, facts: Facts) -> None:
    fake.yank("django-x", "1.1", "No.")
    fake["django-x"].releases["1.1"].files[1]["yanked"] = False
    assert facts().version == "1.1"
    assert facts().releases[0].yanked_reason is None


def test_first_yanked_reason_is_used(fake: FakePyPI, facts: Facts) -> None:
    fake.yank("django-x", "1.1", "Broken.")
    fake["django-x"].releases["1.1"].files[0]["yanked_reason"] = None
    assert facts().releases[0].yanked_reason == "Broken."


def test_described_release_is_current_if_all_are_yanked(fake: FakePyPI, facts: Facts) -> None:
    fake.yank("django-x", "1.0")
    fake.yank("django-x", "1.1")
    assert (facts().version, facts().released_at) == ("1.1", FIRST_UPLOAD + DAY)


def test_release_without_files_is_listed_but_not_current(fake: FakePyPI, facts: Facts) -> None:
    fake.release("django-x", "1.2", files=0)
    project = facts()
    assert project.version == "1.1"
    assert project.releases[0] == ReleaseFacts("1.2", None, False, None, ">=3.10", True)
    assert project.vulnerabilities is None  # the index describes 1.2


def test_facts_of_another_release_are_not_used(fake: FakePyPI, facts: Facts) -> None:
    fake.release("django-x", "2.0", files=0, requires_python=">=3.12")
    fake["django-x"].info |= {
        "classifiers": ["Development Status :: 7 - Inactive", "License :: OSI Approved :: MIT License"],
        "requires_dist": ["django>=5"],
    }
    project = facts()
    assert (project.version, project.requires_python, project.summary) == ("1.1", ">=3.10", "Does one thing.")
    assert (project.licence, project.licences, project.classifiers) == (None, None, None)
    assert (project.requires_dist, project.development_status) == (None, None)


def test_facts_of_a_described_prerelease_are_not_used(fake: FakePyPI, facts: Facts) -> None:
    fake.release("django-x", "3.0.dev5")
    fake["django-x"].info |= {"version": "3.0.dev5", "license": "revised BSD license", "license_expression": None}
    assert (facts().version, facts().licence, facts().classifiers) == ("1.1", None, None)


def test_newest_release_is_current_if_none_has_files(fake: FakePyPI, facts: Facts) -> None:
    fake.add("django-x")
    fake.release("django-x", "1.0", files=0)
    fake.release("django-x", "1.1", files=0)
    assert (facts().version, facts().released_at) == ("1.1", None)


@pytest.mark.parametrize("releases", [None, {}])
def test_files_of_the_described_release_are_in_urls(fake: FakePyPI, facts: Facts, releases: Any) -> None:
    fake["django-x"].fields = {"releases": releases}
    project = facts()
    assert project.releases == (ReleaseFacts("1.1", FIRST_UPLOAD + DAY, False, None, ">=3.10", True),)
    assert (project.version, project.released_at, project.licence) == ("1.1", FIRST_UPLOAD + DAY, "MIT")
    assert not project.has_all_releases


def test_described_version_is_current_without_files(fake: FakePyPI, facts: Facts) -> None:
    fake["django-x"].fields = {"releases": None, "urls": None}
    project = facts()
    assert (project.version, project.released_at, project.releases) == ("1.1", None, ())
    assert (project.requires_python, project.supports_python3) == (">=3.10", True)


def test_a_yanked_release_without_files_is_yanked(fake: FakePyPI, facts: Facts) -> None:
    fake.release("django-x", "1.2", files=0)
    fake["django-x"].info |= {"yanked": True, "yanked_reason": "Broken."}
    assert [release.yanked_reason for release in facts().releases] == ["Broken.", None, None]
    fake["django-x"].info["yanked_reason"] = None
    assert facts().releases[0].yanked_reason == ""


def test_a_described_release_is_yanked_if_its_files_do_not_tell(fake: FakePyPI, facts: Facts) -> None:
    for file in fake["django-x"].releases["1.1"].files:
        file |= {"yanked": None, "yanked_reason": None}
    fake["django-x"].info |= {"yanked": True, "yanked_reason": "Broken."}
    assert (facts().version, facts().releases[0].yanked_reason) == ("1.0", "Broken.")


def test_upload_time_is_that_of_the_first_file(fake: FakePyPI, facts: Facts) -> None:
    files = fake["django-x"].releases["1.1"].files
    files[0]["upload_time_iso_8601"] = "2024-05-01T01:00:00+05:30"
    files[1]["upload_time_iso_8601"] = "2024-04-30T19:30:01Z"
    assert facts().released_at == datetime(2024, 4, 30, 19, 30, tzinfo=UTC)
    files[0]["upload_time_iso_8601"] = "2024-04-30T19:29:00"  # UTC by default
    assert facts().released_at == datetime(2024, 4, 30, 19, 29, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+02:00"])
def test_invalid_upload_time_is_skipped(fake: FakePyPI, facts: Facts, text: str | None) -> None:
    files = fake["django-x"].releases["1.1"].files
    files[0] |= {"upload_time_iso_8601": text, "upload_time": text}
    assert facts().released_at == FIRST_UPLOAD + DAY + timedelta(seconds=1)
    del files[1]["upload_time_iso_8601"], files[1]["upload_time"]
    project = facts()
    assert (project.version, project.released_at, len(project.releases)) == ("1.1", None, 2)


@pytest.mark.parametrize("text", [None, "", "yesterday"])
def test_the_older_upload_time_is_in_utc(fake: FakePyPI, facts: Facts, text: str | None) -> None:
    for file in fake["django-x"].releases["1.1"].files:
        file |= {"upload_time_iso_8601": text, "upload_time": "2016-06-17T21:37:51"}
    assert facts().released_at == datetime(2016, 6, 17, 21, 37, 51, tzinfo=UTC)


def test_supported_pythons_of_each_release(fake: FakePyPI, facts: Facts) -> None:
    fake.add("django-x", classifiers=["Programming Language :: Python :: 3.12"])
    for version, requires_python in {"1": "<3", "2": None, "3": ">=3.8", "4": None}.items():
        fake.release("django-x", version, requires_python=requires_python)
    project = facts()
    pythons = [(release.requires_python, release.supports_python3) for release in project.releases]
    assert pythons == [(None, True), (">=3.8", True), (None, None), ("<3", False)]
    assert (project.requires_python, project.supports_python3) == (None, True)


def test_supported_pythons_are_those_of_the_current_release(fake: FakePyPI, facts: Facts) -> None:
    fake.add("django-x")
    fake.release("django-x", "1", requires_python=">=2.7,<3")
    fake.release("django-x", "2", requires_python=">=3.12", files=0)
    assert (facts().version, facts().requires_python, facts().supports_python3) == ("1", ">=2.7,<3", False)


@pytest.mark.parametrize("version", ["1" * 101, "9.9\n", "9.9\x1b[2J", "9\x00", "9\ud800", "9\u202e", ""])
def test_unprintable_versions_are_left_out(fake: FakePyPI, facts: Facts, version: str) -> None:
    fake.release("django-x", version)
    fake["django-x"].info["version"] = version
    project = facts()
    assert [release.number for release in project.releases] == ["1.1", "1.0"]
    assert project.version == "1.1"


def test_versions_that_are_not_pep_440_are_the_oldest(fake: FakePyPI, facts: Facts) -> None:
    fake.add("django-x", "2009-spring", "0.1", "9" * 100)
    assert [release.number for release in facts().releases] == ["9" * 100, "0.1", "2009-spring"]


# The status of the project


def status_body(name: str, status: Any) -> dict[str, Any]:
    return {"meta": {"api-version": "1.4"}, "name": name, "files": [], "versions": [], "project-status": status}


@pytest.fixture
def status_reader(address: str) -> PackageIndex:
    return PyPI(address, address, json_client(), reads_status=True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (status_body("django-x", {"status": "archived"}), ("archived", "")),
        (status_body("django-x", {"status": "quarantined", "reason": "Malware."}), ("quarantined", "Malware.")),
        (status_body("django-x", {"status": "Deprecated", "reason": None}), ("deprecated", "")),
        (status_body("django-x", {"status": "active"}), ("active", "")),
        (status_body("django-x", None), ("active", "")),
        (status_body("django-x", {"status": "paused"}), (None, None)),
        ({"meta": {"api-version": "1.4"}, "name": "django-x", "files": []}, ("active", "")),
        ({"meta": {"api-version": "1.1"}, "name": "django-x", "files": []}, (None, None)),
        ([], (None, None)),
    ],
)
def test_status(
    fake: FakePyPI, status_reader: PackageIndex, body: Any, expected: tuple[str | None, str | None]
) -> None:
    fake.faults["/simple/django-x/"] = response("200 OK", body, SIMPLE_JSON)
    project = status_reader.index_facts("django-x", validators={}).facts
    assert project
    assert (project.status, project.status_reason) == expected


def test_mirror_without_statuses(fake: FakePyPI, status_reader: PackageIndex) -> None:
    fake.faults["/simple/django-x/"] = response("404 Not Found", b"")
    project = status_reader.index_facts("django-x", validators={}).facts
    assert project
    assert (project.version, project.status) == ("1.1", None)


def test_a_known_status_is_kept_while_it_can_not_be_read(fake: FakePyPI, status_reader: PackageIndex) -> None:
    fake["django-x"].status = {"status": "archived"}
    first = status_reader.index_facts("django-x", validators={})
    fake.faults["/simple/django-x/"] = response("503 Service Unavailable", b"")
    assert status_reader.index_facts("django-x", validators=first.validators) == Fetched(None, first.validators)
    fake.faults["/simple/django-x/"] = response("429 Too Many Requests", b"", Retry_After="600")
    with pytest.raises(RateLimited):
        status_reader.index_facts("django-x", validators=first.validators)


def test_a_change_of_the_status_alone_is_noticed(fake: FakePyPI, status_reader: PackageIndex) -> None:
    def set_status(status: str) -> None:
        body = status_body("django-x", {"status": status})
        fake.faults["/simple/django-x/"] = response("200 OK", body, SIMPLE_JSON, ETag=f'"{status}"')

    set_status("active")
    first = status_reader.index_facts("django-x", validators={})
    assert status_reader.index_facts("django-x", validators=first.validators) == Fetched(None, first.validators)
    fake.faults["/simple/django-x/"] = response("304 Not Modified", b"")
    assert status_reader.index_facts("django-x", validators=first.validators) == Fetched(None, first.validators)
    set_status("archived")
    changed = status_reader.index_facts("django-x", validators=first.validators)
    assert changed.facts
    assert (changed.facts.status, changed.facts.version) == ("archived", "1.1")
    fake.release("django-x", "1.2")
    fake.faults["/simple/django-x/"] = response("304 Not Modified", b"")
    released = status_reader.index_facts("django-x", validators=changed.validators)
    assert released.facts
    assert (released.facts.status, released.facts.version) == ("archived", "1.2")


# The current release


@pytest.mark.parametrize(
    ("expression", "licence", "classifiers", "expected"),
    [
        ("mit OR apache-2.0", "BSD", [], ("MIT OR Apache-2.0",)),
        (None, "BSD-3-Clause", [], ("BSD-3-Clause",)),
        (None, "UNKNOWN", ["License :: OSI Approved :: MIT License"], ("MIT",)),
        ("", "", [], None),
        ("UNKNOWN", "MIT", [], ("MIT",)),
        (None, None, None, None),
        (None, "Copyright (c) 2020\nPermission is hereby granted" + " and so on" * 500, [], None),
        ("(" * 5000, None, [], ("(" * 5000,)),
    ],
)
def test_licences(
    fake: FakePyPI,
    facts: Facts,
    expression: str,
    licence: str,
    classifiers: list[str],
    expected: tuple[str, ...] | None,
) -> None:
    fake["django-x"].info |= {"license_expression": expression, "license": licence, "classifiers": classifiers}
    assert facts().licences == expected
    assert facts().licence == (expected[0] if expected else None)


@pytest.mark.parametrize(
    ("urls", "docs_url", "expected"),
    [
        ({"Documentation": "https://a.example/", "Docs": "https://b.example/"}, None, "https://a.example/"),
        ({"API reference": "https://a.example/", "DOCS": "https://b.example/"}, None, "https://b.example/"),
        ({"API Reference": "https://a.example/", "Read-the-Docs": "https://b.example/"}, None, "https://b.example/"),
        ({"api_reference": "https://a.example/"}, "https://b.example/", "https://a.example/"),
        ({" doc: ": "http://a.example/"}, None, "http://a.example/"),
        ({"Documentation": "javascript:alert(1)", "Docs": "https://b.example/"}, None, "https://b.example/"),
        ({"Documentation": "javascript:alert(1)"}, "https://b.example/", "https://b.example/"),
        ({"Homepage": "https://a.example/"}, None, None),
        (None, "https://b.example/", "https://b.example/"),
        ({}, "UNKNOWN", None),
        (None, "ftp://b.example/", None),
        ({"docs": "https://["}, None, None),
        ({"docs": None}, None, None),
        ({"Docs: RTD": "https://a.example/"}, None, "https://a.example/"),
        ({"Docs: changelog": "https://a.example/", "Online docs": "https://b.example/"}, None, "https://b.example/"),
    ],
)
def test_documentation_url(
    fake: FakePyPI, facts: Facts, urls: dict[str, str] | None, docs_url: str | None, expected: str | None
) -> None:
    fake["django-x"].info |= {"project_urls": urls, "docs_url": docs_url}
    assert facts().documentation_url == expected


@pytest.mark.parametrize("urls", [None, {}])
def test_home_page_counts_without_project_urls(fake: FakePyPI, facts: Facts, urls: Any) -> None:
    fake["django-x"].info |= {"project_urls": urls, "home_page": "http://lxml.example.org/"}
    assert facts().project_urls == {"Homepage": "http://lxml.example.org/"}
    fake["django-x"].info |= {"home_page": "UNKNOWN"}
    assert facts().project_urls is None
    fake["django-x"].info |= {"project_urls": {"Source": "https://git.example.org/"}, "home_page": "http://a.example/"}
    assert facts().project_urls == {"Source": "https://git.example.org/"}


def test_unsafe_project_urls_are_left_out(fake: FakePyPI, facts: Facts) -> None:
    fake["django-x"].info["project_urls"] = {
        "Home": "https://example.org/",
        "Chat": "irc://example.org/x",
        "Bad": "javascript:alert(1)",
        "Worse": " JaVaScRiPt:alert(1)",
        "Data": "data:text/html,<script>",
        "Nowhere": "https://",
        "Blank": "",
        "Split": "https://example.org/a b",
    }
    assert facts().project_urls == {"Home": "https://example.org/"}


@pytest.mark.parametrize("placeholder", [None, "", "UNKNOWN", "  "])
def test_placeholders_are_unknown(fake: FakePyPI, facts: Facts, placeholder: str | None) -> None:
    fake.add("django-x")
    fake.release("django-x", "1.0", requires_python=placeholder)
    fake["django-x"].info |= {"summary": placeholder, "license": placeholder, "license_expression": placeholder}
    project = facts()
    assert (project.summary, project.licence, project.licences, project.requires_python) == (None, None, None, None)


def test_minimal_project(fake: FakePyPI, facts: Facts) -> None:
    fake.faults["django-x"] = response("200 OK", {"info": {"name": "django-x"}})
    assert facts() == IndexFacts(
        name="django-x",
        version=None,
        released_at=None,
        releases=(),
        summary=None,
        licence=None,
        licences=None,
        classifiers=None,
        requires_python=None,
        supports_python3=None,
        development_status=None,
        documentation_url=None,
        project_urls=None,
        requires_dist=None,
        vulnerabilities=None,
    )


def test_unstorable_characters_are_removed(fake: FakePyPI, facts: Facts) -> None:
    fake["django-x"].info |= {
        "summary": "Does\x00 one \ud800thing.",
        "classifiers": ["Framework\x00 :: Django"],
        "project_urls": {"Ho\x00me": "https://example.org/"},
    }
    project = facts()
    assert (project.summary, project.classifiers) == ("Does one thing.", ("Framework :: Django",))
    assert project.project_urls == {"Home": "https://example.org/"}


# Vulnerabilities


def test_withdrawn_vulnerabilities_are_left_out(fake: FakePyPI, facts: Facts) -> None:
    fake.add_vulnerability(
        "django-x",
        "PYSEC-1",
        summary="One can read all.",
        aliases=["CVE-2026-1", "GHSA-1"],
        fixed_in=["1.2", "1.1.1"],
    )
    fake.add_vulnerability("django-x", "PYSEC-2", withdrawn="2026-01-01T00:00:00Z")
    fake.add_vulnerability(
        "django-x", "PYSEC-3", link="javascript:alert(1)", details="\n  Too much. \nMore.", aliases=None
    )
    fake.add_vulnerability("django-x", "PYSEC-4", details="x" * 1000, link=None, fixed_in=None)
    fake.add_vulnerability("django-x", "PYSEC-5", details=None, link="https://[")
    link = "https://osv.dev/vulnerability/PYSEC-1"
    assert facts().vulnerabilities == (
        Vulnerability("PYSEC-1", ("CVE-2026-1", "GHSA-1"), "One can read all.", link, ("1.2", "1.1.1")),
        Vulnerability("PYSEC-3", (), "Too much.", None, ()),
        Vulnerability("PYSEC-4", (), "x" * 300, None, ()),
        Vulnerability("PYSEC-5", (), "", None, ()),
    )


def test_records_of_one_vulnerability_are_merged(fake: FakePyPI, facts: Facts) -> None:
    fake.add_vulnerability("django-x", "PYSEC-2017-86", aliases=["CVE-2017-6591"], details="XSS.", fixed_in=["1.10"])
    fake.add_vulnerability("django-x", "GHSA-other", details="Another.", fixed_in=["1.2"])
    fake.add_vulnerability("django-x", "GHSA-xp5m", aliases=["cve-2017-6591"], details="XSS.", fixed_in=["1.9", "1.10"])
    link = "https://osv.dev/vulnerability/"
    assert facts().vulnerabilities == (
        Vulnerability("CVE-2017-6591", ("PYSEC-2017-86", "GHSA-xp5m"), "XSS.", f"{link}PYSEC-2017-86", ("1.9", "1.10")),
        Vulnerability("GHSA-other", (), "Another.", f"{link}GHSA-other", ("1.2",)),
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_records_are_linked_through_other_records(fake: FakePyPI, facts: Facts, order: tuple[int, ...]) -> None:
    records = [("PYSEC-1", ["GHSA-1"]), ("OSV-1", ["CVE-2026-2"]), ("GHSA-1", ["CVE-2026-2", "CVE-2026-1"])]
    for index in order:
        vulnerability_id, aliases = records[index]
        fake.add_vulnerability("django-x", vulnerability_id, aliases=aliases)
    (merged,) = facts().vulnerabilities or ()
    assert merged.id == "CVE-2026-1"
    assert set(merged.aliases) == {"PYSEC-1", "OSV-1", "GHSA-1", "CVE-2026-2"}


def test_repeated_records_without_a_cve_are_merged(fake: FakePyPI, facts: Facts) -> None:
    for _ in range(2):
        fake.add_vulnerability("django-x", "PYSEC-1")
    (merged,) = facts().vulnerabilities or ()
    assert (merged.id, merged.aliases) == ("PYSEC-1", ())


def test_vulnerabilities_of_another_release_are_unknown(fake: FakePyPI, facts: Facts) -> None:
    fake.add_vulnerability("django-x", "PYSEC-1")
    fake["django-x"].info["version"] = "1.0"
    assert (facts().version, facts().vulnerabilities) == ("1.1", None)


def test_vulnerabilities_are_unknown_on_a_mirror_without_them(fake: FakePyPI, facts: Facts) -> None:
    fake["django-x"].fields = {"vulnerabilities": None}
    assert facts().vulnerabilities is None


# Malformed responses


@pytest.mark.parametrize(
    ("overrides", "field", "value", "reported_field"),
    [
        ("info", "name", None, "name"),
        ("info", "name", 5, "name"),
        ("info", "version", 1.1, "version"),
        ("info", "summary", ["Does one thing."], "summary"),
        ("info", "license", {"text": "MIT"}, "license"),
        ("info", "classifiers", "Framework :: Django", "classifiers"),
        ("info", "classifiers", [None], "classifiers"),
        ("info", "requires_python", 3, "requires_python"),
        ("info", "requires_dist", {"Django": "5.2"}, "requires_dist"),
        ("info", "project_urls", ["https://example.org/"], "project_urls"),
        ("info", "project_urls", {"Docs": 7}, "Docs"),
        ("info", "docs_url", True, "docs_url"),
        ("fields", "info", [], "info"),
        ("fields", "releases", [], "releases"),
        ("fields", "releases", {"1.0": {}}, "1.0"),
        ("fields", "releases", {"1.0": [{"yanked": "no"}]}, "yanked"),
        ("fields", "vulnerabilities", {}, "vulnerabilities"),
        ("fields", "vulnerabilities", [{"id": 1}], "id"),
        ("fields", "vulnerabilities", [{"id": None}], "id"),
    ],
)
def test_error_names_the_field_with_a_wrong_type(
    fake: FakePyPI, pypi: PackageIndex, overrides: str, field: str, value: Any, reported_field: str
) -> None:
    getattr(fake["django-x"], overrides)[field] = value
    with pytest.raises(BadResponse, match=f": (invalid value for|missing field) {reported_field}"):
        pypi.index_facts("django-x", validators={})


@pytest.mark.parametrize("value", [2**63, -1, "12", 1.5, True])
def test_invalid_counts_are_rejected(fake: FakePyPI, pypi: PackageIndex, value: Any) -> None:
    listed = {"projects": [{"name": "django-x", "_last-serial": value}]}
    fake.faults["/simple/"] = response("200 OK", listed, SIMPLE_JSON)
    with pytest.raises(BadResponse, match="_last-serial"):
        pypi.serials(NAMES, validators={})
    fake.faults["/recent"] = response("200 OK", {"data": {"last_month": value}})
    with pytest.raises(BadResponse, match="last_month"):
        pypi.download_facts("django-x")
    fake.faults["/json"] = response("200 OK", project_body(fake["django-x"]) | {"last_serial": value})
    with pytest.raises(BadResponse, match="last_serial"):
        pypi.index_facts("django-x", validators={})


def test_number_with_thousands_of_digits_is_rejected(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake.faults["/recent"] = response("200 OK", b'{"data": {"last_month": ' + b"9" * 10_000 + b"}}")
    with pytest.raises(BadResponse):
        pypi.download_facts("django-x")


# Serials


def test_serials_are_listed_by_normalised_name(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake.add("Django.REST__framework", "3.0")
    fetched = pypi.serials(["Django_X", "django-rest-framework", "not-there"], validators={})
    assert fetched.facts == {
        "django-x": fake["django-x"].serial,
        "django-rest-framework": fake["django-rest-framework"].serial,
    }
    assert fake.request_headers[0]["HTTP_ACCEPT"] == SIMPLE_JSON
    assert fake.counts == {"serials": 1}


def test_unchanged_serials_have_no_facts(fake: FakePyPI, pypi: PackageIndex) -> None:
    first = pypi.serials(NAMES, validators={})
    assert pypi.serials(NAMES, validators=first.validators) == Fetched(None, first.validators)
    assert fake.unchanged == {"serials": 1}
    fake.release("django-x", "1.2")
    changed = pypi.serials(NAMES, validators=first.validators)
    assert changed.facts
    assert first.facts
    assert changed.facts["django-x"] > first.facts["django-x"]
    fake.remove("django-x")
    assert pypi.serials(NAMES, validators=changed.validators).facts == {}


def test_serials_are_those_of_the_projects(fake: FakePyPI, pypi: PackageIndex) -> None:
    before = pypi.serials(NAMES, validators={}).facts
    fake.add("other", "1.0")
    after = pypi.serials(NAMES, validators={}).facts
    assert before
    assert after
    assert before["django-x"] == after["django-x"]
    assert pypi.index_facts("django-x", validators={}).validators["serial"] == str(after["django-x"])


def test_only_requested_serials_are_returned(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake.add("other", "1.0")
    assert pypi.serials(["django-x"], validators={}).facts == {"django-x": fake["django-x"].serial}
    assert pypi.serials([], validators={}).facts == {}


def test_projects_without_a_serial_are_skipped(fake: FakePyPI, pypi: PackageIndex) -> None:
    listed = {"meta": {"api-version": "1.0"}, "projects": [{"name": "a"}, {"name": "B", "_last-serial": 7}]}
    fake.faults["/simple/"] = response("200 OK", listed, SIMPLE_JSON)
    assert pypi.serials(["A", "b"], validators={}) == Fetched({"b": 7}, {})


@pytest.mark.parametrize(
    "body", [{}, {"projects": None}, {"projects": {}}, {"projects": ["a"]}, {"projects": [{"_last-serial": 1}]}]
)
def test_malformed_list_is_rejected(fake: FakePyPI, pypi: PackageIndex, body: object) -> None:
    fake.faults["/simple/"] = response("200 OK", body, SIMPLE_JSON)
    with pytest.raises(BadResponse):
        pypi.serials(NAMES, validators={})


def test_list_of_all_projects_has_its_own_size_limit(fake: FakePyPI, address: str) -> None:
    for number in range(500):
        fake.add(f"project-{number}", "1.0")
    strict = json_client(replace(FAST_TIMEOUTS, max_bytes=16 * 2**10))
    serials = PyPI(address, address, strict, serials_client=json_client()).serials(["Project.7"], validators={})
    assert serials.facts == {"project-7": fake["project-7"].serial}
    with pytest.raises(BadResponse, match="returned more than"):
        PyPI(address, address, strict).serials(NAMES, validators={})
    with pytest.raises(BadResponse, match="returned more than"):
        PyPI(address, address, json_client(), serials_client=strict).serials(NAMES, validators={})


# Downloads


def test_downloads_of_the_last_month(fake: FakePyPI, pypi: PackageIndex) -> None:
    assert pypi.download_facts("django-x") == Fetched(DownloadFacts(12345), {})
    assert pypi.download_facts("Django_X") == Fetched(DownloadFacts(12345), {})
    assert fake.counts == {"downloads": 2}
    assert set(fake.request_log) == {"/api/packages/django-x/recent"}


def test_project_without_a_download_count(fake: FakePyPI, pypi: PackageIndex) -> None:
    fake["django-x"].downloads = None
    assert pypi.download_facts("django-x") == Fetched(DownloadFacts(None), {})
    fake.faults["/recent"] = response("200 OK", {"data": {"last_month": None}})
    assert pypi.download_facts("django-x") == Fetched(DownloadFacts(None), {})


# Failures


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error(
    fake: FakePyPI, pypi: PackageIndex, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults["/"] = fault
    fetches: list[Callable[[], object]] = [
        lambda: pypi.index_facts("django-x", validators={"etag": '"a"'}),
        lambda: pypi.serials(NAMES, validators={}),
        lambda: pypi.download_facts("django-x"),
    ]
    for fetch in fetches:
        with pytest.raises(UpstreamError) as failure:
            fetch()
        assert type(failure.value) is kind
    assert set(fake.counts) == {"project", "serials", "downloads"}


def test_host_that_does_not_respond_is_unavailable(serve_app: Serve) -> None:
    hanging = HangingResponse()
    address = serve_app(hanging)
    pypi = PyPI(address, address, json_client(Timeouts(read_timeout_s=0.05, attempts=1)))
    with pytest.raises(Unavailable):
        pypi.index_facts("django-x", validators={})
    hanging.released.set()
