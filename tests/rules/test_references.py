"""References to a package: names, URLs, install commands, and lines of requirement and lock files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.references import Form, parse_reference

REPO = "https://github.com/Koed00/django-q"


@pytest.mark.parametrize(
    "line",
    [
        "django-q==1.3.9",
        "django-q===1.3.9",
        "django-q~=1.3",
        "django-q != 1.0",
        "django-q >= 1.3, <2",
        "django-q>1",
        "django-q==1.3.*",
        "django-q[sentry,rollbar]>=1.0 ; python_version < '3.12'",
        "django-q; python_version<'3'",
        "django-q[sentry]",
        'django-q>=1.3,<2;python_version>="3.8" and sys_platform == "linux"',
        "django-q==1.3.9 --hash=sha256:abcdef --hash=sha256:0123",
        "django-q==1.3.9 \\",
        "django-q==1.3.9  # via -r requirements.in",
        "-e django-q",
        "+django-q==1.3.9",
        "Requires-Dist: django-q (>=1.3) ; extra == 'queue'",
        '    "django-q>=1.3",',
        "'django-q',",
        "django-q = 1.3.9",
        'django-q = "^1.3"',
        'django-q = "*"',
        'django-q = "1.3.9"  # pinned',
        '"django-q" = ">=1.3,<2"',
        "django-q = {version = '^1.3', extras = ['sentry']}",
        'name = "django-q"',
        '    { name = "django-q", version = "1.3.9", source = { registry = "https://pypi.org/simple" } },',
        'dependencies = ["django-q>=1", "other"]',
        'dependencies = ["django-q"]',
        "install_requires=['django-q>=1.0',",
        '"django-q": "==1.3.9",',
        '"django-q": {',
        "- django-q=1.3.9=py39_0",
        "django-q 1.3.9",
        "django-q (1.3.9)",
        "django-q-1.3.9.tar.gz",
        "django-q  # via -r requirements.in",
        "- django-q",
        "conda-forge::django-q",
        "- conda-forge/noarch::django-q=1.3.9",
        "Requires-Dist: django-q",
        "Requires: django-q, other",
        "Name: django-q",
        'django-q = [{version = "<=1.3", python = "<3.8"}, {version = "^1.4"}]',
        '{file = "django-q-1.3.9.tar.gz", hash = "sha256:ab"},',
        '    { url = "https://files.pythonhosted.org/packages/aa/django-q-1.3.9.tar.gz", hash = "sha256:ab" },',
        'sdist = { url = "https://files.pythonhosted.org/packages/aa/django-q-1.3.9.tar.gz", hash = "sha256:ab" }',
        "django-q@^1.3",
        "django-q@latest",
    ],
)
def test_a_requirement_names_a_project(line: str) -> None:
    reference = parse_reference(line)
    assert (reference.form, reference.project, reference.repo_url) == (Form.REQUIREMENT, "django-q", "")


@pytest.mark.parametrize(
    ("line", "project", "repo_url"),
    [
        (f"-e git+{REPO}.git@v1.3#egg=django_q", "django_q", f"{REPO}.git"),
        (f"--editable=git+{REPO}", "", REPO),
        ("-e git+git@github.com:Koed00/django-q.git#egg=django-q", "django-q", "git@github.com:Koed00/django-q.git"),
        (f'source = {{ git = "{REPO}?rev=main#0123" }}', "", REPO),
        (f'git = "{REPO}.git"', "", f"{REPO}.git"),
        (f'url = "{REPO}"', "", REPO),
        (f"-e git+{REPO}  # comment", "", REPO),
        (
            "-e git+ssh://git@github.com/Koed00/django-q.git@v1#egg=django_q&subdirectory=x",
            "django_q",
            "ssh://git@github.com/Koed00/django-q.git",
        ),
        (f"django-q @ git+{REPO}@main ; python_version > '3'", "django-q", REPO),
        (f"django-q[sentry]@git+{REPO}", "django-q", REPO),
        (f'django-q = {{ git = "{REPO}.git", branch = "main" }}', "django-q", f"{REPO}.git"),
        ("django-q @ https://files.pythonhosted.org/packages/aa/django_q-1.3.9-py3-none-any.whl", "django-q", ""),
        ("django-q @ file:///home/ada/django-q", "django-q", ""),
    ],
)
def test_a_requirement_can_have_a_url(line: str, project: str, repo_url: str) -> None:
    reference = parse_reference(line)
    assert (reference.form, reference.project, reference.repo_url) == (Form.REQUIREMENT, project, repo_url)


@pytest.mark.parametrize(
    ("command", "project", "repo_url"),
    [
        ("pip install django-cacheops", "django-cacheops", ""),
        ("$ python3 -m pip install -U 'Django_Q[x]==1.0'", "Django_Q", ""),
        ("py -m pip install django-q", "django-q", ""),
        ("uv add 'requests>=2'", "requests", ""),
        ("poetry add django-q@^1.3", "django-q", ""),
        ("pip install git+https://github.com/a/b.git@main#egg=b", "b", "https://github.com/a/b.git"),
        ("pip install -i https://index.example.org/simple --upgrade foo", "foo", ""),
        ("conda install -c conda-forge foo", "foo", ""),
        ("conda install -n site conda-forge::foo", "foo", ""),
        ("pdm add -G dev foo", "foo", ""),
        ("uv add --group dev foo", "foo", ""),
        ("RUN pip install --no-cache-dir foo==1", "foo", ""),
        ("(venv) $ pip install foo", "foo", ""),
        ("PS C:\\> pip install foo", "foo", ""),
        ("- run: pip install foo", "foo", ""),
    ],
)
def test_an_install_command_names_its_first_package(command: str, project: str, repo_url: str) -> None:
    reference = parse_reference(command)
    assert (reference.form, reference.project, reference.repo_url) == (Form.COMMAND, project, repo_url)


@pytest.mark.parametrize(
    ("url", "project", "repo_url", "slug"),
    [
        ("https://gitlab.com/a/b/-/issues", "", "https://gitlab.com/a/b/-/issues", ""),
        ("github.com/a/b", "", "github.com/a/b", ""),
        ("pagure.io/pagure", "", "pagure.io/pagure", ""),
        ("git@github.com:a/b.git", "", "git@github.com:a/b.git", ""),
        ("git@github.com:a/b.git@main", "", "git@github.com:a/b.git", ""),
        ("ssh://git@github.com/a/b", "", "ssh://git@github.com/a/b", ""),
        ("git+https://github.com/a/b.git@main#egg=name", "name", "https://github.com/a/b.git", ""),
        ("https://pypi.org/project/django-q/1.3.9/#history", "django-q", "", ""),
        ("pypi.python.org/pypi/django-q/json", "django-q", "", ""),
        ("https://pypi.org/p/django-q", "django-q", "", ""),
        ("https://files.pythonhosted.org/packages/aa/django_q-1.3.9-py3-none-any.whl", "django_q", "", ""),
        ("pkg:pypi/django-q@1.3.9", "django-q", "", ""),
        ("/packages/p/django-q/", "", "", "django-q"),
        (
            "https://a.org/packages/p/country.json/",
            "",
            "https://a.org/packages/p/country.json/",
            "country.json",
        ),
    ],
)
def test_a_url_is_that_of_a_repository_a_project_or_a_page(url: str, project: str, repo_url: str, slug: str) -> None:
    reference = parse_reference(url)
    assert reference.form is Form.URL
    assert (reference.project, reference.repo_url, reference.slug) == (project, repo_url, slug)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "caching redis",
        "rest framework",
        "a/b",
        "-caching redis",
        "stars:>100",
        "django>=4.2 caching",
        "licence = mit",
        "c++ == good",
        "pip install -e",
        "pip install -r requirements.txt",
        "how to pip install things",
        "conda packages for django",
        "https://pypi.org/",
        "http://[",
    ],
)
def test_search_words_are_no_reference(text: str) -> None:
    reference = parse_reference(text)
    assert reference.form is Form.WORDS
    assert not reference


@pytest.mark.parametrize("name", ["django-q", "Two.Words", " x "])
def test_a_bare_name_can_be_words_too(name: str) -> None:
    reference = parse_reference(name)
    assert (reference.form, reference.project) == (Form.WORDS, name.strip())


@given(st.text() | st.text(alphabet="ab-_.=~<>[]{}()@#;,'\"/: 1\\"))
def test_no_text_fails(text: str) -> None:
    parse_reference(text)
