"""Repository URLs: all forms that users paste are normalised to one.

`repo_urls.tsv` lists hundreds of URLs of all kinds of hosts with what each one names.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.errors import Invalid
from pkgsite.rules.repo_urls import RepoRef, normalise_repo_url, parse_repo_address, parse_repo_ref, repo_key

KINDS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "forgejo",
    "git.example.com:3000": "forgejo",
    "git.example.net:3000": "forgejo",
}
TABLE = [
    (*line.split("\t"), "")[:3]
    for line in Path(__file__).with_name("repo_urls.tsv").read_text().splitlines()
    if line and not line.startswith("# ")
]
ACCEPTED = [(url, url if expected == "=" else expected, path) for url, expected, path in TABLE if expected != "-"]
REFUSED = [(url, message) for url, expected, message in TABLE if expected == "-"]


@pytest.mark.parametrize(("url", "expected", "directory"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_the_url_names_this_repository(url: str, expected: str, directory: str) -> None:
    address = parse_repo_address(url, KINDS)
    assert (address.url, address.directory) == (expected, directory)
    again = parse_repo_address(address.url, KINDS)
    assert (again.url, again.path) == (address.url, address.path)


@pytest.mark.parametrize(("url", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_the_url_is_refused_with_what_it_is_and_what_to_enter(url: str, message: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_repo_address(url, KINDS)
    (text,) = error.value.problems["repo_url"]
    assert message in text
    assert "Enter " in text or "contains characters" in text
    assert parse_repo_ref(url, KINDS) is None


def test_the_repositories_of_the_catalogue_are_accepted_as_they_are() -> None:
    catalogue = json.loads(files("pkgsite.data").joinpath("catalogue.json").read_text())
    for url in (package["repo_url"] for package in catalogue["packages"]):
        assert normalise_repo_url(url, KINDS) == url.rstrip("/")


def test_the_table_has_many_urls_of_many_hosts() -> None:
    assert len(TABLE) >= 300
    assert len({urlsplit(expected).netloc for _, expected, _ in ACCEPTED}) >= 25


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/django/django",
        "http://github.com/django/django",
        "github.com/django/django",
        "https://www.github.com/django/django",
        "https://github.com/django/django.git",
        "https://github.com/django/django.git/",
        "git@github.com:django/django.git",
        "ssh://git@github.com/django/django.git",
        "ssh://git@github.com:22/django/django.git",
        "git+https://github.com/django/django",
        "git://github.com/django/django.git",
        "https://github.com/django/django/tree/main",
        "https://github.com/django/django/blob/master/README.rst",
        "https://github.com/django/django/issues",
        "https://github.com/django/django/pulls?q=is%3Aopen",
        "https://github.com/django/django/wiki/Page",
        "https://github.com/django/django#readme",
        "https://user:pw@github.com/django/django",
        "https://github.com:443/django/django",
        "  https://GitHub.com/django/django  ",
    ],
)
def test_all_forms_of_one_repository_url(url: str) -> None:
    assert normalise_repo_url(url, KINDS) == "https://github.com/django/django"
    assert parse_repo_ref(url, KINDS) == RepoRef("github", "github.com", "django/django")


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("git@bitbucket.org:atlassian/python-bitbucket.git", "https://bitbucket.org/atlassian/python-bitbucket"),
        ("https://bitbucket.org/fivethreeo/django-easytree/", "https://bitbucket.org/fivethreeo/django-easytree"),
        ("https://codeberg.org/forgejo/forgejo", "https://codeberg.org/forgejo/forgejo"),
        ("https://gitlab.com/group/subgroup/project", "https://gitlab.com/group/subgroup/project"),
        ("git@gitlab.com:group/subgroup/project.git", "https://gitlab.com/group/subgroup/project"),
        ("ssh://git@gitlab.com:22/a/b/c.git", "https://gitlab.com/a/b/c"),
        ("https://gitlab.com/a/b.git/-/tree/main", "https://gitlab.com/a/b"),
        ("https://gitlab.com/group/project/-/merge_requests", "https://gitlab.com/group/project"),
        ("https://git.example.com/owner/repo.git/extra/path", "https://git.example.com/owner/repo"),
        ("https://git.example.com:3000/o/r", "https://git.example.com:3000/o/r"),
        ("https://GitHub.com/Suor/Django-CacheOps", "https://github.com/Suor/Django-CacheOps"),
    ],
)
def test_other_hosts_ports_and_case(url: str, normalised: str) -> None:
    assert normalise_repo_url(url, KINDS) == normalised
    assert normalise_repo_url(normalised, KINDS) == normalised


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        "not-a-url",
        "https://github.com",
        "https://github.com/",
        "https://github.com/owner",
        "https://github.com/owner/",
        "https://github.com/o/r%20x",
        "https://github.com/o/..",
        "https://github.com/o/r\x00",
        "javascript://x.example/a/b",
        "javascript:alert(1)",
        "data:text/html,x/y",
        "file:///etc/passwd",
        "localhost/o/r",
        "https://[::1/o/r",
        "https://github.com:port/o/r",
    ],
)
def test_other_values_are_rejected(url: str) -> None:
    with pytest.raises(Invalid) as error:
        normalise_repo_url(url, KINDS)
    assert list(error.value.problems) == ["repo_url"]


def test_urls_are_compared_without_case() -> None:
    url, same_url = "https://github.com/Suor/Django-CacheOps", "http://GitHub.com/suor/django-cacheops.git/"
    assert repo_key(normalise_repo_url(url, KINDS)) == repo_key(normalise_repo_url(same_url, KINDS))


def test_repositories_on_unknown_hosts_have_no_reference() -> None:
    assert parse_repo_ref("https://launchpad.net/django-oauth-backend", KINDS) is None
    assert parse_repo_ref("https://git.example.com/o/r", KINDS) is None
    assert parse_repo_ref("https://git.example.com:3000/o/r", KINDS) == RepoRef(
        "forgejo", "git.example.com:3000", "o/r"
    )
    assert parse_repo_ref("", KINDS) is None
    assert parse_repo_ref("https://github.com/o/r r", KINDS) is None


@given(st.text(max_size=60) | st.from_regex(r"(https?|ssh|git)://[^\s]{0,50}", fullmatch=True))
def test_any_text_is_normalised_or_rejected(url: str) -> None:
    ref = parse_repo_ref(url, KINDS)
    try:
        normalised = normalise_repo_url(url, KINDS)
    except Invalid:
        assert ref is None
    else:
        assert normalised.startswith("https://")
        assert normalise_repo_url(normalised, KINDS) == normalised
