"""Responses that real hosts gave, and what they mean; personal details are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from pkgsite.clients.base import IndexFacts, ParticipantFacts, Vulnerability
from pkgsite.clients.forgejo import Forgejo
from pkgsite.clients.github_responses import parse_rest_repo
from pkgsite.clients.gitlab import GitLab
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.pypi_responses import IndexObject, parse_project
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.rest_host import NOW, Serve, repo_requests, single_facts
from tests.fakes.v4_site import response

NO_FILE: dict[str, Any] = {"packagetype": "sdist", "requires_python": None, "yanked": False, "yanked_reason": None}


def json_client() -> JsonClient:
    return JsonClient(user_agent="pkgsite", timeouts=Timeouts(attempts=1))


def project(releases: dict[str, list[str]], *, vulnerabilities: list[Any] | None = None, **info: Any) -> IndexFacts:
    """Return the facts of a PyPI response with these releases (upload times of their files)."""
    described: dict[str, Any] = {
        "name": "example",
        "summary": "A library",
        "license": "MIT",
        "license_expression": None,
        "classifiers": [],
        "requires_python": None,
        "requires_dist": None,
        "docs_url": None,
        "project_urls": None,
        "yanked": False,
        "yanked_reason": None,
    }
    files = {
        version: [
            {**NO_FILE, "upload_time": uploaded_at, "upload_time_iso_8601": f"{uploaded_at}.000000Z"}
            for uploaded_at in times
        ]
        for version, times in releases.items()
    }
    body = {"info": described | info, "last_serial": 1, "releases": files, "vulnerabilities": vulnerabilities or []}
    return parse_project("example", IndexObject("https://pypi.org/pypi/example/json", body))


def test_forgejo_authors_without_an_account_count_by_name(serve_app: Serve) -> None:
    """A migrated repository: "author" is null in all commits."""

    def commit(sha: str, date: str) -> dict[str, Any]:
        signature = {"name": "Person One", "email": "one@example.org", "date": date}
        return {"sha": sha, "author": None, "committer": None, "commit": {"author": signature, "committer": signature}}

    commits = [commit("a" * 40, "2021-04-27T07:18:37Z"), commit("b" * 40, "2019-09-10T10:28:10Z")]
    address = serve_app(response("200 OK", commits, X_Total_Count="2"))
    forgejo = Forgejo(json_client(), api=lambda _host: f"{address}/api/v1")
    fetched = forgejo.participant_facts(RepoRef("forgejo", "codeberg.org", "example/project"), validators={})
    assert fetched.facts == ParticipantFacts(("Person One",), is_complete=True)


def test_github_licence_that_has_no_name_or_is_removed() -> None:
    record = {
        "id": 4464822,
        "node_id": "MDEwOlJlcG9zaXRvcnk0NDY0ODIy",
        "full_name": "example/project",
        "html_url": "https://github.com/example/project",
        "description": "A library",
        "stargazers_count": 3,
        "forks_count": 2,
        "archived": False,
        "default_branch": "master",
        "topics": [],
    }
    named = {"key": "bsd-3-clause", "name": 'BSD 3-clause "New" or "Revised" License', "spdx_id": "BSD-3-Clause"}
    other = {"key": "other", "name": "Other", "spdx_id": "NOASSERTION", "url": None}
    facts = [
        parse_rest_repo(record | fields, None).facts
        for fields in ({"license": named}, {"license": other}, {"license": None, "description": None})
    ]
    assert [repo.licence for repo in facts] == ["BSD-3-Clause", None, None]
    assert [repo.description for repo in facts] == ["A library", "A library", ""]


def test_gitlab_topics_are_called_tag_list_on_older_hosts(serve_app: Serve) -> None:
    record = {
        "id": 46520,
        "web_url": "https://gitlab.example.org/example/project",
        "description": "Words",
        "star_count": 0,
        "forks_count": 0,
        "open_issues_count": 0,
        "archived": False,
        "default_branch": "master",
        "empty_repo": True,
        "tag_list": ["django", "python"],
    }
    address = serve_app(response("200 OK", record))
    gitlab = GitLab(json_client(), api=lambda _host: f"{address}/api/v4")
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", "gitlab.example.org", "example/project"), now=NOW))
    assert facts.topics == ("django", "python")


def test_pypi_facts_of_a_described_prerelease() -> None:
    facts = project(
        {"3.0.dev5": ["2016-06-17T21:37:51"], "2.0.0": ["2016-05-09T20:00:00"]},
        version="3.0.dev5",
        license="revised BSD license",
        classifiers=["Development Status :: 4 - Beta", "Programming Language :: Python :: 3"],
        requires_dist=["django>=5"],
    )
    assert facts.version == "2.0.0"
    assert (facts.licence, facts.licences, facts.classifiers) == (None, None, None)
    assert (facts.requires_dist, facts.development_status, facts.supports_python3) == (None, None, None)
    assert facts.vulnerabilities is None


def test_pypi_facts_of_a_described_release_without_files() -> None:
    facts = project(
        {"2.0": [], "1.0": ["2012-01-01T00:00:00"]},
        version="2.0",
        classifiers=["Development Status :: 7 - Inactive", "Programming Language :: Python :: 3"],
        requires_python=">=3.12",
        requires_dist=["django>=5"],
    )
    assert (facts.version, facts.licence, facts.classifiers) == ("1.0", None, None)
    assert (facts.requires_dist, facts.requires_python, facts.supports_python3) == (None, None, None)


def test_pypi_home_page_only() -> None:
    facts = project(
        {"1.0": ["2016-03-17T14:06:48"]},
        version="1.0",
        home_page="http://lxml.example.org/",
        bugtrack_url="https://bugs.example.org/lxml",
    )
    assert facts.project_urls == {"Homepage": "http://lxml.example.org/"}


@pytest.mark.parametrize(
    ("licence", "classifier", "expected"),
    [
        ("GPLv2", "GNU General Public License v2 (GPLv2)", "GPL-2.0-only"),
        ("Apache 2.0", "Apache Software License", "Apache-2.0"),
    ],
)
def test_pypi_licence_with_its_classifier(licence: str, classifier: str, expected: str) -> None:
    facts = project(
        {"1.0": ["2023-12-30T20:52:24"]},
        version="1.0",
        license=licence,
        classifiers=[f"License :: OSI Approved :: {classifier}"],
    )
    assert (facts.licence, facts.licences) == (expected, (expected,))


def test_pypi_spells_a_version_in_two_ways() -> None:
    facts = project({"1.0": ["2023-12-30T20:52:24"]}, version="1.0.0", license="MIT", requires_dist=["django"])
    assert (facts.version, facts.licence, facts.requires_dist) == ("1.0", "MIT", ("django",))


def test_pypi_yanked_release_without_files_or_a_list_of_releases() -> None:
    info = {"name": "example", "version": "1.0", "yanked": True, "yanked_reason": "broken"}
    facts = parse_project("example", IndexObject("https://pypi.org/pypi/example/json", {"info": info, "urls": []}))
    (release,) = facts.releases
    assert (facts.version, release.number, release.yanked_reason) == ("1.0", "1.0", "broken")
    assert not facts.has_all_releases


def test_pypi_vulnerabilities_share_an_alias_whatever_its_case_and_spaces() -> None:
    records = [
        {"id": "PYSEC-2020-1", "aliases": ["cve-2020-1 ", ""]},
        {"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2020-1"]},
        {"id": "PYSEC-2020-2", "aliases": [""]},
    ]
    facts = project({"1.0": ["2020-09-02T18:13:21"]}, version="1.0", vulnerabilities=records)
    assert [(record.id, record.aliases) for record in facts.vulnerabilities or ()] == [
        ("CVE-2020-1", ("PYSEC-2020-1", "GHSA-aaaa-bbbb-cccc")),
        ("PYSEC-2020-2", ()),
    ]


def test_pypi_vulnerability_with_two_records() -> None:
    details = "There is a cross-site scripting vulnerability in example 0.2.3 via crafted content in a form field."
    records = [
        {
            "aliases": ["CVE-2017-6591"],
            "details": details,
            "fixed_in": [],
            "id": record_id,
            "link": f"https://osv.dev/vulnerability/{record_id}",
            "source": "osv",
            "summary": None,
            "withdrawn": None,
        }
        for record_id in ("PYSEC-2017-86", "GHSA-xp5m-4c9f-498q")
    ]
    facts = project({"0.2.3": ["2014-09-02T18:13:21"]}, version="0.2.3", vulnerabilities=records)
    assert facts.vulnerabilities == (
        Vulnerability(
            "CVE-2017-6591",
            ("PYSEC-2017-86", "GHSA-xp5m-4c9f-498q"),
            details,
            "https://osv.dev/vulnerability/PYSEC-2017-86",
            (),
        ),
    )
