"""What people paste as a repository's address, and the one form that it is brought into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.errors import Invalid
from pkgsite.rules.repo_urls import RepoRef, normalise_repo_url, parse_repo_ref, repo_key

KINDS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "forgejo",
    "git.example.com:3000": "forgejo",
}


@pytest.mark.parametrize(
    "written",
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
def test_every_form_of_one_repository(written: str) -> None:
    assert normalise_repo_url(written, KINDS) == "https://github.com/django/django"
    assert parse_repo_ref(written, KINDS) == RepoRef("github", "github.com", "django/django")


@pytest.mark.parametrize(
    ("written", "normal"),
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
def test_other_hosts_ports_and_case(written: str, normal: str) -> None:
    assert normalise_repo_url(written, KINDS) == normal
    assert normalise_repo_url(normal, KINDS) == normal


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   ",
        "not-a-url",
        "https://github.com",
        "https://github.com/",
        "https://github.com/owner",
        "https://github.com/owner/",
        "https://github.com/tree/x",
        "https://gitlab.com/g/tags",
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
def test_what_is_no_repository(written: str) -> None:
    with pytest.raises(Invalid) as error:
        normalise_repo_url(written, KINDS)
    assert list(error.value.problems) == ["repo_url"]


def test_addresses_are_compared_without_case() -> None:
    one, other = "https://github.com/Suor/Django-CacheOps", "http://GitHub.com/suor/django-cacheops.git/"
    assert repo_key(normalise_repo_url(one, KINDS)) == repo_key(normalise_repo_url(other, KINDS))


def test_hosts_that_nobody_can_ask() -> None:
    assert parse_repo_ref("https://launchpad.net/django-oauth-backend", KINDS) is None
    assert parse_repo_ref("https://git.example.com/o/r", KINDS) is None
    assert parse_repo_ref("https://git.example.com:3000/o/r", KINDS) == RepoRef(
        "forgejo", "git.example.com:3000", "o/r"
    )
    assert parse_repo_ref("", KINDS) is None
    assert parse_repo_ref("https://github.com/o/r r", KINDS) is None


@given(st.text(max_size=60) | st.from_regex(r"(https?|ssh|git)://[^\s]{0,50}", fullmatch=True))
def test_any_text_is_read_or_refused_in_words(written: str) -> None:
    ref = parse_repo_ref(written, KINDS)
    try:
        normal = normalise_repo_url(written, KINDS)
    except Invalid:
        assert ref is None
    else:
        assert normal.startswith("https://")
        assert normalise_repo_url(normal, KINDS) == normal
